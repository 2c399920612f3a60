//! Midstream pickup: where a stream starts whose SYN is not in the capture (policy 6).
//!
//! The first segment seen need not be the first that was sent, and bytes once delivered cannot be
//! put after others. So such a stream is held back while its first bytes look like the rest of
//! something. It is released
//!
//! - when a segment starts a message;
//! - when the other side shows that it has gone on, by data or by acknowledging the bytes;
//! - after the same allowance as for a hole (policy 5).
//!
//! Bytes that are held back could not have started a message, so no message is late because of it
//! (policy 16).

use sniffer_packet::key::Side;
use sniffer_packet::segment::{Flags, Segment};

use super::connection::{TcpConnection, TcpContext};
use super::half::Half;
use super::position::HalfState;
use crate::stream::StreamSink;

impl TcpConnection {
    /// Records what a segment shows of the start of its sender's and its receiver's stream.
    pub(super) fn join<S: StreamSink>(&mut self, segment: &Segment<'_>, side: Side, cx: &mut TcpContext<'_, S>) {
        let half = self.half_mut(side);
        match half.stream.phase {
            HalfState::Unseen => half.start_at(segment.seq, HalfState::Joined),
            HalfState::Expected => half.stream.phase = HalfState::Joined,
            HalfState::Joined | HalfState::Open | HalfState::Ended => {}
        }
        if half.stream.phase == HalfState::Joined {
            if half.is_pristine() && half.stream.fin.is_none() {
                half.header.md5 = segment.options.md5;
            }
            if occupies_sequence(segment)
                && half.stream.reaches_back_to(segment.seq, cx.limits.waiting_bytes_max as u64)
                && !half.is_probe(segment)
            {
                half.stream.move_start(segment.seq);
            }
            if !segment.payload.is_empty() && cx.sink.may_begin(segment.payload) {
                half.stream.phase = HalfState::Open;
            }
        }
        self.release(side.other(), segment, cx);
    }

    /// Releases the held-back bytes of `side` if a segment shows that their receiver has gone on.
    fn release<S: StreamSink>(&mut self, side: Side, segment: &Segment<'_>, cx: &mut TcpContext<'_, S>) {
        let position = &self.half(side).stream;
        if self.is_held_back(side) && (!segment.payload.is_empty() || position.place(segment.ack) > position.start) {
            self.settle_start(side);
            self.drain(cx);
        }
    }

    /// Returns whether something is held back because it may not be the start.
    pub(super) fn is_held_back(&self, side: Side) -> bool {
        let half = self.half(side);
        half.stream.phase == HalfState::Joined && (half.has_waiting() || half.stream.fin.is_some())
    }

    /// Settles that nothing precedes what was seen.
    pub(super) fn settle_start(&mut self, side: Side) {
        let half = self.half_mut(side);
        if half.stream.phase == HalfState::Joined {
            half.stream.phase = HalfState::Open;
        }
    }
}

impl Half {
    /// Returns whether a segment is a keep-alive probe (RFC 9293 §3.8.4): it stands one before the
    /// next byte, carries at most one old byte, and nothing is in flight.
    fn is_probe(&self, segment: &Segment<'_>) -> bool {
        segment.payload.len() <= 1
            && segment.cut == 0
            && !segment.flags.has(Flags::FIN)
            && self.stream.starts_at(segment.seq.add(1))
            && self.is_pristine()
    }
}

/// Returns whether a segment occupies sequence numbers. A bare acknowledgement does not, so other
/// bytes stand at its number.
pub(super) const fn occupies_sequence(segment: &Segment<'_>) -> bool {
    !segment.payload.is_empty() || segment.cut > 0 || segment.flags.has(Flags::FIN)
}
