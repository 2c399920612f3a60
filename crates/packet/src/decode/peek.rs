//! A peek at a plain frame: what its segment is of, for who shares frames out before they are decoded, as network cards do.
//!
//! Invariant: what it says of a frame, [`super::decode`] says too. It knows one kind of frame, nearly all there are; of others it
//! says nothing. Next: [`crate::intake`], which asks.

use super::ether::IPV4;
use super::ip::protocol::TCP;
use crate::frame::{Frame, LinkType};
use crate::key::{bucket_of, number_of_v4};

/// What there is to know of a segment that nobody has decoded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peek {
    /// The part of all flows that it is in, below [`BUCKETS`](crate::key::BUCKETS).
    pub bucket: usize,
    /// Bytes of its payload.
    pub payload: usize,
}

/// Ethernet, IPv4 without options, TCP without its own.
const HEADERS: usize = 14 + 20 + 20;

/// What a frame holds, if that is a whole segment behind headers without anything unusual.
#[inline(always)]
pub fn peek(frame: &Frame<'_>) -> Option<Peek> {
    let head = frame.bytes.first_chunk::<HEADERS>()?;
    let u16_at = |at| u16::from_be_bytes([head[at], head[at + 1]]);
    let is_plain = frame.link == LinkType::ETHERNET
        && u16_at(12) == IPV4
        && head[14] == 0x45
        // No fragment.
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
