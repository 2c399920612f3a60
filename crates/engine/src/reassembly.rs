//! The waiting room: segments that arrived before an earlier one, copied and kept apart by stream offset.
//!
//! Invariant: entries never overlap, so every stream offset is held at most once and the first copy wins (policy 1).
//!
//! ```text
//!            held:      [ 10 … 20 )          [ 30 … 40 )
//!            arrives:          [ 15 … … … … … … 35 )
//!            kept of it:            [ 20 … 30 )
//! ```

use std::collections::BTreeMap;

use sniffer_packet::frame::Stamp;
use sniffer_packet::seq::StreamOffset;

use crate::tcp::overlap::evidence::{Evidence, Provenance};

/// Accounted bytes of an entry beyond its payload: its place in a node of the map, which may be half empty, and what the
/// allocator adds.
const ENTRY_OVERHEAD: usize = 2 * size_of::<(u64, Chunk)>() + 16;

/// Accounted bytes of a room in which anything waits: itself, and the map's first node, which has places for 11.
const ROOM_OVERHEAD: usize = size_of::<Reassembly>() + 9 * size_of::<(u64, Chunk)>();

/// A segment, or the part of one that was new when it arrived.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// Bytes behind `bytes` that the snapshot length cut.
    pub(crate) cut: u64,
    pub(crate) stamp: Stamp,
    /// How much of the other direction its sender had received.
    pub(crate) requires: StreamOffset,
    pub(crate) boundary: bool,
    pub(crate) provenance: Provenance,
}

impl Chunk {
    fn end(&self, start: u64) -> u64 {
        start + self.bytes.len() as u64 + self.cut
    }
}

/// How the payload bytes of a segment fared on entering.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// Held already with the same bytes.
    pub(crate) duplicate: usize,
    /// Held already with other bytes.
    pub(crate) conflicting: usize,
    /// What speaks against those other bytes.
    pub(crate) evidence: Evidence,
}

#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    entries: BTreeMap<u64, Chunk>,
    payload: usize,
}

/// A segment on its way in; `bytes` starts at `offset`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewChunk<'a> {
    pub(crate) offset: StreamOffset,
    pub(crate) bytes: &'a [u8],
    pub(crate) cut: u64,
    pub(crate) stamp: Stamp,
    pub(crate) requires: StreamOffset,
    pub(crate) boundary: bool,
}

impl Reassembly {
    /// Accounted bytes.
    pub(crate) fn held(&self) -> usize {
        ROOM_OVERHEAD + self.entries.len() * ENTRY_OVERHEAD + self.payload
    }

    /// Payload bytes held.
    pub(crate) const fn payload(&self) -> usize {
        self.payload
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The lowest offset held, with what its sender had received.
    pub(crate) fn first(&self) -> Option<(StreamOffset, &Chunk)> {
        self.entries.first_key_value().map(|(&at, entry)| (StreamOffset(at), entry))
    }

    /// The offset behind the last byte held.
    pub(crate) fn end(&self) -> Option<StreamOffset> {
        self.entries.last_key_value().map(|(&at, entry)| StreamOffset(entry.end(at)))
    }

    pub(crate) fn pop_first(&mut self) -> Option<(StreamOffset, Chunk)> {
        let (at, entry) = self.entries.pop_first()?;
        self.payload -= entry.bytes.len();
        Some((StreamOffset(at), entry))
    }

    /// Keeps the parts of a segment that are not held yet.
    pub(crate) fn insert(&mut self, chunk: NewChunk<'_>, provenance: Provenance) -> Inserted {
        let mut inserted = Inserted { duplicate: 0, conflicting: 0, evidence: Evidence::NONE };
        let start = chunk.offset.0;
        let data_end = start + chunk.bytes.len() as u64;
        let end = data_end + chunk.cut;
        let mut at = start;
        while at < end {
            // The entry that covers `at`, or the next one behind it.
            let covering = self.entries.range(..=at).next_back().filter(|(s, e)| e.end(**s) > at);
            if let Some((&held_start, held)) = covering {
                let until = held.end(held_start).min(end);
                compare(&chunk, at, until.min(data_end), held_start, held, &mut inserted);
                at = until;
            } else {
                let until = self.entries.range(at..).next().map_or(end, |(&next, _)| next.min(end));
                self.keep(&chunk, provenance, at, until);
                at = until;
            }
        }
        inserted
    }

    fn keep(&mut self, chunk: &NewChunk<'_>, provenance: Provenance, from: u64, until: u64) {
        let data_end = chunk.offset.0 + chunk.bytes.len() as u64;
        let place = |offset: u64| (offset.min(data_end) - chunk.offset.0) as usize;
        let bytes = chunk.bytes[place(from)..place(until)].to_vec();
        let cut = (until - from) - bytes.len() as u64;
        self.payload += bytes.len();
        let boundary = chunk.boundary && from == chunk.offset.0;
        let NewChunk { stamp, requires, .. } = *chunk;
        self.entries.insert(from, Chunk { bytes, cut, stamp, requires, boundary, provenance });
    }
}

/// Counts the arriving payload bytes in `from..until` against what is held there already.
fn compare(chunk: &NewChunk<'_>, from: u64, until: u64, held_start: u64, held: &Chunk, inserted: &mut Inserted) {
    if until <= from {
        return;
    }
    let new = &chunk.bytes[(from - chunk.offset.0) as usize..(until - chunk.offset.0) as usize];
    let old = held.bytes.get((from - held_start) as usize..).unwrap_or(&[]);
    let known = old.len().min(new.len());
    if old[..known] == new[..known] {
        inserted.duplicate += new.len();
    } else {
        inserted.conflicting += new.len();
        inserted.evidence = inserted.evidence.and(Evidence::of(held.provenance));
    }
}

#[cfg(test)]
mod tests {
    use sniffer_testkit::rng::Rng;

