//! The points at which the memory budget is looked at. They depend on the frames alone (policy 21).
//!
//! The budget is one sum over everything held. It is compared with its limit at points counted in
//! what was dispatched, never after every frame: a sum over several shards can then be taken at the
//! same points for any number of them.

/// Accounted bytes that a byte of payload can add at most, once it has been read.
///
/// A byte that waited for others is kept in a body or head, and once more for conflict detection;
/// in a head Latin-1 becomes two bytes of UTF-8, and a field of three bytes is kept as one with
/// eight bytes of ends. **A protocol that makes more of a byte (a decoded field, an inflated
/// message) must bound its own growth to this, for each connection.**
const GROWTH: usize = 4;

/// Accounted bytes that a segment can add besides its payload: a new connection, a message in each
/// direction, and the overhead of waiting.
const SEGMENT_COST: usize = 2048;

/// Returns the most accounted bytes that `segments` segments can add with `payload` bytes in all.
pub const fn growth_max(payload: usize, segments: usize) -> usize {
    GROWTH * payload + SEGMENT_COST * segments
}

/// Counts the growth that was possible since the budget was last looked at.
#[derive(Debug)]
pub struct Budget {
    max: usize,
    since: usize,
}

impl Budget {
    /// Returns a budget of so many accounted bytes.
    pub const fn new(max: usize) -> Self {
        Self { max, since: 0 }
    }

    /// Counts a frame with this much payload. Returns whether it is time to look.
    ///
    /// Between two looks the accounts grow by a 32nd of the budget at most.
    pub const fn spend(&mut self, payload: usize) -> bool {
        self.since += growth_max(payload, 1);
        if self.since < self.max / 32 {
            return false;
        }
        self.since = 0;
        true
    }

    /// Returns the most that may be held.
    pub const fn max(&self) -> usize {
        self.max
    }

    /// Returns how much may be held after shedding: a 16th less, so that it is not needed again at
    /// once.
    pub const fn target(&self) -> usize {
        self.max - self.max / 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_after_growth_by_a_32nd_of_the_budget() {
        let mut budget = Budget::new(32 * 10_000);
        let looks: Vec<_> = (0..12).map(|_| budget.spend(0)).collect();
        assert_eq!(looks.iter().filter(|&&look| look).count(), 2);
        assert!(budget.spend(2_500), "payload counts by what it can grow to");
    }
}
