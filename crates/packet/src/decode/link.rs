//! Link types: the first header of a frame, up to an EtherType, an IP header or another link type.
//!
//! It never guesses an unknown link type. Numbers and layouts are from
//! <https://www.tcpdump.org/linktypes.html>. Next: [`super::ether`], [`super::ppp`],
//! [`super::wifi`], [`super::ip`].

use super::cursor::Cursor;
use super::{Decoded, Layer, Skipped, ether, ip, ppp, wifi};
use crate::frame::LinkType;

/// Raw IP by the numbers of BSD systems (`DLT_RAW` of OpenBSD and of all others).
const RAW_BSD: [u16; 2] = [14, 12];
const ARCNET: u16 = 7;
const PPP: u16 = 9;
const PPP_SERIAL: u16 = 50;
const PPP_ETHER: u16 = 51;
const ATM_RFC1483: [u16; 2] = [100, 11];
const CISCO_HDLC: u16 = 104;
const FRAME_RELAY: u16 = 107;
const ENC: u16 = 109;
const PFLOG: u16 = 117;
const ARCNET_LINUX: u16 = 129;
const FIREWIRE: u16 = 138;
const PPP_PPPD: u16 = 166;
const PPP_WITH_DIRECTION: u16 = 204;
const MPLS: u16 = 219;
const IPNET: u16 = 226;
const NFLOG: u16 = 239;
const NETANALYZER: u16 = 240;
const PKTAP: u16 = 258;

/// Address families for IPv6: of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
const FAMILIES_IPV6: [u32; 5] = [10, 23, 24, 28, 30];
/// Address family for IPv4, the same everywhere.
const FAMILY_IPV4: u32 = 2;

