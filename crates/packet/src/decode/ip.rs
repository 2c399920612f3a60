//! IPv4 (RFC 791) and IPv6 (RFC 8200) with their extension headers, down to the payload of the
//! datagram.
//!
//! It obeys length fields, so that padding and trailers stop here (policy 9). It does not verify
//! the IPv4 header checksum: captures taken before the hardware filled it in are normal. It hands
//! fragments out and does not reassemble them. Next: [`super::tcp`], [`super::udp`], and
//! [`super::tunnel`] for everything that carries IP again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::Ipv6HeaderSlice;

use super::cursor::Cursor;
use super::{Decoded, Fragment, Layer, Skipped, ether, tcp, tunnel, udp};

/// Protocol numbers (IANA "Assigned Internet Protocol Numbers").
pub(super) mod protocol {
    pub(in crate::decode) const HOP_BY_HOP: u8 = 0;
    pub(in crate::decode) const IPV4: u8 = 4;
    pub(in crate::decode) const TCP: u8 = 6;
    pub(in crate::decode) const UDP: u8 = 17;
    pub(in crate::decode) const IPV6: u8 = 41;
    pub(in crate::decode) const ROUTING: u8 = 43;
    pub(in crate::decode) const FRAGMENT: u8 = 44;
    pub(in crate::decode) const GRE: u8 = 47;
    pub(in crate::decode) const AUTHENTICATION: u8 = 51;
    pub(in crate::decode) const DESTINATION: u8 = 60;
    pub(in crate::decode) const ETHERIP: u8 = 97;
    pub(in crate::decode) const L2TP: u8 = 115;
    pub(in crate::decode) const MOBILITY: u8 = 135;
    pub(in crate::decode) const MPLS: u8 = 137;
    pub(in crate::decode) const HIP: u8 = 139;
    pub(in crate::decode) const SHIM6: u8 = 140;
}

/// Most extension headers of one IPv6 packet. Arbitrary: RFC 8200 §4.1 lists seven.
const EXTENSIONS_MAX: usize = 16;

/// The facts from an IP header about its payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carrier {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) ttl: u8,
    /// A length field gives the end of the payload. False for segments captured before segmentation
    /// offload, and for packets that claim more than was on the wire.
    pub(super) length_known: bool,
    /// The payload was reassembled from fragments, so it can hold no fragment of the same datagram.
    pub(super) reassembled: bool,
}

