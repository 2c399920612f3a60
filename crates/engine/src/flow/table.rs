//! The table: connections by key, and in order of activity in each of two classes.
//!
//! Invariants: every occupied slot is in the index under its key and in exactly one list; each list
//! is ordered by `last`, oldest first, because the engine's clock never goes back.
//!
//! The list nodes lie beside the entries, not in them. hot: see NOTES#lru

use hashbrown::HashTable;
use sniffer_packet::key::FlowKey;
use sniffer_packet::time::Timestamp;

use super::slab::Slab;
use crate::app;
use crate::event::Flow;
use crate::tcp;

const NONE: u32 = u32::MAX;

/// The invariant that makes a lookup by slot succeed.
const TAKEN: &str = "slots in the index and in the lists are taken";

/// The list that a connection is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EvictionClass {
    /// Evicted first.
    HalfOpen,
    Live,
}

#[derive(Debug)]
pub(super) struct FlowEntry {
    pub(super) flow: Flow,
    pub(super) tcp: tcp::TcpConnection,
    pub(super) stack: app::Stack,
    /// Accounted bytes on the heap when they were last summed up.
    pub(super) held: usize,
    /// True if it may hold more or less by now.
    pub(super) touched: bool,
}

/// A connection's node in the list of its class.
#[derive(Debug, Clone, Copy)]
pub(super) struct LruNode {
    pub(super) last: Timestamp,
    /// Low bits of the number of its last segment, which orders connections of several tables. By
    /// the time they wrap, the connection is long idle.
    pub(super) segment_number: u32,
    older: u32,
    newer: u32,
    pub(super) class: EvictionClass,
    /// Bucket of its key.
    pub(super) bucket: u8,
    /// True if it is listed among those that wait for an allowance.
    pub(super) listed: bool,
}

#[derive(Debug, Clone, Copy)]
struct List {
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
pub(super) struct FlowTable {
    index: HashTable<u32>,
    slots: Slab<FlowEntry, LruNode>,
    lists: [List; 2],
    hasher: ahash::RandomState,
}

impl FlowTable {
    /// Accounted bytes of a connection: its slot and its share of the index. While the index grows
    /// it exists twice, at 5 bytes a bucket, with 7/16 of the new and 7/8 of the old buckets taken.
    pub(super) const ENTRY_BYTES: usize = Slab::<FlowEntry, LruNode>::SLOT_BYTES + 18;

