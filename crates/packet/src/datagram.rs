//! A UDP datagram (RFC 768) that is not one of the tunnels that decoding opens.
//!
//! Its payload is borrowed from the frame. Next: [`crate::decode`], which makes it.

use crate::key::Endpoint;

/// A UDP datagram as it stood in a frame or a reassembled IP datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "built by decode and by tests; no invariant")]
pub struct Datagram<'a> {
    /// Sender.
    pub src: Endpoint,
    /// Receiver.
    pub dst: Endpoint,
    /// Payload bytes that were captured.
    pub payload: &'a [u8],
    /// Payload bytes after `payload` that were on the wire but not captured (snapshot length).
    pub cut: u32,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
}
