//! Both directions of one connection: what a segment changes, what the peer would have dropped, how
//! it ends.
//!
//! [`super::handshake`] and [`super::midstream`] say how it begins. Next: [`super::delivery`], the
//! order in which bytes are delivered.

use sniffer_packet::intake::Now;
use sniffer_packet::key::Side;
use sniffer_packet::segment::{Flags, Segment};
use sniffer_packet::seq::{SeqNumber, StreamOffset};

use super::delivery::{Heard, SIDES, deliver};
use super::half::Half;
use super::handshake::{PendingSyn, SynData};
use super::midstream::occupies_sequence;
use super::overlap::evidence::{Evidence, Provenance};
use super::overlap::memory::BufferPool;
use super::position::HalfState;
use crate::anomaly::Anomaly;
use crate::config::Limits;
use crate::ledger::Fate;
use crate::reassembly::NewChunk;
use crate::stream::{Delivery, EndCause, StreamSink};

/// Ticks by which a time stamp may be older than the last: Linux's `TCP_PAWS_WINDOW`. Segments that
/// overtake each other by a tick on a lossy link are taken by their receiver.
const TIMESTAMP_SLACK: i32 = 1;

/// The instruction to the table after a segment.
#[derive(Debug)]
pub(crate) enum SegmentOutcome {
    /// Nothing.
    Open,
    /// Remove the connection: both ends were delivered.
    Closed,
    /// The ports were reused: end this connection, begin one with this SYN, then give it the same
    /// segment.
    Reopen(Box<PendingSyn>),
}

/// The surroundings of a connection during one call.
pub(crate) struct TcpContext<'a, S> {
    /// The frame being pushed, and the engine's clock.
    pub(crate) now: Now,
    pub(crate) limits: &'a Limits,
    pub(crate) pool: &'a mut BufferPool,
    pub(crate) sink: &'a mut S,
}

impl<S: StreamSink> TcpContext<'_, S> {
    pub(super) fn count(&mut self, fate: Fate, bytes: usize) {
        self.sink.account().count(fate, bytes);
    }
}

/// Offsets of a segment in both streams.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: StreamOffset,
    /// Offset after its payload, not counting bytes that were cut.
    end: StreamOffset,
    /// Offset up to which it acknowledges the other direction. Meaningless until that is live.
    acked: StreamOffset,
}

#[derive(Debug)]
pub(crate) struct TcpConnection {
    pub(super) halves: [Half; 2],
    pub(super) pending_syn: Option<Box<PendingSyn>>,
    pub(super) syn_data: Option<Box<SynData>>,
}

impl TcpConnection {
    pub(crate) const fn new() -> Self {
        Self { halves: [Half::new(), Half::new()], pending_syn: None, syn_data: None }
    }

    /// Returns whether a segment may begin a connection: not a reset, nor one without ACK.
    pub(crate) const fn may_begin(segment: &Segment<'_>) -> bool {
        segment.flags.has(Flags::SYN) || (segment.flags.has(Flags::ACK) && !segment.flags.has(Flags::RST))
    }

    /// Returns whether, as far as the capture shows, no data can have been exchanged yet.
    pub(crate) fn is_half_open(&self) -> bool {
        self.halves.iter().any(|half| matches!(half.stream.phase, HalfState::Unseen | HalfState::Expected))
            && self.halves.iter().all(Half::is_pristine)
    }

    /// Returns whether something waits for an allowance to pass.
    pub(crate) fn is_stalled(&self) -> bool {
        self.halves.iter().any(Half::is_stalling)
    }

    /// Returns the accounted bytes on the heap.
    #[inline(always)] // hot: see NOTES#held
    pub(crate) fn held(&self) -> usize {
        self.halves[0].held()
            + self.halves[1].held()
            + self.pending_syn.as_ref().map_or(0, |syn| size_of::<PendingSyn>() + syn.payload.len())
            + self.syn_data.as_ref().map_or(0, |data| size_of::<SynData>() + data.bytes.len())
    }

