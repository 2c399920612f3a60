//! Peeks at a plain frame to find its bucket before it is decoded, as network cards do.
//!
//! Invariant: a peek agrees with [`super::decode`]. It knows one kind of frame, which nearly all
//! are; for others it returns nothing. Next: [`crate::intake`], which calls it.

use super::ether::IPV4;
use super::ip::protocol::TCP;
use crate::frame::{Frame, LinkType};
use crate::key::{bucket_of, number_of_v4};

/// The facts about a segment that has not been decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peek {
    /// The bucket of its flow, below [`BUCKETS`](crate::key::BUCKETS).
    pub bucket: usize,
    /// Number of bytes in its payload.
    pub payload: usize,
}

/// Length of the headers: Ethernet, IPv4 and TCP without options.
const HEADERS: usize = 14 + 20 + 20;

/// Peeks at a frame; `None` unless it is a whole segment with plain Ethernet, IPv4 and TCP headers.
#[inline(always)] // hot: see NOTES#peek
pub fn peek(frame: &Frame<'_>) -> Option<Peek> {
    let head = frame.bytes.first_chunk::<HEADERS>()?;
    let u16_at = |at| u16::from_be_bytes([head[at], head[at + 1]]);
    let is_plain = frame.link == LinkType::ETHERNET
        && u16_at(12) == IPV4
        && head[14] == 0x45
        // Not a fragment.
        && u16_at(20) & 0x3fff == 0
        && head[23] == TCP;
    let total_len = usize::from(u16_at(16));
    let header_len = usize::from(head[46] >> 4) * 4;
    if !is_plain || header_len < 20 || 14 + total_len > frame.bytes.len() {
        return None;
    }
    let payload = total_len.checked_sub(20 + header_len)?;
    let end =
        |ip, port| number_of_v4(u32::from_be_bytes([head[ip], head[ip + 1], head[ip + 2], head[ip + 3]]), u16_at(port));
    Some(Peek { bucket: bucket_of(end(26, 34), end(30, 36)), payload })
}
