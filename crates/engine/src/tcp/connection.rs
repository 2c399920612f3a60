//! Both directions of one connection: who opened it, what the peer would have dropped, when a hole is a gap.
//!
//! Cause comes before effect: bytes whose sender had acknowledged more of the other direction than was delivered wait
//! for it, so that a response is never delivered before the request it answers, even when the capture shows them so.

use super::half::{Half, Phase, Place};
use super::recent::{Origin, Suspicion};
use super::waiting::Arrival;
use super::{Delivery, EndCause, GapCause, Receiver};
use crate::anomaly::Anomaly;
use crate::config::Limits;
use crate::decode::{Flags, Options, Segment};
use crate::frame::Stamp;
use crate::key::Side;
use crate::ledger::Fate;
use crate::seq::{SeqNumber, StreamOffset};
use crate::time::Timestamp;

/// What the table must do after a segment.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing.
    Open,
    /// The connection is over: both ends were delivered.
    Closed,
    /// The ports were used again: end this connection, begin one with this SYN, then give it the same segment.
    Reopen(Box<PendingSyn>),
}

/// A SYN on a living connection, kept until its peer answers it (policy 4).
#[derive(Debug)]
pub(crate) struct PendingSyn {
    pub(crate) side: Side,
    pub(crate) stamp: Stamp,
    pub(crate) seq: SeqNumber,
    ack: Option<SeqNumber>,
    window: u16,
    options: Options,
    payload: Vec<u8>,
    /// Whether the other side was heard since.
    answered: bool,
}

/// Data in a SYN (RFC 7413), kept until the SYN-ACK says how much of it was taken.
#[derive(Debug)]
struct SynData {
    side: Side,
    stamp: Stamp,
    bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Connection {
    halves: [Half; 2],
    pending_syn: Option<Box<PendingSyn>>,
    syn_data: Option<Box<SynData>>,
}

impl Connection {
    pub(crate) fn new() -> Self {
        Self { halves: [Half::new(), Half::new()], pending_syn: None, syn_data: None }
    }

    /// Whether a segment may begin a connection: a reset or a segment without ACK tells nothing.
    pub(crate) const fn may_begin(segment: &Segment<'_>) -> bool {
        segment.flags.has(Flags::SYN) || (segment.flags.has(Flags::ACK) && !segment.flags.has(Flags::RST))
    }

    /// Whether no data can have been exchanged yet, as far as the capture shows.
    pub(crate) fn is_half_open(&self) -> bool {
        self.halves.iter().any(|half| matches!(half.phase, Phase::Unseen | Phase::Expected))
            && self.halves.iter().all(|half| half.next == StreamOffset(0))
    }

    /// Whether something waits for an allowance to pass.
    pub(crate) fn is_stalled(&self) -> bool {
        self.halves.iter().any(Half::is_stalling)
    }

    /// Accounted bytes beyond the structure itself.
    pub(crate) fn held(&self) -> usize {
        self.halves[0].held()
            + self.halves[1].held()
            + self.pending_syn.as_ref().map_or(0, |syn| size_of::<PendingSyn>() + syn.payload.len())
            + self.syn_data.as_ref().map_or(0, |data| size_of::<SynData>() + data.bytes.len())
    }

    /// Gives up the copies of delivered bytes; from here on a conflict with them counts as a duplicate.
    pub(crate) fn forget_copies(&mut self) {
        self.halves.iter_mut().for_each(Half::forget);
    }

    /// Payload bytes without a fate yet.
    pub(crate) fn held_payload(&self) -> usize {
        self.halves[0].held_payload()
            + self.halves[1].held_payload()
            + self.pending_syn.as_ref().map_or(0, |syn| syn.payload.len())
            + self.syn_data.as_ref().map_or(0, |data| data.bytes.len())
    }

    /// Where the next byte of each side stands, for telling late duplicates from a new connection.
    pub(crate) fn next_seqs(&self) -> [Option<SeqNumber>; 2] {
        self.halves.each_ref().map(Half::next_seq)
    }

