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
//! [`super::midstream`] says how a joined stream becomes open. Next: [`super::position`].

use sniffer_packet::segment::Segment;
use sniffer_packet::seq::{SeqNumber, StreamOffset};
use sniffer_packet::time::Timestamp;

use super::header::{HeaderState, WINDOW_MAX};
use super::holes::Holes;
use super::overlap::evidence::{Evidence, Provenance};
use super::overlap::history::History;
use super::overlap::memory::BufferPool;
use super::position::{HalfState, StreamPosition};
use crate::config::Limits;
use crate::reassembly::{Chunk, Inserted, NewChunk, Reassembly};
use crate::stream::Retention;

#[derive(Debug)]
pub(super) struct Half {
    /// Invariant: no waiting chunk starts before `stream.next`, and none ends after `stream.fin`.
    pub(super) stream: StreamPosition,
    pub(super) header: HeaderState,
    /// Allocated only while something waits.
    waiting: Option<Box<Reassembly<Provenance>>>,
    /// Copies of delivered bytes.
    history: Option<Box<History>>,
    holes: Option<Box<Holes>>,
}

impl Half {
    pub(super) const fn new() -> Self {
        Self { stream: StreamPosition::new(), header: HeaderState::new(), waiting: None, history: None, holes: None }
    }

    /// Puts the stream's start at `seq`, before anything of it was seen.
    pub(super) fn start_at(&mut self, seq: SeqNumber, phase: HalfState) {
        debug_assert!(
            matches!(self.stream.phase, HalfState::Unseen | HalfState::Expected),
            "a stream is placed before its first byte"
        );
        self.stream.set_first(seq);
        self.stream.phase = phase;
    }

    /// Records that the peer acknowledged up to `seq`, before anything of this direction was seen.
    pub(super) fn expect(&mut self, seq: SeqNumber) {
        self.start_at(seq, HalfState::Expected);
        self.stream.acknowledge(self.stream.start);
    }

    /// Returns whether nothing was delivered and nothing waits.
    pub(super) fn is_pristine(&self) -> bool {
        self.stream.next == self.stream.start && self.waiting.is_none()
    }

    /// Returns the sequence number that follows everything delivered, if anything is known of it.
    pub(super) fn next_seq(&self) -> Option<SeqNumber> {
        (self.stream.phase != HalfState::Unseen).then(|| self.stream.next_seq())
    }

