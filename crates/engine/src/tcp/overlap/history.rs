//! Recently delivered bytes, kept to detect retransmissions with different content.
//!
//! Invariants: it has the last bytes before the next one to deliver, all of them or the last
//! [`HISTORY_MAX`]; its segments cover the last of those bytes, and may cover all.
//! Next: [`super::evidence`].

use std::collections::VecDeque;
use std::net::IpAddr;

use super::evidence::{Evidence, Provenance};
use super::segments::{SegmentMeta, Segments, grow};
use crate::stream::Retention;

/// Bytes retained of one direction: more than the initial window (RFC 6928: 10 segments), and few
/// enough for a core's cache. A conflict farther back counts as a duplicate.
const HISTORY_MAX: usize = 64 << 10;

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(in crate::tcp) retention: Retention,
    bytes: VecDeque<u8>,
    segments: Segments,
}

impl History {
    /// Adds bytes that were just delivered; the oldest make room. hot: see NOTES#history
    #[inline(always)]
    pub(in crate::tcp) fn push(&mut self, bytes: &[u8], provenance: Provenance) {
        self.segments.push(SegmentMeta { len: bytes.len() as u32, provenance });
        let bytes = &bytes[bytes.len().saturating_sub(HISTORY_MAX)..];
        let over = (self.bytes.len() + bytes.len()).saturating_sub(HISTORY_MAX);
        if over > 0 {
            self.bytes.drain(..over);
        }
        grow(&mut self.bytes, bytes.len());
        self.bytes.extend(bytes);
    }

    /// Returns whether a copy that starts `back` bytes before the next byte differs from what was
    /// delivered. Only bytes that both have are compared.
    pub(in crate::tcp) fn differs(&self, copy: &[u8], back: u64) -> bool {
        let held = self.bytes.len() as u64;
        let unknown = usize::try_from(back.saturating_sub(held)).unwrap_or(usize::MAX);
        let Some(known) = copy.get(unknown..) else { return false };
        let start = held.saturating_sub(back) as usize;
        self.bytes.range(start.min(self.bytes.len())..).zip(known).any(|(old, new)| old != new)
    }

    /// Returns the evidence against the segments whose bytes differ from a copy that [differs]. A
    /// checksum is verified only where the history has all bytes of the segment. `addresses` are
    /// those of the segments.
    ///
    /// [differs]: Self::differs
    pub(in crate::tcp) fn evidence(&self, copy: &[u8], back: u64, addresses: (IpAddr, IpAddr)) -> Evidence {
        let held = self.bytes.len() as u64;
        let range = |from: u64, until: u64| self.bytes.range((held - from) as usize..(held - until) as usize);
        let mut found = Evidence::NONE;
        let mut whole = Vec::new();
        let mut end = 0;
        for segment in self.segments.iter() {
            // The segment's bytes lie from `start` to `end` bytes before the next byte, and those
            // that the copy shares with it lie from `first` to `last`.
            let start = end + u64::from(segment.len);
            let (first, last) = (start.min(back).min(held), end.max(back.saturating_sub(copy.len() as u64)));
            if first > last {
                let new = &copy[(back - first) as usize..(back - last) as usize];
                if range(first, last).zip(new).any(|(old, new)| old != new) {
                    whole.clear();
                    if start <= held {
                        whole.extend(range(start, end));
                    }
                    let checksum = start <= held && segment.provenance.is_wrong(addresses, &whole);
                    found = found.and(Evidence { ttl: segment.provenance.ttl, checksum });
                }
            }
            end = start;
        }
        found
    }

    /// Returns the accounted bytes. They are counted by use, so that it does not show where the
    /// memory came from.
    pub(in crate::tcp) fn held(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.segments.held()
    }

    /// Returns the most bytes that may be allocated, used or not.
    pub(super) fn resident(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.segments.resident()
    }

    /// Drops the content and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.segments.clear();
    }
}

#[cfg(test)]
mod tests {
    use sniffer_packet::key::Endpoint;
    use sniffer_packet::segment::{Checksum, Flags, Segment, TcpOptions};
    use sniffer_packet::seq::SeqNumber;
    use sniffer_testkit::rng::Rng;
    use sniffer_testkit::wire::Tcp;

