//! An upper bound of what all shards hold, known without asking them.
//!
//! With it, shards wait for each other only if the memory budget can have been reached. A shard
//! reports what it held after each batch. Since then it can have grown by what the batches in
//! flight can add, and what it held can have grown itself, to four times at most:
//!
//! - A byte that waited for others is then kept in a body or head, and once more to detect
//!   conflicting copies of it. In a head, Latin-1 becomes two bytes of UTF-8. A field of three
//!   bytes is kept as one with eight bytes of offsets; one of five bytes, as five with as many. A
//!   list of requests doubles its capacity.
//!
//! What a byte of payload and a segment can add is
//! [`growth_max`](sniffer_engine::budget::growth_max).

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