    /// Takes a segment sent by `side`. Its payload has been counted as received.
    pub(crate) fn segment<R: Receiver>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        stamp: Stamp,
        now: Timestamp,
        limits: &Limits,
        out: &mut R,
    ) -> Outcome {
        if segment.flags.has(Flags::RST) {
            out.ledger().count(Fate::Ignored, segment.payload.len());
            return self.reset(segment, side, now, limits, out);
        }
        if segment.flags.has(Flags::SYN) {
            if let Some(outcome) = self.syn(segment, side, stamp, out) {
                return outcome;
            }
        } else {
            if let Some(outcome) = self.confirm_pending(segment, side) {
                return outcome;
            }
            if let Some(anomaly) = self.implausible(segment, side) {
                out.ledger().count(Fate::Ignored, segment.payload.len());
                if segment.payload.is_empty() {
                    out.report(anomaly);
                } else {
                    out.note(side, anomaly);
                }
                self.settle(now, Some(side), limits, out);
                return self.outcome();
            }
            self.acknowledge(segment, side);
            self.data(segment, side, stamp, limits, out);
        }
        self.settle(now, Some(side), limits, out);
        self.outcome()
    }

    /// Lets time pass without a packet.
    pub(crate) fn advance<R: Receiver>(&mut self, now: Timestamp, limits: &Limits, out: &mut R) -> Outcome {
        self.settle(now, None, limits, out);
        self.outcome()
    }

    /// Ends the connection: what waits is delivered with the holes before it declared, or dropped when evicted.
    pub(crate) fn end<R: Receiver>(&mut self, cause: EndCause, out: &mut R) {
        if let Some(syn) = self.pending_syn.take() {
            out.ledger().count(Fate::Ignored, syn.payload.len());
        }
        if let Some(data) = self.syn_data.take() {
            out.ledger().count(Fate::Ignored, data.bytes.len());
        }
        if cause == EndCause::Evicted {
            for half in &mut self.halves {
                while let Some((_, waiting)) = half.pop_waiting() {
                    out.ledger().count(Fate::Evicted, waiting.bytes.len());
                }
            }
        }
        loop {
            self.drain(out);
            if let Some((side, end)) = SIDES.into_iter().find_map(|s| Some((s, self.half(s).any_hole()?))) {
                self.declare(side, end, out);
            } else if let Some(side) = self.oldest_blocked() {
                self.deliver_first(side, out);
            } else {
                break;
            }
        }
        for side in SIDES {
            let half = self.half_mut(side);
            if half.phase != Phase::Ended {
                half.phase = Phase::Ended;
                out.deliver(side, Delivery::End(cause));
            }
        }
    }

    fn half(&self, side: Side) -> &Half {
        &self.halves[side.index()]
    }

