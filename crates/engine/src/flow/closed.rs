//! Connections that ended a short while ago: so that their late duplicates are not taken for new ones.

use crate::config::Limits;
use crate::decode::Segment;
use crate::key::{BUCKETS, Side};
use crate::seq::SeqNumber;

/// Connections of a [`Set`].
const WAYS: usize = 4;

/// A connection that ended. A hash stands for the key, which is as long as all this. Of two connections with one hash, a chance of 1
/// in 2⁶² that nobody can raise who does not know [`Config::hash_key`](crate::config::Config::hash_key), what is late of one may be
/// taken for late of the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ended {
    /// Of the key, but for its lowest bits: those say of which sides the number is known. Zero where there is no connection.
    mark: u64,
    next: [u32; 2],
}

impl Ended {
    const SIDES: u64 = 0b11;

    fn new(hash: u64, next: [Option<SeqNumber>; 2]) -> Self {
        let known = u64::from(next[0].is_some()) | u64::from(next[1].is_some()) << 1;
        Self { mark: hash & !Self::SIDES | known, next: next.map(|next| next.map_or(0, |next| next.0)) }
    }

    const fn is(&self, hash: u64) -> bool {
        self.mark & !Self::SIDES == hash & !Self::SIDES
    }

    fn next(&self, side: Side) -> Option<SeqNumber> {
        let is_known = self.mark >> side.index() & 1 == 1;
        is_known.then_some(SeqNumber(self.next[side.index()]))
    }
}

/// The last connections to end of those that their hashes put here, newest first: one line of a cache.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Set([Ended; WAYS]);

/// Sets, as a cache has them, so that each question touches one line of memory. With a queue of all and an index of it, a replay of short
/// connections took a twenty-fifth longer.
///
/// Not just the last are remembered, then, but of any thousand that ended after a connection the chance is 1 in 7000 that four came into its
/// set.
#[derive(Debug)]
pub(super) struct Closed {
    /// None before the first connection ends.
    sets: Vec<Set>,
    sets_max: usize,
    remembered: usize,
}

impl Closed {
    pub(super) fn new(limits: &Limits) -> Self {
        // At most a 32nd of the budget goes to what is over, and each bucket has its share.
        let affordable = limits.held_bytes_max / 32 / (BUCKETS * size_of::<Set>());
        let sets_max = limits.closed_max.div_ceil(BUCKETS * WAYS).min(affordable);
        Self { sets: Vec::new(), sets_max, remembered: 0 }
    }

    /// Accounted bytes, by what is used.
    pub(super) const fn held(&self) -> usize {
        self.remembered * size_of::<Ended>()
    }

    pub(super) fn remember(&mut self, hash: u64, next: [Option<SeqNumber>; 2]) {
        if self.sets.is_empty() {
            self.sets.resize(self.sets_max, Set::default());
        }
        self.forget(hash);
        let Some(Set(ended)) = self.set_mut(hash) else { return };
        let oldest = ended[WAYS - 1];
        ended.copy_within(..WAYS - 1, 1);
        ended[0] = Ended::new(hash, next);
        self.remembered += usize::from(oldest == Ended::default());
    }

    pub(super) fn forget(&mut self, hash: u64) {
        let Some(Set(ended)) = self.set_mut(hash) else { return };
        if let Some(at) = ended.iter().position(|ended| ended.is(hash)) {
            ended.copy_within(at + 1.., at);
            ended[WAYS - 1] = Ended::default();
            self.remembered -= 1;
        }
    }

    /// Whether a segment without a connection is a late part of one that ended.
    pub(super) fn explains(&self, hash: u64, side: Side, segment: &Segment<'_>) -> bool {
        let set = self.sets.get(self.place(hash));
        let Some(ended) = set.and_then(|Set(ended)| ended.iter().find(|ended| ended.is(hash))) else { return false };
        let end = segment.seq.add(segment.payload.len() as u32);
        segment.payload.is_empty() || ended.next(side).is_some_and(|next| end.offset_from(next) <= 0)
    }

    /// Which set a hash is for: its highest bits are as good as any.
    const fn place(&self, hash: u64) -> usize {
        ((hash >> 32) as usize * self.sets.len()) >> 32
    }

    fn set_mut(&mut self, hash: u64) -> Option<&mut Set> {
        let place = self.place(hash);
        self.sets.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::decode::{Checksum, Flags, Options};
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
        closed.explains(hash, Side::Low, &segment)
    }

    #[test]
    fn of_one_set_it_remembers_the_last_four_that_were_not_forgotten() {
        let hashes: Vec<_> = (1..30).map(|number| Rng::new(number).next_u64()).collect();
        for seed in 0..30 {
            let mut rng = Rng::new(seed);
            let mut closed = Closed::new(&Limits { closed_max: 1, ..Limits::default() });
            let mut model: Vec<u64> = Vec::new();
            for step in 0..2_000 {
                let hash = *rng.pick(&hashes).unwrap();
                model.retain(|&known| known != hash);
                if rng.chance(0.6) {
                    closed.remember(hash, [None; 2]);
                    model.push(hash);
                    model.drain(..model.len().saturating_sub(4));
                } else {
                    closed.forget(hash);
                }
                let wrong = hashes.iter().find(|&&hash| is_remembered(&closed, hash) != model.contains(&hash));
                assert_eq!(wrong, None, "seed {seed}, step {step}");
                assert_eq!(closed.held(), 16 * model.len(), "seed {seed}, step {step}");
            }
        }
    }

    #[test]
    fn nearly_all_are_remembered_that_ended_last() {
        let limits = Limits { closed_max: 1 << 16, ..Limits::default() };
        let mut closed = Closed::new(&limits);
        let mut rng = Rng::new(1);
        // Of 256 sets, which have 1024 places; of the last 256, one in 50 is in a set into which four more came: e⁻¹ (1/4! + 1/5! + …).
        let hashes: Vec<_> = (0..20_000).map(|_| rng.next_u64()).collect();
        hashes.iter().for_each(|&hash| closed.remember(hash, [None; 2]));
        let known = |hashes: &[u64]| hashes.iter().filter(|&&hash| is_remembered(&closed, hash)).count();
        assert_eq!(closed.held(), 1024 * 16, "full");
        assert!(known(&hashes[19_744..]) >= 248, "{}", known(&hashes[19_744..]));
        assert!(known(&hashes[..19_000]) < 1024);
    }

    #[test]
    fn nothing_is_remembered_where_nothing_may_be() {
        for limits in
            [Limits { closed_max: 0, ..Limits::default() }, Limits { held_bytes_max: 64 << 10, ..Limits::default() }]
        {
            let mut closed = Closed::new(&limits);
            closed.remember(7 << 40, [None; 2]);
            assert!(!is_remembered(&closed, 7 << 40) && closed.held() == 0);
        }
    }
}
