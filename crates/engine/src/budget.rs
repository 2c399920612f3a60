//! When to look at the memory budget, so that the answer depends on the frames alone (policy 21).
//!
//! The budget is one sum over everything held. It is compared with its limit at points counted in
//! what was dispatched, never after every frame: a sum over several shards can then be taken at the
//! same points for any number of them.

/// What a segment can add to the accounts besides its payload, at most: a new connection, its first
/// message, and the overhead of a waiting segment.
const SEGMENT_COST: usize = 2048;

/// EventCounts what was dispatched since the budget was last looked at.
#[derive(Debug)]
pub struct Budget {
    max: usize,
    since: usize,
}

impl Budget {
    /// A budget of so many accounted bytes.
    pub const fn new(max: usize) -> Self {
        Self { max, since: 0 }
    }

    /// Counts a frame with this much payload; whether it is time to look.
    ///
    /// Between two looks what is received grows by a 32nd of the budget at most, so the accounts
    /// never exceed it by more, but for what one waiting room becomes when it is emptied
    /// ([`crate::config::Limits::waiting_bytes_max`]).
    pub const fn spend(&mut self, payload: usize) -> bool {
        self.since += payload + SEGMENT_COST;
        if self.since < self.max / 32 {
            return false;
        }
        self.since = 0;
        true
    }

    /// What may be held.
    pub const fn max(&self) -> usize {
        self.max
    }

    /// Down to where shedding goes: a 16th below, so that it is not needed again at once.
    pub const fn target(&self) -> usize {
        self.max - self.max / 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_after_a_32nd_of_the_budget() {
        let mut budget = Budget::new(32 * 10_000);
        let looks: Vec<_> = (0..12).map(|_| budget.spend(0)).collect();
        assert_eq!(looks.iter().filter(|&&look| look).count(), 2);
        assert!(budget.spend(10_000), "a large payload counts as what it is");
    }
}
