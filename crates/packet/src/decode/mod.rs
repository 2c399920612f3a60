//! Decodes one frame: link layer, tunnels, IP, TCP and UDP. Pure: it keeps nothing between frames.
//!
//! ```text
//! link ─▶ ether ─▶ ip ─▶ tcp   a segment
//!           ▲      ▲└──▶ udp   a datagram, or a tunnel
//!           └──────┴──── tunnel
//! ```
//!
//! Invariant: decode never allocates and never looks past the IP total length.
//! IP fragments come out as [`Fragment`]s for [`crate::defrag`]. Next: `link`, the first header.

/// Unwraps an `Ok`, or returns [`Decoded::Skipped`]: the `?` of functions that return [`Decoded`].
///
/// They do not return a `Result`, so that every call on the way up writes to its caller's place.
/// Copying a `Decoded` from one wrapper into the next is slow. hot: see NOTES#decoded
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

/// Decodes the packet in a frame. Total: any bytes give an answer.
///
/// For an 802.11 aggregate it is the first packet; [`decode_each`] gives all of them.
#[inline(never)]
pub fn decode<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    link::frame(frame.link, cursor::Cursor::of(frame))
}

/// Decodes every packet in a frame, in order: several for an 802.11 aggregate (A-MSDU), else
/// exactly one.
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

/// Decodes the packet in a datagram that [`crate::defrag`] reassembled. `bytes` is its payload.
///
/// The packet can be a fragment again, but only of a datagram at least one tunnel further in
/// (`depth` grows). So the loop with the defragmenter ends after as many rounds as tunnels may be
/// stacked.
pub(crate) fn decode_datagram<'a>(facts: &DatagramFacts, bytes: &'a [u8]) -> Decoded<'a> {
    let carrier = ip::Carrier { src: facts.src, dst: facts.dst, ttl: facts.ttl, length_known: true, reassembled: true };
    let rest = cursor::Cursor::of_datagram(bytes, facts.cut, facts.depth);
    ip::upper(facts.protocol, rest, carrier)
}

/// A decoded packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must take every kind")]
pub enum Decoded<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A UDP datagram that is not one of the tunnels that are opened.
    Datagram(Datagram<'a>),
    /// A fragment of an IP datagram.
    Fragment(Fragment<'a>),
    /// None of these, for this reason.
    Skipped(Skipped),
}

/// The reason why a packet was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skipped {
    /// Well-formed, but neither TCP nor UDP nor a tunnel that is opened: ARP, ICMP, 802.11
    /// management …
    NotTcp,
    /// The link type is unknown.
    UnknownLinkType,
    /// Cut or malformed in this layer, before the payload.
    Malformed(Layer),
    /// More tunnels inside each other than the limit allows.
    TooDeep,
}

/// A layer of a packet, to name where decoding stopped.
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