    fn half_mut(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side.index()]
    }

    fn outcome(&self) -> Outcome {
        if self.halves.iter().all(|half| half.phase == Phase::Ended) { Outcome::Closed } else { Outcome::Open }
    }

    // Opening.

    /// A segment with SYN; `None` when it changes nothing more than what was done.
    fn syn<R: Receiver>(&mut self, segment: &Segment<'_>, side: Side, stamp: Stamp, out: &mut R) -> Option<Outcome> {
        let start = segment.seq.add(1);
        let acknowledges = segment.flags.has(Flags::ACK);
        let fits = match self.half(side).phase {
            Phase::Unseen => true,
            Phase::Expected => self.half(side).place(start) == Place::At(StreamOffset(0)),
            // The same SYN again, or one that the capture shows behind the data it precedes.
            Phase::Open | Phase::Ended => {
                if self.half(side).starts_at(start) {
                    out.ledger().count(Fate::Duplicate, segment.payload.len());
                    self.half_mut(side).see_syn(segment.window, segment.options.window_scale);
                    return None;
                }
                false
            }
        };
        let peer = self.half(side.other());
        let acked = match (acknowledges, peer.is_live()) {
            (true, true) => match peer.place(segment.ack) {
                // RFC 9293 §3.10.7.3: it must acknowledge the SYN, and with data in the SYN (RFC 7413) at most that.
                Place::At(at) if at <= peer.highest().add(self.syn_data_len(side.other())) => Some(at),
                _ => None,
            },
            _ => Some(StreamOffset(0)),
        };
        let Some(acked) = acked.filter(|_| fits) else {
            if acknowledges && let Some(outcome) = self.reopened_by(segment, side) {
                return Some(outcome);
            }
            out.report(if fits { Anomaly::BadAck } else { Anomaly::SynInFlow });
            if fits {
                out.ledger().count(Fate::Ignored, segment.payload.len());
            } else {
                self.keep_pending(segment, side, stamp, out);
            }
            return None;
        };
        if acknowledges {
            let peer = self.half_mut(side.other());
            if peer.phase == Phase::Unseen {
                peer.start_at(segment.ack, Phase::Expected);
            } else {
                peer.acknowledged(acked);
            }
        }
        let half = self.half_mut(side);
        half.start_at(start, Phase::Open);
        half.see_syn(segment.window, segment.options.window_scale);
        half.ts_recent = segment.options.timestamps.map(|(value, _)| value);
        half.md5 = segment.options.md5;
        self.take_syn_data(side.other(), acked, out);
        if !segment.payload.is_empty() {
            let data = SynData { side, stamp, bytes: segment.payload.to_vec() };
            if let Some(before) = self.syn_data.replace(Box::new(data)) {
                out.ledger().count(Fate::Ignored, before.bytes.len());
            }
        }
        None
    }

    fn keep_pending<R: Receiver>(&mut self, segment: &Segment<'_>, side: Side, stamp: Stamp, out: &mut R) {
        let pending = PendingSyn {
            side,
            stamp,
            seq: segment.seq,
            ack: segment.flags.has(Flags::ACK).then_some(segment.ack),
            window: segment.window,
            options: segment.options,
            payload: segment.payload.to_vec(),
            answered: false,
        };
        if let Some(before) = self.pending_syn.replace(Box::new(pending)) {
            out.ledger().count(Fate::Ignored, before.payload.len());
        }
    }

    /// A SYN-ACK that answers the SYN that was kept.
    fn reopened_by(&mut self, segment: &Segment<'_>, side: Side) -> Option<Outcome> {
        let pending = self.pending_syn.as_ref()?;
        let covered = segment.ack.offset_from(pending.seq.add(1));
        let answers =
            pending.side != side && pending.ack.is_none() && (0..=pending.payload.len() as i64).contains(&covered);
        if answers { self.pending_syn.take().map(Outcome::Reopen) } else { None }
    }

    /// A segment that shows the kept SYN to have been answered although the answer was not seen.
    fn confirm_pending(&mut self, segment: &Segment<'_>, side: Side) -> Option<Outcome> {
        let pending = self.pending_syn.as_mut()?;
        let confirmed = if pending.side == side {
            !pending.answered && segment.seq == pending.seq.add(1) && !segment.payload.is_empty()
        } else {
            pending.answered = true;
            segment.ack == pending.seq.add(1) && pending.ack == Some(segment.seq)
        };
        if confirmed { self.pending_syn.take().map(Outcome::Reopen) } else { None }
    }

    fn syn_data_len(&self, side: Side) -> u64 {
        self.syn_data.as_ref().filter(|data| data.side == side).map_or(0, |data| data.bytes.len() as u64)
    }

    /// Delivers the data of a SYN as far as it was taken; the rest will come again.
    fn take_syn_data<R: Receiver>(&mut self, side: Side, acked: StreamOffset, out: &mut R) {
        let Some(data) = self.syn_data.take_if(|data| data.side == side) else { return };
        let taken = (acked.0 as usize).min(data.bytes.len());
        let (taken, left) = data.bytes.split_at(taken);
        out.ledger().count(Fate::Ignored, left.len());
        if !taken.is_empty() {
            self.half_mut(side).advance(taken.len() as u64);
            out.deliver(side, Delivery::Bytes { bytes: taken, stamp: data.stamp, starts_segment: true });
        }
    }

    // What the peer would have dropped (policy 2).

    fn implausible(&mut self, segment: &Segment<'_>, side: Side) -> Option<Anomaly> {
        if !segment.flags.has(Flags::ACK) {
            return Some(Anomaly::NoAck);
        }
        let (half, peer) = self.both(side);
        if !half.is_live() {
            return None;
        }
        if segment.options.md5 && !half.md5 {
            return Some(Anomaly::UnsolicitedMd5);
        }
        if let (Some((value, _)), Some(recent), Some(_)) = (segment.options.timestamps, half.ts_recent, peer.ts_recent)
            && (value.wrapping_sub(recent) as i32) < -TIMESTAMP_SLACK
            // What brings nothing new is a duplicate, and those are often old.
            && half.is_new(segment.seq.add(segment.payload.len() as u32))
        {
            return Some(Anomaly::OldTimestamp);
        }
        if peer.is_live()
            && let Place::At(at) = peer.place(segment.ack)
            && at > peer.highest().add(half.plausible_ahead())
        {
            peer.outlying_ack = Some(segment.ack);
            let confirmed = peer.outlying_data.is_some_and(|seq| near(seq, segment.ack, half.plausible_ahead()));
            if !confirmed {
                return Some(Anomaly::BadAck);
            }
        }
        if !segment.payload.is_empty()
            && let Place::At(at) = half.place(segment.seq)
            && at > half.highest().add(peer.plausible_ahead())
        {
            half.outlying_data = Some(segment.seq.add(segment.payload.len() as u32));
            let confirmed = half.outlying_ack.is_some_and(|ack| near(ack, segment.seq, peer.plausible_ahead()));
            if !confirmed {
                return Some(Anomaly::OutOfWindow);
            }
        }
        None
    }

    fn both(&mut self, side: Side) -> (&mut Half, &mut Half) {
        let [low, high] = &mut self.halves;
        match side {
            Side::Low => (low, high),
            Side::High => (high, low),
        }
    }

    // The living connection.

    /// Notes what a segment says of both directions' places.
    fn acknowledge(&mut self, segment: &Segment<'_>, side: Side) {
        let (half, peer) = self.both(side);
        match half.phase {
            Phase::Unseen => {
                half.start_at(segment.seq, Phase::Open);
                half.md5 = segment.options.md5;
            }
            Phase::Expected => {
                // The capture joined in the middle: bytes before the place expected were acknowledged before they were
                // seen. A keep-alive probe (RFC 9293 §3.8.4) stands one before it and carries at most one old byte.
                let probe = segment.payload.len() <= 1 && half.place(segment.seq) == Place::Before(1);
                match half.place(segment.seq) {
                    Place::Before(distance) if !probe && distance <= peer.plausible_ahead() => {
                        half.start_at(segment.seq, Phase::Open);
                    }
                    _ => half.phase = Phase::Open,
                }
                half.md5 = segment.options.md5;
            }
            Phase::Open | Phase::Ended => {}
        }
        half.see_window(segment.window, peer);
        half.ttl = half.ttl.max(segment.ttl);
        if let Some((value, _)) = segment.options.timestamps
            // RFC 7323 §4.3 (2): only a segment at or before the last acknowledgement sent; which the capture may show early.
            && matches!(half.place(segment.seq), Place::At(at) if at <= half.acked.min(half.next))
            && half.ts_recent.is_none_or(|recent| value.wrapping_sub(recent) as i32 >= 0)
        {
            half.ts_recent = Some(value);
        }
        match peer.phase {
            Phase::Unseen => peer.start_at(segment.ack, Phase::Expected),
            // Nothing of that direction is in the capture: it cannot be waited for.
            Phase::Expected => peer.start_at(segment.ack, Phase::Expected),
            Phase::Open | Phase::Ended => {
                if let Place::At(at) = peer.place(segment.ack) {
                    peer.acknowledged(at);
                }
            }
        }
    }

    fn data<R: Receiver>(&mut self, segment: &Segment<'_>, side: Side, stamp: Stamp, limits: &Limits, out: &mut R) {
        if self.syn_data_len(side) > 0 {
            // No SYN-ACK was seen: the place of the next data tells whether the data of the SYN was taken.
            let after = matches!(self.half(side).place(segment.seq), Place::At(at) if at.0 >= self.syn_data_len(side));
            let taken = if after { StreamOffset(self.syn_data_len(side)) } else { StreamOffset(0) };
            self.take_syn_data(side, taken, out);
        }
        let requires = match self.half(side.other()).place(segment.ack) {
            Place::At(at) if self.half(side.other()).is_live() => at,
            _ => StreamOffset(0),
        };
        let (half, peer) = self.both(side);
        let mut arrival = match half.place(segment.seq) {
            Place::At(offset) => Arrival {
                offset,
                bytes: segment.payload,
                cut: u64::from(segment.cut),
                stamp,
                requires,
                starts_segment: true,
            },
            Place::Before(distance) => {
                let old = usize::try_from(distance).unwrap_or(usize::MAX).min(segment.payload.len());
                out.ledger().count(Fate::Duplicate, old);
                Arrival {
                    offset: StreamOffset(0),
                    bytes: &segment.payload[old..],
                    cut: u64::from(segment.cut).saturating_sub(distance - old as u64),
                    stamp,
                    requires,
                    starts_segment: false,
                }
            }
        };
        let end = arrival.offset.add(arrival.bytes.len() as u64 + arrival.cut);
        // A FIN before bytes that were seen contradicts them: it is no end.
        if segment.flags.has(Flags::FIN) && half.fin.is_none() && end >= half.received() {
            half.fin = Some(end);
        }
        if arrival.bytes.is_empty() && arrival.cut == 0 {
            return;
        }
        if segment.flags.has(Flags::URG) {
            out.note(side, Anomaly::UrgentData);
        }
        if let Some(fin) = half.fin
            && end > fin
        {
            let room = fin.since(arrival.offset);
            let keep = usize::try_from(room).unwrap_or(usize::MAX).min(arrival.bytes.len());
            out.ledger().count(Fate::Ignored, arrival.bytes.len() - keep);
            out.report(Anomaly::DataAfterFin);
            arrival.cut = arrival.cut.min(room - keep as u64);
            arrival.bytes = &arrival.bytes[..keep];
        }
        if arrival.offset < half.next {
            let old = half.next.since(arrival.offset);
            let dropped = usize::try_from(old).unwrap_or(usize::MAX).min(arrival.bytes.len());
            let again = &arrival.bytes[..dropped];
            let fate = if half.conflicts(arrival.offset, again) {
                let delivered = half.suspicion(arrival.offset, again, (segment.src.ip, segment.dst.ip));
                note_conflict(half, side, delivered, segment, out);
                Fate::ConflictingOverlap
            } else if half.in_last_gap(arrival.offset) {
                Fate::Late
            } else {
                Fate::Duplicate
            };
            out.ledger().count(fate, dropped);
            arrival.cut = arrival.cut.saturating_sub(old - dropped as u64);
            arrival.bytes = &arrival.bytes[dropped..];
            arrival.offset = half.next;
            arrival.starts_segment = false;
        }
        if arrival.bytes.is_empty() && arrival.cut == 0 {
            return;
        }
        let in_order = arrival.offset == half.next && !half.has_waiting() && arrival.requires <= peer.next.add(1);
        if in_order {
            let whole = arrival.bytes.len() == segment.payload.len();
            deliver(half, side, arrival, || if whole { Origin::of(segment) } else { Origin::verified(segment) }, out);
            return;
        }
        let entered = half.wait(arrival, Origin::verified(segment));
        out.ledger().count(Fate::Duplicate, entered.duplicate);
        if entered.conflicting > 0 {
            out.ledger().count(Fate::ConflictingOverlap, entered.conflicting);
            note_conflict(half, side, entered.suspicion, segment, out);
        }
        while self.half(side).is_full(limits) {
            self.drain(out);
            if !self.half(side).is_full(limits) {
                break;
            }
            match self.half(side).any_hole() {
                Some(end) => self.declare(side, end, out),
                None => self.deliver_first(side, out),
            }
        }
    }

    /// RFC 9293 §3.10.7.4 and RFC 5961 §3: a reset counts only at the exact place expected.
    fn reset<R: Receiver>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        now: Timestamp,
        limits: &Limits,
        out: &mut R,
    ) -> Outcome {
        let (half, peer) = self.both(side);
        let exact = if half.is_live() {
            let fin = u64::from(half.fin == Some(half.next));
            let ends = [half.next, half.next.add(fin), half.highest()];
            matches!(half.place(segment.seq), Place::At(at) if ends.contains(&at))
        } else {
            // The answer to a SYN: it must acknowledge that SYN (RFC 9293 §3.10.7.3).
            segment.flags.has(Flags::ACK) && peer.is_live() && peer.place(segment.ack) == Place::At(peer.highest())
        };
        if !exact {
            out.report(Anomaly::InexactReset);
            self.settle(now, Some(side), limits, out);
            return self.outcome();
        }
        self.end(EndCause::Reset, out);
        Outcome::Closed
    }

    // Order.

    /// Delivers what can be, and gives up what has been waited for long enough, after a packet of `from`.
    ///
    /// Only packets of the side that acknowledged count against a hole: captures that show the directions out of step
    /// show its packets early.
    fn settle<R: Receiver>(&mut self, now: Timestamp, from: Option<Side>, limits: &Limits, out: &mut R) {
        self.drain(out);
        for side in SIDES {
            while let Some(end) = self.half(side).acknowledged_hole() {
                if !self.half_mut(side).stalled(now, from == Some(side.other()), limits) {
                    break;
                }
                self.declare(side, end, out);
                self.drain(out);
            }
        }
        for side in SIDES {
            while self.is_blocked(side) && self.half_mut(side).stalled(now, from == Some(side), limits) {
                self.deliver_first(side, out);
                self.drain(out);
            }
            if !self.is_blocked(side) && self.half(side).acknowledged_hole().is_none() {
                self.half_mut(side).flows();
            }
        }
    }

    /// Delivers everything that is in order and whose causes were delivered; ends streams whose FIN was reached.
    fn drain<R: Receiver>(&mut self, out: &mut R) {
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

    fn is_next(&self, side: Side) -> bool {
        let half = self.half(side);
        half.first_waiting().is_some_and(|(at, _)| at == half.next)
    }

    /// Whether the next bytes of `side` are there but were sent after bytes of the other side that are not.
    fn is_blocked(&self, side: Side) -> bool {
        let half = self.half(side);
        // One more than delivered is no cause to wait: it may be a FIN.
        let received = self.half(side.other()).next.add(1);
        half.first_waiting().is_some_and(|(at, first)| at == half.next && first.requires > received)
    }

    fn oldest_blocked(&self) -> Option<Side> {
        let number = |side: Side| self.half(side).first_waiting().map(|(_, first)| first.stamp.number);
        SIDES.into_iter().filter(|&side| self.is_next(side)).min_by_key(|&side| number(side))
    }

    fn deliver_first<R: Receiver>(&mut self, side: Side, out: &mut R) {
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
            deliver(half, side, arrival, || entry.origin, out);
        }
    }

    fn declare<R: Receiver>(&mut self, side: Side, end: StreamOffset, out: &mut R) {
        let half = self.half_mut(side);
        let bytes = end.since(half.next);
        half.give_up(bytes);
        out.ledger().missed(bytes);
        out.deliver(side, Delivery::Gap { bytes, cause: GapCause::Lost });
    }
}

