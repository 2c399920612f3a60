//! TCP reassembly: the input is a list of segments. A slow and obvious model checks the connection.
//!
//! The first byte chooses one of two games.
//!
//! - *Honest*: both sides send any pieces in any order, and acknowledge only what is there. The
//!   delivered bytes must equal the byte map in which the first copy of a byte wins.
//! - *Hostile*: flags, acknowledgements, windows, options and times are free, so policy decides
//!   which bytes are taken. Every sequence number has one byte value, so each delivered byte must
//!   be the one of its offset.
//!
//! In both, every byte has one fate and a stream ends once.
//!
//! Next: [`crate::tcp`].

use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::frame::Stamp;
use sniffer_packet::intake::Now;
use sniffer_packet::key::{Endpoint, Side};
use sniffer_packet::segment::{Checksum, Flags, Segment, TcpOptions};
use sniffer_packet::seq::SeqNumber;
use sniffer_packet::time::Timestamp;

use super::input::FuzzInput;
use crate::anomaly::Anomaly;
use crate::config::Limits;
use crate::ledger::{Account, Fate};
use crate::stream::{Delivery, EndCause, Retention, StreamBytes, StreamSink};
use crate::tcp::{BufferPool, SegmentOutcome, TcpConnection, TcpContext};

const SIDES: [Side; 2] = [Side::Low, Side::High];
/// Initial sequence numbers, near both points where a sign changes.
const ISN: [u32; 2] = [u32::MAX - 3, 0x7fff_fffe];
/// Limit of the waiting bytes, small enough to be reached.
const WAITING_MAX: usize = 16 << 10;

/// Sends segments through one connection.
///
/// # Panics
/// If the delivered bytes differ from the model.
pub fn tcp(data: &[u8]) {
    let mut input = FuzzInput(data);
    let mode = input.u8();
    let mut run = Run::new(mode);
    match mode & 1 {
        0 => run.honest(input),
        _ => run.hostile(input),
    }
}

/// The output, by side.
#[derive(Default)]
struct Got {
    /// Delivered pieces by the offset of their first byte. Gaps are not stored, as one can be a
    /// gigabyte.
    streams: [Vec<(u64, Vec<u8>)>; 2],
    /// Length of each stream, gaps included.
    lengths: [u64; 2],
    ended: [bool; 2],
    retention: u8,
    ledger: Account,
}

impl Got {
    /// Returns the stream of a side byte by byte; for short streams.
    fn map(&self, side: Side) -> Vec<Option<u8>> {
        let mut map = vec![None; self.lengths[side.index()] as usize];
        for (at, bytes) in &self.streams[side.index()] {
            for (place, &byte) in map[*at as usize..].iter_mut().zip(bytes) {
                *place = Some(byte);
            }
        }
        map
    }
}

impl StreamSink for Got {
    fn deliver(&mut self, from: Side, delivery: Delivery<'_>) {
        let i = from.index();
        assert!(!self.ended[i], "nothing comes after the end of a stream");
        match delivery {
            Delivery::Bytes(StreamBytes { bytes, .. }) => {
                assert!(!bytes.is_empty(), "a delivery is never empty");
                self.ledger.count(Fate::Body, bytes.len());
                self.streams[i].push((self.lengths[i], bytes.to_vec()));
                self.lengths[i] += bytes.len() as u64;
            }
            Delivery::Gap { missing: bytes, .. } => {
                assert!(bytes > 0, "a gap is never empty");
                self.lengths[i] += bytes;
            }
            Delivery::End(_) => self.ended[i] = true,
        }
    }

    fn flag_message(&mut self, _: Side, _: Anomaly) {}

    fn flag_connection(&mut self, _: Anomaly) {}

    fn may_begin(&self, bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|byte| byte % 2 == 0)
    }

    fn retention(&self, _: Side) -> Retention {
        match self.retention % 3 {
            0 => Retention::None,
            1 => Retention::Unacknowledged,
            _ => Retention::Open,
        }
    }

    fn account(&mut self) -> &mut Account {
        &mut self.ledger
    }
}

struct Run {
    connection: TcpConnection,
    limits: Limits,
    got: Got,
    pool: BufferPool,
    number: u64,
    nanos: u64,
}

