//! Frames to a conversation: segments in the order of the capture, each at its place in its
//! direction.
//!
//! It tracks what each end has sent and received, as the player of a conversation does, so that
//! only the unexpected needs a mark. The player writes handshakes and acknowledgements by itself.
//! Bytes that were acknowledged and are not in the capture become `lost`. The caller checks that
//! the conversation gives the same messages.

use std::collections::{BTreeMap, BTreeSet};

use sniffer_engine::config::Config;
use sniffer_engine::message::Message;
use sniffer_packet::decode::{Decoded, decode_each};
use sniffer_packet::defrag::Defrag;
use sniffer_packet::frame::OwnedFrame;
use sniffer_packet::key::{Endpoint, FlowKey};
use sniffer_packet::segment::{Flags, Segment};
use sniffer_packet::time::Timestamp;
use sniffer_testkit::talk::{
    Action, BLOCK_MAX, CONNECTIONS_MAX, Marks, Opening, PayloadBlock, Talk, TalkConnection, TalkStep,
};
use sniffer_testkit::wire::Way;

/// Shortest time between frames that becomes a pause: a second, in nanoseconds. The player takes a
/// millisecond a frame.
const PAUSE_MIN: u64 = 1_000_000_000;

/// Most payload in a block of merged segments.
const MERGED_MAX: usize = 64 << 10;

/// Longest segment that can be written as one.
const SEGMENT_MAX: usize = 65_000;

/// Shortest segments that are merged: the least that every host takes (RFC 9293 §3.7.1).
const MERGED_MIN: usize = 536;

/// Level of detail of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Payload, and what was lost, cut or sent twice.
    Plain,
    /// Also TTL, checksum and options. SYNs without an answer and resets at unexpected numbers
    /// count as forged.
    Suspicious,
}

/// Transcribes frames that gave these messages.
pub(super) fn transcribe(frames: &[OwnedFrame], messages: &[Message], name: &str, detail: Detail) -> Talk {
    let config = Config::default();
    let mut defrag = Defrag::new(config.limits.defrag, config.hash_key);
    // The messages know the server best.
    let servers = messages.iter().map(|m| (FlowKey::of(&m.receiver, &m.destination).0, m.receiver)).collect();
    let start = frames.first().map_or(Timestamp::ZERO, |frame| frame.time);
    let mut transcriber = Transcriber {
        talk: Talk { start, ..Talk::default() },
        detail,
        servers,
        answered: answered(frames),
        latest: BTreeMap::new(),
        ends: Vec::new(),
    };
    if let Some(first) = frames.first() {
        transcriber.talk.precision = first.precision;
    }
    let (mut before, mut left_out) = (start, 0_u64);
    for frame in frames {
        let passed = frame.time.as_nanos().saturating_sub(before.as_nanos());
        if passed >= PAUSE_MIN {
            // Milliseconds are fine enough for a reader.
            transcriber.push(Action::Pause((passed / 1_000_000 * 1_000_000).cast_signed()));
        }
        before = before.max(frame.time);
        defrag.packets(&frame.as_frame(), before, |packet| match packet.decoded {
            Decoded::Segment(segment) => transcriber.segment(segment),
            Decoded::Fragment(_) => {}
            _ => left_out += u64::from(packet.datagram.is_none()),
        });
    }
    transcriber.finish(name, left_out)
}

/// Collects the initial sequence numbers of SYNs that were answered.
fn answered(frames: &[OwnedFrame]) -> BTreeSet<(FlowKey, u32)> {
    let mut numbers = BTreeSet::new();
    for frame in frames {
        decode_each(&frame.as_frame(), |decoded| {
            if let Decoded::Segment(segment) = decoded
                && segment.flags.has(Flags::SYN)
                && segment.flags.has(Flags::ACK)
            {
                numbers.insert((FlowKey::of(&segment.src, &segment.dst).0, segment.ack.0.wrapping_sub(1)));
            }
        });
    }
    numbers
}

/// The conversation so far.
struct Transcriber {
    talk: Talk,
    detail: Detail,
    /// Server of each pair of endpoints that had messages.
    servers: BTreeMap<FlowKey, Endpoint>,
    answered: BTreeSet<(FlowKey, u32)>,
    /// Index of the last connection between two endpoints.
    latest: BTreeMap<FlowKey, usize>,
    /// Client and server of each connection.
    ends: Vec<[End; 2]>,
}