    use super::*;
    use crate::tcp::overlap::evidence::ChecksumVerdict;

    fn chunk(offset: usize, bytes: &[u8], cut: usize) -> NewChunk<'_> {
        let (offset, requires) = (StreamOffset(offset as u64), StreamOffset(0));
        NewChunk { offset, bytes, cut: cut as u64, stamp: Stamp::default(), requires, boundary: true }
    }

    #[test]
    fn a_room_accounts_for_its_first_node_and_each_entry() {
        let mut room = Reassembly::default();
        // A node of the map has places for 11 entries; further on it may be half empty.
        let entry = size_of::<(u64, Chunk)>();
        for n in 1..4 {
            let provenance = Provenance { ttl: 64, checksum: ChecksumVerdict::Passed };
            room.insert(chunk(10 * n, b"hello", 0), provenance);
            assert_eq!(room.held(), size_of::<Reassembly>() + (9 + 2 * n) * entry + n * (16 + 5));
        }
    }

    /// The obvious way: a cell for each offset, with the byte that came first, or none where it was cut; and which chunk
    /// brought it.
    #[test]
    fn it_does_what_a_byte_map_does() {
        const END: usize = 60;
        for seed in 0..3_000 {
            let mut rng = Rng::new(seed);
            let (mut room, mut cells) = (Reassembly::default(), [None::<(Option<u8>, usize)>; END]);
            let mut starts = Vec::new();
            for number in 0..rng.between(1, 12) {
                let (at, len) = (rng.below(40), rng.between(1, 12));
                let cut = if rng.chance(0.4) { rng.below(8) } else { 0 };
                let bytes: Vec<u8> = (0..len).map(|_| b'a' + u8::from(rng.chance(0.1))).collect();
                let ttl = number as u8 + 1;
                let inserted =
                    room.insert(chunk(at, &bytes, cut), Provenance { ttl, checksum: ChecksumVerdict::Passed });
                starts.push(at);
                let held = |at: usize, byte: u8| cells[at].map(|(old, by)| (old.is_some_and(|old| old != byte), by));
                let again: Vec<_> = bytes.iter().zip(at..).filter_map(|(&byte, at)| held(at, byte)).collect();
                let differs = again.iter().any(|&(differs, _)| differs);
                assert_eq!(inserted.duplicate + inserted.conflicting, again.len(), "seed {seed}, chunk {number}");
                assert_eq!(inserted.conflicting > 0, differs, "seed {seed}, chunk {number}");
                let suspect = again.iter().filter(|(differs, _)| *differs).map(|&(_, by)| by as u8 + 1).min();
                assert_eq!(inserted.evidence.ttl, suspect.unwrap_or(u8::MAX), "seed {seed}, chunk {number}");
                for (at, place) in (at..at + len + cut).zip(0..) {
                    cells[at].get_or_insert((bytes.get(place).copied(), number));
                }
                let last = cells.iter().rposition(Option::is_some).map(|last| StreamOffset(last as u64 + 1));
                assert_eq!(room.end(), last, "seed {seed}, chunk {number}");
            }
            let payload = cells.iter().flatten().filter(|(byte, _)| byte.is_some()).count();
            assert_eq!(room.payload(), payload, "seed {seed}");
            let mut popped = [None; END];
            while let Some((at, entry)) = room.pop_first() {
                let at = at.0 as usize;
                let by = usize::from(entry.provenance.ttl) - 1;
                assert_eq!(entry.boundary, at == starts[by], "seed {seed}, at {at}");
                for (place, cell) in popped[at..at + entry.bytes.len() + entry.cut as usize].iter_mut().enumerate() {
                    assert_eq!(cell.replace((entry.bytes.get(place).copied(), by)), None, "seed {seed}: held twice");
                }
            }
            assert_eq!((popped, room.payload(), room.is_empty()), (cells, 0, true), "seed {seed}");
        }
    }
}
