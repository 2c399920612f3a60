//! Connections that ended a short while ago: so that their late duplicates are not taken for new ones.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::config::Limits;
use crate::decode::{Flags, Segment};
use crate::key::{BUCKETS, FlowKey, Side};
use crate::seq::SeqNumber;

/// Accounted bytes of a remembered connection: its place in a queue that may be half empty, and in the index.
const REMEMBERED_BYTES: usize = 2 * size_of::<Ended>() + 16;

#[derive(Debug, Clone, Copy)]
struct Ended {
    key: FlowKey,
    next: [Option<SeqNumber>; 2],
}

/// A queue and an index of places in it: what is written and dropped lies side by side, and only what is asked for is far away.
/// With keys and numbers in a map, a replay of short connections took a twenty-fifth longer.
#[derive(Debug)]
pub(super) struct Closed {
    /// Oldest first.
    ended: VecDeque<Ended>,
    /// Low bits of the number of the oldest.
    oldest: u32,
    /// Numbers by key; of those that were forgotten, none.
    index: HashTable<u32>,
    hasher: ahash::RandomState,
    max: usize,
}

/// What a segment without a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remnant {
    /// A late part of a connection that ended.
    Old,
    /// It goes beyond a connection that ended.
    New,
    /// Nothing is remembered between these endpoints.
    Unknown,
}

impl Closed {
    pub(super) fn new(key: [u64; 4], limits: &Limits) -> Self {
        // At most a 32nd of the budget goes to what is over, and each bucket has its share.
        let max = limits.closed_max.min(limits.held_bytes_max / 32 / REMEMBERED_BYTES).div_ceil(BUCKETS);
        let hasher = ahash::RandomState::with_seeds(key[0], key[1], key[2], key[3]);
        Self { ended: VecDeque::new(), oldest: 0, index: HashTable::new(), hasher, max }
    }

    /// Accounted bytes.
    pub(super) fn held(&self) -> usize {
        self.ended.len() * REMEMBERED_BYTES
    }

    pub(super) fn remember(&mut self, key: FlowKey, next: [Option<SeqNumber>; 2]) {
        if self.max == 0 {
            return;
        }
        while self.ended.len() >= self.max {
            self.drop_oldest();
        }
        let number = self.oldest.wrapping_add(self.ended.len() as u32);
        self.ended.push_back(Ended { key, next });
        let Self { ended, oldest, index, hasher, .. } = self;
        let key_of = |number: u32| ended[number.wrapping_sub(*oldest) as usize].key;
        match index.entry(hasher.hash_one(key), |&it| key_of(it) == key, |&it| hasher.hash_one(key_of(it))) {
            Entry::Occupied(mut before) => *before.get_mut() = number,
            Entry::Vacant(place) => {
                place.insert(number);
            }
        }
    }

    fn drop_oldest(&mut self) {
        let Some(Ended { key, .. }) = self.ended.pop_front() else { return };
        let number = self.oldest;
        self.oldest = number.wrapping_add(1);
        if let Ok(found) = self.index.find_entry(self.hasher.hash_one(key), |&it| it == number) {
            found.remove();
        }
    }

    pub(super) fn forget(&mut self, key: &FlowKey) {
        let Self { ended, oldest, index, hasher, .. } = self;
        let is_it = |&number: &u32| ended[number.wrapping_sub(*oldest) as usize].key == *key;
        if let Ok(found) = index.find_entry(hasher.hash_one(key), is_it) {
            found.remove();
        }
    }

    pub(super) fn recall(&self, key: &FlowKey, side: Side, segment: &Segment<'_>) -> Remnant {
        let at = |number: u32| &self.ended[number.wrapping_sub(self.oldest) as usize];
        let found = self.index.find(self.hasher.hash_one(key), |&number| at(number).key == *key);
        let Some(ended) = found.map(|&number| at(number)) else { return Remnant::Unknown };
        if segment.flags.has(Flags::SYN) {
            return Remnant::New;
        }
        let end = segment.seq.add(segment.payload.len() as u32);
        match ended.next[side.index()] {
            _ if segment.payload.is_empty() => Remnant::Old,
            Some(next) if end.offset_from(next) <= 0 => Remnant::Old,
            _ => Remnant::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::decode::{Checksum, Options};
    use crate::key::Endpoint;
    use crate::testkit::rng::Rng;

    /// An acknowledgement without payload: old where its connection is remembered.
    fn is_remembered(closed: &Closed, key: &FlowKey) -> bool {
        let segment = Segment {
            src: key.endpoint(Side::Low),
            dst: key.endpoint(Side::High),
            seq: SeqNumber(0),
            ack: SeqNumber(0),
            flags: Flags::ACK,
            window: 0,
            options: Options::default(),
            payload: b"",
            cut: 0,
            ttl: 64,
            checksum: Checksum::Unknown,
        };
        closed.recall(key, Side::Low, &segment) == Remnant::Old
    }

    #[test]
    fn it_remembers_the_last_that_ended_and_were_not_forgotten() {
        let end = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let keys: Vec<_> = (1..30).map(|port| FlowKey::of(end(port), end(60_000)).0).collect();
        for seed in 0..30 {
            let mut rng = Rng::new(seed);
            let max = rng.between(1, 20);
            let limits = Limits { closed_max: max * BUCKETS, ..Limits::default() };
            let mut closed = Closed::new([seed, 2, 3, 4], &limits);
            // Numbers wrap.
            closed.oldest = u32::MAX - 500;
            let mut model: VecDeque<(FlowKey, bool)> = VecDeque::new();
            for step in 0..2_000 {
                let key = *rng.pick(&keys).unwrap();
                model.iter_mut().filter(|(known, _)| *known == key).for_each(|(_, remembered)| *remembered = false);
                if rng.chance(0.6) {
                    closed.remember(key, [None; 2]);
                    model.push_back((key, true));
                    model.drain(..model.len().saturating_sub(max));
                } else {
                    closed.forget(&key);
                }
                let is_known = |key: &FlowKey| model.contains(&(*key, true));
                let wrong = keys.iter().find(|key| is_remembered(&closed, key) != is_known(key));
                assert_eq!(wrong, None, "seed {seed}, step {step}");
                assert_eq!(closed.index.len(), model.iter().filter(|(_, remembered)| *remembered).count());
            }
        }
    }
}
