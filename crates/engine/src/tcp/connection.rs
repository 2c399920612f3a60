//! Both directions of one connection: what a segment says, what the peer would have dropped, how it ends.
//!
//! How it begins is in [`super::handshake`] and [`super::midstream`], in which order bytes go on in [`super::delivery`].

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;
use sniffer_packet::segment::{Flags, Segment};
use sniffer_packet::seq::{SeqNumber, StreamOffset};
use sniffer_packet::time::Timestamp;

use super::delivery::{Heard, SIDES, deliver};
use super::half::{Half, HalfState};
use super::handshake::{PendingSyn, SynData};
use super::midstream::takes_place;
use super::overlap::evidence::{DeliveredBy, Evidence, Provenance};
use crate::anomaly::Anomaly;
use crate::config::Limits;
use crate::ledger::Fate;
use crate::reassembly::NewChunk;
use crate::stream::{Delivery, EndCause, StreamSink};

/// What the table must do after a segment.
#[derive(Debug)]
pub(crate) enum SegmentOutcome {
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
pub(crate) struct TcpConnection {
    pub(super) halves: [Half; 2],
    pub(super) pending_syn: Option<Box<PendingSyn>>,
    pub(super) syn_data: Option<Box<SynData>>,
}

impl TcpConnection {
    pub(crate) fn new() -> Self {
        Self { halves: [Half::new(), Half::new()], pending_syn: None, syn_data: None }
    }

    /// Whether a segment may begin a connection: a reset or a segment without ACK tells nothing.
    pub(crate) const fn may_begin(segment: &Segment<'_>) -> bool {
        segment.flags.has(Flags::SYN) || (segment.flags.has(Flags::ACK) && !segment.flags.has(Flags::RST))
    }