    /// Returns the number of payload bytes that have no fate yet.
    pub(crate) fn held_payload(&self) -> usize {
        self.halves[0].held_payload()
            + self.halves[1].held_payload()
            + self.pending_syn.as_ref().map_or(0, |syn| syn.payload.len())
            + self.syn_data.as_ref().map_or(0, |data| data.bytes.len())
    }

    /// Drops the copies of delivered bytes. From here on a conflict with them counts as a
    /// duplicate.
    pub(crate) fn drop_history(&mut self) {
        self.halves.iter_mut().for_each(Half::drop_history);
    }

    /// Returns the sequence number of each side's next byte, to recognise late duplicates once the
    /// connection is gone.
    pub(crate) fn next_seqs(&self) -> [Option<SeqNumber>; 2] {
        self.halves.each_ref().map(Half::next_seq)
    }

    /// Takes a segment sent by `side`. Its payload has been counted as received.
    /// hot: see NOTES#segment
    #[inline(always)]
    pub(crate) fn segment<S: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        cx: &mut TcpContext<'_, S>,
    ) -> SegmentOutcome {
        if segment.flags.has(Flags::RST) {
            cx.count(Fate::Ignored, segment.payload.len());
            return self.reset(segment, side, cx);
        }
        if segment.flags.has(Flags::SYN) {
            if let Some(outcome) = self.syn(segment, side, cx) {
                return outcome;
            }
        } else {
            if let Some(outcome) = self.confirm_pending(segment, side) {
                return outcome;
            }
            if let Some(anomaly) = self.implausible(segment, side) {
                return self.ignore(segment, side, anomaly, cx);
            }
            if !self.halves.iter().all(Half::is_settled) {
                self.join(segment, side, cx);
            }
            let at = self.place(segment, side);
            self.acknowledge(segment, side, at, cx.pool);
            if self.syn_data.is_some() {
                self.syn_data_acknowledged(segment, side.other(), cx);
            }
            self.data(segment, side, at, cx);
        }
        if self.halves.iter().all(Half::is_quiet) {
            return SegmentOutcome::Open;
        }
        let acked = self.half(side.other()).stream.place(segment.ack);
        let heard = segment.flags.has(Flags::ACK).then_some(Heard { from: side, acked });
        self.settle(heard, cx);
        self.outcome()
    }

    /// Lets time pass without a packet.
    pub(crate) fn advance<S: StreamSink>(&mut self, cx: &mut TcpContext<'_, S>) -> SegmentOutcome {
        self.settle(None, cx);
        self.outcome()
    }

    /// Ends the connection. Waiting bytes are delivered, with the holes before them declared lost;
    /// those of an evicted connection are dropped.
    pub(crate) fn end<S: StreamSink>(&mut self, cause: EndCause, cx: &mut TcpContext<'_, S>) {
        if let Some(syn) = self.pending_syn.take() {
            cx.count(Fate::Ignored, syn.payload.len());
        }
        if let Some(data) = self.syn_data.take() {
            cx.count(Fate::Ignored, data.bytes.len());
        }
        if cause == EndCause::Evicted {
            for half in &mut self.halves {
                while let Some((_, waiting)) = half.pop_waiting() {
                    cx.count(Fate::Evicted, waiting.bytes.len());
                }
            }
        }
        SIDES.into_iter().for_each(|side| self.settle_start(side));
        loop {
            self.drain(cx);
            if let Some((side, end)) = SIDES.into_iter().find_map(|s| Some((s, self.half(s).any_hole()?))) {
                self.declare_lost(side, end, cx);
            } else if let Some(side) = self.oldest_blocked() {
                self.deliver_first(side, cx);
            } else {
                break;
            }
        }
        for side in SIDES {
            let half = self.half_mut(side);
            if half.stream.phase != HalfState::Ended {
                half.stream.phase = HalfState::Ended;
                cx.sink.deliver(side, Delivery::End(cause));
            }
        }
    }

    pub(super) const fn half(&self, side: Side) -> &Half {
        &self.halves[side.index()]
    }

    pub(super) const fn half_mut(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side.index()]
    }

    /// Returns the half of `side`, then that of its peer.
    const fn both(&mut self, side: Side) -> (&mut Half, &mut Half) {
        let [low, high] = &mut self.halves;
        match side {
            Side::Low => (low, high),
            Side::High => (high, low),
        }
    }

    fn outcome(&self) -> SegmentOutcome {
        if self.halves.iter().all(|half| half.stream.phase == HalfState::Ended) {
            SegmentOutcome::Closed
        } else {
            SegmentOutcome::Open
        }
    }

    // What the peer would have dropped (policy 2).

    /// Returns the reason why the peer would drop a segment.
    fn implausible(&mut self, segment: &Segment<'_>, side: Side) -> Option<Anomaly> {
        if !segment.flags.has(Flags::ACK) {
            return Some(Anomaly::NoAck);
        }
        let (half, peer) = self.both(side);
        if !half.is_live() {
            return None;
        }
        if segment.options.md5 && !half.header.md5 {
            return Some(Anomaly::UnsolicitedMd5);
        }
        if has_old_timestamp(segment, half, peer) {
            return Some(Anomaly::OldTimestamp);
        }
        // Nearly every segment is the next one in both directions.
        if half.stream.is_next(segment.seq) && peer.stream.is_next(segment.ack) && peer.stream.acked <= peer.stream.next
        {
            return None;
        }
        if has_bad_ack(segment, half, peer) {
            return Some(Anomaly::BadAck);
        }
        let ahead = peer.plausible_ahead();
        if occupies_sequence(segment)
            && half.stream.place(segment.seq) > half.highest().add(ahead)
            && !half.holes().outlying_data(segment.seq, end_of(segment), ahead)
        {
            return Some(Anomaly::OutOfWindow);
        }
        None
    }

    fn ignore<S: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        anomaly: Anomaly,
        cx: &mut TcpContext<'_, S>,
    ) -> SegmentOutcome {
        cx.count(Fate::Ignored, segment.payload.len());
        if segment.payload.is_empty() {
            cx.sink.flag_connection(anomaly);
        } else {
            cx.sink.flag_message(side, anomaly);
        }
        self.advance(cx)
    }

    // The living connection.

    fn place(&self, segment: &Segment<'_>, side: Side) -> Place {
        let start = self.half(side).stream.place(segment.seq);
        let acked = self.half(side.other()).stream.place(segment.ack);
        Place { start, end: start.add(segment.payload.len() as u64), acked }
    }

    /// Records the header of a segment: window, TTL, time stamp and acknowledgement.
    fn acknowledge(&mut self, segment: &Segment<'_>, side: Side, at: Place, pool: &mut BufferPool) {
        let (half, peer) = self.both(side);
        half.header.see_window(segment.window, &peer.header);
        half.header.ttl = half.header.ttl.max(segment.ttl);
        if let Some((value, _)) = segment.options.timestamps
            // RFC 7323 §4.3 (2): only a segment at or before the last acknowledgement sent, which
            // the capture may show early.
            && half.stream.phase != HalfState::Joined
            // Only an acceptable one (§5.3 R2): Linux drops what ends before that first.
            && (at.start..=at.end).contains(&half.stream.acked.min(half.stream.next))
            && half.header.ts_recent.is_none_or(|recent| value.wrapping_sub(recent) as i32 >= 0)
        {
            half.header.ts_recent = Some(value);
        }
        match peer.stream.phase {
            // No segment of that direction is in the capture, so its bytes cannot be waited for.
            HalfState::Unseen | HalfState::Expected => peer.expect(segment.ack),
            HalfState::Joined | HalfState::Open | HalfState::Ended => peer.acknowledge(at.acked, pool),
        }
    }

    /// Takes the payload and the FIN of a segment.
    fn data<S: StreamSink>(&mut self, segment: &Segment<'_>, side: Side, at: Place, cx: &mut TcpContext<'_, S>) {
        self.settle_syn_data(side, at.start, cx);
        let (half, peer) = self.both(side);
        let mut chunk = NewChunk {
            offset: at.start,
            bytes: segment.payload,
            cut: u64::from(segment.cut),
            stamp: cx.now.frame,
            requires: if peer.is_live() { at.acked } else { StreamOffset(0) },
            boundary: true,
        };
        if segment.flags.has(Flags::FIN) {
            place_fin(half, at.end.add(chunk.cut));
        }
        if chunk.is_empty() {
            return;
        }
        if segment.flags.has(Flags::URG) {
            cx.sink.flag_message(side, Anomaly::UrgentData);
        }
        cut_at_fin(half, &mut chunk, cx);
        if chunk.offset < half.stream.next {
            cut_delivered(half, side, segment, &mut chunk, cx);
        }
        if chunk.is_empty() {
            return;
        }
        let in_order = half.stream.phase == HalfState::Open
            && chunk.offset == half.stream.next
            && !half.has_waiting()
            && chunk.requires <= peer.stream.next.add(1);
        if in_order {
            let whole = chunk.bytes.len() == segment.payload.len();
            let provenance = || if whole { Provenance::unverified(segment) } else { Provenance::verified(segment) };
            deliver(half, side, chunk, provenance, cx);
        } else {
            keep_early(half, side, segment, chunk, cx);
            self.make_room(side, cx);
        }
    }

    /// Delivers or declares lost the lowest waiting bytes until the rest is within the limit.
    fn make_room<S: StreamSink>(&mut self, side: Side, cx: &mut TcpContext<'_, S>) {
        while self.half(side).is_full(cx.limits) {
            self.settle_start(side);
            self.drain(cx);
            if !self.half(side).is_full(cx.limits) {
                break;
            }
            match self.half(side).any_hole() {
                Some(end) => self.declare_lost(side, end, cx),
                None => self.deliver_first(side, cx),
            }
        }
    }

    /// Takes a RST, which counts only at the exact place expected (RFC 9293 §3.10.7.4, RFC 5961
    /// §3).
    fn reset<S: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        cx: &mut TcpContext<'_, S>,
    ) -> SegmentOutcome {
        let (half, peer) = self.both(side);
        let exact = if half.is_live() {
            let next = half.stream.next;
            let fin = u64::from(half.stream.fin == Some(next));
            [next, next.add(fin), half.highest()].contains(&half.stream.place(segment.seq))
        } else {
            // An answer to a SYN must acknowledge that SYN (RFC 9293 §3.10.7.3).
            segment.flags.has(Flags::ACK) && peer.is_live() && peer.stream.place(segment.ack) == peer.highest()
        };
        if !exact {
            cx.sink.flag_connection(Anomaly::InexactReset);
            return self.advance(cx);
        }
        self.end(EndCause::Reset, cx);
        SegmentOutcome::Closed
    }
}