/// One end of a connection. Positions count from its SYN, which has position 0.
#[derive(Default)]
struct End {
    /// Initial sequence number, once a segment shows it.
    isn: Option<u32>,
    /// Position of its next byte.
    next: i64,
    /// End of what the capture has of its bytes without a hole.
    seen: i64,
    /// Ranges that the capture has after the first hole.
    after_hole: Vec<(i64, i64)>,
    /// The capture has a segment of it.
    captured: bool,
}

impl End {
    /// Adds a range that it sent.
    fn add(&mut self, start: i64, end: i64) {
        self.next = self.next.max(end);
        match self.after_hole.last_mut() {
            // The common case after a hole: a long stream there stays one range.
            Some(last) if last.1 == start => last.1 = end.max(start),
            _ => self.after_hole.push((start, end)),
        }
        while let Some(at) = self.after_hole.iter().position(|(start, _)| *start <= self.seen) {
            let (_, end) = self.after_hole.swap_remove(at);
            self.seen = self.seen.max(end);
        }
    }

    /// Position of a sequence number: the nearest to `next`.
    fn position(&self, seq: u32) -> i64 {
        let expected = self.isn.unwrap_or(seq).wrapping_add(self.next as u32);
        self.next + i64::from(seq.wrapping_sub(expected).cast_signed())
    }
}

impl Transcriber {
    fn push(&mut self, action: Action) {
        self.talk.steps.push(TalkStep { line: 0, action });
    }

    fn segment(&mut self, segment: &Segment<'_>) {
        let Some((connection, way)) = self.connection_of(segment) else { return };
        let syn = segment.flags.has(Flags::SYN);
        if self.is_made_up(connection, way, segment) {
            return self.forged(connection, way, segment);
        }
        self.learn(connection, way, segment);
        let length = segment.payload.len() + segment.cut as usize;
        if length > SEGMENT_MAX {
            // Offload captures more than an IP packet can hold; bytes cut from it are left out.
            return self.pieces(segment, connection, way);
        }
        let acked = segment.flags.has(Flags::ACK).then(|| self.lost_before(connection, way, segment.ack.0)).flatten();
        let end = &mut self.ends[connection][way.index()];
        end.captured = true;
        let start = end.position(segment.seq.0);
        let shift = if syn { start } else { start - end.next };
        let (fin, rst) = (segment.flags.has(Flags::FIN), segment.flags.has(Flags::RST));
        let stop = start + i64::from(syn) + length as i64 + i64::from(fin);
        if !rst {
            end.add(start, stop);
        }
        let opened = syn && length == 0 && self.talk.connections[connection].opening == Opening::Handshake;
        let written = length > 0 || fin || rst || (syn && !opened) || acked.is_some();
        if !written || opened {
            return;
        }
        let mut payload = segment.payload.to_vec();
        payload.resize(length, b'.');
        let marks = Marks {
            syn,
            fin,
            rst,
            seq: shift,
            no_ack: !segment.flags.has(Flags::ACK) && !syn,
            ack: length == 0 && !(syn || fin || rst),
            ack_shift: acked.unwrap_or(0),
            cut: (segment.cut > 0).then_some(segment.payload.len()),
            ..self.looks(connection, segment)
        };
        if !self.merge(connection, way, &payload, &marks) {
            self.push(Action::Send(PayloadBlock { connection, way, payload, marks }));
        }
    }

    /// Marks for how the packet looked, if the detail asks for it.
    fn looks(&self, connection: usize, segment: &Segment<'_>) -> Marks {
        if self.detail == Detail::Plain {
            return Marks::default();
        }
        let usual = self.talk.connections[connection].ttl;
        Marks {
            ttl: (segment.ttl != usual).then_some(segment.ttl.into()),
            bad_checksum: segment.checksum_is_wrong() == Some(true),
            md5: segment.options.md5,
            urgent: segment.flags.has(Flags::URG).then_some(segment.payload.len()),
            ..Marks::default()
        }
    }

