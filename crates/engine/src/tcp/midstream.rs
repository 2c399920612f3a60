//! Streams that the capture joined in their middle: where they start (policy 6).
//!
//! The first segment that is seen need not be the first that was sent, and bytes once delivered cannot be put behind
//! others. So a stream whose SYN was not seen is held back for as long as its first bytes look like the rest of something:
//! until they are shown to be a start, by a segment that starts a message; until the other side shows that it has gone on,
//! by data or by acknowledging them; or for the same allowance as a hole (policy 5). What is held back could not have
//! started a message, so no message comes later for it (policy 16).

use sniffer_packet::key::Side;
use sniffer_packet::segment::{Flags, Segment};
use sniffer_packet::seq::SeqNumber;

use super::connection::TcpConnection;
use super::half::{Half, HalfState};
use crate::config::Limits;
use crate::stream::StreamSink;

impl TcpConnection {
    /// Notes what a segment says of where the stream of its sender, and that of its receiver, start.
    pub(super) fn join<R: StreamSink>(&mut self, segment: &Segment<'_>, side: Side, limits: &Limits, out: &mut R) {
        let half = self.half_mut(side);
        match half.phase {
            HalfState::Unseen => half.start_at(segment.seq, HalfState::Joined),
            HalfState::Expected => half.phase = HalfState::Joined,
            HalfState::Joined | HalfState::Open | HalfState::Ended => {}
        }
        if half.phase == HalfState::Joined {
            if half.is_pristine() && half.fin.is_none() {
                half.md5 = segment.options.md5;
            }
            if takes_place(segment) && half.reaches_back_to(segment.seq, limits) && !half.is_probe(segment) {
                half.move_start(segment.seq);
            }
            if !segment.payload.is_empty() && out.may_begin(segment.payload) {
                half.phase = HalfState::Open;
            }
        }
        // What the other side sends once it had these bytes is not held back by them.
        let other = side.other();
        if self.is_held_back(other)
            && (!segment.payload.is_empty() || self.half(other).place(segment.ack) > self.half(other).start)
        {
            self.settle_start(other);
            self.drain(out);
        }
    }

    /// Whether something is held back because it may not be the start.
    pub(super) fn is_held_back(&self, side: Side) -> bool {
        let half = self.half(side);
        half.phase == HalfState::Joined && (half.has_waiting() || half.fin.is_some())
    }

    /// Nothing stands before what was seen.
    pub(super) fn settle_start(&mut self, side: Side) {
        let half = self.half_mut(side);
        if half.phase == HalfState::Joined {
            half.phase = HalfState::Open;
        }
    }
}

impl Half {
    /// Whether the stream may turn out to start at `seq`, which lies no farther back than a hole may hold.
    pub(super) fn reaches_back_to(&self, seq: SeqNumber, limits: &Limits) -> bool {
        let at = self.place(seq);
        at <= self.start && self.start.since(at) <= limits.waiting_bytes_max as u64
    }

    /// Whether a segment is a keep-alive probe (RFC 9293 §3.8.4), which stands one before the next byte and carries at most
    /// one old byte; nothing is under way then.
    fn is_probe(&self, segment: &Segment<'_>) -> bool {
        segment.payload.len() <= 1
            && segment.cut == 0
            && !segment.flags.has(Flags::FIN)
            && self.place(segment.seq.add(1)) == self.start
            && self.is_pristine()
    }
}

/// Whether a segment occupies sequence numbers; where a bare acknowledgement stands, something else was.
pub(super) fn takes_place(segment: &Segment<'_>) -> bool {
    !segment.payload.is_empty() || segment.cut > 0 || segment.flags.has(Flags::FIN)
}
