//! PPP (RFC 1661, RFC 1662) and Cisco HDLC, as link types and inside PPPoE, PPTP and L2TP.
//!
//! It decodes uncompressed network packets only, without Van Jacobson compression and multilink
//! fragments. Next: [`super::ip`].

use super::cursor::Cursor;
use super::{Decoded, Layer, Skipped, ether, ip};

/// Decodes a PPP packet: an optional address and control field (FF 03), a protocol of one or two
/// bytes, and the payload.
pub(super) fn packet(mut rest: Cursor<'_>) -> Decoded<'_> {
    if rest.bytes.starts_with(&[0xff, 0x03]) {
        ok!(rest.skip(2, Layer::Link));
    }
    // Protocol-Field-Compression (RFC 1661 §6.5): the low byte is odd and the high byte is even, so
    // an odd first byte is the low one alone.
    let first = ok!(rest.take::<1>(Layer::Link))[0];
    let protocol = if first & 1 == 1 {
        u16::from(first)
    } else {
        u16::from_be_bytes([first, ok!(rest.take::<1>(Layer::Link))[0]])
    };
    match protocol {
        0x0021 => ip::v4(rest),
        0x0057 => ip::v6(rest),
        // MPLS unicast and multicast (RFC 3032 §4.3).
        0x0281 | 0x0283 => ether::mpls(rest),
        _ => Decoded::Skipped(Skipped::NotTcp),
    }
}

/// Decodes `LINKTYPE_PPP_HDLC`: PPP in HDLC-like framing or, by its first byte, Cisco HDLC (0F
/// unicast, 8F multicast).
pub(super) fn serial(rest: Cursor<'_>) -> Decoded<'_> {
    match rest.peek::<2>() {
        Some([0x0f | 0x8f, 0x00]) => cisco_hdlc(rest),
        _ => packet(rest),
    }
}

/// Decodes Cisco HDLC: address, control, EtherType.
pub(super) fn cisco_hdlc(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.take::<4>(Layer::Link));
    ether::by_type(u16::from_be_bytes([head[2], head[3]]), rest)
}

/// Decodes frame relay with RFC 2427 encapsulation, or Cisco's with an EtherType after the address.
pub(super) fn frame_relay(mut rest: Cursor<'_>) -> Decoded<'_> {
    // Q.922 address: two to four bytes, of which the last has its low bit set.
    let mut address_len = 1;
    while ok!(rest.take::<1>(Layer::Link))[0] & 1 == 0 {
        address_len += 1;
        if address_len > 4 {
            return Decoded::Skipped(Skipped::Malformed(Layer::Link));
        }
    }
    let Some(&[first, second]) = rest.peek::<2>() else { return Decoded::Skipped(Skipped::Malformed(Layer::Link)) };
    if first != 0x03 {
        ok!(rest.skip(2, Layer::Link));
        return ether::by_type(u16::from_be_bytes([first, second]), rest);
    }
    // Control 03 (unnumbered information), perhaps a padding byte, then a network layer protocol
    // id.
    ok!(rest.skip(if second == 0 { 2 } else { 1 }, Layer::Link));
    match ok!(rest.take::<1>(Layer::Link))[0] {
        0xcc => ip::v4(rest),
        0x8e => ip::v6(rest),
        0x80 => {
            let snap = ok!(rest.take::<5>(Layer::Link));
            let protocol = u16::from_be_bytes([snap[3], snap[4]]);
            match snap[..3] {
                [0, 0, 0] => ether::by_type(protocol, rest),
                // Bridged Ethernet, with and without its FCS (RFC 2427 §4.2).
                [0, 0x80, 0xc2] if matches!(protocol, 0x0001 | 0x0007) => ether::frame(ok!(rest.deeper())),
                _ => Decoded::Skipped(Skipped::NotTcp),
            }
        }
        _ => Decoded::Skipped(Skipped::NotTcp),
    }
}
