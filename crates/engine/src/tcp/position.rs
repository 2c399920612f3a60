//! The position of one direction's stream: its start, the next byte, the peer's acknowledgement,
//! its FIN.

use sniffer_packet::seq::{SeqNumber, StreamOffset};

/// Knowledge of this direction so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HalfState {
    /// Nothing was seen.
    Unseen,
    /// Only the peer's acknowledgements were seen. They give the number of the next byte.
    Expected,
    /// Segments were seen, but no SYN, and nothing was delivered: an earlier segment may still
    /// come.
    Joined,
    /// The start is known, or was settled on.
    Open,
    /// The end was delivered.
    Ended,
}

/// Offset of a stream's first byte until an earlier one is found. It is high enough that every byte
/// before it that a sequence number can name has an offset too.
const START: StreamOffset = StreamOffset(1 << 32);

/// Offsets of one direction's stream.
#[derive(Debug)]
pub(super) struct StreamPosition {
    pub(super) phase: HalfState,
    /// Sequence number of the byte at `next`.
    next_seq: SeqNumber,
    /// Offset of the stream's first byte.
    pub(super) start: StreamOffset,
    /// Offset of the next byte to deliver; every earlier one was delivered or declared missing.
    pub(super) next: StreamOffset,
    /// Offset up to which the peer acknowledged; a FIN counts as one byte. May differ from `next`
    /// in both directions.
    pub(super) acked: StreamOffset,
    /// Offset of the FIN.
    pub(super) fin: Option<StreamOffset>,
    /// True once the peer acknowledged anything.
    peer_acknowledges: bool,
}

impl StreamPosition {
    pub(super) const fn new() -> Self {
        let next_seq = SeqNumber(0);
        Self {
            phase: HalfState::Unseen,
            next_seq,
            start: START,
            next: START,
            acked: START,
            fin: None,
            peer_acknowledges: false,
        }
    }

    /// Returns the offset of a sequence number near the next byte.
    pub(super) fn place(&self, seq: SeqNumber) -> StreamOffset {
        self.next.add_signed(seq.offset_from(self.next_seq))
    }

    /// Returns whether `seq` is the number of the next byte.
    pub(super) fn is_next(&self, seq: SeqNumber) -> bool {
        seq == self.next_seq
    }

    /// Returns whether `seq` is the number of the stream's first byte.
    pub(super) fn starts_at(&self, seq: SeqNumber) -> bool {
        self.place(seq) == self.start
    }

    /// Returns whether `seq` is that of the stream's first byte or lies at most `reach` bytes
    /// before it.
    pub(super) fn reaches_back_to(&self, seq: SeqNumber, reach: u64) -> bool {
        let at = self.place(seq);
        at <= self.start && self.start.since(at) <= reach
    }

    /// Returns the sequence number that follows everything delivered; a delivered FIN counts as
    /// one.
    pub(super) fn next_seq(&self) -> SeqNumber {
        let fin = u32::from(self.fin == Some(self.next));
        self.next_seq.add(fin)
    }

    /// Returns whether the peer, which acknowledges, did not yet acknowledge everything delivered.
    pub(super) fn is_unacknowledged(&self) -> bool {
        self.peer_acknowledges && self.acked < self.next
    }

    /// Returns whether an acknowledgement is more than `window` bytes older than the latest one
    /// (RFC 5961 §5.2). Acknowledgements that are merely late are not that old, so it is a guess.
    pub(super) fn is_stale_ack(&self, ack: SeqNumber, window: u64) -> bool {
        self.acked.since(self.place(ack)) > window
    }

    /// Sets the sequence number of the stream's first byte, before anything was seen of the stream.
    pub(super) fn set_first(&mut self, seq: SeqNumber) {
        self.next_seq = seq;
    }

    /// Moves the stream's start to `seq`, before anything was delivered.
    pub(super) fn move_start(&mut self, seq: SeqNumber) {
        debug_assert!(self.next == self.start, "what was delivered stays where it is");
        self.start = self.place(seq);
        self.next = self.start;
        self.next_seq = seq;
        if !self.peer_acknowledges {
            self.acked = self.start;
        }
    }

    /// Records that the peer acknowledged everything up to `at`.
    pub(super) fn acknowledge(&mut self, at: StreamOffset) {
        self.peer_acknowledges = true;
        self.acked = self.acked.max(at);
    }

    pub(super) fn advance(&mut self, bytes: u64) {
        self.next = self.next.add(bytes);
        self.next_seq = self.next_seq.add(bytes as u32);
    }
}
