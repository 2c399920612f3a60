//! One direction of a connection: from its first sequence number to its FIN.
//!
//! ```text
//!   Unseen ──the peer acknowledged something──▶ Expected
//!     │ └────────────────────────────┐             │ a segment
//!     │ SYN                a segment ▼             ▼
//!     └──────────▶ Open ◀──────── Joined ◀─────────┘
//!                   │ FIN delivered
//!                   ▼
//!                 Ended
//! ```
//!
//! What makes a joined stream open is in [`super::midstream`].

use std::net::IpAddr;
use std::time::Duration;

use sniffer_packet::seq::{SeqNumber, StreamOffset};
use sniffer_packet::time::Timestamp;

use super::overlap::evidence::{DeliveredBy, Evidence, Provenance};
use super::overlap::history::{BufferPool, History};
use super::overlap::segments::SegmentMeta;
use crate::config::Limits;
use crate::reassembly::{Inserted, NewChunk, Reassembly};
use crate::stream::{Retention, StreamSink};

/// The largest window TCP can have: 65 535 << 14 (RFC 7323 §2.2); assumed when the scale was not seen.
const WINDOW_MAX: u32 = 65_535 << 14;

/// Hops by which the packets of one side may differ without it meaning anything: routes change. Arbitrary.
const TTL_TOLERANCE: u8 = 4;

/// Where a stream starts as long as nothing stands before: so far on that whatever a sequence number can say is behind
/// it has an offset too.
const START: StreamOffset = StreamOffset(1 << 32);

/// How much is known of where this direction's stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HalfState {
    /// Nothing was seen of it.
    Unseen,
    /// Only the peer's acknowledgements were seen: they say where its next byte will stand.
    Expected,
    /// Segments were seen, but no SYN, and nothing was delivered: an earlier segment may still come.
    Joined,
    /// Its start is known, or was settled on.
    Open,
    /// Its end was delivered.
    Ended,
}

/// A wait that must end: since when, and how many packets ago.
#[derive(Debug, Clone, Copy)]
struct Stall {
    at: StreamOffset,
    since: Timestamp,
    packets: u32,
}

/// What is rare, and kept apart because an idle connection is to be small.
#[derive(Debug, Default)]
struct Holes {
    stall: Option<Stall>,
    /// The last hole that was given up, to tell late bytes from duplicates.
    given_up: Option<(StreamOffset, StreamOffset)>,
    /// Where implausible data, and implausible acknowledgements of the peer, last stood: when the two agree, it was the
    /// capture that lost much, not an attacker that guessed.
    outlying_data: Option<SeqNumber>,
    outlying_ack: Option<SeqNumber>,
}

/// How a window field is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// The SYN was not seen.
    Unknown,
    /// From the SYN; `None` when it did not offer the option.
    Offered(Option<u8>),
}

#[derive(Debug)]
pub(super) struct Half {
    pub(super) phase: HalfState,
    /// Sequence number of the byte at `next`.
    next_seq: SeqNumber,
    /// The stream's first byte.
    pub(super) start: StreamOffset,
    /// Delivered, or declared missing, up to here. Invariant: every waiting entry lies at or behind it.
    pub(super) next: StreamOffset,
    /// The peer acknowledged up to here (a FIN counts as one). May lie behind `next` or ahead of it.
    pub(super) acked: StreamOffset,
    /// Where the FIN stands. Invariant: no waiting entry lies behind it.
    pub(super) fin: Option<StreamOffset>,
    waiting: Option<Box<Reassembly>>,
    history: Option<Box<History>>,
    /// Whether the peer was heard to acknowledge anything: without that, nothing says when to forget.
    heard: bool,
    retention: Retention,
    holes: Option<Box<Holes>>,
    /// Largest window that this side offered, in bytes.
    window: u32,
    scale: Scale,
    /// The highest TTL of this side's segments: what forged ones, which are to die before the peer, stay below.
    pub(super) ttl: u8,
    /// The last in-order TSval of this side (RFC 7323 §5).
    pub(super) ts_recent: Option<u32>,
    /// Whether this side signs its segments (RFC 2385); known once a segment was seen.
    pub(super) md5: bool,
}

