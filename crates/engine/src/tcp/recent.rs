//! The bytes that were delivered last, while another copy of them matters: what a conflicting copy is told from, and what
//! is known of the segments that brought them.
//!
//! Invariants: it holds the last `len` bytes before the place delivered up to, at most [`RECENT_MAX`]; the origins stand
//! for the last bytes of it, up to all.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::decode::{HeaderSum, Segment};

/// Bytes kept of one direction: more than the initial window (RFC 6928: 10 segments), and what fits in a first-level
/// cache. A conflict farther back than this counts as a duplicate.
const RECENT_MAX: usize = 64 << 10;

/// Segments of them whose origin is kept: all, when they are as long as Ethernet lets them be; of smaller ones the last.
const ORIGINS_MAX: usize = 64;

/// What is known of a segment beside its payload: what tells which of two conflicting copies the peer never took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) ttl: u8,
    pub(super) checksum: Verdict,
}

/// Whether a segment's checksum is right.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// It was looked at, or cannot be known.
    Passed,
    Wrong,
    /// Nobody asked yet: the bytes, all of them, and this will tell.
    Open(HeaderSum),
}

impl Origin {
    /// Of a segment of which a part is kept, so that it has to be verified now.
    pub(super) fn verified(segment: &Segment<'_>) -> Self {
        let wrong = segment.checksum_is_wrong() == Some(true);
        Self { ttl: segment.ttl, checksum: if wrong { Verdict::Wrong } else { Verdict::Passed } }
    }

    /// Of a segment that is kept whole.
    pub(super) fn of(segment: &Segment<'_>) -> Self {
        Self { ttl: segment.ttl, checksum: segment.header_sum().map_or(Verdict::Passed, Verdict::Open) }
    }

    fn is_wrong(&self, addresses: (IpAddr, IpAddr), bytes: &[u8]) -> bool {
        match self.checksum {
            Verdict::Passed => false,
            Verdict::Wrong => true,
            Verdict::Open(sum) => sum.is_wrong(addresses.0, addresses.1, bytes) == Some(true),
        }
    }
}

/// What speaks against a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspicion {
    /// The lowest TTL.
    pub(super) ttl: u8,
    /// A checksum was wrong.
    pub(super) checksum: bool,
}

impl Suspicion {
    pub(super) const NONE: Self = Self { ttl: u8::MAX, checksum: false };

    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        Self { ttl: self.ttl.min(other.ttl), checksum: self.checksum | other.checksum }
    }

    /// Of an origin that was verified.
    pub(super) fn of(origin: Origin) -> Self {
        Self { ttl: origin.ttl, checksum: matches!(origin.checksum, Verdict::Wrong) }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Recent {
    bytes: VecDeque<u8>,
    last: Option<Brought>,
    /// What was before the last: nothing, of most messages.
    #[expect(
        clippy::box_collection,
        reason = "a flood of unfinished heads has as many of these, and of each one segment"
    )]
    before: Option<Box<VecDeque<Brought>>>,
}

/// How many bytes a segment brought, and where it came from.
#[derive(Debug, Clone, Copy)]
struct Brought {
    len: u32,
    origin: Origin,
}

impl Recent {
    pub(super) fn push(&mut self, bytes: &[u8], origin: Origin) {
        let keep = &bytes[bytes.len().saturating_sub(RECENT_MAX)..];
        let room = RECENT_MAX - keep.len();
        self.bytes.drain(..self.bytes.len().saturating_sub(room));
        grow(&mut self.bytes, keep.len());
        self.bytes.extend(keep);
        if let Some(last) = self.last.replace(Brought { len: bytes.len() as u32, origin }) {
            let before = self.before.get_or_insert_default();
            if before.len() == ORIGINS_MAX - 1 {
                before.pop_front();
            }
            grow(before, 1);
            before.push_back(last);
        }
    }

    /// Whether bytes that start `back` bytes before the place delivered up to differ from what was delivered there, as far
    /// as that is known.
    pub(super) fn differs(&self, bytes: &[u8], back: u64) -> bool {
        let held = self.bytes.len() as u64;
        let unknown = usize::try_from(back.saturating_sub(held)).unwrap_or(usize::MAX);
        let Some(known) = bytes.get(unknown..) else { return false };
        let start = held.saturating_sub(back) as usize;
        self.bytes.range(start.min(self.bytes.len())..).zip(known).any(|(old, new)| old != new)
    }

