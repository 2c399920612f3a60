//! An upper bound of what all shards hold, known without asking them.
//!
//! With it, shards wait for each other only if the memory budget can have been reached. A shard
//! reports what it held after each batch. Since then it can have grown by what the batches in flight
//! can add, and what it held can have grown itself, to four times at most:
//!
//! - A byte that waited for others is then kept in a body or head, and once more to detect
//!   conflicting copies of it. In a head, Latin-1 becomes two bytes of UTF-8. A field of three bytes
//!   is kept as one with eight bytes of offsets; one of five bytes, as five with as many. A list of
//!   requests doubles its capacity.
//! - A byte of payload becomes 4 bytes at most: those above, or three for a request of 16 bytes that
//!   waits for its response.
//! - A segment can also add a connection, a message in each direction, and the overhead of waiting.

/// Bytes that a segment can add besides its payload.
const SEGMENT_COST: usize = 2 << 10;

/// Returns the most that this payload in this many segments can add to the accounts.
pub(super) const fn cost(payload: usize, segments: usize) -> usize {
    4 * payload + SEGMENT_COST * segments
}

/// The estimate for one shard.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Estimate {
    /// Bytes held, as the shard last reported.
    pub(super) held: usize,
    /// Bytes that can have been added by what was sent since.
    pub(super) sent: usize,
}

impl Estimate {
    /// The estimate for a shard that holds this much, with nothing in flight.
    pub(super) const fn of(held: usize) -> Self {
        Self { held, sent: 0 }
    }

    /// Returns the most that the shard can hold.
    pub(super) const fn most(self) -> usize {
        4 * self.held + self.sent
    }
}
