//! Where delivered bytes came from: what tells which of two conflicting copies the peer never took (policy 2).

use std::net::IpAddr;

use crate::decode::{HeaderSum, Segment};

/// What brings bytes that are delivered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bringer<'a> {
    /// A segment, all of it.
    Whole(&'a Segment<'a>),
    /// A part of one.
    Part(&'a Segment<'a>),
    /// One that waited.
    Waited(Origin),
}

impl Bringer<'_> {
    pub(super) fn origin(self) -> Origin {
        match self {
            Self::Whole(segment) => Origin { ttl: segment.ttl, checksum: Verdict::of(segment.header_sum()) },
            Self::Part(segment) => Origin::verified(segment),
            Self::Waited(origin) => origin,
        }
    }
}

/// What is known of a segment beside its payload.
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

impl Verdict {
    pub(super) fn of(sum: Option<HeaderSum>) -> Self {
        sum.map_or(Self::Passed, Self::Open)
    }
}

impl Origin {
    /// Of a segment of which a part is kept, so that it has to be verified now.
    pub(super) fn verified(segment: &Segment<'_>) -> Self {
        let wrong = segment.checksum_is_wrong() == Some(true);
        Self { ttl: segment.ttl, checksum: if wrong { Verdict::Wrong } else { Verdict::Passed } }
    }

    /// Of a segment that brought these bytes and no others.
    pub(super) fn is_wrong(&self, addresses: (IpAddr, IpAddr), bytes: &[u8]) -> bool {
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
