//! Names of fields: how they become lower case where they stand, and whether one comes again.
//!
//! Next: [`super::fields`].

/// Both ends of a name, which together are nearly always all of it: the first eight bytes and the last, or twice all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends(u64, u64);

impl Ends {
    pub(super) fn of(name: &[u8]) -> Self {
        match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => Self(u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => Self(few(name), few(name)),
        }
    }
}

/// Makes the first `length` bytes lower case, a name, behind which there must be eight bytes more.
///
/// By both its ends, which overlap, without a branch: a name is short, and a loop over its bytes took longer than all else.
#[inline(always)]
pub(super) fn lower(text: &mut [u8], length: usize) -> Ends {
    let counts = u64::MAX.unbounded_shr(64 - 8 * length.min(8) as u32);
    let mut lower_at = |at: usize| {
        let bytes = text[at..].first_chunk_mut().expect("there are eight bytes more");
        let word = lower_word(u64::from_le_bytes(*bytes), counts);
        *bytes = word.to_le_bytes();
        word & counts
    };
    let ends = Ends(lower_at(0), lower_at(length.max(8) - 8));
    if length > 16 {
        text[8..length - 8].make_ascii_lowercase();
    }
    ends
}

/// A one in each byte.
pub(crate) const EACH: u64 = 0x0101_0101_0101_0101;

/// Eight bytes in a number, letters of ASCII in lower case where a byte counts. As an array they were taken apart byte by byte
/// to make a vector.
#[inline(always)]
const fn lower_word(bytes: u64, counts: u64) -> u64 {
    // The highest bit of a byte says what adding to the others made of it.
    let low = bytes & (0x7f * EACH);
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let beyond_z = low + (0x7f - b'Z' as u64) * EACH;
    let upper = from_a & !(beyond_z | bytes) & (0x80 * EACH) & counts;
    bytes | upper >> 2
}

/// Less than eight bytes as the low bytes of a number: loads that overlap, where a loop is a branch that nobody foresees.
#[inline(always)]
pub(crate) fn few(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
        return first | last << (8 * (bytes.len() - 4));
    }
    let at = |place: usize| bytes.get(place).map_or(0, |&byte| u64::from(byte) << (8 * place));
    at(0) | at(1) | at(2)
}

/// A set of names as a Bloom filter of 1024 bits.
#[derive(Debug, Default)]
pub(super) struct Names([u64; 16]);

impl Names {
    /// Notes a name, and says whether it may be noted already: more often than it is, never less.
    #[inline(always)]
    pub(super) fn note(&mut self, name: Ends) -> bool {
        let (word, bit) = Self::place(name);
        let noted = self.0[word] & bit != 0;
        self.0[word] |= bit;
        noted
    }

    pub(super) fn may_have(&self, name: &[u8]) -> bool {
        let (word, bit) = Self::place(Ends::of(name));
        self.0[word] & bit != 0
    }

    #[inline(always)]
    fn place(Ends(first, last): Ends) -> (usize, u64) {
        // Two odd numbers without pattern: digits of π, as in `Config::hash_key`.
        let mixed = first.wrapping_mul(0x243f_6a88_85a3_08d3) ^ last.wrapping_mul(0x1319_8a2e_0370_7345);
        ((mixed >> 60) as usize, 1 << (mixed >> 54 & 63))
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
                let mut text = [name, b": BEHIND"].concat();
                let ends = lower(&mut text, name.len());
                let lowered = name.to_ascii_lowercase();
                assert_eq!(text, [&*lowered, b": BEHIND"].concat());
                let Ends(first, last) = Ends::of(&lowered);
                assert_eq!((ends.0, ends.1), (first, last));
            }
        }
    }
}
