//! Both directions of one connection: what a segment says, what the peer would have dropped, how it ends.
//!
//! How it begins is in [`super::handshake`] and [`super::midstream`], in which order bytes go on in [`super::delivery`].

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;
use sniffer_packet::segment::{Flags, Segment};
use sniffer_packet::seq::{SeqNumber, StreamOffset};
use sniffer_packet::time::Timestamp;

use super::delivery::{Heard, SIDES, deliver};
use super::half::{Half, Phase};
use super::handshake::{PendingSyn, SynData};
use super::midstream::takes_place;
use super::overlap::evidence::{Bringer, Origin, Suspicion};
use super::{Delivery, EndCause, Receiver};
use crate::anomaly::Anomaly;
use crate::config::Limits;
use crate::ledger::Fate;
use crate::reassembly::Arrival;

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

/// Where a segment stands in both streams.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: StreamOffset,
    /// Behind its payload, not counting what was cut.
    end: StreamOffset,
    /// What it acknowledges of the other; means nothing before that is live.
    acked: StreamOffset,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) halves: [Half; 2],
    pub(super) pending_syn: Option<Box<PendingSyn>>,
    pub(super) syn_data: Option<Box<SynData>>,
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
            && self.halves.iter().all(Half::is_pristine)
    }

    /// Whether something waits for an allowance to pass.
    pub(crate) fn is_stalled(&self) -> bool {
        self.halves.iter().any(Half::is_stalling)
    }

    /// Accounted bytes beyond the structure itself.
    #[inline(always)]
    pub(crate) fn held(&self) -> usize {
        self.halves[0].held()
            + self.halves[1].held()
            + self.pending_syn.as_ref().map_or(0, |syn| size_of::<PendingSyn>() + syn.payload.len())
            + self.syn_data.as_ref().map_or(0, |data| size_of::<SynData>() + data.bytes.len())
    }

    /// Copies what is lent, before that goes.
    pub(crate) fn copy_lent(&mut self, block: &[u8]) {
        self.halves.iter_mut().for_each(|half| half.copy_lent(block));
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

    /// Takes a segment sent by `side`. Its payload has been counted as received. Inlined, as [`deliver`] is: of 2370 instructions for a
    /// segment of a large body, 65 handed over to them what was at hand.
    #[inline(always)]
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
            if let Some(outcome) = self.syn(segment, side, stamp, limits, out) {
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
                self.settle(now, None, limits, out);
                return self.outcome();
            }
            if !self.halves.iter().all(Half::is_settled) {
                self.join(segment, side, limits, out);
            }
            let at = self.place(segment, side);
            self.acknowledge(segment, side, at, out);
            if self.syn_data.is_some() {
                self.syn_data_acknowledged(segment, side.other(), out);
            }
            self.data(segment, side, at, stamp, limits, out);
        }
        if self.halves.iter().all(Half::is_quiet) {
            return Outcome::Open;
        }
        let acked = self.half(side.other()).place(segment.ack);
        let heard = segment.flags.has(Flags::ACK).then_some(Heard { from: side, acked });
        self.settle(now, heard, limits, out);
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
        SIDES.into_iter().for_each(|side| self.settle_start(side));
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

    pub(super) fn half(&self, side: Side) -> &Half {
        &self.halves[side.index()]
    }

    pub(super) fn half_mut(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side.index()]
    }

    fn outcome(&self) -> Outcome {
        if self.halves.iter().all(|half| half.phase == Phase::Ended) { Outcome::Closed } else { Outcome::Open }
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
            && half.is_new(end_of(segment))
        {
            return Some(Anomaly::OldTimestamp);
        }
        // Nearly every segment is what comes next on both sides.
        if half.is_next(segment.seq) && peer.is_next(segment.ack) && peer.acked <= peer.next {
            return None;
        }
        let ahead = half.plausible_ahead();
        if peer.is_live() && peer.is_long_acknowledged(segment.ack, ahead) {
            return Some(Anomaly::BadAck);
        }
        if peer.is_live()
            && peer.place(segment.ack) > peer.highest().add(ahead)
            && !peer.outlying_ack(segment.ack, ahead)
        {
            return Some(Anomaly::BadAck);
        }
        let ahead = peer.plausible_ahead();
        if takes_place(segment)
            && half.place(segment.seq) > half.highest().add(ahead)
            && !half.outlying_data(segment.seq, end_of(segment), ahead)
        {
            return Some(Anomaly::OutOfWindow);
        }
        None
    }

    pub(super) fn both(&mut self, side: Side) -> (&mut Half, &mut Half) {
        let [low, high] = &mut self.halves;
        match side {
            Side::Low => (low, high),
            Side::High => (high, low),
        }
    }

    // The living connection.

    fn place(&self, segment: &Segment<'_>, side: Side) -> Place {
        let (half, peer) = (self.half(side), self.half(side.other()));
        let start = half.place(segment.seq);
        Place { start, end: start.add(segment.payload.len() as u64), acked: peer.place(segment.ack) }
    }

    /// Notes what a segment says of both directions' places.
    fn acknowledge<R: Receiver>(&mut self, segment: &Segment<'_>, side: Side, at: Place, out: &mut R) {
        let (half, peer) = self.both(side);
        half.see_window(segment.window, peer);
        half.ttl = half.ttl.max(segment.ttl);
        if let Some((value, _)) = segment.options.timestamps
            // RFC 7323 §4.3 (2): only a segment at or before the last acknowledgement sent; which the capture may show early.
            && half.phase != Phase::Joined
            // And an acceptable one (§5.3 R2): Linux drops what ends before that first.
            && (at.start..=at.end).contains(&half.acked.min(half.next))
            && half.ts_recent.is_none_or(|recent| value.wrapping_sub(recent) as i32 >= 0)
        {
            half.ts_recent = Some(value);
        }
        match peer.phase {
            // Nothing of that direction is in the capture: it cannot be waited for.
            Phase::Unseen | Phase::Expected => peer.expect(segment.ack),
            Phase::Joined | Phase::Open | Phase::Ended => peer.acknowledged(at.acked, out),
        }
    }

    fn data<R: Receiver>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        at: Place,
        stamp: Stamp,
        limits: &Limits,
        out: &mut R,
    ) {
        if self.syn_data_len(side) > 0 {
            // No SYN-ACK was seen: the place of the next data tells whether the data of the SYN was taken.
            let half = self.half(side);
            let behind = half.start.add(self.syn_data_len(side));
            let taken = if at.start >= behind { behind } else { half.start };
            self.take_syn_data(side, taken, out);
        }
        let (half, peer) = self.both(side);
        let requires = if peer.is_live() { at.acked } else { StreamOffset(0) };
        let mut arrival = Arrival {
            offset: at.start,
            bytes: segment.payload,
            cut: u64::from(segment.cut),
            stamp,
            requires,
            starts_segment: true,
        };
        let end = at.end.add(arrival.cut);
        // A FIN before bytes that were seen contradicts them: it is no end. Of two, the one in order is taken first.
        if segment.flags.has(Flags::FIN) && end >= half.received() {
            half.fin = Some(half.fin.unwrap_or(end).min(end));
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
            let fate = if half.conflicts(arrival.offset, again, out.block()) {
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
        let in_order = half.phase == Phase::Open
            && arrival.offset == half.next
            && !half.has_waiting()
            && arrival.requires <= peer.next.add(1);
        if in_order {
            let whole = arrival.bytes.len() == segment.payload.len();
            let by = if whole { Bringer::Whole(segment) } else { Bringer::Part(segment) };
            deliver(half, side, arrival, by, out);
            return;
        }
        let entered = half.wait(arrival, Origin::verified(segment));
        out.ledger().count(Fate::Duplicate, entered.duplicate);
        if entered.conflicting > 0 {
            out.ledger().count(Fate::ConflictingOverlap, entered.conflicting);
            note_conflict(half, side, entered.suspicion, segment, out);
        }
        while self.half(side).is_full(limits) {
            self.settle_start(side);
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
            ends.contains(&half.place(segment.seq))
        } else {
            // The answer to a SYN: it must acknowledge that SYN (RFC 9293 §3.10.7.3).
            segment.flags.has(Flags::ACK) && peer.is_live() && peer.place(segment.ack) == peer.highest()
        };
        if !exact {
            out.report(Anomaly::InexactReset);
            self.settle(now, None, limits, out);
            return self.outcome();
        }
        self.end(EndCause::Reset, out);
        Outcome::Closed
    }
}

/// The sequence number behind a segment's payload.
const fn end_of(segment: &Segment<'_>) -> SeqNumber {
    segment.seq.add(segment.payload.len() as u32)
}

/// Ticks that a time stamp may be older than the last and still pass: Linux's `TCP_PAWS_WINDOW`. Without it, segments that
/// overtake each other by a tick on a lossy link are dropped that their receiver took.
const TIMESTAMP_SLACK: i32 = 1;

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