    pub(super) fn new(key: [u64; 4]) -> Self {
        Self {
            index: HashTable::new(),
            slots: Slab::default(),
            lists: [List { oldest: NONE, newest: NONE }; 2],
            hasher: ahash::RandomState::with_seeds(key[0], key[1], key[2], key[3]),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns the hash that a connection is looked up by.
    pub(super) fn hash(&self, key: &FlowKey) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(super) fn find(&self, key: &FlowKey, hash: u64) -> Option<u32> {
        self.index.find(hash, |&slot| self.entry(slot).flow.key == *key).copied()
    }

    /// Returns the live connection that was active last, if it is the one with this key. Most
    /// segments of a large body hit this and skip the hash. hot: see NOTES#latest
    #[inline]
    pub(super) fn latest(&self, key: &FlowKey) -> Option<u32> {
        let slot = self.lists[EvictionClass::Live as usize].newest;
        self.slots.get(slot).is_some_and(|entry| entry.flow.key == *key).then_some(slot)
    }

    /// Returns the entry of a slot that is known to be taken.
    pub(super) fn entry(&self, slot: u32) -> &FlowEntry {
        self.slots.get(slot).expect(TAKEN)
    }

    pub(super) fn entry_mut(&mut self, slot: u32) -> &mut FlowEntry {
        self.slots.get_mut(slot).expect(TAKEN)
    }

    /// Returns the entry of a slot that may be free again.
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut FlowEntry> {
        self.slots.get_mut(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &FlowEntry> {
        self.slots.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut FlowEntry> {
        self.slots.iter_mut()
    }

    /// Inserts a connection as the most recently active of the half-open ones.
    pub(super) fn insert(&mut self, mut flow: Flow, hash: u64, bucket: u8, now: Timestamp, segment_number: u32) -> u32 {
        let class = EvictionClass::HalfOpen;
        let lru_node = LruNode { last: now, segment_number, older: NONE, newer: NONE, class, bucket, listed: false };
        let slot = self.slots.insert_with(lru_node, |slot| {
            flow.slot = slot;
            let (tcp, stack) = (tcp::TcpConnection::new(), app::Stack::default());
            FlowEntry { flow, tcp, stack, held: 0, touched: false }
        });
        self.link(slot, class);
        let Self { index, slots, hasher, .. } = self;
        index.insert_unique(hash, slot, |&slot| slots.get(slot).map_or(0, |entry| hasher.hash_one(entry.flow.key)));
        slot
    }

    /// Removes a connection whose key has this hash.
    pub(super) fn remove(&mut self, slot: u32, hash: u64) {
        self.unlink(slot);
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        self.lru_node_mut(slot).listed = false;
        self.slots.remove(slot);
    }

    /// Returns the list node of a slot.
    pub(super) fn lru_node(&self, slot: u32) -> &LruNode {
        self.slots.beside(slot).expect(TAKEN)
    }

    pub(super) fn lru_node_mut(&mut self, slot: u32) -> &mut LruNode {
        self.slots.beside_mut(slot).expect(TAKEN)
    }

    /// Returns whether a slot, which may be free again, is listed among those that wait for an
    /// allowance.
    pub(super) fn is_listed(&self, slot: u32) -> bool {
        self.slots.beside(slot).is_some_and(|lru_node| lru_node.listed)
    }

    /// Makes a connection the most recently active of this class.
    #[inline]
    pub(super) fn renew(&mut self, slot: u32, class: EvictionClass, now: Timestamp, segment_number: u32) {
        let lru_node = self.lru_node_mut(slot);
        (lru_node.last, lru_node.segment_number) = (now, segment_number);
        if lru_node.class != class || lru_node.newer != NONE {
            self.unlink(slot);
            self.link(slot, class);
        }
    }

    /// Returns the least recently active connection of a class.
    pub(super) fn oldest(&self, class: EvictionClass) -> Option<u32> {
        let oldest = self.lists[class as usize].oldest;
        (oldest != NONE).then_some(oldest)
    }

    /// Iterates over the connections of a class, the least recently active first.
    pub(super) fn least_active(&self, class: EvictionClass) -> impl Iterator<Item = u32> {
        let some = |slot: u32| (slot != NONE).then_some(slot);
        std::iter::successors(self.oldest(class), move |&slot| some(self.lru_node(slot).newer))
    }

    fn link(&mut self, slot: u32, class: EvictionClass) {
        let list = &mut self.lists[class as usize];
        let before = std::mem::replace(&mut list.newest, slot);
        if before == NONE {
            list.oldest = slot;
        } else {
            self.lru_node_mut(before).newer = slot;
        }
        let lru_node = self.lru_node_mut(slot);
        (lru_node.class, lru_node.older, lru_node.newer) = (class, before, NONE);
    }

    fn unlink(&mut self, slot: u32) {
        let LruNode { class, older, newer, .. } = *self.lru_node(slot);
        match older {
            NONE => self.lists[class as usize].oldest = newer,
            older => self.lru_node_mut(older).newer = newer,
        }
        match newer {
            NONE => self.lists[class as usize].newest = older,
            newer => self.lru_node_mut(newer).older = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use sniffer_packet::frame::Stamp;
    use sniffer_packet::key::{Endpoint, FlowId, Side};
    use sniffer_testkit::rng::Rng;

    use super::*;

    fn flow(n: usize) -> Flow {
        let end = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let (key, _) = FlowKey::of(&end(n as u16), &end(60_000));
        Flow { id: FlowId::default(), slot: 0, key, first: Stamp::default(), server: Side::Low, server_by_syn: false }
    }

    /// The model: a list, oldest activity first.
    struct List(Vec<(FlowKey, u32, EvictionClass, Timestamp)>);

    impl List {
        fn place(&self, key: &FlowKey) -> Option<usize> {
            self.0.iter().position(|(known, ..)| known == key)
        }
    }

    #[test]
    fn it_does_what_a_list_does() {
        for seed in 0..30 {
            let mut rng = Rng::new(seed);
            let (mut table, mut list) = (FlowTable::new([seed, 2, 3, 4]), List(Vec::new()));
            for step in 0..3_000_u64 {
                let now = Timestamp::from_nanos(step / 3);
                let wanted = flow(rng.below(300));
                let found = list.place(&wanted.key);
                let because = format!("seed {seed}, step {step}");
                assert_eq!(table.find(&wanted.key, table.hash(&wanted.key)), found.map(|at| list.0[at].1), "{because}");
                let newest = list.0.iter().rfind(|(_, _, class, _)| *class == EvictionClass::Live);
                for key in [wanted.key, newest.map_or(wanted.key, |(key, ..)| *key)] {
                    let is_it = newest.filter(|(known, ..)| *known == key);
                    assert_eq!(table.latest(&key), is_it.map(|(_, slot, ..)| *slot), "{because}");
                }
                match found {
                    None => {
                        let slot = table.insert(wanted.clone(), table.hash(&wanted.key), 0, now, step as u32);
                        list.0.push((wanted.key, slot, EvictionClass::HalfOpen, now));
                    }
                    Some(at) if rng.chance(0.3) => {
                        let (key, slot, ..) = list.0.remove(at);
                        assert_eq!(table.entry(slot).flow.key, key, "{because}");
                        table.remove(slot, table.hash(&key));
                    }
                    Some(at) => {
                        let (key, slot, ..) = list.0.remove(at);
                        let class = if rng.chance(0.5) { EvictionClass::Live } else { EvictionClass::HalfOpen };
                        table.renew(slot, class, now, step as u32);
                        list.0.push((key, slot, class, now));
                    }
                }
                // Eviction takes the least recently active of a class.
                if rng.chance(0.1) {
                    let class = if rng.chance(0.5) { EvictionClass::Live } else { EvictionClass::HalfOpen };
                    let oldest = list.0.iter().position(|&(_, _, of, _)| of == class);
                    assert_eq!(table.oldest(class), oldest.map(|at| list.0[at].1), "{because}");
                    if let Some(at) = oldest {
                        let (key, slot, _, last) = list.0.remove(at);
                        assert_eq!(table.lru_node(slot).last, last, "{because}");
                        table.remove(slot, table.hash(&key));
                    }
                }
                assert_eq!(table.len(), list.0.len(), "{because}");
            }
            let mut slots: Vec<_> = list.0.iter().map(|&(key, slot, ..)| (slot, key)).collect();
            slots.sort_unstable();
            assert!(table.iter().map(|entry| (entry.flow.slot, entry.flow.key)).eq(slots), "seed {seed}");
        }
    }
}