/// Returns whether a segment's time stamp is older than the last, where both sides use time stamps.
/// Duplicates often are, so only a segment with new bytes counts.
fn has_old_timestamp(segment: &Segment<'_>, half: &Half, peer: &Half) -> bool {
    let (Some((value, _)), Some(recent), Some(_)) =
        (segment.options.timestamps, half.header.ts_recent, peer.header.ts_recent)
    else {
        return false;
    };
    (value.wrapping_sub(recent) as i32) < -TIMESTAMP_SLACK && half.stream.place(end_of(segment)) > half.stream.next
}

/// Returns whether a segment acknowledges bytes far before or far after those that its peer sent.
fn has_bad_ack(segment: &Segment<'_>, half: &Half, peer: &mut Half) -> bool {
    let (ack, ahead) = (segment.ack, half.plausible_ahead());
    if !peer.is_live() {
        return false;
    }
    let is_beyond = peer.stream.place(ack) > peer.highest().add(ahead);
    peer.stream.is_stale_ack(ack, ahead) || (is_beyond && !peer.holes().outlying_ack(ack, ahead))
}

/// Places the FIN at `end`, unless bytes after it were seen. Of two FINs the one in order counts.
fn place_fin(half: &mut Half, end: StreamOffset) {
    if end >= half.received() {
        let fin = &mut half.stream.fin;
        *fin = Some(fin.unwrap_or(end).min(end));
    }
}

