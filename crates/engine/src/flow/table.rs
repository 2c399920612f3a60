//! The table: connections by key, and in order of activity in each of two classes.
//!
//! Invariants: every occupied slot is in the index under its key and in exactly one list; each list is ordered by
//! `last`, oldest first, because the engine's clock never goes back.

use hashbrown::HashTable;

use crate::event::Flow;
use crate::http;
use crate::key::FlowKey;
use crate::tcp;
use crate::time::Timestamp;

const NONE: u32 = u32::MAX;

/// Which list a connection is in: what is given up first, and the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    HalfOpen,
    Live,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) flow: Flow,
    pub(super) tcp: tcp::Connection,
    pub(super) http: http::Connection,
    pub(super) last: Timestamp,
    /// Accounted bytes on the heap.
    pub(super) held: usize,
    /// Whether it is in the list of those that wait for an allowance.
    pub(super) listed: bool,
    pub(super) class: Class,
    /// Of the segment that was last: orders connections of several tables.
    pub(super) serial: u64,
    older: u32,
    newer: u32,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a free slot is there to be taken again")]
enum Slot {
    Taken(Entry),
    Free { next: u32 },
}

#[derive(Debug, Clone, Copy)]
struct List {
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
pub(super) struct Table {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: u32,
    lists: [List; 2],
    hasher: ahash::RandomState,
}

impl Table {
    /// Accounted bytes of a connection: its slot, and its share of the index at the lowest load.
    pub(super) const ENTRY_BYTES: usize = size_of::<Slot>() + 12;

    pub(super) fn new(key: [u64; 4]) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: NONE,
            lists: [List { oldest: NONE, newest: NONE }; 2],
            hasher: ahash::RandomState::with_seeds(key[0], key[1], key[2], key[3]),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn find(&self, key: &FlowKey) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |&slot| self.entry(slot).flow.key == *key).copied()
    }

    /// The entry of a slot that is known to be taken.
    pub(super) fn entry(&self, slot: u32) -> &Entry {
        match &self.slots[slot as usize] {
            Slot::Taken(entry) => entry,
            Slot::Free { .. } => unreachable!("slots in the index and in the lists are taken"),
        }
    }

    pub(super) fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        match &mut self.slots[slot as usize] {
            Slot::Taken(entry) => entry,
            Slot::Free { .. } => unreachable!("slots in the index and in the lists are taken"),
        }
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        match self.slots.get_mut(slot as usize)? {
            Slot::Taken(entry) => Some(entry),
            Slot::Free { .. } => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Taken(entry) => Some(entry),
            Slot::Free { .. } => None,
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Taken(entry) => Some(entry),
            Slot::Free { .. } => None,
        })
    }

    /// Puts a connection in, as the most recently active of the half-open ones.
    pub(super) fn insert(&mut self, mut flow: Flow, now: Timestamp, serial: u64) -> u32 {
        let slot = match self.free {
            NONE => {
                self.slots.push(Slot::Free { next: NONE });
                (self.slots.len() - 1) as u32
            }
            free => free,
        };
        if let Slot::Free { next } = self.slots[slot as usize] {
            self.free = next;
        }
        flow.slot = slot;
        let hash = self.hasher.hash_one(flow.key);
        self.slots[slot as usize] = Slot::Taken(Entry {
            flow,
            tcp: tcp::Connection::new(),
            http: http::Connection::default(),
            last: now,
            held: 0,
            listed: false,
            class: Class::HalfOpen,
            serial,
            older: NONE,
            newer: NONE,
        });
        self.link(slot);
        let Self { index, slots, hasher, .. } = self;
        index.insert_unique(hash, slot, |&slot| match &slots[slot as usize] {
            Slot::Taken(entry) => hasher.hash_one(entry.flow.key),
            Slot::Free { .. } => unreachable!("slots in the index are taken"),
        });
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Entry> {
        let key = self.get_mut(slot)?.flow.key;
        self.unlink(slot);
        let hash = self.hasher.hash_one(key);
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        match std::mem::replace(&mut self.slots[slot as usize], Slot::Free { next: self.free }) {
            Slot::Taken(entry) => {
                self.free = slot;
                Some(entry)
            }
            Slot::Free { .. } => None,
        }
    }

    /// Makes a connection the most recently active of its class.
    pub(super) fn touch(&mut self, slot: u32, class: Class, now: Timestamp, serial: u64) {
        let entry = self.entry_mut(slot);
        entry.last = now;
        entry.serial = serial;
        if entry.class == class && entry.newer == NONE {
            return;
        }
        self.unlink(slot);
        self.entry_mut(slot).class = class;
        self.link(slot);
    }

    /// The least recently active connection of a class.
    pub(super) fn oldest(&self, class: Class) -> Option<u32> {
        let oldest = self.lists[class as usize].oldest;
        (oldest != NONE).then_some(oldest)
    }

    fn link(&mut self, slot: u32) {
        let class = self.entry(slot).class as usize;
        let before = self.lists[class].newest;
        let entry = self.entry_mut(slot);
        entry.older = before;
        entry.newer = NONE;
        self.lists[class].newest = slot;
        if before == NONE {
            self.lists[class].oldest = slot;
        } else {
            self.entry_mut(before).newer = slot;
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Entry { class, older, newer, .. } = *self.entry(slot);
        match older {
            NONE => self.lists[class as usize].oldest = newer,
            older => self.entry_mut(older).newer = newer,
        }
        match newer {
            NONE => self.lists[class as usize].newest = older,
            newer => self.entry_mut(newer).older = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_costs_at_most_520_bytes_beyond_its_key() {
        assert!(Table::ENTRY_BYTES <= 520 + size_of::<FlowKey>(), "{} bytes", Table::ENTRY_BYTES);
    }
}
