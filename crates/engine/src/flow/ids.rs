//! Connection ids: a function of the connection, with an ordinal for the rare equal ones.

use hashbrown::HashMap;

use sniffer_packet::key::FlowId;

/// Ids remembered within one microsecond. Arbitrary; it bounds memory for captures whose time
/// stands still.
const REMEMBERED: usize = 4096;

/// Assigns ids. It remembers those of the current microsecond, because only they can be equal.
#[derive(Debug)]
pub(super) struct Ids {
    micros: u64,
    /// The number of equal ids, by the first of them. Never iterated.
    given: HashMap<FlowId, u32, ahash::RandomState>,
}

impl Ids {
    pub(super) fn new(key: [u64; 4]) -> Self {
        let hasher = ahash::RandomState::with_seeds(key[0], key[1], key[2], key[3]);
        Self { micros: 0, given: HashMap::with_hasher(hasher) }
    }

    /// Returns the id of a connection whose endpoints have this
    /// [`FlowKey::stable_hash`](sniffer_packet::key::FlowKey::stable_hash).
    pub(super) fn next(&mut self, stable_hash: u64, mark: &[u8], first_micros: u64) -> FlowId {
        if self.micros != first_micros || self.given.len() == REMEMBERED {
            self.micros = first_micros;
            self.given.clear();
        }
        let first = FlowId::of(stable_hash, mark, first_micros, 0);
        let equals = self.given.entry(first).or_insert(0);
        let ordinal = *equals;
        *equals = ordinal.saturating_add(1);
        if ordinal == 0 { first } else { FlowId::of(stable_hash, mark, first_micros, ordinal) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{IpAddr, Ipv4Addr};

    use sniffer_packet::key::{Endpoint, FlowKey};

    use super::*;

    #[test]
    fn equals_of_one_microsecond_get_different_ids() {
        let end = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let key = FlowKey::of(&end(1), &end(2)).0.stable_hash();
        let new = || Ids::new([1, 2, 3, 4]);
        let mut ids = new();
        let first = ids.next(key, &[0, 0, 0, 7], 5);
        assert_eq!(first, new().next(key, &[0, 0, 0, 7], 5), "the same on every run");
        // Ports are reused in a capture whose time stands still.
        let more: BTreeSet<_> = (0..20_000).map(|_| ids.next(key, &[0, 0, 0, 7], 5)).chain([first]).collect();
        assert_eq!(more.len(), 20_001);
        for seq in 0..20_000 {
            ids.next(key, &u32::to_be_bytes(seq), 5);
            assert!(ids.given.len() <= REMEMBERED);
        }
    }
}