/// Drops the bytes of a chunk that lie after the FIN.
fn cut_at_fin<S: StreamSink>(half: &Half, chunk: &mut NewChunk<'_>, cx: &mut TcpContext<'_, S>) {
    let len = chunk.bytes.len();
    let Some(fin) = half.stream.fin else { return };
    if chunk.offset.add(len as u64 + chunk.cut) <= fin {
        return;
    }
    let room = fin.since(chunk.offset);
    let keep = usize::try_from(room).unwrap_or(usize::MAX).min(len);
    cx.count(Fate::Ignored, len - keep);
    cx.sink.flag_connection(Anomaly::DataAfterFin);
    chunk.cut = chunk.cut.min(room - keep as u64);
    chunk.bytes = &chunk.bytes[..keep];
}

/// Drops the bytes of a chunk that were delivered or declared lost before, and compares them.
fn cut_delivered<S: StreamSink>(
    half: &Half,
    side: Side,
    segment: &Segment<'_>,
    chunk: &mut NewChunk<'_>,
    cx: &mut TcpContext<'_, S>,
) {
    let old = half.stream.next.since(chunk.offset);
    let (again, new) = chunk.bytes.split_at(usize::try_from(old).unwrap_or(usize::MAX).min(chunk.bytes.len()));
    let fate = if let Some(evidence) = half.conflict(chunk.offset, again, segment) {
        flag_conflict(half, side, evidence, segment, cx.sink);
        Fate::ConflictingOverlap
    } else if half.was_lost(chunk.offset) {
        Fate::Late
    } else {
        Fate::Duplicate
    };
    cx.count(fate, again.len());
    chunk.cut = chunk.cut.saturating_sub(old - again.len() as u64);
    chunk.bytes = new;
    chunk.offset = half.stream.next;
    chunk.boundary = false;
}

