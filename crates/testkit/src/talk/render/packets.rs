//! One segment to its frames: sequence numbers, options, IP, fragments, layers around it.
//!
//! It does not decide when they are captured. Next: [`crate::wire`].

use sniffer_packet::segment::Flags;

use super::{Arrival, Held, Stage};
use crate::talk::{Marks, TalkError};
use crate::wire::{Ip, Tcp, Way, WireError, WirePacket, frame_bytes};

/// A segment to send.
#[derive(Clone, Copy)]
pub(super) struct RenderedSegment<'a> {
    pub(super) connection: usize,
    pub(super) way: Way,
    /// Position of the SYN or of the first byte.
    pub(super) start: i64,
    pub(super) payload: &'a [u8],
    pub(super) syn: bool,
    /// It is the last of its block, which carries the FIN.
    pub(super) last: bool,
    pub(super) marks: &'a Marks,
}

impl RenderedSegment<'_> {
    fn fin(&self) -> bool {
        self.marks.fin && self.last
    }
}

impl Stage<'_> {
    /// The positions that it brings to the other end. A reset takes no sequence number.
    pub(super) fn arrival(&self, segment: &RenderedSegment<'_>) -> Arrival {
        let RenderedSegment { connection, way, start, .. } = *segment;
        let len = segment.payload.len() as i64 + i64::from(segment.syn) + i64::from(segment.fin());
        let end = if segment.marks.rst { start } else { start + len };
        Arrival { connection, way, start, end, tsval: self.tsval(segment) }
    }

    /// Makes the frames of a segment, none of them captured or received yet.
    pub(super) fn frames_of(&mut self, segment: &RenderedSegment<'_>) -> Result<Vec<Held>, TalkError> {
        let tcp = self.tcp_of(segment);
        if !segment.marks.forged {
            self.ends[segment.connection][segment.way.index()].owes_ack = false;
        }
        let options_len = tcp.options.len();
        let room = Tcp::payload_max(&tcp.src.ip, options_len);
        if tcp.payload.len() > room {
            let what = format!("a segment carries at most {room} bytes, not {}; add mss=1460", tcp.payload.len());
            return Err(self.error(what));
        }
        let uncaptured = segment.marks.cut.map_or(0, |cut| segment.payload.len().saturating_sub(cut));
        let padding = segment.marks.pad.unwrap_or(0);
        let packets = self.packets_of(segment, &tcp).map_err(|error| self.error(error.to_string()))?;
        let mut frames = Vec::with_capacity(packets.len());
        for mut packet in packets {
            let connection = &self.talk.connections[segment.connection];
            for wrap in connection.via.iter().rev() {
                packet = wrap.around(&packet, segment.way).map_err(|error| self.error(error.to_string()))?;
            }
            let bytes = frame_bytes(self.talk.link, &packet, segment.way);
            let mut bytes = bytes.map_err(|error| self.error(error.to_string()))?;
            bytes.resize(bytes.len() + padding, b'P');
            let wire_len = bytes.len();
            if uncaptured > 0 {
                bytes.truncate(wire_len - padding - uncaptured);
            }
            frames.push(Held { bytes, wire_len, arrival: None });
        }
        Ok(frames)
    }

    fn tcp_of(&self, segment: &RenderedSegment<'_>) -> Tcp {
        let RenderedSegment { connection, way, marks, .. } = *segment;
        let settings = &self.talk.connections[connection];
        let end = &self.ends[connection][way.index()];
        let isn = settings.isn[way.index()];
        // Positions count from the SYN; both additions wrap like sequence numbers.
        let seq = isn.wrapping_add(segment.start as u32);
        let peer_isn = settings.isn[way.back().index()];
        let mut flags = Flags::default();
        // There is nothing to acknowledge before the peer's SYN has come.
        let acks = end.received.next > 0 && !marks.no_ack;
        let ack = if acks {
            flags = flags.with(Flags::ACK);
            peer_isn.wrapping_add(end.received.next.wrapping_add(marks.ack_shift) as u32)
        } else {
            0
        };
        for (wanted, flag) in [
            (segment.syn, Flags::SYN),
            (segment.fin(), Flags::FIN),
            (marks.rst, Flags::RST),
            (marks.urgent.is_some(), Flags::URG),
            (!segment.payload.is_empty() && segment.last, Flags::PSH),
        ] {
            if wanted {
                flags = flags.with(flag);
            }
        }
        let (src, dst) = settings.ends(way);
        Tcp {
            window: marks.window.unwrap_or(65_535) as u16,
            urgent: marks.urgent.unwrap_or(0) as u16,
            options: self.options_of(segment),
            payload: segment.payload.to_vec(),
            bad_checksum: marks.bad_checksum,
            ..Tcp::new(src, dst, seq, ack, flags)
        }
    }

    fn options_of(&self, segment: &RenderedSegment<'_>) -> Vec<u8> {
        let mut options = Vec::new();
        if segment.syn {
            // Maximum segment size 1460 (RFC 9293 §3.7.1).
            options.extend([2, 4, 5, 0xb4]);
            if !segment.payload.is_empty() {
                // Fast Open cookie of eight bytes (RFC 7413 §4.1.1).
                options.extend([34, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
            }
        }
        if self.talk.connections[segment.connection].timestamps {
            // Two no-operations first, as RFC 7323 appendix A recommends.
            options.extend([1, 1, 8, 10]);
            options.extend(self.tsval(segment).to_be_bytes());
            options.extend(self.ends[segment.connection][segment.way.index()].echo.to_be_bytes());
        }
        if segment.marks.md5 {
            // RFC 2385 §3.0; the digest is sixteen zero bytes.
            options.extend([19, 18]);
            options.extend([0; 16]);
        }
        options
    }

    /// Milliseconds of the conversation, starting from a round number.
    fn tsval(&self, segment: &RenderedSegment<'_>) -> u32 {
        let millis = self.clock.as_nanos().saturating_sub(self.talk.start.as_nanos()) / 1_000_000;
        (1_000_000 + millis as i64).wrapping_add(segment.marks.tsval) as u32
    }

    fn packets_of(&mut self, segment: &RenderedSegment<'_>, tcp: &Tcp) -> Result<Vec<WirePacket>, WireError> {
        let RenderedSegment { connection, way, marks, .. } = *segment;
        let settings = &self.talk.connections[connection];
        let end = &mut self.ends[connection][way.index()];
        end.packets = end.packets.wrapping_add(1);
        let ttl = marks.ttl.map_or(settings.ttl, |ttl| ttl as u8);
        let ip = Ip {
            id: end.packets,
            extensions: settings.extension_headers,
            length_zero: marks.length_zero,
            ..Ip::new(tcp.src.ip, tcp.dst.ip, 6, ttl)
        };
        let bytes = tcp.bytes()?;
        let Some(size) = marks.fragment else { return Ok(vec![ip.packet(&bytes)?]) };
        let mut packets = ip.fragments(&bytes, size)?;
        if marks.fragments_conflict {
            let size = size / 8 * 8;
            if let Some(piece) = bytes.chunks(size).nth(1) {
                let more = bytes.len() > 2 * size;
                packets.insert(2, ip.fragment(&vec![b'X'; piece.len()], size, more)?);
            }
        }
        if marks.fragments_reversed {
            packets.reverse();
        }
        Ok(packets)
    }
}
