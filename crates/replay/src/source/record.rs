//! A record: one packet found in the window. And what both formats share to find it.
//!
//! This file reads nothing. Next: [`super::pcap`], [`super::pcapng`].

use sniffer_packet::frame::LinkType;
use sniffer_packet::time::{Precision, Timestamp};

/// A packet in the window. It borrows nothing, so that it can be kept while the window is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) time: Timestamp,
    pub(super) precision: Precision,
    pub(super) link: LinkType,
    /// Length on the wire, never less than `length`.
    pub(super) wire_len: u32,
    /// Start of its bytes in the window.
    pub(super) start: usize,
    /// Number of captured bytes.
    pub(super) length: usize,
}

/// Captured lengths up to this are always accepted: tcpdump and Wireshark use this snapshot length
/// for "whole packets" (Wireshark's `WTAP_MAX_PACKET_SIZE_STANDARD`).
const CAPTURED_USUAL: u32 = 262_144;

/// Captured lengths over this are damage, whatever the file's snapshot length is. Bounds the buffer.
pub(super) const CAPTURED_MAX: u32 = 16 * 1024 * 1024;

/// Returns the largest captured length that is accepted in a file with this snapshot length; 0 stands
/// for none.
///
/// Many tools write packets that are longer than the snapshot length they state (often 65 535), so it
/// only raises the limit.
pub(super) fn captured_limit(snapshot_length: u32) -> u32 {
    snapshot_length.clamp(CAPTURED_USUAL, CAPTURED_MAX)
}

/// The byte order of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// Reads two bytes at `at`. The caller has checked that they are there.
    #[inline]
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let value = [bytes[at], bytes[at + 1]];
        match self {
            Self::Little => u16::from_le_bytes(value),
            Self::Big => u16::from_be_bytes(value),
        }
    }

    /// Reads four bytes at `at`. The caller has checked that they are there.
    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let value = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        match self {
            Self::Little => u32::from_le_bytes(value),
            Self::Big => u32::from_be_bytes(value),
        }
    }

    /// Reads eight bytes at `at`. The caller has checked that they are there.
    pub(super) fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let (first, second) = (u64::from(self.u32(bytes, at)), u64::from(self.u32(bytes, at + 4)));
        match self {
            Self::Little => second << 32 | first,
            Self::Big => first << 32 | second,
        }
    }
}
