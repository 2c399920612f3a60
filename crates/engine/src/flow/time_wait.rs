//! TIME-WAIT: remembers closed connections so that late duplicates do not open new ones
//! (RFC 9293 §3.3.2).

use sniffer_packet::key::{BUCKETS, FlowKey, Side};
use sniffer_packet::segment::Segment;
use sniffer_packet::seq::SeqNumber;

use crate::config::Limits;

/// Connections of a [`Set`].
const WAYS: usize = 4;

/// A connection that ended, identified by the hash of its key, because the key is as long as all of
/// this.
///
/// Two connections have the same hash by a chance of 1 in 2⁶², and nobody can raise it without
/// [`Config::hash_key`](crate::config::Config::hash_key). Then a late segment of one may be taken
/// for a late segment of the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ended {
    /// Hash of the key, except for its lowest bits: they say for which sides `next` is known. Zero
    /// where there is no connection.
    mark: u64,
    /// Sequence number of each side's next byte.
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

/// The last connections of one set to end, newest first: one cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Set([Ended; WAYS]);

/// A 4-way set-associative cache: a lookup touches one cache line. hot: see NOTES#time-wait
///
/// Eviction is per set, so an entry can be lost early: in about 1 of 8000 cases after 1000 further
/// closes. The set depends on the endpoints only, because what is forgotten shows in the output. So
/// whoever chooses endpoints can evict an entry by four others; ending [many](Limits::closed_max)
/// connections would do as well.
#[derive(Debug)]
pub(super) struct TimeWait {
    /// Empty until the first connection ends.
    sets: Vec<Set>,
    sets_max: usize,
    remembered: usize,
}

impl TimeWait {
    pub(super) fn new(limits: &Limits) -> Self {
        // At most a 32nd of the budget is used, and each bucket has its share.
        let affordable = limits.held_bytes_max / 32 / (BUCKETS * size_of::<Set>());
        let sets_max = limits.closed_max.div_ceil(BUCKETS * WAYS).min(affordable);
        Self { sets: Vec::new(), sets_max, remembered: 0 }
    }

    /// Returns the accounted bytes, by use.
    pub(super) const fn held(&self) -> usize {
        self.remembered * size_of::<Ended>()
    }

    pub(super) fn remember(&mut self, key: &FlowKey, hash: u64, next: [Option<SeqNumber>; 2]) {
        if self.sets.is_empty() {
            self.sets.resize(self.sets_max, Set::default());
        }
        self.forget(key, hash);
        let Some(Set(ended)) = self.set_mut(key) else { return };
        let oldest = ended[WAYS - 1];
        ended.copy_within(..WAYS - 1, 1);
        ended[0] = Ended::new(hash, next);
        self.remembered += usize::from(oldest == Ended::default());
    }

    pub(super) fn forget(&mut self, key: &FlowKey, hash: u64) {
        let Some(Set(ended)) = self.set_mut(key) else { return };
        if let Some(at) = ended.iter().position(|ended| ended.is(hash)) {
            ended.copy_within(at + 1.., at);
            ended[WAYS - 1] = Ended::default();
            self.remembered -= 1;
        }
    }

    /// Returns whether a segment without a connection is a late one of a connection that ended.
    pub(super) fn explains(&self, key: &FlowKey, hash: u64, side: Side, segment: &Segment<'_>) -> bool {
        let Some(Set(ended)) = self.sets.get(key.part(self.sets.len())) else { return false };
        let Some(ended) = ended.iter().find(|ended| ended.is(hash)) else { return false };
        let end = segment.seq.add(segment.payload.len() as u32);
        segment.payload.is_empty() || ended.next(side).is_some_and(|next| end.offset_from(next) <= 0)
    }