/// Decodes a frame from its first byte on. Ethernet comes first, because nearly every frame is one.
#[inline(always)] // hot: see NOTES#decoded
pub(super) fn frame(link: LinkType, rest: Cursor<'_>) -> Decoded<'_> {
    if link == LinkType::ETHERNET { ether::frame_inline(rest) } else { other(link, rest) }
}

fn other(link: LinkType, mut rest: Cursor<'_>) -> Decoded<'_> {
    // Link types that contain link types are bounded like shims.
    ok!(rest.count_shim());
    match link {
        LinkType::NULL | LinkType::LOOP => return loopback(rest),
        LinkType::RAW => return ip::by_version(rest),
        LinkType::IPV4 => return ip::v4(rest),
        LinkType::IPV6 => return ip::v6(rest),
        LinkType::LINUX_SLL => return linux_cooked(rest),
        LinkType::LINUX_SLL2 => return linux_cooked_2(rest),
        LinkType::ETHERNET => return ether::frame(rest),
        wifi if wifi::is_wifi(wifi) => return ok!(wifi::packets(wifi, rest)).first(),
        _ => {}
    }
    match link.0 {
        raw if RAW_BSD.contains(&raw) => ip::by_version(rest),
        llc if ATM_RFC1483.contains(&llc) => ether::llc(rest),
        PPP => ppp::packet(rest),
        PPP_SERIAL => ppp::serial(rest),
        PPP_ETHER => ether::pppoe(rest),
        // A direction overwrites the address byte (PPPD) or stands before the packet.
        PPP_PPPD | PPP_WITH_DIRECTION => {
            ok!(rest.skip(1, Layer::Link));
            if link.0 == PPP_PPPD && rest.bytes.first() == Some(&0x03) {
                ok!(rest.skip(1, Layer::Link));
            }
            ppp::packet(rest)
        }
        CISCO_HDLC => ppp::cisco_hdlc(rest),
        FRAME_RELAY => ppp::frame_relay(rest),
        MPLS => ether::mpls(rest),
        // Apple's IP over IEEE 1394 (RFC 2734): two addresses of eight bytes, EtherType.
        FIREWIRE => {
            ok!(rest.skip(16, Layer::Link));
            let ethertype = ok!(rest.take_u16(Layer::Link));
            ether::by_type(ethertype, rest)
        }
        ARCNET | ARCNET_LINUX => arcnet(link, rest),
        PFLOG => pflog(rest),
        // OpenBSD's encapsulating interface: address family, SPI, flags, then decrypted IP.
        ENC => {
            ok!(rest.skip(12, Layer::Link));
            ip::by_version(rest)
        }
        // Solaris: version 1, address family, then lengths, interfaces and zones.
        IPNET => {
            ok!(rest.skip(24, Layer::Link));
            ip::by_version(rest)
        }
        NFLOG => nflog(rest),
        // Hilscher's analyser: four bytes of status, then an Ethernet frame.
        NETANALYZER => {
            ok!(rest.skip(4, Layer::Link));
            ether::frame(rest)
        }
        wifi::PPI => ppi(rest),
        PKTAP => pktap(rest),
        _ => Decoded::Skipped(Skipped::UnknownLinkType),
    }
}

/// Decodes BSD loopback: an address family of four bytes, in the byte order of the capturing host.
fn loopback(mut rest: Cursor<'_>) -> Decoded<'_> {
    let family = ok!(rest.take::<4>(Layer::Link));
    match [u32::from_le_bytes(*family), u32::from_be_bytes(*family)].into_iter().min() {
        Some(FAMILY_IPV4) => ip::v4(rest),
        Some(family) if FAMILIES_IPV6.contains(&family) => ip::v6(rest),
        _ => Decoded::Skipped(Skipped::NotTcp),
    }
}

/// Decodes `LINKTYPE_LINUX_SLL`: packet type, device type, address length, address (8), protocol.
fn linux_cooked(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.take::<16>(Layer::Link));
    cooked_payload([head[2], head[3]], [head[14], head[15]], rest)
}

/// Decodes `LINKTYPE_LINUX_SLL2`: protocol, reserved (2), interface (4), device type, packet type,
/// address length, address (8).
fn linux_cooked_2(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.take::<20>(Layer::Link));
    cooked_payload([head[8], head[9]], [head[0], head[1]], rest)
}

fn cooked_payload(device: [u8; 2], protocol: [u8; 2], rest: Cursor<'_>) -> Decoded<'_> {
    // These devices (ARPHRD_NETLINK and the monitor types) use protocol or payload differently.
    if let 801..=803 | 824 = u16::from_be_bytes(device) {
        return Decoded::Skipped(Skipped::NotTcp);
    }
    match u16::from_be_bytes(protocol) {
        // ETH_P_802_2: LLC follows.
        0x0004 => ether::llc(rest),
        ethertype if ethertype < 0x0600 => Decoded::Skipped(Skipped::NotTcp),
        ethertype => ether::by_type(ethertype, rest),
    }
}

/// Decodes ARCNET: source, destination, on Linux an offset, then a protocol. RFC 1201 adds flag and
/// sequence number.
fn arcnet(link: LinkType, mut rest: Cursor<'_>) -> Decoded<'_> {
    ok!(rest.skip(if link.0 == ARCNET_LINUX { 4 } else { 2 }, Layer::Link));
    let protocol = ok!(rest.take::<1>(Layer::Link))[0];
    // IP as in RFC 1051 has no more header.
    if protocol == 240 {
        return ip::v4(rest);
    }
    // A flag other than zero marks a fragment, except FF, a filler before the header (RFC 1201 §3).
    let mut head = ok!(rest.take::<3>(Layer::Link));
    if head[0] == 0xff {
        ok!(rest.skip(1, Layer::Link));
        head = ok!(rest.take::<3>(Layer::Link));
    }
    match (protocol, head[0]) {
        (212, 0) => ip::v4(rest),
        // RFC 2497.
        (196, 0) => ip::v6(rest),
        _ => Decoded::Skipped(Skipped::NotTcp),
    }
}

/// Decodes the log of OpenBSD's packet filter. The first byte is the header's length, without its
/// padding to four bytes.
fn pflog(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.peek::<2>().ok_or(Skipped::Malformed(Layer::Link)));
    ok!(rest.skip(usize::from(head[0]).next_multiple_of(4), Layer::Link));
    ip::by_version(rest)
}

/// Decodes Linux's netfilter log: family, version, resource (2), then type-length-values, one of
/// which is the packet.
fn nflog(mut rest: Cursor<'_>) -> Decoded<'_> {
    ok!(rest.skip(4, Layer::Link));
    // Lengths are in the byte order of the capturing host, which is unknown: the order that finds a
    // packet counts.
    nflog_payload(rest, u16::from_le_bytes)
        .or_else(|| nflog_payload(rest, u16::from_be_bytes))
        .map_or(Decoded::Skipped(Skipped::NotTcp), ip::by_version)
}

fn nflog_payload<'a>(mut rest: Cursor<'a>, read: fn([u8; 2]) -> u16) -> Option<Cursor<'a>> {
    /// `NFULA_PAYLOAD` in Linux's nfnetlink_log.h.
    const PAYLOAD: u16 = 9;
    loop {
        let [a, b, c, d] = *rest.peek::<4>()?;
        let (len, kind) = (usize::from(read([a, b])), read([c, d]));
        if len < 4 {
            return None;
        }
        if kind & 0x7fff == PAYLOAD {
            return Some(rest.after(4)?.limit(len - 4));
        }
        rest = rest.after(len.next_multiple_of(4))?;
    }
}

/// Decodes per-packet information: version, flags, length, link type (little-endian), fields.
fn ppi(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.peek::<8>().ok_or(Skipped::Malformed(Layer::Link)));
    let len = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let link = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if len < 8 {
        return Decoded::Skipped(Skipped::Malformed(Layer::Link));
    }
    ok!(rest.skip(len, Layer::Link));
    other(LinkType(ok!(u16::try_from(link).map_err(|_| Skipped::UnknownLinkType))), rest)
}

/// Decodes Apple's packet tap: header length, record type (1 is a packet), link type, interface
/// name (24), flags, family, and the length of the data before the link header. Little-endian on
/// every machine that writes it today.
fn pktap(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.peek::<48>().ok_or(Skipped::Malformed(Layer::Link)));
    let word = |at: usize| -> u32 {
        head.get(at..at + 4).and_then(|word| word.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
    };
    let (len, kind, link, before) = (word(0), word(4), word(8), word(44));
    if len < 48 || kind != 1 {
        return Decoded::Skipped(Skipped::Malformed(Layer::Link));
    }
    let before = len.saturating_add(before);
    ok!(rest.skip(usize::try_from(before).unwrap_or(usize::MAX), Layer::Link));
    other(LinkType(ok!(u16::try_from(link).map_err(|_| Skipped::UnknownLinkType))), rest)
}
