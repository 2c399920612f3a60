//! Connection ids: a function of the connection, with an ordinal for the rare equals.

use hashbrown::HashMap;

use crate::key::{FlowId, FlowKey};
use crate::seq::SeqNumber;

/// Ids remembered within one microsecond (arbitrary; it bounds memory for captures whose time stands still).
const REMEMBERED: usize = 4096;

/// Gives ids, and remembers those of the present microsecond: only they can have equals.
#[derive(Debug)]
pub(super) struct Ids {
    micros: u64,
    /// By the first of the equals, how many there are. Never iterated.
    given: HashMap<FlowId, u32, ahash::RandomState>,
}

impl Ids {
    pub(super) fn new(key: [u64; 4]) -> Self {
        let hasher = ahash::RandomState::with_seeds(key[0], key[1], key[2], key[3]);
        Self { micros: 0, given: HashMap::with_hasher(hasher) }
    }

    pub(super) fn next(&mut self, key: &FlowKey, first_seq: SeqNumber, first_micros: u64) -> FlowId {
        if self.micros != first_micros || self.given.len() == REMEMBERED {
            self.micros = first_micros;
            self.given.clear();
        }
        let id = |ordinal| FlowId::new(key, first_seq.0, first_micros, ordinal);
        let equals = self.given.entry(id(0)).or_insert(0);
        let ordinal = *equals;
        *equals = ordinal.saturating_add(1);
        id(ordinal)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::key::Endpoint;

    #[test]
    fn equals_of_one_microsecond_get_different_ids() {
        let end = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let (key, _) = FlowKey::of(end(1), end(2));
        let new = || Ids::new([1, 2, 3, 4]);
        let mut ids = new();
        let first = ids.next(&key, SeqNumber(7), 5);
        assert_eq!(first, new().next(&key, SeqNumber(7), 5), "the same on every run");
        // Ports that are used again in a capture whose time stands still.
        let more: BTreeSet<_> = (0..20_000).map(|_| ids.next(&key, SeqNumber(7), 5)).chain([first]).collect();
        assert_eq!(more.len(), 20_001);
        for seq in 0..20_000 {
            ids.next(&key, SeqNumber(seq), 5);
            assert!(ids.given.len() <= REMEMBERED);
        }
    }
}
