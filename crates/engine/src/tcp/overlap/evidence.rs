//! Where delivered bytes came from: what tells which of two conflicting copies the peer never took (policy 2).

use std::net::IpAddr;

use sniffer_packet::decode::HeaderSum;
use sniffer_packet::segment::Segment;

/// What brings bytes that are delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DeliveredBy<'a> {
    /// A segment, all of it.
    Whole(&'a Segment<'a>),
    /// A part of one.
    Part(&'a Segment<'a>),
    /// One that waited.
    Waited(Provenance),
}

impl DeliveredBy<'_> {
    pub(crate) fn provenance(self) -> Provenance {
        match self {
            Self::Whole(segment) => {
                Provenance { ttl: segment.ttl, checksum: ChecksumVerdict::of(segment.header_sum()) }
            }
            Self::Part(segment) => Provenance::verified(segment),
            Self::Waited(provenance) => provenance,
        }
    }
}

/// What is known of a segment beside its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Provenance {
    pub(crate) ttl: u8,
    pub(crate) checksum: ChecksumVerdict,
}

/// Whether a segment's checksum is right.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChecksumVerdict {
    /// It was looked at, or cannot be known.
    Passed,
    Wrong,
    /// Nobody asked yet: the bytes, all of them, and this will tell.
    Open(HeaderSum),
}

impl ChecksumVerdict {
    pub(crate) fn of(sum: Option<HeaderSum>) -> Self {
        sum.map_or(Self::Passed, Self::Open)
    }
}

impl Provenance {
    /// Of a segment of which a part is kept, so that it has to be verified now.
    pub(crate) fn verified(segment: &Segment<'_>) -> Self {
        let wrong = segment.checksum_is_wrong() == Some(true);
        Self { ttl: segment.ttl, checksum: if wrong { ChecksumVerdict::Wrong } else { ChecksumVerdict::Passed } }
    }

    /// Of a segment that brought these bytes and no others.
    pub(crate) fn is_wrong(&self, addresses: (IpAddr, IpAddr), bytes: &[u8]) -> bool {
        match self.checksum {
            ChecksumVerdict::Passed => false,
            ChecksumVerdict::Wrong => true,
            ChecksumVerdict::Open(sum) => sum.is_wrong(addresses.0, addresses.1, bytes) == Some(true),
        }
    }
}

/// What speaks against a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The lowest TTL.
    pub(crate) ttl: u8,
    /// A checksum was wrong.
    pub(crate) checksum: bool,
}

impl Evidence {
    pub(crate) const NONE: Self = Self { ttl: u8::MAX, checksum: false };

    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self { ttl: self.ttl.min(other.ttl), checksum: self.checksum | other.checksum }
    }

    /// Of a provenance that was verified.
    pub(crate) fn of(provenance: Provenance) -> Self {
        Self { ttl: provenance.ttl, checksum: matches!(provenance.checksum, ChecksumVerdict::Wrong) }
    }
}
