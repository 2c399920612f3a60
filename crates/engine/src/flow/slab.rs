//! Numbered slots in chunks: growing copies nothing, and an empty chunk is freed.
//!
//! Each slot has a small value beside it. The small values lie close together, for code that walks
//! many of them. The lowest chunk with room is filled first, so that the chunks of a flood become
//! empty after it. Next: [`super::table`].

use std::collections::BTreeSet;

/// Slots of a chunk: some 64 KiB of connections. That is little next to any budget, and much next
/// to an allocator's overhead.
const CHUNK: u32 = 128;

const NONE: u32 = u32::MAX;

/// Invariants: a chunk's free list has every slot of it that is not taken; `roomy` has every chunk
/// with fewer than [`CHUNK`] taken.
#[derive(Debug)]
pub(super) struct Slab<T, B> {
    chunks: Vec<Chunk<T, B>>,
    roomy: BTreeSet<u32>,
    /// The chunk that last became empty. Its memory is kept, so that a connection that comes and
    /// goes costs no allocation.
    spare: Option<u32>,
}

#[derive(Debug)]
struct Chunk<T, B> {
    /// Has room for [`CHUNK`] from its first slot on; empty once freed.
    slots: Vec<Slot<T>>,
    /// As long as `slots`.
    beside: Vec<B>,
    taken: u32,
    /// First free slot, counted within the chunk.
    free: u32,
}

#[derive(Debug)]
enum Slot<T> {
    Taken(T),
    Free { next: u32 },
}

impl<T, B> Default for Slab<T, B> {
    fn default() -> Self {
        Self { chunks: Vec::new(), roomy: BTreeSet::new(), spare: None }
    }
}

/// Returns the chunk of a slot, and its place in the chunk.
#[inline(always)] // hot: see NOTES#lru
const fn place(slot: u32) -> (usize, usize) {
    ((slot / CHUNK) as usize, (slot % CHUNK) as usize)
}

impl<T, B> Slab<T, B> {
    /// Bytes of a slot and the value beside it.
    pub(super) const SLOT_BYTES: usize = size_of::<Slot<T>>() + size_of::<B>();

    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        let (chunk, place) = place(slot);
        match self.chunks.get(chunk)?.slots.get(place)? {
            Slot::Taken(value) => Some(value),
            Slot::Free { .. } => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        let (chunk, place) = place(slot);
        match self.chunks.get_mut(chunk)?.slots.get_mut(place)? {
            Slot::Taken(value) => Some(value),
            Slot::Free { .. } => None,
        }
    }

    /// Returns the value beside a slot. Of a free slot it is the last one.
    pub(super) fn beside(&self, slot: u32) -> Option<&B> {
        let (chunk, place) = place(slot);
        self.chunks.get(chunk)?.beside.get(place)
    }

    pub(super) fn beside_mut(&mut self, slot: u32) -> Option<&mut B> {
        let (chunk, place) = place(slot);
        self.chunks.get_mut(chunk)?.beside.get_mut(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| &chunk.slots).filter_map(|slot| match slot {
            Slot::Taken(value) => Some(value),
            Slot::Free { .. } => None,
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flat_map(|chunk| &mut chunk.slots).filter_map(|slot| match slot {
            Slot::Taken(value) => Some(value),
            Slot::Free { .. } => None,
        })
    }

    /// Inserts what `value` makes of its slot's number. Returns that number.
    pub(super) fn insert_with(&mut self, beside: B, value: impl FnOnce(u32) -> T) -> u32 {
        let number = self.roomy.first().copied().unwrap_or_else(|| {
            self.chunks.push(Chunk { slots: Vec::new(), beside: Vec::new(), taken: 0, free: NONE });
            let number = (self.chunks.len() - 1) as u32;
            self.roomy.insert(number);
            number
        });
        let chunk = &mut self.chunks[number as usize];
        if chunk.slots.capacity() == 0 {
            chunk.slots.reserve_exact(CHUNK as usize);
            chunk.beside.reserve_exact(CHUNK as usize);
        }
        let place = match chunk.slots.get(chunk.free as usize) {
            Some(&Slot::Free { next }) => {
                chunk.beside[chunk.free as usize] = beside;
                std::mem::replace(&mut chunk.free, next)
            }
            _ => {
                chunk.slots.push(Slot::Free { next: NONE });
                chunk.beside.push(beside);
                (chunk.slots.len() - 1) as u32
            }
        };
        let slot = number * CHUNK + place;
        chunk.slots[place as usize] = Slot::Taken(value(slot));
        chunk.taken += 1;
        if chunk.taken == CHUNK {
            self.roomy.remove(&number);
        }
        slot
    }

    /// Drops the value in a slot, in place.
    pub(super) fn remove(&mut self, slot: u32) {
        let (number, place) = (slot / CHUNK, slot % CHUNK);
        let Some(chunk) = self.chunks.get_mut(number as usize) else { return };
        let Some(found @ Slot::Taken(_)) = chunk.slots.get_mut(place as usize) else { return };
        *found = Slot::Free { next: chunk.free };
        chunk.free = place;
        if chunk.taken == CHUNK {
            self.roomy.insert(number);
        }
        chunk.taken -= 1;
        if chunk.taken == 0
            && let Some(before) = self.spare.replace(number).filter(|&before| before != number)
        {
            let before = &mut self.chunks[before as usize];
            if before.taken == 0 {
                (before.slots, before.beside, before.free) = (Vec::new(), Vec::new(), NONE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sniffer_testkit::rng::Rng;

    use super::*;

    #[test]
    fn it_is_a_map_by_slot_that_gives_its_memory_back() {
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            let (mut slab, mut model) = (Slab::default(), BTreeMap::new());
            for step in 0..4_000_u32 {
                // It grows for a while and shrinks for a while.
                if rng.below(10) < if step / 1_000 % 2 == 0 { 8 } else { 2 } {
                    let slot = slab.insert_with(step, |slot| (step, slot));
                    assert_eq!(model.insert(slot, (step, slot)), None, "seed {seed}, step {step}: a slot twice");
                } else if let Some(&slot) = model.keys().nth(rng.below(model.len().max(1))) {
                    assert_eq!(slab.beside(slot), model.get(&slot).map(|(step, _)| step), "seed {seed}, step {step}");
                    assert_eq!(slab.get(slot), model.remove(&slot).as_ref(), "seed {seed}, step {step}");
                    slab.remove(slot);
                    assert_eq!(slab.get(slot), None, "seed {seed}, step {step}: gone");
                    slab.remove(slot);
                }
            }
            assert!(slab.iter().eq(model.values()), "seed {seed}");
            assert!(model.iter().all(|(&slot, value)| slab.get(slot) == Some(value)), "seed {seed}");
            let mut left: Vec<_> = model.into_keys().collect();
            if seed % 2 == 0 {
                left.reverse();
            }
            for slot in left {
                slab.remove(slot);
            }
            let kept = slab.chunks.iter().filter(|chunk| chunk.slots.capacity() + chunk.beside.capacity() > 0).count();
            assert!(kept <= 1, "seed {seed}: {kept} chunks are kept of an empty slab");
        }
    }
}
