//! Connection ids: a function of the connection, with an ordinal for the rare equals.

use std::collections::VecDeque;

use crate::key::{FlowId, FlowKey};
use crate::seq::SeqNumber;

/// Ids remembered within one microsecond (arbitrary; it bounds memory for captures whose time stands still).
const REMEMBERED: usize = 4096;

/// Gives ids, and remembers those of the present microsecond: only they can have equals.
#[derive(Debug, Default)]
pub(super) struct Ids {
    micros: u64,
    given: VecDeque<FlowId>,
}

impl Ids {
    pub(super) fn next(&mut self, key: &FlowKey, first_seq: SeqNumber, first_micros: u64) -> FlowId {
        if self.micros != first_micros {
            self.micros = first_micros;
            self.given.clear();
        }
        let mut ordinal = 0;
        loop {
            let id = FlowId::new(key, first_seq.0, first_micros, ordinal);
            if ordinal as usize > REMEMBERED || !self.given.contains(&id) {
                if self.given.len() == REMEMBERED {
                    self.given.pop_front();
                }
                self.given.push_back(id);
                return id;
            }
            ordinal += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Endpoint;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn equals_of_one_microsecond_get_different_ids() {
        let end = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let (key, _) = FlowKey::of(end(1), end(2));
        let mut ids = Ids::default();
        let first = ids.next(&key, SeqNumber(7), 5);
        let second = ids.next(&key, SeqNumber(7), 5);
        assert_ne!(first, second);
        assert_eq!(first, Ids::default().next(&key, SeqNumber(7), 5), "the same on every run");
    }
}