/// Ticks that a time stamp may be older than the last and still pass: Linux's `TCP_PAWS_WINDOW`. Without it, segments that
/// overtake each other by a tick on a lossy link are dropped that their receiver took.
const TIMESTAMP_SLACK: i32 = 1;

const SIDES: [Side; 2] = [Side::Low, Side::High];

fn near(a: SeqNumber, b: SeqNumber, window: u64) -> bool {
    a.offset_from(b).unsigned_abs() <= window
}

/// Names a conflict, and what speaks against either copy: what the peer never got, or never took (policy 2).
fn note_conflict<R: Receiver>(half: &Half, side: Side, first: Suspicion, later: &Segment<'_>, out: &mut R) {
    out.note(side, Anomaly::ConflictingOverlap);
    if first.checksum || later.checksum_is_wrong() == Some(true) {
        out.note(side, Anomaly::BadChecksum);
    }
    if half.is_low(first.ttl.min(later.ttl)) {
        out.note(side, Anomaly::LowTtl);
    }
}

fn deliver<R: Receiver>(
    half: &mut Half,
    side: Side,
    arrival: Arrival<'_>,
    origin: impl FnOnce() -> Origin,
    out: &mut R,
) {
    half.advance(arrival.bytes.len() as u64);
    if !arrival.bytes.is_empty() {
        out.deliver(
            side,
            Delivery::Bytes { bytes: arrival.bytes, stamp: arrival.stamp, starts_segment: arrival.starts_segment },
        );
        half.remember(arrival.bytes, out.interest(side), origin);
    }
    if arrival.cut > 0 {
        half.advance(arrival.cut);
        out.ledger().missed(arrival.cut);
        out.deliver(side, Delivery::Gap { bytes: arrival.cut, cause: GapCause::Snaplen });
    }
}

impl PendingSyn {
    /// The segment it was, addressed as `like` is.
    pub(crate) fn segment<'a>(&'a self, like: &Segment<'_>, like_side: Side) -> Segment<'a> {
        let (src, dst) = if like_side == self.side { (like.src, like.dst) } else { (like.dst, like.src) };
        Segment {
            src,
            dst,
            seq: self.seq,
            ack: self.ack.unwrap_or(SeqNumber(0)),
            flags: if self.ack.is_some() { Flags::SYN.with(Flags::ACK) } else { Flags::SYN },
            window: self.window,
            options: self.options,
            payload: &self.payload,
            cut: 0,
            ttl: like.ttl,
            checksum: crate::decode::Checksum::Unknown,
        }
    }
}