/// Decodes IPv4 or IPv6 by the version nibble, where no earlier header names it.
pub(super) fn by_version(rest: Cursor<'_>) -> Decoded<'_> {
    match rest.peek::<1>().map(|first| first[0] >> 4) {
        Some(4) => v4(rest),
        Some(6) => v6(rest),
        _ => Decoded::Skipped(Skipped::Malformed(Layer::Ip)),
    }
}

/// Returns whether an IP header could start here, where no earlier header announces one.
pub(super) fn is_plausible(rest: &Cursor<'_>) -> bool {
    match rest.bytes {
        [first @ 0x45..=0x4f, _, high, low, ..] => {
            let total = u16::from_be_bytes([*high, *low]);
            total == 0 || total >= u16::from(first & 0x0f) * 4
        }
        [0x60..=0x6f, ..] => rest.bytes.len() >= 40,
        _ => false,
    }
}

/// Returns whether the version nibble is the one that the EtherType announced.
pub(super) fn is_version(rest: &Cursor<'_>, ethertype: u16) -> bool {
    let version = rest.peek::<1>().map(|first| first[0] >> 4);
    version == Some(if ethertype == ether::IPV4 { 4 } else { 6 })
}

/// Decodes an IPv4 packet.
#[inline(never)]
pub(super) fn v4(rest: Cursor<'_>) -> Decoded<'_> {
    v4_inline(rest)
}

/// Decodes an IPv4 packet, inlined and by hand where every packet passes: passing a [`Cursor`] in
/// memory is slower than reading the header.
#[inline(always)] // hot: see NOTES#decoded
pub(super) fn v4_inline(rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.peek::<20>().ok_or(Skipped::Malformed(Layer::Ip)));
    let header_len = usize::from(head[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if head[0] >> 4 != 4 || header_len < 20 {
        return Decoded::Skipped(Skipped::Malformed(Layer::Ip));
    }
    let length_known = total_len != 0 && total_len <= rest.wire_len();
    let mut payload = match total_len {
        // Segmentation offload: the packet was captured before the hardware cut it and filled this
        // in.
        0 => rest,
        len if len < header_len => return Decoded::Skipped(Skipped::Malformed(Layer::Ip)),
        len => rest.limit(len),
    };
    ok!(payload.skip(header_len, Layer::Ip));
    // Made in each branch below, so that it never lives in memory (NOTES#decoded).
    let carrier = || Carrier {
        src: IpAddr::V4(Ipv4Addr::new(head[12], head[13], head[14], head[15])),
        dst: IpAddr::V4(Ipv4Addr::new(head[16], head[17], head[18], head[19])),
        ttl: head[8],
        length_known,
        reassembled: false,
    };
    let protocol = head[9];
    let fragment = u16::from_be_bytes([head[6], head[7]]);
    // More fragments, or an offset; "don't fragment" and the reserved bit do not matter.
    if fragment & 0x3fff != 0 {
        let id = u32::from(u16::from_be_bytes([head[4], head[5]]));
        let offset = u32::from(fragment & 0x1fff) * 8;
        return fragment_of(payload, &carrier(), id, protocol, offset, fragment & 0x2000 != 0);
    }
    if protocol == protocol::TCP { tcp::segment(payload, &carrier()) } else { upper(protocol, payload, carrier()) }
}

/// Decodes an IPv6 packet.
#[inline(never)]
pub(super) fn v6(rest: Cursor<'_>) -> Decoded<'_> {
    v6_inline(rest)
}

/// Decodes an IPv6 packet, inlined like IPv4.
#[inline(always)] // hot: see NOTES#decoded
pub(super) fn v6_inline(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(Ipv6HeaderSlice::from_slice(rest.bytes).map_err(|_| Skipped::Malformed(Layer::Ip)));
    ok!(rest.skip(40, Layer::Ip));
    let next = head.next_header().0;
    let len = match usize::from(head.payload_length()) {
        0 => ok!(jumbo_len(next, rest.bytes)),
        len => Some(len),
    };
    // Without a length: segmentation offload, as in IPv4. A packet that is truly empty holds no TCP
    // header anyway.
    let length_known = len.is_some_and(|len| len <= rest.wire_len());
    let payload = len.map_or(rest, |len| rest.limit(len));
    let carrier = || Carrier {
        src: IpAddr::V6(head.source_addr()),
        dst: IpAddr::V6(head.destination_addr()),
        ttl: head.hop_limit(),
        length_known,
        reassembled: false,
    };
    if next == protocol::TCP { tcp::segment(payload, &carrier()) } else { upper(next, payload, carrier()) }
}

/// Decodes the payload of a datagram: takes extension headers off, then goes by protocol.
pub(super) fn upper(mut protocol: u8, mut rest: Cursor<'_>, mut carrier: Carrier) -> Decoded<'_> {
    for _ in 0..=EXTENSIONS_MAX {
        match (protocol, carrier.src.is_ipv6()) {
            (protocol::TCP, _) => return tcp::segment(rest, &carrier),
            (protocol::UDP, _) => return udp::datagram(rest, &carrier),
            (protocol::IPV4, _) => return v4(ok!(rest.deeper())),
            (protocol::IPV6, _) => return v6(ok!(rest.deeper())),
            (protocol::GRE, _) => return tunnel::gre(rest),
            (protocol::ETHERIP, _) => return tunnel::ether_ip(rest),
            (protocol::L2TP, _) => return tunnel::l2tp_over_ip(rest),
            (protocol::MPLS, _) => return ether::mpls(ok!(rest.deeper())),
            // The length is in 4-byte words, minus 2 (RFC 4302 §2.2).
            (protocol::AUTHENTICATION, _) => {
                let head = ok!(rest.peek::<2>().ok_or(Skipped::Malformed(Layer::Ip)));
                ok!(rest.skip((usize::from(head[1]) + 2) * 4, Layer::Ip));
                protocol = head[0];
            }
            (protocol::FRAGMENT, true) => {
                let head = ok!(rest.take::<8>(Layer::Ip));
                let field = u16::from_be_bytes([head[2], head[3]]);
                // No sender makes a fragment inside a reassembled datagram, or a second fragment
                // header in one packet (RFC 8200 §4.5). Refusing it ends the loop over fragments of
                // fragments.
                if carrier.reassembled {
                    return Decoded::Skipped(Skipped::Malformed(Layer::Ip));
                }
                if field & 0xfff9 != 0 {
                    let id = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                    return fragment_of(rest, &carrier, id, head[0], u32::from(field & 0xfff8), field & 1 == 1);
                }
                // An atomic fragment is a whole packet, unrelated to others with its id (RFC 6946).
                carrier.reassembled = true;
                protocol = head[0];
            }
            (
                protocol::HOP_BY_HOP
                | protocol::ROUTING
                | protocol::DESTINATION
                | protocol::MOBILITY
                | protocol::HIP
                | protocol::SHIM6,
                true,
            ) => {
                let head = ok!(rest.peek::<2>().ok_or(Skipped::Malformed(Layer::Ip)));
                let len = (usize::from(head[1]) + 1) * 8;
                let header = ok!(rest.bytes.get(..len).ok_or(Skipped::Malformed(Layer::Ip)));
                if protocol == protocol::ROUTING {
                    carrier.dst = final_destination(header).map_or(carrier.dst, IpAddr::V6);
                }
                ok!(rest.skip(len, Layer::Ip));
                protocol = head[0];
            }
            // ESP and "no next header" among others.
            _ => return Decoded::Skipped(Skipped::NotTcp),
        }
    }
    Decoded::Skipped(Skipped::TooDeep)
}

/// Makes a fragment if its datagram can hold TCP or UDP: a flood of fragmented pings must not take
/// memory.
fn fragment_of<'a>(rest: Cursor<'a>, carrier: &Carrier, id: u32, protocol: u8, offset: u32, more: bool) -> Decoded<'a> {
    // Without a reliable length the end of the fragment is unknown, and so its place in the
    // datagram.
    if !carrier.length_known {
        return Decoded::Skipped(Skipped::Malformed(Layer::Ip));
    }
    let carries_transport = match protocol {
        protocol::TCP
        | protocol::UDP
        | protocol::IPV4
        | protocol::IPV6
        | protocol::GRE
        | protocol::AUTHENTICATION
        | protocol::ETHERIP
        | protocol::L2TP
        | protocol::MPLS => true,
        protocol::HOP_BY_HOP
        | protocol::ROUTING
        | protocol::DESTINATION
        | protocol::MOBILITY
        | protocol::HIP
        | protocol::SHIM6 => carrier.src.is_ipv6(),
        _ => false,
    };
    if !carries_transport {
        return Decoded::Skipped(Skipped::NotTcp);
    }
    Decoded::Fragment(Fragment {
        src: carrier.src,
        dst: carrier.dst,
        id,
        protocol,
        offset,
        more,
        bytes: rest.bytes,
        cut: rest.cut,
        ttl: carrier.ttl,
        depth: rest.depth,
    })
}

/// Reads the length from a jumbo payload option (RFC 2675 §2), in bytes after the IPv6 header.
/// `payload` starts with the hop-by-hop header if `next` is its number.
fn jumbo_len(next: u8, payload: &[u8]) -> Result<Option<usize>, Skipped> {
    if next != protocol::HOP_BY_HOP {
        return Ok(None);
    }
    let malformed = Skipped::Malformed(Layer::Ip);
    let len = payload.get(1).map(|len| (usize::from(*len) + 1) * 8).ok_or(malformed)?;
    let mut options = payload.get(2..len).ok_or(malformed)?;
    loop {
        options = match options {
            [0xc2, 4, a, b, c, d, ..] => {
                let len = u32::from_be_bytes([*a, *b, *c, *d]);
                // A smaller jumbo payload is an error (RFC 2675 §3).
                return if len > 65_535 { Ok(usize::try_from(len).ok()) } else { Err(malformed) };
            }
            // Pad1 is the only option without a length.
            [0, tail @ ..] => tail,
            [_, len, tail @ ..] => tail.get(usize::from(*len)..).unwrap_or_default(),
            _ => return Ok(None),
        };
    }
}

/// The final destination in a routing header that is not used up. The TCP checksum covers this
/// address (RFC 8200 §8.1), and it is the same in both directions of a connection.
fn final_destination(header: &[u8]) -> Option<Ipv6Addr> {
    let (kind, segments_left) = (*header.get(2)?, *header.get(3)?);
    if segments_left == 0 {
        return None;
    }
    let addresses = header.get(8..)?;
    let address: &[u8; 16] = match kind {
        // Type 0, deprecated by RFC 5095, lists the destination last.
        0 => addresses.last_chunk()?,
        // Mobile IPv6 (RFC 6275 §6.4) has one address; segment routing (RFC 8754 §2) lists the last
        // segment first.
        2 | 4 => addresses.first_chunk()?,
        _ => return None,
    };
    Some(Ipv6Addr::from(*address))
}
