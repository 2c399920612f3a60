//! The bytes that were delivered last, while another copy of them matters: what a conflicting copy is told from.
//!
//! Bytes that lie in a [block](sniffer_packet::block) are lent, and copied only when that is let go: by then most are too old. To copy all
//! of them was a tenth of a replay of large bodies; half of that is left.
//!
//! Invariants: it has the last bytes before the place delivered up to, all or [`HISTORY_MAX`], first those that were copied and
//! then those that are lent; the segments stand for the last bytes of it, up to all.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::evidence::{Evidence, Provenance};
use super::segments::{Kept, SegmentMeta, Segments, grow};

/// Bytes kept of one direction: more than the initial window (RFC 6928: 10 segments), and what fits in a first-level
/// cache. A conflict farther back than this counts as a duplicate.
const HISTORY_MAX: usize = 64 << 10;

#[derive(Debug, Default)]
pub(crate) struct History {
    /// Those that were copied.
    bytes: VecDeque<u8>,
    segments: Segments,
}

impl History {
    /// Takes a copy of what was delivered last.
    pub(in crate::tcp) fn copy(&mut self, bytes: &[u8], provenance: Provenance, block: &[u8]) {
        self.copy_lent(block);
        append(&mut self.bytes, bytes);
        self.segments.push(SegmentMeta { len: bytes.len() as u32, kept: Kept::Copied(provenance) });
    }

    /// Takes what was delivered last, which is lent from the block.
    #[inline(always)]
    pub(in crate::tcp) fn lend(&mut self, segment: SegmentMeta, block: &[u8]) {
        // What is older than enough that is lent need not be copied: nobody will see that it is missing.
        if let Some(oldest) = self.segments.push(segment)
            && self.segments.lent() < HISTORY_MAX
        {
            append(&mut self.bytes, oldest.lent_bytes(block));
        }
    }

    /// Copies what is lent, before that goes.
    #[inline]
    pub(in crate::tcp) fn copy_lent(&mut self, block: &[u8]) {
        let lent = self.segments.lent();
        if lent > 0 {
            self.copy_all_lent(lent, block);
        }
    }

    #[cold]
    fn copy_all_lent(&mut self, mut lent: usize, block: &[u8]) {
        let more = lent.min(HISTORY_MAX - self.bytes.len());
        grow(&mut self.bytes, more);
        self.segments.copy_lent(block, |bytes| {
            lent -= bytes.len();
            if lent < HISTORY_MAX {
                append(&mut self.bytes, bytes);
            }
        });
    }

    /// Whether bytes that start `back` bytes before the place delivered up to differ from what was delivered there, as far
    /// as that is known.
    pub(in crate::tcp) fn differs(&mut self, bytes: &[u8], back: u64, block: &[u8]) -> bool {
        self.copy_lent(block);
        let held = self.bytes.len() as u64;
        let unknown = usize::try_from(back.saturating_sub(held)).unwrap_or(usize::MAX);
        let Some(known) = bytes.get(unknown..) else { return false };
        let start = held.saturating_sub(back) as usize;
        self.bytes.range(start.min(self.bytes.len())..).zip(known).any(|(old, new)| old != new)
    }

    /// What speaks against the segments whose bytes differ from these, as far as that is known, once they [do](Self::differs).
    /// `addresses` are those of the segments.
    pub(in crate::tcp) fn evidence(&self, bytes: &[u8], back: u64, addresses: (IpAddr, IpAddr)) -> Evidence {
        let mut found = Evidence::NONE;
        let mut end = 0;
        let mut whole = Vec::new();
        for segment in self.segments.iter() {
            let Kept::Copied(provenance) = segment.kept else { continue };
            // Its bytes stand from `start` to `end` before the place delivered up to.
            let start = end + u64::from(segment.len);
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
                    let checksum = start <= held && provenance.is_wrong(addresses, &whole);
                    found = found.and(Evidence { ttl: provenance.ttl, checksum });
                }
            }
            end = start;
        }
        found
    }

    /// Accounted bytes, by what is used: what a spare brings along must not show, nor that bytes are lent.
    pub(in crate::tcp) fn held(&self) -> usize {
        size_of::<Self>() + (self.bytes.len() + self.segments.lent()).min(HISTORY_MAX) + self.segments.held()
    }

    /// Bytes it takes at most, used or not.
    fn resident(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.segments.resident()
    }

    /// Leaves nothing but its memory.
    fn clear(&mut self) {
        self.bytes.clear();
        self.segments.clear();
    }
}

/// Copies bytes behind those that are there, of which the oldest make room.
fn append(copied: &mut VecDeque<u8>, bytes: &[u8]) {
    let bytes = &bytes[bytes.len().saturating_sub(HISTORY_MAX)..];
    copied.drain(..(copied.len() + bytes.len()).saturating_sub(HISTORY_MAX));
    grow(copied, bytes.len());
    copied.extend(bytes);
}

