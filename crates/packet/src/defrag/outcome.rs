//! The words of defragmentation: its limits, what comes out, why a fragment goes, and the counters.
//!
//! No behaviour here. Next: [`super::Defrag`].

use std::time::Duration;

use crate::frame::Stamp;
use crate::segment::DatagramFacts;

/// How much may wait, and how long.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct DefragLimits {
    /// Most accounted bytes held; the oldest datagrams go first. At least one datagram fits however small this is, so the
    /// memory is this or one datagram (64 KiB and its bookkeeping), whichever is more.
    pub held_bytes_max: usize,
    /// Most datagrams waiting at once; the oldest go first. 0 counts as 1.
    pub datagrams_max: usize,
    /// Most fragments of one datagram. A full one over the smallest IPv4 link (68 bytes, RFC 791 §3.2) has 1 366.
    pub fragments_max: usize,
    /// How long after its first fragment a datagram is given up. RFC 791 §3.2 says 15 s and more, RFC 8200 §4.5 says 60 s;
    /// Linux waits 30 s.
    pub timeout: Duration,
}

impl Default for DefragLimits {
    fn default() -> Self {
        Self { held_bytes_max: 4 << 20, datagrams_max: 4096, fragments_max: 2048, timeout: Duration::from_secs(30) }
    }
}

/// A datagram put together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WholeDatagram {
    /// What its fragments said.
    pub facts: DatagramFacts,
    /// Its payload, up to the first byte that the capture lacks.
    pub bytes: Vec<u8>,
    /// What its fragments said twice.
    pub overlap: Overlap,
    /// The frame with the datagram's first byte.
    pub first: Stamp,
    /// Numbers of the frames it came in, in order of arrival; duplicates are in it.
    pub frames: Vec<u64>,
}

/// Whether fragments of one IPv4 datagram overlapped. An exact duplicate is not an overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[expect(clippy::exhaustive_enums, reason = "none, harmless, harmful: there is no fourth")]
pub enum Overlap {
    /// No byte came twice, or only in a copy of a whole fragment.
    #[default]
    None,
    /// Bytes came twice and were the same.
    Consistent,
    /// Bytes came twice and differed, or a fragment lay beyond the datagram's end; the copy that came first was kept.
    Conflicting,
}

/// What became of a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a fragment completes a datagram, waits, or goes")]
pub enum FragmentOutcome {
    /// It completed this datagram.
    Whole(WholeDatagram),
    /// It waits for others.
    Waiting,
    /// It was discarded, and perhaps its datagram with it.
    Discarded(Discarded),
}

/// Why a fragment was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discarded {
    /// Every byte of it was there already; the datagram waits on.
    Duplicate,
    /// Empty, or not the last and its length not a multiple of 8 (RFC 791 §3.2, RFC 8200 §4.5); the datagram waits on.
    Malformed,
    /// It would reach beyond what an IP length field can say ("ping of death"); the datagram waits on.
    TooBig,
    /// It contradicts where the datagram ends; the IPv4 datagram waits on, the IPv6 one is discarded.
    Contradictory,
    /// It overlaps others of an IPv6 datagram, which is discarded.
    Overlapping,
    /// Its IPv6 datagram was discarded before.
    Poisoned,
    /// The datagram already had as many fragments as it may; it is discarded.
    TooMany,
}

/// What happened since the start, in datagrams unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DefragStats {
    /// Fragments pushed.
    pub fragments: u64,
    /// Put together.
    pub assembled: u64,
    /// Put together with bytes missing at the end, because the capture cut its fragments.
    pub assembled_cut: u64,
    /// Put together from IPv4 fragments of which some overlapped with different bytes.
    pub conflicting: u64,
    /// Given up when their time was over.
    pub timed_out: u64,
    /// Given up to keep within the limits on bytes or datagrams.
    pub evicted: u64,
    /// Still waiting at the end of the capture.
    pub unfinished: u64,
    /// Discarded because IPv6 fragments overlapped or contradicted each other.
    pub overlapping: u64,
    /// Discarded because they had too many fragments.
    pub too_many: u64,
    /// Fragments that would have reached beyond the largest datagram.
    pub too_big_fragments: u64,
    /// Fragments that were empty, oddly long or contradicted the datagram's end.
    pub malformed_fragments: u64,
    /// Fragments of which every byte was there already.
    pub duplicate_fragments: u64,
    /// Captured payload bytes of fragments that came to nothing: in datagrams given up or discarded, and in fragments
    /// refused as too big, malformed or late. Duplicates are not in it.
    pub lost_bytes: u64,
}