/// Keeps a chunk that arrived before earlier bytes.
fn keep_early<S: StreamSink>(
    half: &mut Half,
    side: Side,
    segment: &Segment<'_>,
    chunk: NewChunk<'_>,
    cx: &mut TcpContext<'_, S>,
) {
    let (inserted, evidence) = half.wait(chunk, Provenance::verified(segment));
    cx.count(Fate::Duplicate, inserted.duplicate);
    if inserted.conflicting > 0 {
        cx.count(Fate::ConflictingOverlap, inserted.conflicting);
        flag_conflict(half, side, evidence, segment, cx.sink);
    }
}

/// Flags a conflict, and the reasons why the peer may never have got or taken either copy (policy
/// 2).
fn flag_conflict<S: StreamSink>(half: &Half, side: Side, first: Evidence, later: &Segment<'_>, sink: &mut S) {
    sink.flag_message(side, Anomaly::ConflictingOverlap);
    if first.checksum || later.checksum_is_wrong() == Some(true) {
        sink.flag_message(side, Anomaly::BadChecksum);
    }
    if half.header.is_low(first.ttl.min(later.ttl)) {
        sink.flag_message(side, Anomaly::LowTtl);
    }
}

/// Returns the sequence number after a segment's payload.
const fn end_of(segment: &Segment<'_>) -> SeqNumber {
    segment.seq.add(segment.payload.len() as u32)
}
