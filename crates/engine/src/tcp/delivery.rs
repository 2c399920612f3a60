//! In which order bytes are delivered, what they wait for, and when a hole is given up (policy 5).
//!
//! Cause comes before effect: bytes whose sender had acknowledged more of the other direction than was delivered wait
//! for it, so that a response is never delivered before the request it answers, even when the capture shows them so.

use sniffer_packet::key::Side;
use sniffer_packet::seq::StreamOffset;
use sniffer_packet::time::Timestamp;

use super::connection::TcpConnection;
use super::half::{Half, HalfState};
use super::overlap::evidence::DeliveredBy;
use crate::config::Limits;
use crate::reassembly::NewChunk;
use crate::stream::{Delivery, EndCause, GapCause, StreamSink};

pub(super) const SIDES: [Side; 2] = [Side::Low, Side::High];

/// A packet that counts against what is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) from: Side,
    /// What it acknowledges of the other side.
    pub(super) acked: StreamOffset,
}

impl TcpConnection {
    /// Delivers what can be, and gives up what has been waited for long enough, after a packet.
    ///
    /// Only packets that acknowledge past a hole count against it: captures that show the directions out of step show them
    /// early, and one that acknowledges less shows that the capture is still behind.
    pub(super) fn settle<R: StreamSink>(&mut self, now: Timestamp, heard: Option<Heard>, limits: &Limits, out: &mut R) {
        let from = heard.map(|heard| heard.from);
        for side in SIDES {
            if self.is_held_back(side) && self.half_mut(side).stalled(now, from == Some(side), limits) {
                self.settle_start(side);
            }
        }
        self.drain(out);
        for side in SIDES {
            while let Some(end) = self.half(side).acknowledged_hole() {
                let past = heard.is_some_and(|heard| heard.from != side && heard.acked >= end);
                if !self.half_mut(side).stalled(now, past, limits) {
                    break;
                }
                self.declare(side, end, out);
                self.drain(out);
            }
        }
        for side in SIDES {
            while !self.is_held_back(side)
                && self.is_blocked(side)
                && self.half_mut(side).stalled(now, from == Some(side), limits)
            {
                self.deliver_first(side, out);
                self.drain(out);
            }
            let held = self.is_held_back(side) || self.is_blocked(side);
            if !held && self.half(side).acknowledged_hole().is_none() {
                self.half_mut(side).flows();
            }
        }
    }

    /// Delivers everything that is in order and whose causes were delivered; ends streams whose FIN was reached.
    pub(super) fn drain<R: StreamSink>(&mut self, out: &mut R) {
        loop {
            let mut moved = false;
            for side in SIDES {
                while self.is_next(side) && !self.is_blocked(side) {
                    self.deliver_first(side, out);
                    moved = true;
                }
                let half = self.half_mut(side);
                if half.phase == HalfState::Open && half.fin == Some(half.next) {
                    half.phase = HalfState::Ended;
                    out.deliver(side, Delivery::End(EndCause::Fin));
                }
            }
            if !moved {
                return;
            }
        }
    }

    pub(super) fn is_next(&self, side: Side) -> bool {
        let half = self.half(side);
        half.phase == HalfState::Open && half.first_waiting().is_some_and(|(at, _)| at == half.next)
    }

    /// Whether the next bytes of `side` are there but were sent after bytes of the other side that are not.
    pub(super) fn is_blocked(&self, side: Side) -> bool {
        let half = self.half(side);
        // One more than delivered is no cause to wait: it may be a FIN.
        let received = self.half(side.other()).next.add(1);
        half.first_waiting().is_some_and(|(at, first)| at == half.next && first.requires > received)
    }

    pub(super) fn oldest_blocked(&self) -> Option<Side> {
        let number = |side: Side| self.half(side).first_waiting().map(|(_, first)| first.stamp.number);
        SIDES.into_iter().filter(|&side| self.is_next(side)).min_by_key(|&side| number(side))
    }

    pub(super) fn deliver_first<R: StreamSink>(&mut self, side: Side, out: &mut R) {
        self.settle_start(side);
        let half = self.half_mut(side);
        if let Some((offset, entry)) = half.pop_waiting() {
            debug_assert_eq!(offset, half.next, "what is delivered is next");
            let chunk = NewChunk {
                offset,
                bytes: &entry.bytes,
                cut: entry.cut,
                stamp: entry.stamp,
                requires: entry.requires,
                boundary: entry.boundary,
            };
            deliver(half, side, chunk, DeliveredBy::Waited(entry.provenance), out);
        }
    }

    pub(super) fn declare<R: StreamSink>(&mut self, side: Side, end: StreamOffset, out: &mut R) {
        self.settle_start(side);
        let half = self.half_mut(side);
        let bytes = end.since(half.next);
        half.give_up(bytes);
        out.account().miss(bytes);
        out.deliver(side, Delivery::Gap { missing: bytes, cause: GapCause::Lost });
    }
}

#[inline(always)]
pub(super) fn deliver<R: StreamSink>(
    half: &mut Half,
    side: Side,
    chunk: NewChunk<'_>,
    by: DeliveredBy<'_>,
    out: &mut R,
) {
    half.advance(chunk.bytes.len() as u64);
    if !chunk.bytes.is_empty() {
        out.deliver(side, Delivery::Bytes { bytes: chunk.bytes, stamp: chunk.stamp, boundary: chunk.boundary });
        half.remember(chunk.bytes, out.retention(side), by, out);
    }
    if chunk.cut > 0 {
        half.advance(chunk.cut);
        out.account().miss(chunk.cut);
        out.deliver(side, Delivery::Gap { missing: chunk.cut, cause: GapCause::Snaplen });
    }
}
