//! TCP sequence numbers, which wrap, and stream offsets, which do not.
//!
//! Once a segment has its connection, only [`StreamOffset`]s are used. Next: [`crate::segment`].

use std::fmt;

/// A TCP sequence number (RFC 9293 §3.4): 32 bits that wrap, so it has a distance and no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// Signed distance from `other` to `self`, in −2³¹..2³¹; exact if they are less than 2 GiB
    /// apart.
    pub const fn offset_from(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0) as i32 as i64
    }

    /// The number `n` bytes later.
    #[must_use]
    pub const fn add(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }
}

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in one direction's byte stream. 0 is the first byte: ISN + 1, or the first one captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamOffset(pub u64);

impl StreamOffset {
    /// The place `n` bytes later.
    #[must_use]
    pub const fn add(self, n: u64) -> Self {
        Self(self.0 + n)
    }

    /// The place at a signed distance, at least 0. Exact for any stream shorter than 2⁶² bytes.
    #[must_use]
    pub const fn add_signed(self, distance: i64) -> Self {
        let at = self.0 as i64 + distance;
        Self(if at < 0 { 0 } else { at as u64 })
    }

    /// Bytes from `earlier` to here; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_crosses_the_wrap() {
        for (a, b, distance) in [
            (5, 3, 2),
            (3, 5, -2),
            (2, u32::MAX, 3),
            (u32::MAX, 2, -3),
            (0x8000_0000, 0, -0x8000_0000),
            (0x7fff_ffff, 0, 0x7fff_ffff),
        ] {
            assert_eq!(SeqNumber(a).offset_from(SeqNumber(b)), distance, "{a} - {b}");
        }
        assert_eq!(SeqNumber(u32::MAX).add(2), SeqNumber(1));
    }

    #[test]
    fn no_place_lies_before_the_first() {
        for (at, distance, place) in [(5, 3, 8), (5, -5, 0), (5, -6, 0), (1 << 32, -0x8000_0000, 0x8000_0000)] {
            assert_eq!(StreamOffset(at).add_signed(distance), StreamOffset(place), "{at} + {distance}");
        }
    }
}
