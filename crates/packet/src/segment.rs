//! A TCP segment, and a fragment of an IP datagram, as decoding finds them in a packet.
//!
//! Both borrow their bytes from the frame. Next: [`crate::decode`], which makes them.

use std::net::IpAddr;

use crate::key::Endpoint;
use crate::seq::SeqNumber;

/// A TCP segment as it stood in a frame or a reassembled datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "built by decode, the test kit and models alike; no invariant")]
pub struct Segment<'a> {
    /// Sender.
    pub src: Endpoint,
    /// Receiver.
    pub dst: Endpoint,
    /// Sequence number of the SYN, or of the first payload byte.
    pub seq: SeqNumber,
    /// Acknowledgement number; meaningful with [`Flags::ACK`].
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: Flags,
    /// Window field, not scaled.
    pub window: u16,
    /// The options that later stages use.
    pub options: TcpOptions,
    /// Payload bytes that were captured.
    pub payload: &'a [u8],
    /// Payload bytes after `payload` that were on the wire but not captured (snapshot length).
    pub cut: u32,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
    /// Input for [`Segment::checksum_is_wrong`], which verifies the checksum on demand.
    pub checksum: Checksum<'a>,
}

/// TCP control bits (RFC 9293 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field is valid.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is valid.
    pub const URG: Self = Self(0x20);

    /// Returns whether every bit of `flags` is set.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

/// The TCP options that later stages use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "built by decode and by tests; no invariant")]
pub struct TcpOptions {
    /// Timestamps: (TSval, TSecr) (RFC 7323 §3).
    pub timestamps: Option<(u32, u32)>,
    /// Window scale shift, on a SYN (RFC 7323 §2).
    pub window_scale: Option<u8>,
    /// It has a TCP MD5 signature (RFC 2385).
    pub md5: bool,
}

/// The bytes that a TCP checksum covers, for verification on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "either it can be computed or not")]
pub enum Checksum<'a> {
    /// The whole TCP segment, header first.
    Of(&'a [u8]),
    /// The segment was cut, or its length is unknown: the checksum cannot be verified.
    Unknown,
}

/// A fragment of an IP datagram (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "built by decode, the test kit and models alike; no invariant")]
pub struct Fragment<'a> {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// IPv4 protocol, or the next header of the IPv6 fragment header.
    pub protocol: u8,
    /// Offset of `bytes` in the datagram's payload, in bytes, a multiple of 8.
    pub offset: u32,
    /// More fragments follow this one.
    pub more: bool,
    /// The fragment's payload as captured.
    pub bytes: &'a [u8],
    /// Payload bytes cut by the snapshot length.
    pub cut: u32,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
    /// Number of tunnels around it.
    pub depth: u8,
}

/// The facts about a reassembled IP datagram, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "built by defrag and by tests; no invariant")]
pub struct DatagramFacts {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IPv4 protocol, or the next header of the first fragment's IPv6 fragment header.
    pub protocol: u8,
    /// IPv4 TTL or IPv6 hop limit of the first fragment.
    pub ttl: u8,
    /// Number of tunnels around it.
    pub depth: u8,
    /// Bytes at the datagram's end that were on the wire but not in the capture.
    pub cut: u32,
}
