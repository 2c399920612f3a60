//! Types of defragmentation: limits, a whole datagram, the outcome of a fragment, counters.
//!
//! No behaviour here. Next: [`super::Defrag`].

use std::time::Duration;

use crate::frame::Stamp;
use crate::segment::DatagramFacts;

/// Limits on waiting fragments.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct DefragLimits {
    /// Most accounted bytes held; the oldest datagrams are evicted first. One datagram always fits,
    /// so the memory is this or one datagram (64 KiB and its bookkeeping), whichever is more.
    pub held_bytes_max: usize,
    /// Most datagrams waiting at once; the oldest are evicted first. 0 counts as 1.
    pub datagrams_max: usize,
    /// Most fragments of one datagram. The longest datagram over the smallest IPv4 link (68 bytes,
    /// RFC 791 §3.2) has 1 366.
    pub fragments_max: usize,
    /// Time after its first fragment at which a datagram times out. RFC 791 §3.2 says 15 s and
    /// more, RFC 8200 §4.5 says 60 s; Linux waits 30 s.
    pub timeout: Duration,
}

impl Default for DefragLimits {
    fn default() -> Self {
        Self { held_bytes_max: 4 << 20, datagrams_max: 4096, fragments_max: 2048, timeout: Duration::from_secs(30) }
    }
}

/// A reassembled IP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WholeDatagram {
    /// Facts from the headers of its fragments.
    pub facts: DatagramFacts,
    /// Its payload, up to the first byte that the capture lacks.
    pub bytes: Vec<u8>,
    /// Overlap among its fragments.
    pub overlap: Overlap,
    /// The frame with the datagram's first byte.
    pub first: Stamp,
    /// Numbers of the frames it came in, in order of arrival, duplicates included.
    pub frames: Vec<u64>,
}

/// Overlap among the fragments of one IPv4 datagram. An exact duplicate is not an overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[expect(clippy::exhaustive_enums, reason = "none, harmless, harmful: there is no fourth")]
pub enum Overlap {
    /// No byte came twice, or only in a copy of a whole fragment.
    #[default]
    None,
    /// Bytes came twice and were equal.
    Consistent,
    /// Bytes came twice and differed, or a fragment lay past the datagram's end. The first copy was
    /// kept.
    Conflicting,
}

/// The outcome of a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FragmentOutcome {
    /// It completed this datagram.
    Whole(WholeDatagram),
    /// It waits for others.
    Waiting,
    /// It was discarded, and perhaps its datagram with it.
    Discarded(Discarded),
}

/// The reason why a fragment was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discarded {
    /// Every byte of it came before; the datagram keeps waiting.
    Duplicate,
    /// It is empty, or it is not the last and its length is not a multiple of 8 (RFC 791 §3.2, RFC
    /// 8200 §4.5); the datagram keeps waiting.
    Malformed,
    /// It reaches past the longest datagram ("ping of death"); the datagram keeps waiting.
    TooBig,
    /// It contradicts the end of the datagram. An IPv4 datagram keeps waiting, an IPv6 one is
    /// discarded.
    Contradictory,
    /// It overlaps other fragments of an IPv6 datagram, which is discarded.
    Overlapping,
    /// Its IPv6 datagram was discarded before.
    Poisoned,
    /// The datagram already had the most fragments that the limit allows; it is discarded.
    TooMany,
}

/// Counters since the start, in datagrams unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DefragStats {
    /// Fragments pushed.
    pub fragments: u64,
    /// Reassembled.
    pub assembled: u64,
    /// Reassembled with bytes missing at the end, because the capture cut fragments.
    pub assembled_cut: u64,
    /// Reassembled from IPv4 fragments that overlapped with different bytes.
    pub conflicting: u64,
    /// Timed out.
    pub timed_out: u64,
    /// Evicted to keep the limits on bytes and datagrams.
    pub evicted: u64,
    /// Still waiting at the end of the capture.
    pub unfinished: u64,
    /// Discarded because IPv6 fragments overlapped or contradicted each other.
    pub overlapping: u64,
    /// Discarded because they had too many fragments.
    pub too_many: u64,
    /// Fragments that reached past the longest datagram.
    pub too_big_fragments: u64,
    /// Fragments that were empty, had an invalid length or contradicted the datagram's end.
    pub malformed_fragments: u64,
    /// Fragments of which every byte had come before.
    pub duplicate_fragments: u64,
    /// Captured payload bytes that were lost: in datagrams that timed out, were evicted or
    /// discarded, and in fragments refused as too big, malformed or late. Duplicates do not count.
    pub lost_bytes: u64,
}