    /// Whether no data can have been exchanged yet, as far as the capture shows.
    pub(crate) fn is_half_open(&self) -> bool {
        self.halves.iter().any(|half| matches!(half.phase, HalfState::Unseen | HalfState::Expected))
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
    pub(crate) fn drop_history(&mut self) {
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
    pub(crate) fn segment<R: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        stamp: Stamp,
        now: Timestamp,
        limits: &Limits,
        out: &mut R,
    ) -> SegmentOutcome {
        if segment.flags.has(Flags::RST) {
            out.account().count(Fate::Ignored, segment.payload.len());
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
                out.account().count(Fate::Ignored, segment.payload.len());
                if segment.payload.is_empty() {
                    out.flag_connection(anomaly);
                } else {
                    out.flag_message(side, anomaly);
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
            return SegmentOutcome::Open;
        }
        let acked = self.half(side.other()).place(segment.ack);
        let heard = segment.flags.has(Flags::ACK).then_some(Heard { from: side, acked });
        self.settle(now, heard, limits, out);
        self.outcome()
    }

    /// Lets time pass without a packet.
    pub(crate) fn advance<R: StreamSink>(&mut self, now: Timestamp, limits: &Limits, out: &mut R) -> SegmentOutcome {
        self.settle(now, None, limits, out);
        self.outcome()
    }

    /// Ends the connection: what waits is delivered with the holes before it declared, or dropped when evicted.
    pub(crate) fn end<R: StreamSink>(&mut self, cause: EndCause, out: &mut R) {
        if let Some(syn) = self.pending_syn.take() {
            out.account().count(Fate::Ignored, syn.payload.len());
        }
        if let Some(data) = self.syn_data.take() {
            out.account().count(Fate::Ignored, data.bytes.len());
        }
        if cause == EndCause::Evicted {
            for half in &mut self.halves {
                while let Some((_, waiting)) = half.pop_waiting() {
                    out.account().count(Fate::Evicted, waiting.bytes.len());
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
            if half.phase != HalfState::Ended {
                half.phase = HalfState::Ended;
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

    fn outcome(&self) -> SegmentOutcome {
        if self.halves.iter().all(|half| half.phase == HalfState::Ended) {
            SegmentOutcome::Closed
        } else {
            SegmentOutcome::Open
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
        if let (Some((value, _)), Some(history), Some(_)) = (segment.options.timestamps, half.ts_recent, peer.ts_recent)
            && (value.wrapping_sub(history) as i32) < -TIMESTAMP_SLACK
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
    fn acknowledge<R: StreamSink>(&mut self, segment: &Segment<'_>, side: Side, at: Place, out: &mut R) {
        let (half, peer) = self.both(side);
        half.see_window(segment.window, peer);
        half.ttl = half.ttl.max(segment.ttl);
        if let Some((value, _)) = segment.options.timestamps
            // RFC 7323 §4.3 (2): only a segment at or before the last acknowledgement sent; which the capture may show early.
            && half.phase != HalfState::Joined
            // And an acceptable one (§5.3 R2): Linux drops what ends before that first.
            && (at.start..=at.end).contains(&half.acked.min(half.next))
            && half.ts_recent.is_none_or(|history| value.wrapping_sub(history) as i32 >= 0)
        {
            half.ts_recent = Some(value);
        }
        match peer.phase {
            // Nothing of that direction is in the capture: it cannot be waited for.
            HalfState::Unseen | HalfState::Expected => peer.expect(segment.ack),
            HalfState::Joined | HalfState::Open | HalfState::Ended => peer.acknowledged(at.acked, out),
        }
    }

    fn data<R: StreamSink>(
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
        let mut chunk = NewChunk {
            offset: at.start,
            bytes: segment.payload,
            cut: u64::from(segment.cut),
            stamp,
            requires,
            boundary: true,
        };
        let end = at.end.add(chunk.cut);
        // A FIN before bytes that were seen contradicts them: it is no end. Of two, the one in order is taken first.
        if segment.flags.has(Flags::FIN) && end >= half.received() {
            half.fin = Some(half.fin.unwrap_or(end).min(end));
        }
        if chunk.bytes.is_empty() && chunk.cut == 0 {
            return;
        }
        if segment.flags.has(Flags::URG) {
            out.flag_message(side, Anomaly::UrgentData);
        }
        if let Some(fin) = half.fin
            && end > fin
        {
            let room = fin.since(chunk.offset);
            let keep = usize::try_from(room).unwrap_or(usize::MAX).min(chunk.bytes.len());
            out.account().count(Fate::Ignored, chunk.bytes.len() - keep);
            out.flag_connection(Anomaly::DataAfterFin);
            chunk.cut = chunk.cut.min(room - keep as u64);
            chunk.bytes = &chunk.bytes[..keep];
        }
        if chunk.offset < half.next {
            let old = half.next.since(chunk.offset);
            let dropped = usize::try_from(old).unwrap_or(usize::MAX).min(chunk.bytes.len());
            let again = &chunk.bytes[..dropped];
            let fate = if half.conflicts(chunk.offset, again, out.block()) {
                let delivered = half.evidence(chunk.offset, again, (segment.src.ip, segment.dst.ip));
                note_conflict(half, side, delivered, segment, out);
                Fate::ConflictingOverlap
            } else if half.in_last_gap(chunk.offset) {
                Fate::Late
            } else {
                Fate::Duplicate
            };
            out.account().count(fate, dropped);
            chunk.cut = chunk.cut.saturating_sub(old - dropped as u64);
            chunk.bytes = &chunk.bytes[dropped..];
            chunk.offset = half.next;
            chunk.boundary = false;
        }
        if chunk.bytes.is_empty() && chunk.cut == 0 {
            return;
        }
        let in_order = half.phase == HalfState::Open
            && chunk.offset == half.next
            && !half.has_waiting()
            && chunk.requires <= peer.next.add(1);
        if in_order {
            let whole = chunk.bytes.len() == segment.payload.len();
            let by = if whole { DeliveredBy::Whole(segment) } else { DeliveredBy::Part(segment) };
            deliver(half, side, chunk, by, out);
            return;
        }
        let inserted = half.wait(chunk, Provenance::verified(segment));
        out.account().count(Fate::Duplicate, inserted.duplicate);
        if inserted.conflicting > 0 {
            out.account().count(Fate::ConflictingOverlap, inserted.conflicting);
            note_conflict(half, side, inserted.evidence, segment, out);
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
    fn reset<R: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        now: Timestamp,
        limits: &Limits,
        out: &mut R,
    ) -> SegmentOutcome {
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
            out.flag_connection(Anomaly::InexactReset);
            self.settle(now, None, limits, out);
            return self.outcome();
        }
        self.end(EndCause::Reset, out);
        SegmentOutcome::Closed
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
fn note_conflict<R: StreamSink>(half: &Half, side: Side, first: Evidence, later: &Segment<'_>, out: &mut R) {
    out.flag_message(side, Anomaly::ConflictingOverlap);
    if first.checksum || later.checksum_is_wrong() == Some(true) {
        out.flag_message(side, Anomaly::BadChecksum);
    }
    if half.is_low(first.ttl.min(later.ttl)) {
        out.flag_message(side, Anomaly::LowTtl);
    }
}