    /// What speaks against the segments whose bytes differ from these, as far as that is known. `addresses` are those of
    /// the segments.
    pub(super) fn suspicion(&self, bytes: &[u8], back: u64, addresses: (IpAddr, IpAddr)) -> Suspicion {
        let mut found = Suspicion::NONE;
        let mut end = 0;
        let mut whole = Vec::new();
        let before = self.before.iter().flat_map(|before| before.iter().rev());
        for &Brought { len, origin } in self.last.iter().chain(before) {
            // The segment's bytes stand from `start` to `end` before the place delivered up to.
            let start = end + u64::from(len);
            let held = self.bytes.len() as u64;
            let overlap = (start.min(back).min(held), end.max(back.saturating_sub(bytes.len() as u64)));
            if overlap.0 > overlap.1 {
                let new = &bytes[(back - overlap.0) as usize..(back - overlap.1) as usize];
                let old = self.bytes.range((held - overlap.0) as usize..(held - overlap.1) as usize);
                if old.zip(new).any(|(old, new)| old != new) {
                    whole.clear();
                    if start <= held {
                        whole.extend(self.bytes.range((held - start) as usize..(held - end) as usize));
                    }
                    let checksum = start <= held && origin.is_wrong(addresses, &whole);
                    found = found.and(Suspicion { ttl: origin.ttl, checksum });
                }
            }
            end = start;
        }
        found
    }

    /// Accounted bytes, by what is used: what a spare brings along must not show.
    pub(super) fn held(&self) -> usize {
        let before = self.before.as_ref().filter(|before| !before.is_empty());
        size_of::<Self>() + self.bytes.len() + before.map_or(0, |before| held_before(before.len()))
    }

    /// Bytes it takes at most, used or not.
    fn resident(&self) -> usize {
        let before = if self.before.is_some() { held_before(ORIGINS_MAX) } else { 0 };
        size_of::<Self>() + self.bytes.capacity() + before
    }

    /// Leaves nothing but its memory.
    fn clear(&mut self) {
        self.bytes.clear();
        self.last = None;
        if let Some(before) = &mut self.before {
            before.clear();
        }
    }
}

/// Copies that are kept for their memory: nearly every message begins and ends with some, and three allocations a message were
/// a fifteenth of a replay. What they point to is emptied when they are given, not when they are kept: by then it is cold.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    #[expect(clippy::vec_box, reason = "a connection keeps a pointer, as most of them keep no copy")]
    kept: Vec<Box<Recent>>,
    /// Memory of all of them.
    bytes: usize,
}

/// How much memory they take, and each of them at most (arbitrary): many more than wait for an acknowledgement at once.
const SPARES_BYTES_MAX: usize = 512 << 10;
const SPARE_BYTES_MAX: usize = 16 << 10;

impl Spares {
    pub(super) fn give(from: Option<&mut Self>) -> Box<Recent> {
        let Some((spares, mut recent)) = from.and_then(|spares| spares.kept.pop().map(|recent| (spares, recent)))
        else {
            return Box::default();
        };
        spares.bytes -= recent.resident();
        recent.clear();
        recent
    }

    pub(super) fn keep(into: Option<&mut Self>, recent: Option<Box<Recent>>) {
        if let (Some(spares), Some(recent)) = (into, recent)
            && recent.resident() <= SPARE_BYTES_MAX.min(SPARES_BYTES_MAX - spares.bytes)
        {
            spares.bytes += recent.resident();
            spares.kept.push(recent);
        }
    }
}

fn held_before(places: usize) -> usize {
    size_of::<VecDeque<Brought>>() + places * size_of::<Brought>()
}

