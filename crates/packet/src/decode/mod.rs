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

mod cursor;
mod ether;
mod ip;
mod link;
mod peek;
mod ppp;
mod tcp;
#[cfg(test)]
mod tests;
mod tunnel;
mod udp;
mod wifi;

use crate::datagram::Datagram;
use crate::frame::Frame;
use crate::segment::{DatagramFacts, Fragment, Segment};

pub use peek::Peek;
pub use peek::peek;
pub use tcp::HeaderSum;

/// The TCP segment or IP fragment in a frame, or why there is none. Total: any bytes give an answer.
///
/// Of an 802.11 aggregate this is the first packet; [`decode_each`] gives them all.
#[inline(never)]
pub fn decode<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    link::frame(frame.link, cursor::Cursor::of(frame))
}

/// Every packet in a frame, in order: exactly one, except that an 802.11 aggregate (A-MSDU) holds several.
#[inline]
pub fn decode_each<'a>(frame: &Frame<'a>, mut each: impl FnMut(&Decoded<'a>)) {
    if !wifi::is_wifi(frame.link) {
        return each(&decode(frame));
    }
    match wifi::packets(frame.link, cursor::Cursor::of(frame)) {
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
pub(crate) fn decode_datagram<'a>(facts: &DatagramFacts, bytes: &'a [u8]) -> Decoded<'a> {
    let carrier = ip::Carrier { src: facts.src, dst: facts.dst, ttl: facts.ttl, length_known: true, reassembled: true };
    let rest = cursor::Cursor::of_datagram(bytes, facts.cut, facts.depth);
    ip::upper(facts.protocol, rest, carrier)
}

/// What a frame turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever decodes must take every kind")]
pub enum Decoded<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A UDP datagram that is not one of the tunnels that are opened.
    Datagram(Datagram<'a>),
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