    fn set_mut(&mut self, key: &FlowKey) -> Option<&mut Set> {
        let place = key.part(self.sets.len());
        self.sets.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use sniffer_packet::key::Endpoint;
    use sniffer_packet::segment::{Checksum, Flags, TcpOptions};
    use sniffer_testkit::rng::Rng;

    use super::*;

    fn end(number: u32) -> Endpoint {
        Endpoint::new(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | number >> 16)), number as u16)
    }

    /// Returns the keys of `count` connections, each of another client to one server.
    fn keys(count: u32) -> Vec<FlowKey> {
        (0..count).map(|number| FlowKey::of(&end(7_919 * number), &end(80)).0).collect()
    }

    /// Hashes a key as a hasher of this number would.
    fn hash(key: &FlowKey, hasher: u64) -> u64 {
        Rng::new(key.stable_hash() ^ hasher).next_u64()
    }

    fn explains(time_wait: &TimeWait, key: &FlowKey, hash: u64, side: Side, seq: u32, payload: &[u8]) -> bool {
        let segment = Segment {
            src: end(1),
            dst: end(2),
            seq: SeqNumber(seq),
            ack: SeqNumber(0),
            flags: Flags::ACK,
            window: 0,
            options: TcpOptions::default(),
            payload,
            cut: 0,
            ttl: 64,
            checksum: Checksum::Unknown,
        };
        time_wait.explains(key, hash, side, &segment)
    }

    /// Returns the keys for which an acknowledgement without payload is late.
    fn remembered<'a>(time_wait: &TimeWait, keys: &'a [FlowKey], hasher: u64) -> Vec<&'a FlowKey> {
        keys.iter().filter(|key| explains(time_wait, key, hash(key, hasher), Side::Low, 0, b"")).collect()
    }

    #[test]
    fn data_is_late_when_it_ends_before_what_the_connection_would_have_sent_next() {
        let mut time_wait = TimeWait::new(&Limits::default());
        let (key, hash) = (keys(1)[0], 0x0123_4567_89ab_cdef);
        time_wait.remember(&key, hash, [Some(SeqNumber(2)), None]);
        let data = |side, seq| explains(&time_wait, &key, hash, side, seq, b"1234");
        assert!(data(Side::Low, u32::MAX - 1), "its last byte was the last of all: numbers wrap");
        assert!(!data(Side::Low, u32::MAX), "one byte is new");
        assert!(!data(Side::High, 0), "nothing was seen of that side");
        assert!(explains(&time_wait, &key, hash, Side::High, 0, b""), "an acknowledgement");
        assert!(!explains(&time_wait, &key, hash ^ 1 << 40, Side::Low, 0, b""), "of another connection");
    }

    #[test]
    fn of_one_set_it_remembers_the_last_four_that_were_not_forgotten() {
        let keys = keys(30);
        for seed in 0..30 {
            let mut rng = Rng::new(seed);
            let mut time_wait = TimeWait::new(&Limits { closed_max: 1, ..Limits::default() });
            let mut model: Vec<&FlowKey> = Vec::new();
            for step in 0..2_000 {
                let key = rng.pick(&keys).unwrap();
                model.retain(|&known| known != key);
                if rng.chance(0.6) {
                    time_wait.remember(key, hash(key, seed), [None; 2]);
                    model.push(key);
                    model.drain(..model.len().saturating_sub(4));
                } else {
                    time_wait.forget(key, hash(key, seed));
                }
                let known = remembered(&time_wait, &keys, seed);
                assert!(
                    known.len() == model.len() && known.iter().all(|key| model.contains(key)),
                    "seed {seed}, step {step}"
                );
                assert_eq!(time_wait.held(), 16 * model.len(), "seed {seed}, step {step}");
            }
        }
    }

    #[test]
    fn nearly_all_are_remembered_that_ended_last_whatever_the_hash() {
        let keys = keys(20_000);
        let both = [1, 2].map(|hasher| {
            let mut time_wait = TimeWait::new(&Limits { closed_max: 1 << 16, ..Limits::default() });
            keys.iter().for_each(|key| time_wait.remember(key, hash(key, hasher), [None; 2]));
            assert_eq!(time_wait.held(), 1024 * 16, "256 sets are full");
            // One in 50 of the last 256 is in a set into which four more came: e⁻¹ (1/4! + 1/5! +
            // …).
            let of_the_last = remembered(&time_wait, &keys[19_744..], hasher).len();
            assert!(of_the_last >= 246, "{of_the_last}");
            remembered(&time_wait, &keys, hasher)
        });
        assert!(both[0] == both[1], "what is output depends on no hash key");
    }

    #[test]
    fn nothing_is_remembered_where_nothing_may_be() {
        for limits in
            [Limits { closed_max: 0, ..Limits::default() }, Limits { held_bytes_max: 64 << 10, ..Limits::default() }]
        {
            let (mut time_wait, keys) = (TimeWait::new(&limits), keys(1));
            time_wait.remember(&keys[0], 7 << 40, [None; 2]);
            assert!(!explains(&time_wait, &keys[0], 7 << 40, Side::Low, 0, b"") && time_wait.held() == 0);
        }
    }
}