impl Half {
    pub(super) fn new() -> Self {
        Self {
            phase: HalfState::Unseen,
            next_seq: SeqNumber(0),
            start: START,
            next: START,
            acked: START,
            fin: None,
            waiting: None,
            history: None,
            heard: false,
            retention: Retention::None,
            holes: None,
            window: 0,
            scale: Scale::Unknown,
            ttl: 0,
            ts_recent: None,
            md5: false,
        }
    }

    /// Puts the stream's start at `seq`. Only while nothing was seen of it.
    pub(super) fn start_at(&mut self, seq: SeqNumber, phase: HalfState) {
        debug_assert!(
            matches!(self.phase, HalfState::Unseen | HalfState::Expected),
            "a stream is placed before its first byte"
        );
        self.next_seq = seq;
        self.phase = phase;
    }

    /// The peer acknowledged up to `seq`, and nothing of this direction was seen.
    pub(super) fn expect(&mut self, seq: SeqNumber) {
        self.start_at(seq, HalfState::Expected);
        self.heard = true;
    }

    /// Puts the stream's start elsewhere. Only while nothing was delivered.
    pub(super) fn move_start(&mut self, seq: SeqNumber) {
        debug_assert!(self.next == self.start, "what was delivered stays where it is");
        self.start = self.place(seq);
        self.next = self.start;
        self.next_seq = seq;
        if !self.heard {
            self.acked = self.start;
        }
    }

    /// Whether `seq` is the number of the next byte.
    pub(super) fn is_next(&self, seq: SeqNumber) -> bool {
        seq == self.next_seq
    }

    /// Whether `seq` is the number of the stream's first byte.
    pub(super) fn starts_at(&self, seq: SeqNumber) -> bool {
        self.place(seq) == self.start
    }

    /// Whether nothing was delivered of it or waits.
    pub(super) fn is_pristine(&self) -> bool {
        self.next == self.start && self.waiting.is_none()
    }

    /// Sequence number of the next byte, when anything is known of it; a delivered FIN counts as one.
    pub(super) fn next_seq(&self) -> Option<SeqNumber> {
        let fin = u32::from(self.fin == Some(self.next));
        (self.phase != HalfState::Unseen).then(|| self.next_seq.add(fin))
    }

    pub(super) const fn is_live(&self) -> bool {
        matches!(self.phase, HalfState::Joined | HalfState::Open | HalfState::Ended)
    }

    /// Whether its start will not move any more.
    pub(super) const fn is_settled(&self) -> bool {
        matches!(self.phase, HalfState::Open | HalfState::Ended)
    }

