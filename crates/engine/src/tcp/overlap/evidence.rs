//! Provenance of bytes, and evidence for which of two conflicting copies the peer discarded
//! (policy 2).

use std::net::IpAddr;

use sniffer_packet::decode::HeaderSum;
use sniffer_packet::segment::Segment;

/// Facts about the segment that carried some bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Provenance {
    pub(crate) ttl: u8,
    pub(crate) checksum: ChecksumVerdict,
}

/// The result of checking a segment's checksum.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChecksumVerdict {
    /// It was verified, or cannot be.
    Passed,
    Wrong,
    /// It was not verified yet. That takes this sum and all bytes of the segment.
    Open(HeaderSum),
}

impl Provenance {
    /// The provenance of bytes that are a segment's whole payload: its checksum can be verified
    /// later, if anybody asks.
    pub(crate) fn unverified(segment: &Segment<'_>) -> Self {
        let checksum = segment.header_sum().map_or(ChecksumVerdict::Passed, ChecksumVerdict::Open);
        Self { ttl: segment.ttl, checksum }
    }

    /// The provenance of bytes that may be part of a segment's payload: its checksum is verified
    /// now.
    pub(crate) fn verified(segment: &Segment<'_>) -> Self {
        let wrong = segment.checksum_is_wrong() == Some(true);
        Self { ttl: segment.ttl, checksum: if wrong { ChecksumVerdict::Wrong } else { ChecksumVerdict::Passed } }
    }

    /// Returns whether the checksum of a segment with this payload is wrong.
    pub(crate) fn is_wrong(&self, addresses: (IpAddr, IpAddr), payload: &[u8]) -> bool {
        match self.checksum {
            ChecksumVerdict::Passed => false,
            ChecksumVerdict::Wrong => true,
            ChecksumVerdict::Open(sum) => sum.is_wrong(addresses.0, addresses.1, payload) == Some(true),
        }
    }
}

/// Evidence against a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The lowest TTL.
    pub(crate) ttl: u8,
    /// True if a checksum was wrong.
    pub(crate) checksum: bool,
}

impl Evidence {
    pub(crate) const NONE: Self = Self { ttl: u8::MAX, checksum: false };

    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self { ttl: self.ttl.min(other.ttl), checksum: self.checksum | other.checksum }
    }

    /// The evidence of a verified provenance.
    pub(crate) const fn of(provenance: Provenance) -> Self {
        Self { ttl: provenance.ttl, checksum: matches!(provenance.checksum, ChecksumVerdict::Wrong) }
    }
}