    /// Returns whether segments of this direction were seen.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.stream.phase, HalfState::Joined | HalfState::Open | HalfState::Ended)
    }

    /// Returns whether the stream's start can no longer move.
    pub(super) const fn is_settled(&self) -> bool {
        matches!(self.stream.phase, HalfState::Open | HalfState::Ended)
    }

    /// Returns whether nothing is outstanding: then a packet leaves nothing to settle.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_none()
            && self.holes.is_none()
            && self.stream.fin.is_none()
            && self.stream.acked <= self.stream.next.add(1)
    }

    /// Returns the offset after the last byte that was seen.
    pub(super) fn received(&self) -> StreamOffset {
        self.stream.next.max(self.waiting.as_ref().and_then(|waiting| waiting.end()).unwrap_or_default())
    }

    /// Returns the highest offset that is known to have been sent.
    pub(super) fn highest(&self) -> StreamOffset {
        self.received().max(self.stream.acked)
    }

    /// Returns how many bytes past this side's acknowledgement its peer may plausibly have sent.
    ///
    /// Twice the largest window: captures lose acknowledgements too, and "far outside" (policy 2)
    /// is farther than that.
    pub(super) fn plausible_ahead(&self) -> u64 {
        let window = if self.is_live() { self.header.window.max(65_535) } else { WINDOW_MAX };
        2 * u64::from(window)
    }

    // Copies of delivered bytes, to recognise conflicting ones.

    /// Retains bytes that were just delivered for as long as `retention` asks.
    pub(super) fn remember(
        &mut self,
        bytes: &[u8],
        retention: Retention,
        provenance: impl FnOnce() -> Provenance,
        pool: &mut BufferPool,
    ) {
        if self.is_over(retention) {
            self.recycle_history(pool);
        } else {
            let history = self.history.get_or_insert_with(|| pool.take());
            history.retention = retention;
            history.push(bytes, provenance());
        }
    }

    /// Records that the peer acknowledged up to `at`.
    pub(super) fn acknowledge(&mut self, at: StreamOffset, pool: &mut BufferPool) {
        self.stream.acknowledge(at);
        if self.history.as_ref().is_some_and(|history| self.is_over(history.retention)) {
            self.recycle_history(pool);
        }
    }

    fn is_over(&self, retention: Retention) -> bool {
        match retention {
            Retention::None => true,
            // Without acknowledgements in the capture, nothing would end the retention.
            Retention::Unacknowledged => !self.stream.is_unacknowledged(),
            Retention::Open => false,
        }
    }

    fn recycle_history(&mut self, pool: &mut BufferPool) {
        if let Some(history) = self.history.take() {
            pool.recycle(history);
        }
    }

    pub(super) fn drop_history(&mut self) {
        self.history = None;
    }

    /// Returns the evidence against delivered bytes if another copy of them, which starts at `at`,
    /// differs from them.
    pub(super) fn conflict(&self, at: StreamOffset, bytes: &[u8], copy: &Segment<'_>) -> Option<Evidence> {
        let (history, back) = (self.history.as_ref()?, self.stream.next.since(at));
        history.differs(bytes, back).then(|| history.evidence(bytes, back, (copy.src.ip, copy.dst.ip)))
    }

    // Chunks that wait for earlier bytes.

    /// Keeps a chunk until the bytes before it come. Also returns the evidence against the waiting
    /// chunks that it conflicts with.
    pub(super) fn wait(&mut self, chunk: NewChunk<'_>, provenance: Provenance) -> (Inserted, Evidence) {
        let mut evidence = Evidence::NONE;
        let waiting = self.waiting.get_or_insert_default();
        let inserted = waiting.insert(chunk, provenance, |held| evidence = evidence.and(Evidence::of(held)));
        (inserted, evidence)
    }

    pub(super) const fn has_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    pub(super) fn first_waiting(&self) -> Option<(StreamOffset, &Chunk<Provenance>)> {
        self.waiting.as_ref().and_then(|waiting| waiting.first())
    }

    pub(super) fn pop_waiting(&mut self) -> Option<(StreamOffset, Chunk<Provenance>)> {
        let waiting = self.waiting.as_mut()?;
        let first = waiting.pop_first();
        if waiting.is_empty() {
            self.waiting = None;
        }
        first
    }

    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.held() > limits.waiting_bytes_max)
    }

    // Accounts.

    /// Returns the accounted bytes on the heap.
    #[inline(always)] // hot: see NOTES#held
    pub(super) fn held(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.held())
            + self.history.as_ref().map_or(0, |history| history.held())
            + self.holes.as_ref().map_or(0, |_| size_of::<Holes>())
    }

    /// Returns the number of payload bytes that wait.
    pub(super) fn held_payload(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.payload())
    }

    // Holes.

    /// Returns the end of a hole at the next byte, if the peer acknowledged past it.
    ///
    /// One byte alone is not enough: the peer may have acknowledged a FIN that is not in the
    /// capture.
    pub(super) fn acknowledged_hole(&self) -> Option<StreamOffset> {
        let StreamPosition { next, acked, fin, .. } = self.stream;
        if !matches!(self.stream.phase, HalfState::Joined | HalfState::Open) || acked <= next.add(1) {
            return None;
        }
        let first = self.first_waiting().map(|(at, _)| at);
        let end = [first, fin].into_iter().flatten().fold(acked, StreamOffset::min);
        (end > next).then_some(end)
    }

    /// Returns the end of a hole at the next byte, whether or not the peer acknowledged past it.
    pub(super) fn any_hole(&self) -> Option<StreamOffset> {
        let seen = [self.first_waiting().map(|(at, _)| at), self.stream.fin].into_iter().flatten().min();
        seen.filter(|&at| at > self.stream.next).or_else(|| self.acknowledged_hole())
    }

    pub(super) fn holes(&mut self) -> &mut Holes {
        self.holes.get_or_insert_default()
    }

    /// Returns whether the wait at the next byte has used up its allowance, after it counted
    /// `packet`.
    pub(super) fn stalled(&mut self, now: Timestamp, packet: bool, limits: &Limits) -> bool {
        let at = self.stream.next;
        self.holes().stalled(at, now, packet, limits)
    }

    pub(super) fn is_stalling(&self) -> bool {
        self.holes.as_ref().is_some_and(|holes| holes.is_stalling())
    }

    /// Records that nothing waits for an allowance.
    pub(super) fn end_stall(&mut self) {
        self.holes.take_if(|holes| holes.end_stall());
    }

    /// Goes on after bytes that were declared lost.
    pub(super) fn skip_lost(&mut self, bytes: u64) {
        let next = self.stream.next;
        self.holes().remember_lost(next, next.add(bytes));
        self.stream.advance(bytes);
    }

    /// Returns whether `offset` lies in the hole that was last declared lost.
    pub(super) fn was_lost(&self, offset: StreamOffset) -> bool {
        self.holes.as_ref().is_some_and(|holes| holes.was_lost(offset))
    }
}
