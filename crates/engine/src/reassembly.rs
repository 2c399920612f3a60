//! Reassembly: bytes that arrived before earlier ones, copied and kept by stream offset.
//!
//! The metadata of a chunk is the caller's. For TCP it is the provenance of the segment. How
//! conflicting copies are judged is the caller's too.
//!
//! Invariant: chunks never overlap, so every stream offset is held at most once and the first copy
//! wins (policy 1).
//!
//! ```text
//!            held:      [ 10 … 20 )          [ 30 … 40 )
//!            arrives:          [ 15 … … … … … … 35 )
//!            kept of it:            [ 20 … 30 )
//! ```

use std::collections::BTreeMap;

use sniffer_packet::frame::Stamp;
use sniffer_packet::seq::StreamOffset;

/// A segment, or the part of one that was new when it arrived.
#[derive(Debug)]
pub(crate) struct Chunk<M> {
    pub(crate) bytes: Vec<u8>,
    /// Number of bytes after `bytes` that the snapshot length cut.
    pub(crate) cut: u64,
    pub(crate) stamp: Stamp,
    /// Bytes of the other direction that its sender had received.
    pub(crate) requires: StreamOffset,
    pub(crate) boundary: bool,
    pub(crate) meta: M,
}

impl<M> Chunk<M> {
    fn end(&self, start: u64) -> u64 {
        start + self.bytes.len() as u64 + self.cut
    }
}

/// Counts of an inserted segment's payload bytes that were held already.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// Bytes of ranges that are held with the same content.
    pub(crate) duplicate: usize,
    /// Bytes of ranges that are held with other content.
    pub(crate) conflicting: usize,
}

/// A segment to insert; `bytes` starts at `offset`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewChunk<'a> {
    pub(crate) offset: StreamOffset,
    pub(crate) bytes: &'a [u8],
    pub(crate) cut: u64,
    pub(crate) stamp: Stamp,
    pub(crate) requires: StreamOffset,
    pub(crate) boundary: bool,
}

impl NewChunk<'_> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.cut == 0
    }
}

/// The chunks of one direction that wait for earlier bytes.
#[derive(Debug)]
pub(crate) struct Reassembly<M> {
    chunks: BTreeMap<u64, Chunk<M>>,
    payload: usize,
}

impl<M> Default for Reassembly<M> {
    fn default() -> Self {
        Self { chunks: BTreeMap::new(), payload: 0 }
    }
}

impl<M: Copy> Reassembly<M> {
    /// Accounted bytes of a chunk besides its payload: its place in a node of the map, which may be
    /// half empty, and the allocator's overhead.
    const CHUNK_OVERHEAD: usize = 2 * size_of::<(u64, Chunk<M>)>() + 16;

    /// Accounted bytes of the structure once anything waits: itself, and the map's first node,
    /// which has places for 11 chunks.
    const BASE_OVERHEAD: usize = size_of::<Self>() + 9 * size_of::<(u64, Chunk<M>)>();

    /// Returns the accounted bytes.
    pub(crate) fn held(&self) -> usize {
        Self::BASE_OVERHEAD + self.chunks.len() * Self::CHUNK_OVERHEAD + self.payload
    }

    /// Returns the number of payload bytes held.
    pub(crate) const fn payload(&self) -> usize {
        self.payload
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Returns the chunk with the lowest offset.
    pub(crate) fn first(&self) -> Option<(StreamOffset, &Chunk<M>)> {
        self.chunks.first_key_value().map(|(&at, chunk)| (StreamOffset(at), chunk))
    }

    /// Returns the offset after the last byte held.
    pub(crate) fn end(&self) -> Option<StreamOffset> {
        self.chunks.last_key_value().map(|(&at, chunk)| StreamOffset(chunk.end(at)))
    }

    pub(crate) fn pop_first(&mut self) -> Option<(StreamOffset, Chunk<M>)> {
        let (at, chunk) = self.chunks.pop_first()?;
        self.payload -= chunk.bytes.len();
        Some((StreamOffset(at), chunk))
    }

    /// Keeps the parts of a segment that are not held yet. Calls `on_conflict` with the metadata of
    /// each held chunk whose bytes differ.
    pub(crate) fn insert(&mut self, new: NewChunk<'_>, meta: M, mut on_conflict: impl FnMut(M)) -> Inserted {
        let mut inserted = Inserted::default();
        let start = new.offset.0;
        let data_end = start + new.bytes.len() as u64;
        let end = data_end + new.cut;
        let mut at = start;
        while at < end {
            let covering = self.chunks.range(..=at).next_back().filter(|(s, chunk)| chunk.end(**s) > at);
            if let Some((&held_start, held)) = covering {
                let until = held.end(held_start).min(end);
                if compare(&new, at, until.min(data_end), held_start, &held.bytes, &mut inserted) {
                    on_conflict(held.meta);
                }
                at = until;
            } else {
                let until = self.chunks.range(at..).next().map_or(end, |(&next, _)| next.min(end));
                self.keep(&new, meta, at, until);
                at = until;
            }
        }
        inserted
    }

    fn keep(&mut self, new: &NewChunk<'_>, meta: M, from: u64, until: u64) {
        let data_end = new.offset.0 + new.bytes.len() as u64;
        let place = |offset: u64| (offset.min(data_end) - new.offset.0) as usize;
        let bytes = new.bytes[place(from)..place(until)].to_vec();
        let cut = (until - from) - bytes.len() as u64;
        self.payload += bytes.len();
        let boundary = new.boundary && from == new.offset.0;
        let NewChunk { stamp, requires, .. } = *new;
        self.chunks.insert(from, Chunk { bytes, cut, stamp, requires, boundary, meta });
    }
}

/// Counts the new payload bytes in `from..until` against those held there. Returns whether
/// they conflict.
fn compare(new: &NewChunk<'_>, from: u64, until: u64, held_start: u64, held: &[u8], counts: &mut Inserted) -> bool {
    if until <= from {
        return false;
    }
    let bytes = &new.bytes[(from - new.offset.0) as usize..(until - new.offset.0) as usize];
    let old = held.get((from - held_start) as usize..).unwrap_or(&[]);
    let known = old.len().min(bytes.len());
    let conflict = old[..known] != bytes[..known];
    *if conflict { &mut counts.conflicting } else { &mut counts.duplicate } += bytes.len();
    conflict
}

#[cfg(test)]
mod tests {
    use sniffer_testkit::rng::Rng;

