//! The order in which bytes are delivered, what they wait for, and when a hole is declared lost
//! (policy 5).
//!
//! Cause comes before effect. Bytes whose sender had acknowledged more of the other direction than
//! was delivered wait for it, so a response is never delivered before the request it answers, even
//! when the capture shows them so.

use sniffer_packet::key::Side;
use sniffer_packet::seq::StreamOffset;

use super::connection::{TcpConnection, TcpContext};
use super::half::Half;
use super::overlap::evidence::Provenance;
use super::position::HalfState;
use crate::reassembly::NewChunk;
use crate::stream::{Delivery, EndCause, GapCause, StreamBytes, StreamSink};

pub(super) const SIDES: [Side; 2] = [Side::Low, Side::High];

/// A packet that counts against a wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) from: Side,
    /// Offset up to which it acknowledges the other side.
    pub(super) acked: StreamOffset,
}

impl TcpConnection {
    /// After a packet, delivers what can be delivered and ends the waits whose allowance is used
    /// up.
    ///
    /// Only packets that acknowledge past a hole count against it. A capture that shows the
    /// directions out of step shows such packets early, and a packet that acknowledges less shows
    /// that the capture still lags.
    pub(super) fn settle<S: StreamSink>(&mut self, heard: Option<Heard>, cx: &mut TcpContext<'_, S>) {
        let from = heard.map(|heard| heard.from);
        let (now, limits) = (cx.now.now, cx.limits);
        for side in SIDES {
            if self.is_held_back(side) && self.half_mut(side).stalled(now, from == Some(side), limits) {
                self.settle_start(side);
            }
        }
        self.drain(cx);
        for side in SIDES {
            while let Some(end) = self.half(side).acknowledged_hole() {
                let past = heard.is_some_and(|heard| heard.from != side && heard.acked >= end);
                if !self.half_mut(side).stalled(now, past, limits) {
                    break;
                }
                self.declare_lost(side, end, cx);
                self.drain(cx);
            }
        }
        for side in SIDES {
            while !self.is_held_back(side)
                && self.is_blocked(side)
                && self.half_mut(side).stalled(now, from == Some(side), limits)
            {
                self.deliver_first(side, cx);
                self.drain(cx);
            }
            let waits = self.is_held_back(side) || self.is_blocked(side);
            if !waits && self.half(side).acknowledged_hole().is_none() {
                self.half_mut(side).end_stall();
            }
        }
    }

    /// Delivers everything that is in order and whose causes were delivered; ends streams whose FIN
    /// was reached.
    pub(super) fn drain<S: StreamSink>(&mut self, cx: &mut TcpContext<'_, S>) {
        loop {
            let mut moved = false;
            for side in SIDES {
                while self.is_next(side) && !self.is_blocked(side) {
                    self.deliver_first(side, cx);
                    moved = true;
                }
                let half = self.half_mut(side);
                if half.stream.phase == HalfState::Open && half.stream.fin == Some(half.stream.next) {
                    half.stream.phase = HalfState::Ended;
                    cx.sink.deliver(side, Delivery::End(EndCause::Fin));
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Returns whether the next bytes of `side` wait.
    fn is_next(&self, side: Side) -> bool {
        let half = self.half(side);
        half.stream.phase == HalfState::Open && half.first_waiting().is_some_and(|(at, _)| at == half.stream.next)
    }

    /// Returns whether the next bytes of `side` wait for earlier bytes of the other side.
    fn is_blocked(&self, side: Side) -> bool {
        let half = self.half(side);
        // One more than was delivered may be a FIN, so it is no cause to wait.
        let received = self.half(side.other()).stream.next.add(1);
        half.first_waiting().is_some_and(|(at, first)| at == half.stream.next && first.requires > received)
    }

    pub(super) fn oldest_blocked(&self) -> Option<Side> {
        let number = |side: Side| self.half(side).first_waiting().map(|(_, first)| first.stamp.number);
        SIDES.into_iter().filter(|&side| self.is_next(side)).min_by_key(|&side| number(side))
    }

    pub(super) fn deliver_first<S: StreamSink>(&mut self, side: Side, cx: &mut TcpContext<'_, S>) {
        self.settle_start(side);
        let half = self.half_mut(side);
        if let Some((offset, waiting)) = half.pop_waiting() {
            debug_assert_eq!(offset, half.stream.next, "what is delivered is next");
            let chunk = NewChunk {
                offset,
                bytes: &waiting.bytes,
                cut: waiting.cut,
                stamp: waiting.stamp,
                requires: waiting.requires,
                boundary: waiting.boundary,
            };
            deliver(half, side, chunk, || waiting.meta, cx);
        }
    }

    /// Declares the bytes up to `end` lost.
    pub(super) fn declare_lost<S: StreamSink>(&mut self, side: Side, end: StreamOffset, cx: &mut TcpContext<'_, S>) {
        self.settle_start(side);
        let half = self.half_mut(side);
        let missing = end.since(half.stream.next);
        half.skip_lost(missing);
        cx.sink.account().miss(missing);
        cx.sink.deliver(side, Delivery::Gap { missing, cause: GapCause::Lost });
    }
}

/// Delivers a chunk that is next. hot: see NOTES#segment
#[inline(always)]
pub(super) fn deliver<S: StreamSink>(
    half: &mut Half,
    side: Side,
    chunk: NewChunk<'_>,
    provenance: impl FnOnce() -> Provenance,
    cx: &mut TcpContext<'_, S>,
) {
    let NewChunk { bytes, cut, stamp, boundary, .. } = chunk;
    half.stream.advance(bytes.len() as u64);
    if !bytes.is_empty() {
        cx.sink.deliver(side, Delivery::Bytes(StreamBytes { bytes, stamp, boundary }));
        half.remember(bytes, cx.sink.retention(side), provenance, cx.pool);
    }
    if cut > 0 {
        half.stream.advance(cut);
        cx.sink.account().miss(cut);
        cx.sink.deliver(side, Delivery::Gap { missing: cut, cause: GapCause::Snaplen });
    }
}