/// Room for more, by a quarter and not twofold: many that grow in step must not take twice what is accounted for them.
fn grow<T>(queue: &mut VecDeque<T>, more: usize) {
    if queue.capacity() - queue.len() < more {
        queue.reserve_exact(more.max(queue.len() / 4));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::rng::Rng;

    const ORIGIN: Origin = Origin { ttl: 64, checksum: Verdict::Passed };
    const ADDRESSES: (IpAddr, IpAddr) =
        (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn only_the_segments_that_differ_are_suspected() {
        let mut recent = Recent::default();
        for (bytes, ttl, checksum) in
            [(&b"abcd"[..], 61, Verdict::Passed), (b"efgh", 9, Verdict::Wrong), (b"ijkl", 62, Verdict::Passed)]
        {
            recent.push(bytes, Origin { ttl, checksum });
        }
        for (bytes, back, ttl, checksum) in [
            (&b"abcd"[..], 12, 255, false),
            (b"abcX", 12, 61, false),
            (b"dXfg", 9, 9, true),
            (b"defX", 9, 9, true),
            (b"defghi", 9, 255, false),
            (b"Xi", 5, 9, true),
            (b"hX", 5, 62, false),
            (b"XX", 5, 9, true),
            (b"XXXXXX", 14, 61, false),
            (b"lX", 1, 255, false),
        ] {
            let found = recent.suspicion(bytes, back, ADDRESSES);
            assert_eq!((found.ttl, found.checksum), (ttl, checksum), "{} {back}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_copy_differs_only_where_both_are_known() {
        let mut recent = Recent::default();
        recent.push(b"hello world", ORIGIN);
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
    fn it_accounts_for_its_bytes_and_where_they_came_from() {
        let mut recent = Recent::default();
        recent.push(b"hello", ORIGIN);
        assert_eq!(recent.held(), size_of::<Recent>() + 5, "one origin needs nothing");
        for n in 2..4 {
            recent.push(b"hello", ORIGIN);
            let queue = size_of::<VecDeque<Brought>>() + (n - 1) * size_of::<Brought>();
            assert_eq!(recent.held(), size_of::<Recent>() + n * 5 + queue);
        }
    }

    /// The whole stream, and which segment brought each byte.
    #[test]
    fn it_does_what_a_full_copy_does() {
        for seed in 0..10 {
            let mut rng = Rng::new(seed);
            let (mut recent, mut full, mut starts) = (Recent::default(), Vec::new(), Vec::new());
            for step in 0..200_usize {
                let scale = [4, 60, 1_500, 9_000][rng.below(4)];
                let (ttl, wrong) = (rng.between(1, 255) as u8, rng.chance(0.3));
                let bytes: Vec<u8> = (0..rng.between(1, scale)).map(|_| b'a' + rng.below(2) as u8).collect();
                let checksum = if wrong { Verdict::Wrong } else { Verdict::Passed };
                recent.push(&bytes, Origin { ttl, checksum });
                starts.push(full.len());
                full.extend(bytes.iter().map(|&byte| (byte, step, ttl, wrong)));
                // A copy from anywhere: as it was, with some bytes turned over, and perhaps beyond the end.
                let back = rng.below(full.len().min(2 * RECENT_MAX)) + 1;
                let start = full.len() - back;
                let most = [3, 200, 70_000][rng.below(3)];
                let len = rng.between(1, most);
                let mut copy: Vec<u8> =
                    full[start..].iter().map(|&(byte, ..)| byte).chain([b'z'; 40]).take(len).collect();
                for _ in 0..rng.below(3) {
                    let at = rng.below(copy.len());
                    copy[at] ^= 0x20;
                }
                let known = full.len().saturating_sub(RECENT_MAX);
                let differing: Vec<_> = (start..full.len())
                    .zip(&copy)
                    .filter(|&(at, &byte)| at >= known && full[at].0 != byte)
                    .map(|(at, _)| full[at])
                    .collect();
                let because = format!("seed {seed}, step {step}: {} bytes from {back} back", copy.len());
                assert_eq!(recent.differs(&copy, back as u64), !differing.is_empty(), "{because}");
                // Of what it says of the origins as far as it knows them: the last segments, and checksums of whole ones.
                let oldest = step.saturating_sub(ORIGINS_MAX - 1);
                let origins: Vec<_> = differing.iter().filter(|&&(_, by, ..)| by >= oldest).collect();
                let ttl = origins.iter().map(|&&(_, _, ttl, _)| ttl).min().unwrap_or(u8::MAX);
                let checksum = origins.iter().any(|&&(_, by, _, wrong)| wrong && starts[by] >= known);
                assert_eq!(recent.suspicion(&copy, back as u64, ADDRESSES), Suspicion { ttl, checksum }, "{because}");
            }
        }
    }

    #[test]
    fn spares_are_bounded_by_their_memory() {
        let mut spares = Spares::default();
        for len in (0..3_000).map(|n| 13 * n) {
            let mut recent = Box::<Recent>::default();
            recent.push(&vec![7; len / 2], ORIGIN);
            recent.push(&vec![7; len / 2], ORIGIN);
            Spares::keep(Some(&mut spares), Some(recent));
        }
        let resident = |spares: &Spares| spares.kept.iter().map(|recent| recent.resident()).sum::<usize>();
        assert_eq!(spares.bytes, resident(&spares));
        assert!((SPARES_BYTES_MAX - SPARE_BYTES_MAX..=SPARES_BYTES_MAX).contains(&spares.bytes), "{}", spares.bytes);
        for _ in 0..10 {
            assert_eq!(Spares::give(Some(&mut spares)).held(), size_of::<Recent>(), "as if it were new");
        }
        assert_eq!(spares.bytes, resident(&spares));
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let mut recent = Recent::default();
        for _ in 0..100 {
            recent.push(&[7; 10_000], ORIGIN);
        }
        recent.push(&[8; 2 * RECENT_MAX], ORIGIN);
        assert_eq!(recent.bytes.len(), RECENT_MAX);
        assert!(!recent.differs(&[8; 10], 10));
    }
}
