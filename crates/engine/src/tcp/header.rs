//! What the headers of one side's segments say of it: its window, and values that a forged segment
//! may not match.

use sniffer_packet::segment::Segment;

/// Bytes of the largest window that TCP can have: 65 535 << 14 (RFC 7323 §2.2).
pub(super) const WINDOW_MAX: u32 = 65_535 << 14;

/// Hops by which the TTLs of one side may differ without meaning anything, because routes change.
/// Arbitrary.
const TTL_TOLERANCE: u8 = 4;

/// The window scale option of a side's SYN (RFC 7323 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// The SYN was not seen.
    Unknown,
    /// The SYN was seen; `None` when it did not offer the option.
    Offered(Option<u8>),
}

/// Header values of one side.
#[derive(Debug)]
pub(super) struct HeaderState {
    /// Bytes of the largest window offered.
    pub(super) window: u32,
    scale: Scale,
    /// Highest TTL. A forged segment that must die before it reaches the peer stays below it.
    pub(super) ttl: u8,
    /// True if this side signs its segments (RFC 2385). Known once a segment was seen.
    pub(super) md5: bool,
    /// Last in-order TSval (RFC 7323 §5).
    pub(super) ts_recent: Option<u32>,
}

impl HeaderState {
    pub(super) const fn new() -> Self {
        Self { window: 0, scale: Scale::Unknown, ttl: 0, md5: false, ts_recent: None }
    }

    /// Records the window and the window scale of a SYN, whose own window is never scaled.
    pub(super) fn see_syn_window(&mut self, syn: &Segment<'_>) {
        self.scale = Scale::Offered(syn.options.window_scale);
        self.window = self.window.max(u32::from(syn.window));
    }

    /// Records the window of any other segment. Both sides must have offered the option for a scale
    /// to apply.
    pub(super) fn see_window(&mut self, field: u16, peer: &Self) {
        let shift = match (self.scale, peer.scale) {
            (Scale::Offered(None), _) | (_, Scale::Offered(None)) => 0,
            // If the peer's SYN is missing, it is assumed to have offered the option.
            (Scale::Offered(Some(shift)), _) => shift.min(14),
            // This side's SYN is missing: assume the largest scale.
            (Scale::Unknown, _) => 14,
        };
        self.window = self.window.max(u32::from(field) << shift);
    }

    /// Returns whether a TTL belongs to a packet that took another route than this side's, or that
    /// was made to die on the way.
    pub(super) const fn is_low(&self, ttl: u8) -> bool {
        ttl < self.ttl.saturating_sub(TTL_TOLERANCE)
    }
}
