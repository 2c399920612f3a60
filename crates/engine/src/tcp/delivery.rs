//! In which order bytes are delivered, what they wait for, and when a hole is given up (policy 5).
//!
//! Cause comes before effect: bytes whose sender had acknowledged more of the other direction than was delivered wait
//! for it, so that a response is never delivered before the request it answers, even when the capture shows them so.

use sniffer_packet::key::Side;
use sniffer_packet::seq::StreamOffset;
use sniffer_packet::time::Timestamp;

use super::connection::Connection;
use super::half::{Half, Phase};
use super::overlap::evidence::Bringer;
use super::{Delivery, EndCause, GapCause, Receiver};
use crate::config::Limits;
use crate::reassembly::Arrival;

pub(super) const SIDES: [Side; 2] = [Side::Low, Side::High];

/// A packet that counts against what is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) from: Side,
    /// What it acknowledges of the other side.
    pub(super) acked: StreamOffset,
}

impl Connection {
    /// Delivers what can be, and gives up what has been waited for long enough, after a packet.
    ///
    /// Only packets that acknowledge past a hole count against it: captures that show the directions out of step show them
    /// early, and one that acknowledges less shows that the capture is still behind.
    pub(super) fn settle<R: Receiver>(&mut self, now: Timestamp, heard: Option<Heard>, limits: &Limits, out: &mut R) {
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
    pub(super) fn drain<R: Receiver>(&mut self, out: &mut R) {
        loop {
            let mut moved = false;
            for side in SIDES {
                while self.is_next(side) && !self.is_blocked(side) {
                    self.deliver_first(side, out);
                    moved = true;
                }
                let half = self.half_mut(side);
                if half.phase == Phase::Open && half.fin == Some(half.next) {
                    half.phase = Phase::Ended;
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
        half.phase == Phase::Open && half.first_waiting().is_some_and(|(at, _)| at == half.next)
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

    pub(super) fn deliver_first<R: Receiver>(&mut self, side: Side, out: &mut R) {
        self.settle_start(side);
        let half = self.half_mut(side);
        if let Some((offset, entry)) = half.pop_waiting() {
            debug_assert_eq!(offset, half.next, "what is delivered is next");
            let arrival = Arrival {
                offset,
                bytes: &entry.bytes,
                cut: entry.cut,
                stamp: entry.stamp,
                requires: entry.requires,
                starts_segment: entry.starts_segment,
            };
            deliver(half, side, arrival, Bringer::Waited(entry.origin), out);
        }
    }

    pub(super) fn declare<R: Receiver>(&mut self, side: Side, end: StreamOffset, out: &mut R) {
        self.settle_start(side);
        let half = self.half_mut(side);
        let bytes = end.since(half.next);
        half.give_up(bytes);
        out.ledger().missed(bytes);
        out.deliver(side, Delivery::Gap { bytes, cause: GapCause::Lost });
    }
}

#[inline(always)]
pub(super) fn deliver<R: Receiver>(half: &mut Half, side: Side, arrival: Arrival<'_>, by: Bringer<'_>, out: &mut R) {
    half.advance(arrival.bytes.len() as u64);
    if !arrival.bytes.is_empty() {
        out.deliver(
            side,
            Delivery::Bytes { bytes: arrival.bytes, stamp: arrival.stamp, starts_segment: arrival.starts_segment },
        );
        half.remember(arrival.bytes, out.interest(side), by, out);
    }
    if arrival.cut > 0 {
        half.advance(arrival.cut);
        out.ledger().missed(arrival.cut);
        out.deliver(side, Delivery::Gap { bytes: arrival.cut, cause: GapCause::Snaplen });
    }
}