    /// Returns whether the peer must have dropped it: a SYN without an answer inside the
    /// connection, or a reset that is not at the next number.
    fn is_made_up(&self, connection: usize, way: Way, segment: &Segment<'_>) -> bool {
        let end = &self.ends[connection][way.index()];
        let elsewhere = end.isn.is_some() && end.position(segment.seq.0) != end.next;
        let opens = segment.flags.has(Flags::SYN) && end.next > 1;
        self.detail == Detail::Suspicious && elsewhere && (opens || segment.flags.has(Flags::RST))
    }

    /// Writes a segment that changes nothing for either end.
    fn forged(&mut self, connection: usize, way: Way, segment: &Segment<'_>) {
        let end = &self.ends[connection][way.index()];
        let (syn, position) = (segment.flags.has(Flags::SYN), end.position(segment.seq.0));
        let marks = Marks {
            forged: true,
            syn,
            rst: segment.flags.has(Flags::RST),
            no_ack: !segment.flags.has(Flags::ACK),
            seq: if syn { position } else { position - end.next },
            ..self.looks(connection, segment)
        };
        let payload = segment.payload.to_vec();
        self.push(Action::Send(PayloadBlock { connection, way, payload, marks }));
    }

    /// Writes a segment that is too long for one as several.
    fn pieces(&mut self, segment: &Segment<'_>, connection: usize, way: Way) {
        let count = segment.payload.chunks(SEGMENT_MAX / 2).count();
        for (n, piece) in segment.payload.chunks(SEGMENT_MAX / 2).enumerate() {
            let seq = segment.seq.add((n * (SEGMENT_MAX / 2)) as u32);
            let flags = if n + 1 == count { segment.flags } else { Flags::ACK };
            let part = Segment { seq, flags, payload: piece, cut: 0, ..segment.clone() };
            debug_assert!(part.payload.len() <= SEGMENT_MAX && connection < self.ends.len() && way.index() < 2);
            self.segment(&part);
        }
    }

