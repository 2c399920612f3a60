//! What all shards hold at most, known without asking them: so that nobody waits where the budget cannot be reached.
//!
//! A shard says what it held after each batch; since then it can have grown by what the batches on their way can add, and
//! what it held can have grown itself, to four times at most:
//!
//! - a byte that waited for others is then kept in a body or head, and once more to tell conflicting copies from it; in a
//!   head Latin-1 becomes two bytes of UTF-8, and a field of three bytes is kept as one with eight of ends, one of five as five
//!   with as many; a list of requests doubles its room;
//! - of a byte of payload come at most 4: those, or three for a request of 16 bytes that waits for its answer;
//! - of a segment, besides: a connection, a message in each direction, the overhead of waiting.

/// What a segment can add besides its payload.
const SEGMENT_COST: usize = 2 << 10;

/// What so many bytes of payload in so many segments can add to the accounts.
pub(super) const fn cost(payload: usize, segments: usize) -> usize {
    4 * payload + SEGMENT_COST * segments
}

/// What one shard holds at most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Estimate {
    /// As it last said.
    pub(super) held: usize,
    /// What can be added by what was sent since.
    pub(super) sent: usize,
}

impl Estimate {
    pub(super) const fn most(self) -> usize {
        4 * self.held + self.sent
    }
}