impl Run {
    fn new(mode: u8) -> Self {
        let limits = Limits { waiting_bytes_max: WAITING_MAX, ..Limits::default() };
        let got = Got { retention: mode >> 1, ..Got::default() };
        Self {
            connection: TcpConnection::new(),
            limits,
            got,
            pool: BufferPool::default(),
            number: 0,
            nanos: 1_000_000_000,
        }
    }

    fn call<T>(&mut self, now: Now, call: impl FnOnce(&mut TcpConnection, &mut TcpContext<'_, Got>) -> T) -> T {
        let Self { connection, limits, got, pool, .. } = self;
        call(connection, &mut TcpContext { now, limits, pool, sink: got })
    }

    fn push(&mut self, side: Side, segment: &Segment<'_>) -> SegmentOutcome {
        self.number += 1;
        self.got.ledger.receive(segment.payload.len());
        let now = Timestamp::from_nanos(self.nanos);
        let stamp = Stamp { number: self.number, time: now, ..Stamp::default() };
        let now = Now { frame: stamp, now, segment_number: self.number };
        let outcome = self.call(now, |connection, cx| connection.segment(segment, side, cx));
        // A connection that hands its pending SYN to the next one neither holds it nor counts it.
        if !matches!(outcome, SegmentOutcome::Reopen(_)) {
            assert_eq!(self.got.ledger.balance(), self.connection.held_payload() as i128, "bytes without a fate");
        }
        assert!(
            self.connection.held_payload() <= 2 * (WAITING_MAX + 65_535) + 2 * 65_535,
            "more waits than two limits, a segment each and two SYNs"
        );
        outcome
    }

    fn handshake(&mut self) {
        let mut syn = segment(Side::Low, 0, 0);
        (syn.seq, syn.flags) = (SeqNumber(ISN[0]), Flags::SYN);
        self.push(Side::Low, &syn);
        let mut syn_ack = segment(Side::High, 0, 0);
        (syn_ack.seq, syn_ack.flags) = (SeqNumber(ISN[1]), Flags::SYN.with(Flags::ACK));
        self.push(Side::High, &syn_ack);
    }

    fn end(&mut self, cause: EndCause) {
        self.call(Now::default(), |connection, cx| connection.end(cause, cx));
        assert_eq!(self.got.ended, [true, true], "both streams end");
        assert_eq!(self.connection.held_payload(), 0, "nothing is held after the end");
        assert_eq!(self.got.ledger.balance(), 0, "bytes without a fate at the end");
    }

    /// Plays the honest game. A segment is `side and more: u8`, `offset: u16`, `ack: u16`, `len:
    /// u8`, bytes.
    fn honest(&mut self, mut input: FuzzInput<'_>) {
        // The whole input fits, so that no hole is declared lost for want of room.
        self.limits.waiting_bytes_max = usize::MAX;
        self.handshake();
        let mut model: [Vec<Option<u8>>; 2] = Default::default();
        while !input.is_empty() && self.number < 400 {
            let (about, offset, ack, len) = (input.u8(), input.u16(), input.u16(), input.u8());
            let side = SIDES[usize::from(about & 1)];
            let peer = &model[side.other().index()];
            let there = peer.iter().take_while(|byte| byte.is_some()).count();
            // Half the offsets lie close together, where pieces overlap.
            let offset = usize::from(if about & 2 == 0 { offset & 0x7f } else { offset & 0x3fff });
            let mut segment = segment(side, offset as u32, usize::from(ack).min(there) as u32);
            segment.payload = input.take(usize::from(len));
            self.nanos += u64::from(about >> 2) * 1_000_000;
            let map = &mut model[side.index()];
            if !segment.payload.is_empty() && map.len() < offset + segment.payload.len() {
                map.resize(offset + segment.payload.len(), None);
            }
            for (place, &byte) in map.iter_mut().skip(offset).zip(segment.payload) {
                place.get_or_insert(byte);
            }
            assert!(matches!(self.push(side, &segment), SegmentOutcome::Open), "nothing ended");
        }
        self.end(EndCause::EndOfCapture);
        let got = SIDES.map(|side| self.got.map(side));
        assert!(got == model, "delivered: {got:?}\nthe byte map: {model:?}");
        let holes = model.iter().flatten().filter(|byte| byte.is_none()).count();
        assert_eq!(self.got.ledger.missing(), holes as u64, "what is missing is counted");
    }

    /// Plays the hostile game. A segment is `side, kind and more: u8`, `flags: u8`, `offset: u16`,
    /// `ack: u16`, `len: u8`, and more by kind.
    fn hostile(&mut self, mut input: FuzzInput<'_>) {
        self.handshake();
        let mut buffer = Vec::new();
        while !input.is_empty() && self.number < 400 {
            let (about, flags, offset, ack, len) = (input.u8(), input.u8(), input.u16(), input.u16(), input.u8());
            let side = SIDES[usize::from(about & 1)];
            let mut segment = segment(side, u32::from(offset), u32::from(ack));
            // Most segments are ordinary data.
            segment.flags = if about & 2 == 0 { Flags::ACK } else { Flags(flags) };
            if about & 4 != 0 {
                let far = input.u32();
                (segment.seq, segment.ack) = (segment.seq.add(far), segment.ack.add(far.rotate_left(16)));
            }
            if about & 8 != 0 {
                (segment.window, segment.cut) = (input.u16(), u32::from(input.u16()));
            }
            if about & 16 != 0 {
                segment.options = TcpOptions {
                    timestamps: Some((input.u32(), 0)).filter(|_| flags & 64 == 0),
                    window_scale: Some(input.u8()).filter(|_| flags & 128 == 0),
                    md5: flags & 1 != 0,
                };
            }
            self.nanos += u64::from(about >> 5) * 2_000_000;
            let first = segment.seq.add(u32::from(segment.flags.has(Flags::SYN)));
            buffer.clear();
            let len = usize::from(len) << ((flags >> 7) * 4);
            buffer.extend((0..len as u32).map(|i| byte_at(side, first.add(i))));
            segment.payload = &buffer;
            match self.push(side, &segment) {
                SegmentOutcome::Open => {}
                SegmentOutcome::Closed => {
                    assert_eq!(self.got.ended, [true, true], "a connection that is over has ended");
                    break;
                }
                SegmentOutcome::Reopen(syn) => {
                    // The table ends this connection and gives the pending SYN to the next.
                    self.got.ledger.count(Fate::Ignored, syn.segment(&segment, side).payload.len());
                    self.got.ledger.count(Fate::Ignored, segment.payload.len());
                    break;
                }
            }
            if about == 0xff {
                let now = Now { now: Timestamp::from_nanos(self.nanos), ..Now::default() };
                self.call(now, |connection, cx| connection.advance(cx));
            }
        }
        self.end(if self.number.is_multiple_of(2) { EndCause::Idle } else { EndCause::Evicted });
        for side in SIDES {
            for (at, bytes) in &self.got.streams[side.index()] {
                // Sequence numbers wrap, and an offset may do so with them.
                let first = SeqNumber(ISN[side.index()]).add((1 + at) as u32);
                let fits = (0..).zip(bytes).all(|(i, &byte)| byte == byte_at(side, first.add(i)));
                assert!(fits, "bytes at {at} of {side:?} stand elsewhere in the stream");
            }
        }
    }
}

/// Returns a bare acknowledgement; both numbers count from the first byte of each stream.
fn segment(side: Side, seq: u32, ack: u32) -> Segment<'static> {
    let end = |side: Side| Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + side as u8)), 80);
    Segment {
        src: end(side),
        dst: end(side.other()),
        seq: SeqNumber(ISN[side.index()]).add(1).add(seq),
        ack: SeqNumber(ISN[side.other().index()]).add(1).add(ack),
        flags: Flags::ACK,
        window: 65_535,
        options: TcpOptions::default(),
        payload: &[],
        cut: 0,
        ttl: 64,
        checksum: Checksum::Unknown,
    }
}

/// Returns the one byte that this side ever sends at this sequence number.
const fn byte_at(side: Side, seq: SeqNumber) -> u8 {
    (seq.0.wrapping_mul(0x9e37_79b1).wrapping_add(side as u32 * 0x5bd1_e995) >> 23) as u8
}