    /// Returns the connection of a segment and its direction; `None` over the limit on connections.
    fn connection_of(&mut self, segment: &Segment<'_>) -> Option<(usize, Way)> {
        let (key, _) = FlowKey::of(&segment.src, &segment.dst);
        let opens = segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK);
        let known = self.latest.get(&key).copied();
        let known = known.filter(|&at| !(opens && self.is_reuse(at, segment)));
        let at = match known {
            Some(at) => at,
            None => self.connect(key, segment, opens)?,
        };
        Some((at, if self.talk.connections[at].client == segment.src { Way::ToServer } else { Way::ToClient }))
    }

    /// Returns whether a SYN opens a new connection: it has another number and, where SYNs may be
    /// forged, an answer.
    fn is_reuse(&self, at: usize, segment: &Segment<'_>) -> bool {
        let key = FlowKey::of(&segment.src, &segment.dst).0;
        if self.detail == Detail::Suspicious && !self.answered.contains(&(key, segment.seq.0)) {
            return false;
        }
        let way = if self.talk.connections[at].client == segment.src { Way::ToServer } else { Way::ToClient };
        self.ends[at][way.index()].isn.is_some_and(|isn| isn != segment.seq.0)
    }

    /// Adds the connection of its first segment.
    fn connect(&mut self, key: FlowKey, segment: &Segment<'_>, opens: bool) -> Option<usize> {
        let at = self.talk.connections.len();
        if at == CONNECTIONS_MAX {
            return None;
        }
        let lower_port = if segment.src.port < segment.dst.port { segment.src } else { segment.dst };
        let server = match self.servers.get(&key) {
            Some(&server) => server,
            None if opens => segment.dst,
            None if segment.flags.has(Flags::SYN) => segment.src,
            None => lower_port,
        };
        let client = if server == segment.src { segment.dst } else { segment.src };
        let ttl = if self.detail == Detail::Suspicious { segment.ttl } else { 64 };
        let usual = TalkConnection::usual(&format!("c{}", at + 1), at, client.ip.is_ipv6());
        let syn = segment.flags.has(Flags::SYN);
        // The player can write the handshake from the SYN, or from its answer if the SYN is
        // missing.
        let handshake = syn && segment.payload.is_empty() && (if opens { client } else { server }) == segment.src;
        let opening = match syn {
            true if handshake => Opening::Handshake,
            true => Opening::ByHand,
            false => Opening::NoHandshake,
        };
        let established = |end: End| End { next: 1, seen: 1, ..end };
        let [client_end, server_end] = <[End; 2]>::default();
        let ends = match opening {
            Opening::NoHandshake => [established(client_end), established(server_end)],
            Opening::Handshake if !opens => [established(client_end), server_end],
            _ => [client_end, server_end],
        };
        self.talk.connections.push(TalkConnection { client, server, opening, ttl, ..usual });
        self.ends.push(ends);
        self.latest.insert(key, at);
        Some(at)
    }

    /// Learns the initial sequence numbers from the first segment that shows them.
    fn learn(&mut self, connection: usize, way: Way, segment: &Segment<'_>) {
        let syn = segment.flags.has(Flags::SYN);
        let before = |number: u32| number.wrapping_sub(1);
        let numbers = [
            (way, Some(if syn { segment.seq.0 } else { before(segment.seq.0) })),
            (way.back(), segment.flags.has(Flags::ACK).then(|| before(segment.ack.0))),
        ];
        for (way, number) in numbers {
            let end = &mut self.ends[connection][way.index()];
            if let (None, Some(number)) = (end.isn, number) {
                end.isn = Some(number);
                self.talk.connections[connection].isn[way.index()] = number;
                if !(syn && end.seen == 0) {
                    // Its SYN is not in the capture, or its acknowledgement comes before it.
                    end.next = end.next.max(1);
                }
            }
        }
    }

    /// Writes bytes that are acknowledged and not in the capture as lost.
    ///
    /// Returns by how much the written acknowledgement must differ from the player's: 0 when the
    /// loss was written, the whole distance when it is too long to be true.
    fn lost_before(&mut self, connection: usize, way: Way, ack: u32) -> Option<i64> {
        let other = &mut self.ends[connection][way.back().index()];
        let position = other.position(ack);
        let missing = position - other.seen;
        if missing <= 0 || other.seen == 0 {
            return None;
        }
        let length = usize::try_from(missing).unwrap_or(usize::MAX);
        if length > BLOCK_MAX / 4 {
            return Some(missing);
        }
        let shift = other.seen - other.next;
        let start = other.seen;
        other.add(start, position);
        let mss = (length > 1460).then_some(1460);
        let marks = Marks { lost: true, seq: shift, mss, ..Marks::default() };
        self.push(Action::Send(PayloadBlock { connection, way: way.back(), payload: vec![b'.'; length], marks }));
        // The acknowledgement must be written, because it is the only trace of the loss.
        Some(0)
    }

    /// Adds a segment to the block before it if they look like parts of one write. Returns whether
    /// they do.
    fn merge(&mut self, connection: usize, way: Way, payload: &[u8], marks: &Marks) -> bool {
        let Some(TalkStep { action: Action::Send(before), .. }) = self.talk.steps.last_mut() else { return false };
        let size = before.marks.mss.unwrap_or(before.payload.len());
        let plain = Marks { mss: before.marks.mss, ..Marks::default() };
        let fits = before.connection == connection
            && before.way == way
            && before.marks == plain
            && *marks == Marks::default()
            && size >= MERGED_MIN
            && before.payload.len().is_multiple_of(size)
            && payload.len() <= size
            && before.payload.len() + payload.len() <= MERGED_MAX;
        if fits {
            before.marks.mss = Some(size);
            before.payload.extend_from_slice(payload);
        }
        fits
    }

    fn finish(mut self, name: &str, left_out: u64) -> Talk {
        let talk = &mut self.talk;
        talk.title = format!("The conversation of {name}");
        if left_out > 0 {
            talk.prose = vec![format!("Left out: {left_out} frames that are not TCP.")];
        }
        for (connection, [client, server]) in talk.connections.iter_mut().zip(&self.ends) {
            connection.only = match (client.captured, server.captured) {
                (true, false) => Some(Way::ToServer),
                (false, true) => Some(Way::ToClient),
                _ => None,
            };
        }
        if let [connection] = &mut talk.connections[..] {
            connection.name.clear();
        }
        self.talk
    }
}