/// Copies that are kept for their memory: nearly every message begins and ends with some, and three allocations a message were
/// a fifteenth of a replay. What they point to is emptied when they are given, not when they are kept: by then it is cold.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    #[expect(clippy::vec_box, reason = "a connection keeps a pointer, as most of them keep no copy")]
    kept: Vec<Box<History>>,
    /// Memory of all of them.
    bytes: usize,
}

/// How much memory they take, and each of them at most (arbitrary): many more than wait for an acknowledgement at once.
const SPARES_BYTES_MAX: usize = 512 << 10;
const SPARE_BYTES_MAX: usize = 16 << 10;

impl BufferPool {
    pub(in crate::tcp) fn give(from: Option<&mut Self>) -> Box<History> {
        let Some((spares, mut history)) = from.and_then(|spares| spares.kept.pop().map(|history| (spares, history)))
        else {
            return Box::default();
        };
        spares.bytes -= history.resident();
        history.clear();
        history
    }

    pub(in crate::tcp) fn keep(into: Option<&mut Self>, history: Option<Box<History>>) {
        if let (Some(spares), Some(history)) = (into, history)
            && history.resident() <= SPARE_BYTES_MAX.min(SPARES_BYTES_MAX - spares.bytes)
        {
            spares.bytes += history.resident();
            spares.kept.push(history);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use sniffer_packet::key::Endpoint;
    use sniffer_packet::segment::{Checksum, Flags, Segment, TcpOptions};
    use sniffer_packet::seq::SeqNumber;
    use sniffer_testkit::rng::Rng;
    use sniffer_testkit::wire::Tcp;

    use super::*;
    use crate::tcp::overlap::evidence::{ChecksumVerdict, DeliveredBy};
    use crate::tcp::overlap::segments::{Many, SEGMENTS_MAX};

    const ORIGIN: Provenance = Provenance { ttl: 64, checksum: ChecksumVerdict::Passed };
    const ADDRESSES: (IpAddr, IpAddr) =
        (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn only_the_segments_that_differ_are_suspected() {
        let mut history = History::default();
        for (bytes, ttl, checksum) in [
            (&b"abcd"[..], 61, ChecksumVerdict::Passed),
            (b"efgh", 9, ChecksumVerdict::Wrong),
            (b"ijkl", 62, ChecksumVerdict::Passed),
        ] {
            history.copy(bytes, Provenance { ttl, checksum }, &[]);
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
            let found = history.evidence(bytes, back, ADDRESSES);
            assert_eq!((found.ttl, found.checksum), (ttl, checksum), "{} {back}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_copy_differs_only_where_both_are_known() {
        let mut history = History::default();
        history.copy(b"hello world", ORIGIN, &[]);
        for (bytes, back, differs) in [
            (&b"world"[..], 5, false),
            (b"wOrld", 5, true),
            (b"world and more", 5, false),
            (b"unknown hello", 19, false),
            (b"unknown hELlo", 19, true),
            (b"before", 100, false),
        ] {
            assert_eq!(
                history.differs(bytes, back, &[]),
                differs,
                "{:?} {back} back",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn it_accounts_for_its_bytes_and_where_they_came_from() {
        let mut history = History::default();
        history.copy(b"hello", ORIGIN, &[]);
        assert_eq!(history.held(), size_of::<History>() + 5, "one provenance needs nothing");
        for n in 2..4 {
            history.copy(b"hello", ORIGIN, &[]);
            let queue = size_of::<Many>() + n * size_of::<SegmentMeta>();
            assert_eq!(history.held(), size_of::<History>() + n * 5 + queue);
        }
    }

    const ENDS: [Endpoint; 2] = [Endpoint::new(ADDRESSES.0, 80), Endpoint::new(ADDRESSES.1, 50_000)];

    /// Adds a segment to a block, and says how many bytes of it are its header.
    fn written(block: &mut Vec<u8>, payload: Vec<u8>, wrong: bool) -> usize {
        let header = (0..4 * (payload.len() % 11)).map(|_| 1).collect(); // of No-Operations
        let tcp = Tcp { options: header, payload, ..Tcp::new(ENDS[0], ENDS[1], 7, 7, Flags::ACK) };
        let mut bytes = tcp.bytes().unwrap();
        bytes[16] ^= u8::from(wrong);
        block.extend_from_slice(&bytes);
        bytes.len() - tcp.payload.len()
    }

    fn read(bytes: &[u8], header: usize, ttl: u8) -> Segment<'_> {
        Segment {
            src: ENDS[0],
            dst: ENDS[1],
            seq: SeqNumber(7),
            ack: SeqNumber(7),
            flags: Flags::ACK,
            window: 65_535,
            options: TcpOptions::default(),
            payload: &bytes[header..],
            cut: 0,
            ttl,
            checksum: Checksum::Of(bytes),
        }
    }

    /// The whole stream, and which segment brought each byte. Segments are copied and lent as it comes, from blocks that come and go;
    /// what is accounted is the same as if all were copied.
    #[test]
    fn it_does_what_a_full_copy_does() {
        for seed in 0..40 {
            let mut rng = Rng::new(seed);
            let (mut history, mut full, mut starts) = (History::default(), Vec::new(), Vec::new());
            let (mut copied, mut block) = (History::default(), Vec::new());
            let share = [0.0, 0.6, 1.0, 1.0][rng.below(4)];
            let mut scale = 9_000;
            for step in 0..600_usize {
                if rng.chance(0.02) {
                    scale = [4, 60, 1_500, 9_000][rng.below(4)];
                }
                let (ttl, wrong) = (rng.between(1, 255) as u8, rng.chance(0.3));
                let bytes: Vec<u8> = (0..rng.between(1, scale)).map(|_| b'a' + rng.below(2) as u8).collect();
                if rng.chance(0.005) {
                    history.copy_lent(&block);
                    block.clear();
                }
                let at = block.len();
                let header = written(&mut block, bytes.clone(), wrong);
                let segment = read(&block[at..], header, ttl);
                let provenance = DeliveredBy::Whole(&segment).provenance();
                if rng.chance(share) {
                    let end = NonZeroU32::new(block.len() as u32).unwrap();
                    history.lend(SegmentMeta::lent(&segment, end), &block);
                } else {
                    history.copy(&bytes, provenance, &block);
                }
                copied.copy(&bytes, provenance, &[]);
                assert_eq!(history.held(), copied.held(), "seed {seed}, step {step}");
                starts.push(full.len());
                full.extend(bytes.iter().map(|&byte| (byte, step, ttl, wrong)));
                // Mostly nobody asks, so that much is lent at once.
                if rng.chance(0.99) {
                    continue;
                }
                // A copy from anywhere: as it was, with some bytes turned over, and perhaps beyond the end.
                let back = rng.below(full.len().min(2 * HISTORY_MAX)) + 1;
                let start = full.len() - back;
                let most = [3, 200, 70_000][rng.below(3)];
                let len = rng.between(1, most);
                let mut copy: Vec<u8> =
                    full[start..].iter().map(|&(byte, ..)| byte).chain([b'z'; 40]).take(len).collect();
                for _ in 0..rng.below(3) {
                    let at = rng.below(copy.len());
                    copy[at] ^= 0x20;
                }
                let known = full.len().saturating_sub(HISTORY_MAX);
                let differing: Vec<_> = (start..full.len())
                    .zip(&copy)
                    .filter(|&(at, &byte)| at >= known && full[at].0 != byte)
                    .map(|(at, _)| full[at])
                    .collect();
                let because = format!("seed {seed}, step {step}: {} bytes from {back} back", copy.len());
                assert_eq!(history.differs(&copy, back as u64, &block), !differing.is_empty(), "{because}");
                // Of what it says of the origins as far as it knows them: the last segments, and checksums of whole ones.
                let oldest = (step + 1).saturating_sub(SEGMENTS_MAX);
                let origins: Vec<_> = differing.iter().filter(|&&(_, by, ..)| by >= oldest).collect();
                let ttl = origins.iter().map(|&&(_, _, ttl, _)| ttl).min().unwrap_or(u8::MAX);
                let checksum = origins.iter().any(|&&(_, by, _, wrong)| wrong && starts[by] >= known);
                assert_eq!(history.evidence(&copy, back as u64, ADDRESSES), Evidence { ttl, checksum }, "{because}");
            }
        }
    }

    #[test]
    fn spares_are_bounded_by_their_memory() {
        let mut spares = BufferPool::default();
        for len in (0..3_000).map(|n| 13 * n) {
            let mut history = Box::<History>::default();
            history.copy(&vec![7; len / 2], ORIGIN, &[]);
            history.copy(&vec![7; len / 2], ORIGIN, &[]);
            BufferPool::keep(Some(&mut spares), Some(history));
        }
        let resident = |spares: &BufferPool| spares.kept.iter().map(|history| history.resident()).sum::<usize>();
        assert_eq!(spares.bytes, resident(&spares));
        assert!((SPARES_BYTES_MAX - SPARE_BYTES_MAX..=SPARES_BYTES_MAX).contains(&spares.bytes), "{}", spares.bytes);
        for _ in 0..10 {
            assert_eq!(BufferPool::give(Some(&mut spares)).held(), size_of::<History>(), "as if it were new");
        }
        assert_eq!(spares.bytes, resident(&spares));
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let mut history = History::default();
        for _ in 0..100 {
            history.copy(&[7; 10_000], ORIGIN, &[]);
        }
        history.copy(&[8; 2 * HISTORY_MAX], ORIGIN, &[]);
        assert_eq!(history.bytes.len(), HISTORY_MAX);
        assert!(!history.differs(&[8; 10], 10, &[]));
    }
}
