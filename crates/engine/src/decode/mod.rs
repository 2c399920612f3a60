//! One frame to at most one TCP segment: link layer, tunnels, IP, TCP. Pure: it keeps nothing between frames.
//!
//! Invariant: decode never allocates and never looks past the IP total length.
//! IP fragments come out as [`Fragment`]s for [`crate::defrag`]. Next: [`crate::tcp`].

/// The value of an `Ok`, or a return with what was skipped: the `?` of steps that return [`Decoded`].
///
/// They return it as it is and not inside a `Result`, because then every call on the way up hands on the caller's place to
/// write to; copying a `Decoded` from one wrapper into the next was measured to cost more than reading the headers.
macro_rules! ok {
    ($step:expr) => {
        match $step {
            Ok(value) => value,
            Err(skipped) => return crate::decode::Decoded::Skipped(skipped),
        }
    };
}

mod ether;
mod ip;
mod link;
mod plain;
mod ppp;
mod rest;
mod tcp;
#[cfg(test)]
mod tests;
mod tunnel;
mod udp;
mod wifi;

use std::net::IpAddr;

use crate::frame::Frame;
use crate::key::Endpoint;
use crate::seq::SeqNumber;

pub use plain::Glance;
pub(crate) use plain::glance;
pub(crate) use tcp::HeaderSum;

/// The TCP segment or IP fragment in a frame, or why there is none. Total: any bytes give an answer.
///
/// Of an 802.11 aggregate this is the first packet; [`decode_each`] gives them all.
#[inline(never)]
pub fn decode<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    link::frame(frame.link, rest::Rest::of(frame))
}

/// Every packet in a frame, in order: exactly one, except that an 802.11 aggregate (A-MSDU) holds several.
#[inline]
pub fn decode_each<'a>(frame: &Frame<'a>, mut each: impl FnMut(&Decoded<'a>)) {
    if !wifi::is_wifi(frame.link) {
        return each(&decode(frame));
    }
    match wifi::packets(frame.link, rest::Rest::of(frame)) {
        Ok(packets) => {
            each(&packets.first());
            packets.skip(1).for_each(|packet| each(&ether::llc(packet)));
        }
        Err(skipped) => each(&Decoded::Skipped(skipped)),
    }
}

/// The segment in a datagram that [`crate::defrag`] put together: `bytes` is its payload, `facts` what its fragments said.
///
/// This can be a fragment again, of a datagram one tunnel further in at least (`depth` grows), so pushing what comes out
/// back into the defragmenter ends after as many rounds as tunnels may be stacked.
pub fn decode_datagram<'a>(facts: &DatagramFacts, bytes: &'a [u8]) -> Decoded<'a> {
    let carrier = ip::Carrier { src: facts.src, dst: facts.dst, ttl: facts.ttl, length_known: true, reassembled: true };
    let rest = rest::Rest::of_datagram(bytes, facts.cut, facts.depth);
    ip::upper(facts.protocol, rest, carrier)
}

/// What is known of a reassembled datagram beside its bytes.
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
    /// How many tunnels were opened to reach it.
    pub depth: u8,
    /// Bytes at the datagram's end that were on the wire but not in the capture.
    pub cut: u32,
}

/// What a frame turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decoded<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A part of an IP datagram, to be put together first.
    Fragment(Fragment<'a>),
    /// Nothing for us, and why.
    Skipped(Skipped),
}

/// Why a frame gave no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skipped {
    /// Well-formed, but neither TCP nor a tunnel we open: ARP, UDP, ICMP, 802.11 management …
    NotTcp,
    /// A link type this build does not know.
    UnknownLinkType,
    /// Cut or malformed before the TCP payload; the layer says where.
    Malformed(Layer),
    /// More tunnels inside each other than the limit.
    TooDeep,
}

/// A layer of a packet, for naming where decoding stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Layer {
    /// Ethernet, SLL, VLAN, MPLS, PPP …
    Link,
    /// GRE, VXLAN and the other encapsulations.
    Tunnel,
    /// IPv4 or IPv6 with its extension headers.
    Ip,
    /// The TCP header.
    Tcp,
}

/// A TCP segment as it stood in a frame or a reassembled datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "built by decode, the test kit and models alike; no invariant")]
pub struct Segment<'a> {
    /// Who sent it.
    pub src: Endpoint,
    /// To whom.
    pub dst: Endpoint,
    /// Sequence number of the SYN, or of the first payload byte.
    pub seq: SeqNumber,
    /// Acknowledgement number; meaningful with [`Flags::ACK`].
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: Flags,
    /// Window field, not scaled.
    pub window: u16,
    /// The options we use.
    pub options: Options,
    /// Payload bytes that were captured.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire behind `payload` but not in the capture (snapshot length).
    pub cut: u32,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
    /// What it takes to verify the TCP checksum, which nobody pays for unasked: see [`Segment::checksum_is_wrong`].
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
    /// The acknowledgement field counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);

    /// Whether every bit of `flags` is set.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

/// The TCP options that decide something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "built by decode and by tests; no invariant")]
pub struct Options {
    /// Timestamps: (TSval, TSecr) (RFC 7323 §3).
    pub timestamps: Option<(u32, u32)>,
    /// Window scale shift, on a SYN (RFC 7323 §2).
    pub window_scale: Option<u8>,
    /// A TCP MD5 signature (RFC 2385) stands in it.
    pub md5: bool,
}

/// What is needed to verify a TCP checksum on demand, so that nobody pays for it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "either it can be computed or not")]
pub enum Checksum<'a> {
    /// The whole TCP segment, header first, as covered by the checksum.
    Of(&'a [u8]),
    /// The segment was cut or its length unknown, so nothing can be said.
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
    /// Whether more fragments follow this one.
    pub more: bool,
    /// The fragment's payload as captured.
    pub bytes: &'a [u8],
    /// Payload bytes cut by the snapshot length.
    pub cut: u32,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
    /// How many tunnels were opened to reach it.
    pub depth: u8,
}
