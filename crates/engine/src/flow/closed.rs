//! Connections that ended a short while ago: so that their late duplicates are not taken for new ones.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::config::Limits;
use crate::decode::{Flags, Segment};
use crate::key::{BUCKETS, Side};
use crate::seq::SeqNumber;

/// Accounted bytes of a remembered connection: its place in a queue that may be half empty, and in the index.
const REMEMBERED_BYTES: usize = 2 * size_of::<Ended>() + 16;

/// A hash stands for the key, which is twice as long as all this. Of two connections with one hash, a chance of 1 in 2⁶⁴ that
/// nobody can raise who does not know [`Config::hash_key`](crate::config::Config::hash_key), what is late of one may be taken for
/// late of the other.
#[derive(Debug, Clone, Copy)]
struct Ended {
    hash: u64,
    next: [Option<SeqNumber>; 2],
}

/// A queue and an index of places in it: what is written and dropped lies side by side, and only what is asked for is far away.
/// With hashes and numbers in a map, a replay of short connections took a twenty-fifth longer.
#[derive(Debug)]
pub(super) struct Closed {
    /// Oldest first.
    ended: VecDeque<Ended>,
    /// Low bits of the number of the oldest.
    oldest: u32,
    /// Numbers by hash; of those that were forgotten, none.
    index: HashTable<u32>,
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
    pub(super) fn new(limits: &Limits) -> Self {
        // At most a 32nd of the budget goes to what is over, and each bucket has its share.
        let max = limits.closed_max.min(limits.held_bytes_max / 32 / REMEMBERED_BYTES).div_ceil(BUCKETS);
        Self { ended: VecDeque::new(), oldest: 0, index: HashTable::new(), max }
    }

    /// Accounted bytes.
    pub(super) fn held(&self) -> usize {
        self.ended.len() * REMEMBERED_BYTES
    }

    pub(super) fn remember(&mut self, hash: u64, next: [Option<SeqNumber>; 2]) {
        if self.max == 0 {
            return;
        }
        while self.ended.len() >= self.max {
            self.drop_oldest();
        }
        let number = self.oldest.wrapping_add(self.ended.len() as u32);
        self.ended.push_back(Ended { hash, next });
        let Self { ended, oldest, index, .. } = self;
        let hash_of = |number: u32| ended[number.wrapping_sub(*oldest) as usize].hash;
        match index.entry(hash, |&it| hash_of(it) == hash, |&it| hash_of(it)) {
            Entry::Occupied(mut before) => *before.get_mut() = number,
            Entry::Vacant(place) => {
                place.insert(number);
            }
        }
    }

    fn drop_oldest(&mut self) {
        let Some(Ended { hash, .. }) = self.ended.pop_front() else { return };
        let number = self.oldest;
        self.oldest = number.wrapping_add(1);
        if let Ok(found) = self.index.find_entry(hash, |&it| it == number) {
            found.remove();
        }
    }

    pub(super) fn forget(&mut self, hash: u64) {
        let Self { ended, oldest, index, .. } = self;
        let is_it = |&number: &u32| ended[number.wrapping_sub(*oldest) as usize].hash == hash;
        if let Ok(found) = index.find_entry(hash, is_it) {
            found.remove();
        }
    }

    pub(super) fn recall(&self, hash: u64, side: Side, segment: &Segment<'_>) -> Remnant {
        let at = |number: u32| &self.ended[number.wrapping_sub(self.oldest) as usize];
        let found = self.index.find(hash, |&number| at(number).hash == hash);
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
    fn is_remembered(closed: &Closed, hash: u64) -> bool {
        let end = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let segment = Segment {
            src: end(1),
            dst: end(2),
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
        closed.recall(hash, Side::Low, &segment) == Remnant::Old
    }

    #[test]
    fn it_remembers_the_last_that_ended_and_were_not_forgotten() {
        let hashes: Vec<_> = (1..30).map(|number| Rng::new(number).next_u64()).collect();
        for seed in 0..30 {
            let mut rng = Rng::new(seed);
            let max = rng.between(1, 20);
            let limits = Limits { closed_max: max * BUCKETS, ..Limits::default() };
            let mut closed = Closed::new(&limits);
            // Numbers wrap.
            closed.oldest = u32::MAX - 500;
            let mut model: VecDeque<(u64, bool)> = VecDeque::new();
            for step in 0..2_000 {
                let hash = *rng.pick(&hashes).unwrap();
                model.iter_mut().filter(|(known, _)| *known == hash).for_each(|(_, remembered)| *remembered = false);
                if rng.chance(0.6) {
                    closed.remember(hash, [None; 2]);
                    model.push_back((hash, true));
                    model.drain(..model.len().saturating_sub(max));
                } else {
                    closed.forget(hash);
                }
                let is_known = |hash| model.contains(&(hash, true));
                let wrong = hashes.iter().find(|&&hash| is_remembered(&closed, hash) != is_known(hash));
                assert_eq!(wrong, None, "seed {seed}, step {step}");
                assert_eq!(closed.index.len(), model.iter().filter(|(_, remembered)| *remembered).count());
            }
        }
    }
}