    use super::*;

    fn chunk(offset: usize, bytes: &[u8], cut: usize) -> NewChunk<'_> {
        let (offset, requires) = (StreamOffset(offset as u64), StreamOffset(0));
        NewChunk { offset, bytes, cut: cut as u64, stamp: Stamp::default(), requires, boundary: true }
    }

    #[test]
    fn it_accounts_for_its_first_node_and_each_chunk() {
        let mut waiting = Reassembly::default();
        // The map's first node has places for 11 chunks; later ones may be half empty.
        let entry = size_of::<(u64, Chunk<u32>)>();
        for n in 1..4 {
            waiting.insert(chunk(10 * n, b"hello", 0), 0_u32, |_| {});
            assert_eq!(waiting.held(), size_of::<Reassembly<u32>>() + (9 + 2 * n) * entry + n * (16 + 5));
        }
    }

    /// The model has a cell for each offset. A cell holds the byte that came first, or none where
    /// the byte was cut, and the number of the chunk that carried it.
    #[test]
    fn it_does_what_a_byte_map_does() {
        const END: usize = 60;
        for seed in 0..3_000 {
            let mut rng = Rng::new(seed);
            let (mut waiting, mut cells) = (Reassembly::default(), [None::<(Option<u8>, usize)>; END]);
            let mut starts = Vec::new();
            for number in 0..rng.between(1, 12) {
                let (at, len) = (rng.below(40), rng.between(1, 12));
                let cut = if rng.chance(0.4) { rng.below(8) } else { 0 };
                let bytes: Vec<u8> = (0..len).map(|_| b'a' + u8::from(rng.chance(0.1))).collect();
                let mut suspects = Vec::new();
                let inserted = waiting.insert(chunk(at, &bytes, cut), number, |meta| suspects.push(meta));
                starts.push(at);
                let held = |at: usize, byte: u8| cells[at].map(|(old, by)| (old.is_some_and(|old| old != byte), by));
                let again: Vec<_> = bytes.iter().zip(at..).filter_map(|(&byte, at)| held(at, byte)).collect();
                let mut differing: Vec<_> = again.iter().filter(|(differs, _)| *differs).map(|&(_, by)| by).collect();
                assert_eq!(inserted.duplicate + inserted.conflicting, again.len(), "seed {seed}, chunk {number}");
                assert_eq!(inserted.conflicting > 0, !differing.is_empty(), "seed {seed}, chunk {number}");
                for numbers in [&mut suspects, &mut differing] {
                    numbers.sort_unstable();
                    numbers.dedup();
                }
                assert_eq!(suspects, differing, "seed {seed}, chunk {number}");
                for (at, place) in (at..at + len + cut).zip(0..) {
                    cells[at].get_or_insert((bytes.get(place).copied(), number));
                }
                let last = cells.iter().rposition(Option::is_some).map(|last| StreamOffset(last as u64 + 1));
                assert_eq!(waiting.end(), last, "seed {seed}, chunk {number}");
            }
            let payload = cells.iter().flatten().filter(|(byte, _)| byte.is_some()).count();
            assert_eq!(waiting.payload(), payload, "seed {seed}");
            let mut popped = [None; END];
            while let Some((at, chunk)) = waiting.pop_first() {
                let at = at.0 as usize;
                let by = chunk.meta;
                assert_eq!(chunk.boundary, at == starts[by], "seed {seed}, at {at}");
                for (place, cell) in popped[at..at + chunk.bytes.len() + chunk.cut as usize].iter_mut().enumerate() {
                    assert_eq!(cell.replace((chunk.bytes.get(place).copied(), by)), None, "seed {seed}: held twice");
                }
            }
            assert_eq!((popped, waiting.payload(), waiting.is_empty()), (cells, 0, true), "seed {seed}");
        }
    }
}