    use super::*;
    use crate::tcp::overlap::evidence::ChecksumVerdict;
    use crate::tcp::overlap::segments::{SEGMENTS_MAX, heap_size};

    const PLAIN: Provenance = Provenance { ttl: 64, checksum: ChecksumVerdict::Passed };
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
            history.push(bytes, Provenance { ttl, checksum });
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
        history.push(b"hello world", PLAIN);
        for (bytes, back, differs) in [
            (&b"world"[..], 5, false),
            (b"wOrld", 5, true),
            (b"world and more", 5, false),
            (b"unknown hello", 19, false),
            (b"unknown hELlo", 19, true),
            (b"before", 100, false),
        ] {
            let because = format!("{:?} {back} back", bytes.escape_ascii().to_string());
            assert_eq!(history.differs(bytes, back), differs, "{because}");
        }
    }

    #[test]
    fn it_accounts_for_its_bytes_and_its_segments() {
        let mut history = History::default();
        history.push(b"hello", PLAIN);
        assert_eq!(history.held(), size_of::<History>() + 5, "one segment needs nothing more");
        for n in 2..4 {
            history.push(b"hello", PLAIN);
            assert_eq!(history.held(), size_of::<History>() + n * 5 + heap_size(n));
        }
    }

    const ENDS: [Endpoint; 2] = [Endpoint::new(ADDRESSES.0, 80), Endpoint::new(ADDRESSES.1, 50_000)];

    /// Returns a TCP segment as bytes, and the length of its header.
    fn written(payload: &[u8], wrong: bool) -> (Vec<u8>, usize) {
        let options = vec![1; 4 * (payload.len() % 11)]; // No-Operations
        let tcp = Tcp { options, payload: payload.to_vec(), ..Tcp::new(ENDS[0], ENDS[1], 7, 7, Flags::ACK) };
        let mut bytes = tcp.bytes().unwrap();
        bytes[16] ^= u8::from(wrong);
        let header = bytes.len() - payload.len();
        (bytes, header)
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

    /// The model has the whole stream, and for each byte the segment that carried it.
    #[test]
    fn it_does_what_a_full_copy_does() {
        for seed in 0..40 {
            let mut rng = Rng::new(seed);
            let (mut history, mut full, mut starts) = (History::default(), Vec::new(), Vec::new());
            let mut scale = 9_000;
            for step in 0..600_usize {
                if rng.chance(0.02) {
                    scale = [4, 60, 1_500, 9_000][rng.below(4)];
                }
                let (ttl, wrong) = (rng.between(1, 255) as u8, rng.chance(0.3));
                let bytes: Vec<u8> = (0..rng.between(1, scale)).map(|_| b'a' + rng.below(2) as u8).collect();
                let (segment, header) = written(&bytes, wrong);
                let segment = read(&segment, header, ttl);
                let provenance = if rng.chance(0.5) { Provenance::verified } else { Provenance::unverified };
                history.push(&bytes, provenance(&segment));
                starts.push(full.len());
                full.extend(bytes.iter().map(|&byte| (byte, step, ttl, wrong)));
                if rng.chance(0.99) {
                    continue;
                }
                // A copy from anywhere, with some bytes changed, and perhaps past the end.
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
                assert_eq!(history.differs(&copy, back as u64), !differing.is_empty(), "{because}");
                // Only the last segments are remembered, and only whole ones are verified.
                let oldest = (step + 1).saturating_sub(SEGMENTS_MAX);
                let suspects: Vec<_> = differing.iter().filter(|&&(_, by, ..)| by >= oldest).collect();
                let ttl = suspects.iter().map(|&&(_, _, ttl, _)| ttl).min().unwrap_or(u8::MAX);
                let checksum = suspects.iter().any(|&&(_, by, _, wrong)| wrong && starts[by] >= known);
                assert_eq!(history.evidence(&copy, back as u64, ADDRESSES), Evidence { ttl, checksum }, "{because}");
            }
        }
    }

    #[test]
    fn it_never_grows_over_its_bound() {
        let mut history = History::default();
        for _ in 0..100 {
            history.push(&[7; 10_000], PLAIN);
        }
        history.push(&[8; 2 * HISTORY_MAX], PLAIN);
        assert_eq!(history.bytes.len(), HISTORY_MAX);
        assert!(!history.differs(&[8; 10], 10));
    }
}
