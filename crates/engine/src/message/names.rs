//! Field names: makes them lower case in place, and finds out whether one may repeat.
//!
//! Next: [`super::fields`].

use fearless_simd::{Level, dispatch, prelude::*, u8x16};

/// Bytes that are handled at once: as many as any processor compares at once, and more than most names
/// have.
const CHUNK: usize = 16;

/// Makes a name, the first `length` bytes of `text`, lower case. Returns its hash. At least one more
/// chunk must follow the name in `text`.
#[inline(always)]
pub(super) fn lower(text: &mut [u8], length: usize) -> Hash {
    let (mut rest, mut left, mut hash) = (text, length, Hash::default());
    loop {
        let (chunk, behind) = rest.split_first_chunk_mut().expect("a chunk follows the name");
        let name = lower_chunk(chunk, left.min(CHUNK));
        hash.add(&name);
        if left <= CHUNK {
            return hash;
        }
        (rest, left) = (behind, left - CHUNK);
    }
}

/// Makes the first `length` bytes lower case. Returns them with the other bytes zeroed.
#[inline(always)]
fn lower_chunk(chunk: &mut [u8; CHUNK], length: usize) -> [u8; CHUNK] {
    dispatch!(Level::baseline(), simd => {
        let counts = COUNTS[CHUNK - length..].first_chunk().expect("a chunk for each length");
        let (bytes, counts) = (u8x16::simd_from(simd, *chunk), u8x16::simd_from(simd, *counts));
        let from_a = bytes - u8x16::splat(simd, b'A');
        let is_upper = from_a.simd_lt(u8x16::splat(simd, 26));
        let case = is_upper.select(u8x16::splat(simd, b'a' - b'A'), u8x16::splat(simd, 0));
        let lower = bytes | (case & counts);
        lower.store_slice(chunk);
        (lower & counts).into()
    })
}

/// The chunk at `CHUNK - length` is the mask of the first `length` bytes.
static COUNTS: [u8; 2 * CHUNK] = {
    let mut counts = [0; 2 * CHUNK];
    let mut place = 0;
    while place < CHUNK {
        counts[place] = u8::MAX;
        place += 1;
    }
    counts
};

/// Hash of a name in lower case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hash(u64);

impl Hash {
    pub(super) fn of(name: &[u8]) -> Self {
        let mut hash = Self::default();
        for part in name.chunks(CHUNK) {
            let mut chunk = [0; CHUNK];
            chunk[..part.len()].copy_from_slice(part);
            hash.add(&chunk);
        }
        hash
    }

    #[inline(always)]
    fn add(&mut self, chunk: &[u8; CHUNK]) {
        let [first, last] = [0, 8].map(|at| u128::from_le_bytes(*chunk) >> (8 * at)).map(|bytes| bytes as u64);
        // Multipliers without pattern: digits of π, as in `Config::hash_key`.
        self.0 ^= first.wrapping_mul(0x243f_6a88_85a3_08d3) ^ last.wrapping_mul(0x1319_8a2e_0370_7345);
    }
}

/// A set of names as a Bloom filter of 1024 bits.
#[derive(Debug, Default)]
pub(super) struct Names([u64; 16]);

impl Names {
    /// Adds a name. Returns whether the set may have had it already; false is certain.
    #[inline(always)]
    pub(super) fn note(&mut self, name: Hash) -> bool {
        let (word, bit) = Self::place(name);
        let noted = self.0[word] & bit != 0;
        self.0[word] |= bit;
        noted
    }

    pub(super) fn may_have(&self, name: &[u8]) -> bool {
        let (word, bit) = Self::place(Hash::of(name));
        self.0[word] & bit != 0
    }

    #[inline(always)]
    const fn place(Hash(hash): Hash) -> (usize, u64) {
        ((hash >> 60) as usize, 1 << (hash >> 54 & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_in_lower_case() {
        let every: Vec<u8> = (0..=u8::MAX).collect();
        for length in 1..=70 {
            for name in every.windows(length).chain([&[][..]]) {
                let behind = b": WHAT STANDS THERE";
                let mut text = [name, behind].concat();
                let hash = lower(&mut text, name.len());
                let lowered = name.to_ascii_lowercase();
                assert_eq!(text, [&*lowered, behind].concat());
                assert_eq!(hash, Hash::of(&lowered));
            }
        }
    }
}