    /// Whether nothing of it waits for anything: then nothing is to be settled after a packet.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_none() && self.holes.is_none() && self.fin.is_none() && self.acked <= self.next.add(1)
    }

    /// The offset that a sequence number near the present place stands for.
    pub(super) fn place(&self, seq: SeqNumber) -> StreamOffset {
        self.next.add_signed(seq.offset_from(self.next_seq))
    }

    /// Whether an acknowledgement is older than `window` bytes before the latest one (RFC 5961 §5.2): a guess, since those
    /// that are late are not that late.
    pub(super) fn is_long_acknowledged(&self, ack: SeqNumber, window: u64) -> bool {
        self.acked.since(self.place(ack)) > window
    }

    /// Whether a segment that ends at `end` goes beyond what was delivered.
    pub(super) fn is_new(&self, end: SeqNumber) -> bool {
        self.place(end) > self.next
    }

    /// The offset behind the last byte that was seen.
    pub(super) fn received(&self) -> StreamOffset {
        self.next.max(self.waiting.as_ref().and_then(|room| room.end()).unwrap_or_default())
    }

    /// Highest offset that is known to have been sent.
    pub(super) fn highest(&self) -> StreamOffset {
        self.received().max(self.acked)
    }

    pub(super) fn see_syn(&mut self, window: u16, scale: Option<u8>) {
        self.scale = Scale::Offered(scale);
        self.window = self.window.max(u32::from(window));
    }

    /// Notes a window this side offered; `peer` decides whether scaling was agreed on.
    pub(super) fn see_window(&mut self, field: u16, peer: &Self) {
        let shift = match (self.scale, peer.scale) {
            (Scale::Offered(None), _) | (_, Scale::Offered(None)) => 0,
            (Scale::Offered(Some(shift)), Scale::Offered(Some(_))) => shift.min(14),
            // One SYN is missing: assume that scaling was agreed on, and if its own is missing, the most it can be.
            (Scale::Offered(Some(shift)), Scale::Unknown) => shift.min(14),
            (Scale::Unknown, _) => 14,
        };
        self.window = self.window.max(u32::from(field) << shift);
    }

    /// Bytes beyond what this side acknowledged that its peer may have sent without anybody doubting it.
    ///
    /// Twice the largest window: captures lose acknowledgements too, and "far outside" (policy 2) is farther than that.
    pub(super) fn plausible_ahead(&self) -> u64 {
        let window = if self.is_live() { self.window.max(65_535) } else { WINDOW_MAX };
        2 * u64::from(window)
    }

    /// The peer acknowledges an implausible place; whether data was seen near it.
    pub(super) fn outlying_ack(&mut self, ack: SeqNumber, window: u64) -> bool {
        let holes = self.holes.get_or_insert_default();
        holes.outlying_ack = Some(ack);
        holes.outlying_data.is_some_and(|seq| near(seq, ack, window))
    }

    /// Data stands at an implausible place, up to `end`; whether the peer was seen to acknowledge something near it.
    pub(super) fn outlying_data(&mut self, seq: SeqNumber, end: SeqNumber, window: u64) -> bool {
        let holes = self.holes.get_or_insert_default();
        holes.outlying_data = Some(end);
        holes.outlying_ack.is_some_and(|ack| near(ack, seq, window))
    }

    pub(super) fn advance(&mut self, bytes: u64) {
        self.next = self.next.add(bytes);
        self.next_seq = self.next_seq.add(bytes as u32);
    }

    /// Whether `offset` lies in the hole that was last given up.
    pub(super) fn in_last_gap(&self, offset: StreamOffset) -> bool {
        let given_up = self.holes.as_ref().and_then(|holes| holes.given_up);
        given_up.is_some_and(|(from, to)| from <= offset && offset < to)
    }

    pub(super) fn give_up(&mut self, bytes: u64) {
        self.holes.get_or_insert_default().given_up = Some((self.next, self.next.add(bytes)));
        self.advance(bytes);
    }

    // What was delivered, for telling conflicting copies.

    /// Keeps bytes that were just delivered for as long as the receiver's interest in other copies lasts.
    pub(super) fn remember<R: StreamSink>(
        &mut self,
        bytes: &[u8],
        retention: Retention,
        by: DeliveredBy<'_>,
        out: &mut R,
    ) {
        self.retention = retention;
        if self.forgets_all() {
            if self.history.is_some() {
                BufferPool::keep(out.spares(), self.history.take());
            }
            return;
        }
        let history = self.history.get_or_insert_with(|| BufferPool::give(out.spares()));
        if let DeliveredBy::Whole(segment) = by
            && let Some(end) = out.lend(segment.payload)
        {
            history.lend(SegmentMeta::lent(segment, end), out.block());
        } else {
            history.copy(bytes, by.provenance(), out.block());
        }
    }

    /// The peer acknowledged up to `at`.
    pub(super) fn acknowledged<R: StreamSink>(&mut self, at: StreamOffset, out: &mut R) {
        self.heard = true;
        self.acked = self.acked.max(at);
        if self.history.is_some() && self.forgets_all() {
            BufferPool::keep(out.spares(), self.history.take());
        }
    }

    /// Copies what is lent, before that goes.
    pub(super) fn copy_lent(&mut self, block: &[u8]) {
        if let Some(history) = &mut self.history {
            history.copy_lent(block);
        }
    }

    pub(super) fn forget(&mut self) {
        self.history = None;
    }

    fn forgets_all(&self) -> bool {
        match self.retention {
            Retention::None => true,
            Retention::Unacknowledged => !self.heard || self.acked >= self.next,
            Retention::Open => false,
        }
    }

    /// Whether another copy of bytes that were delivered, from `at` on, differs from them.
    pub(super) fn conflicts(&mut self, at: StreamOffset, bytes: &[u8], block: &[u8]) -> bool {
        let back = self.next.since(at);
        self.history.as_mut().is_some_and(|history| history.differs(bytes, back, block))
    }

    /// What speaks against the segments that brought the bytes which this copy, from `at` on, differs from.
    pub(super) fn evidence(&self, at: StreamOffset, bytes: &[u8], addresses: (IpAddr, IpAddr)) -> Evidence {
        let history = self.history.as_ref();
        history.map_or(Evidence::NONE, |history| history.evidence(bytes, self.next.since(at), addresses))
    }

    /// Whether a TTL is one of a packet that went another way than this side's, or was made to die on it.
    pub(super) const fn is_low(&self, ttl: u8) -> bool {
        ttl < self.ttl.saturating_sub(TTL_TOLERANCE)
    }

    // The waiting room; allocated while something waits, gone when nothing does.

    pub(super) fn wait(&mut self, chunk: NewChunk<'_>, provenance: Provenance) -> Inserted {
        self.waiting.get_or_insert_default().insert(chunk, provenance)
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    pub(super) fn first_waiting(&self) -> Option<(StreamOffset, &crate::reassembly::Chunk)> {
        self.waiting.as_ref().and_then(|room| room.first())
    }

    pub(super) fn pop_waiting(&mut self) -> Option<(StreamOffset, crate::reassembly::Chunk)> {
        let room = self.waiting.as_mut()?;
        let first = room.pop_first();
        if room.is_empty() {
            self.waiting = None;
        }
        first
    }

    /// Accounted bytes on the heap.
    #[inline(always)]
    pub(super) fn held(&self) -> usize {
        self.waiting.as_ref().map_or(0, |room| room.held())
            + self.history.as_ref().map_or(0, |history| history.held())
            + self.holes.as_ref().map_or(0, |_| size_of::<Holes>())
    }

    /// Payload bytes in the waiting room.
    pub(super) fn held_payload(&self) -> usize {
        self.waiting.as_ref().map_or(0, |room| room.payload())
    }

    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        self.waiting.as_ref().is_some_and(|room| room.held() > limits.waiting_bytes_max)
    }

    // Holes.

    /// The end of a hole at `next` that the peer acknowledged past, if there is one.
    ///
    /// One byte alone is not enough: the peer may have acknowledged a FIN that is not in the capture.
    pub(super) fn acknowledged_hole(&self) -> Option<StreamOffset> {
        if !matches!(self.phase, HalfState::Joined | HalfState::Open) || self.acked <= self.next.add(1) {
            return None;
        }
        let first = self.first_waiting().map(|(at, _)| at);
        let mut end = self.acked;
        for bound in [first, self.fin].into_iter().flatten() {
            end = end.min(bound);
        }
        (end > self.next).then_some(end)
    }

    /// The end of a hole at `next` that anything shows, acknowledged or not.
    pub(super) fn any_hole(&self) -> Option<StreamOffset> {
        let seen = [self.first_waiting().map(|(at, _)| at), self.fin].into_iter().flatten().min();
        seen.filter(|&at| at > self.next).or_else(|| self.acknowledged_hole())
    }

    /// Whether a wait at the present place has lasted for the allowance; counts one packet.
    pub(super) fn stalled(&mut self, now: Timestamp, packet: bool, limits: &Limits) -> bool {
        let at = self.next;
        let holes = self.holes.get_or_insert_default();
        match holes.stall.as_mut().filter(|stall| stall.at == at) {
            Some(stall) => {
                stall.packets += u32::from(packet);
                stall.packets >= limits.hole_packets || now.since(stall.since) >= limits.hole_time
            }
            None => {
                holes.stall = Some(Stall { at, since: now, packets: 0 });
                limits.hole_packets == 0 || limits.hole_time == Duration::ZERO
            }
        }
    }

    pub(super) fn is_stalling(&self) -> bool {
        self.holes.as_ref().is_some_and(|holes| holes.stall.is_some())
    }

    /// Nothing is waited for.
    pub(super) fn flows(&mut self) {
        if let Some(holes) = &mut self.holes {
            holes.stall = None;
            if matches!(**holes, Holes { given_up: None, outlying_data: None, outlying_ack: None, .. }) {
                self.holes = None;
            }
        }
    }
}

fn near(a: SeqNumber, b: SeqNumber, window: u64) -> bool {
    a.offset_from(b).unsigned_abs() <= window
}
