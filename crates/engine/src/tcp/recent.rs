//! The bytes that were delivered last, while another copy of them matters: what a conflicting copy is told from.
//!
//! Invariant: it holds the last `len` bytes before the place delivered up to, at most [`RECENT_MAX`].

use std::collections::VecDeque;

/// Bytes kept of one direction: more than the initial window (RFC 6928: 10 segments), and what fits in a first-level
/// cache. A conflict farther back than this counts as a duplicate.
const RECENT_MAX: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<u8>);

impl Recent {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let keep = &bytes[bytes.len().saturating_sub(RECENT_MAX)..];
        let room = RECENT_MAX - keep.len();
        self.0.drain(..self.0.len().saturating_sub(room));
        self.0.extend(keep);
    }

    /// Whether bytes that start `back` bytes before the place delivered up to differ from what was delivered there, as far
    /// as that is known.
    pub(super) fn differs(&self, bytes: &[u8], back: u64) -> bool {
        let held = self.0.len() as u64;
        let unknown = usize::try_from(back.saturating_sub(held)).unwrap_or(usize::MAX);
        let Some(known) = bytes.get(unknown..) else { return false };
        let start = held.saturating_sub(back) as usize;
        self.0.iter().skip(start).zip(known).any(|(old, new)| old != new)
    }

    /// Accounted bytes.
    pub(super) fn held(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_differs_only_where_both_are_known() {
        let mut recent = Recent::default();
        recent.push(b"hello world");
        for (bytes, back, differs) in [
            (&b"world"[..], 5, false),
            (b"wOrld", 5, true),
            (b"world and more", 5, false),
            (b"unknown hello", 19, false),
            (b"unknown hELlo", 19, true),
            (b"before", 100, false),
        ] {
            assert_eq!(recent.differs(bytes, back), differs, "{:?} {back} back", bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let mut recent = Recent::default();
        for _ in 0..100 {
            recent.push(&[7; 10_000]);
        }
        recent.push(&[8; 2 * RECENT_MAX]);
        assert_eq!(recent.0.len(), RECENT_MAX);
        assert!(!recent.differs(&[8; 10], 10));
    }
}
