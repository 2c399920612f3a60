//! UDP (RFC 768), and the tunnels over it: VXLAN, VXLAN-GPE, Geneve, GTP-U, L2TP, Teredo, AYIYA,
//! GRE and MPLS in UDP.
//!
//! A tunnel is recognised by its well-known port **and** by a header in which every field that the
//! specification fixes has its fixed value. Anything else on the port stays a datagram and never
//! turns into junk, so nothing is `Malformed` until the tunnel's header has passed. Next:
//! [`super::ether`] and [`super::ip`] for what is inside.

use super::cursor::Cursor;
use super::ip::Carrier;
use super::{Datagram, Decoded, Layer, Skipped, ether, ip, ppp, tunnel};
use crate::key::Endpoint;

/// A UDP datagram, or what is in it if it is a tunnel.
pub(super) fn datagram<'a>(mut rest: Cursor<'a>, carrier: &Carrier) -> Decoded<'a> {
    let head = ok!(rest.take::<8>(Layer::Ip));
    let src = u16::from_be_bytes([head[0], head[1]]);
    let dst = u16::from_be_bytes([head[2], head[3]]);
    let len = match usize::from(u16::from_be_bytes([head[4], head[5]])) {
        // Offload and jumbograms (RFC 2675 §4).
        0 => rest.wire_len(),
        1..8 => return Decoded::Skipped(Skipped::NotTcp),
        len => len - 8,
    };
    let payload = rest.limit(len);
    let plain = Decoded::Datagram(Datagram {
        src: Endpoint::new(carrier.src, src),
        dst: Endpoint::new(carrier.dst, dst),
        payload: payload.bytes,
        cut: payload.cut,
        ttl: carrier.ttl,
    });
    // One-way by design: the source port is entropy, the destination port the protocol.
    match dst {
        4789 | 8472 => return vxlan(payload, plain, dst == 8472),
        4790 => return vxlan_gpe(payload, plain),
        6081 => return geneve(payload, plain),
        // GRE in UDP (RFC 8086 §8) and MPLS in UDP (RFC 7510 §3).
        4754 => return gre(payload, plain),
        6635 => return mpls(payload, plain),
        _ => {}
    }
    let either = |port| src == port || dst == port;
    if either(2152) {
        gtp(payload, plain, len)
    } else if either(1701) {
        l2tp(payload, plain)
    } else if either(3544) {
        teredo(payload, plain)
    } else if either(5072) {
        ayiya(payload, plain)
    } else {
        plain
    }
}

// Each of the following returns `plain` if the payload is not that tunnel.

/// Takes a header of `N` bytes off, if it is there.
fn take<'a, const N: usize>(rest: &mut Cursor<'a>) -> Option<&'a [u8; N]> {
    rest.take(Layer::Tunnel).ok()
}

/// VXLAN (RFC 7348 §5), with or without a group policy (draft-smith-vxlan-group-policy §2.1).
///
/// On its own port it ignores reserved bits, as the RFC asks; on Linux's old default 8472 they must
/// be zero.
fn vxlan<'a>(mut rest: Cursor<'a>, plain: Decoded<'a>, strict: bool) -> Decoded<'a> {
    let Some(head) = take::<8>(&mut rest) else { return plain };
    let valid = if strict { matches!(head, [0x08, 0, 0, 0, .., 0]) } else { head[0] & 0x08 != 0 };
    if !valid || !ether::is_plausible(&rest) {
        return plain;
    }
    ether::frame(ok!(rest.deeper()))
}

/// VXLAN with a next protocol (draft-ietf-nvo3-vxlan-gpe-12 §3.1).
fn vxlan_gpe<'a>(mut rest: Cursor<'a>, plain: Decoded<'a>) -> Decoded<'a> {
    let Some(head) = take::<8>(&mut rest) else { return plain };
    // Version 0, the instance bit set, not an OAM packet; reserved bits zero.
    if head[0] & 0xf9 != 0x08 || head[1] != 0 || head[2] != 0 || head[7] != 0 {
        return plain;
    }
    // Without the P bit it is plain VXLAN.
    match (head[0] & 0x04 != 0, head[3]) {
        (false, 0) | (true, 3) if ether::is_plausible(&rest) => ether::frame(ok!(rest.deeper())),
        (true, 1) => ip::v4(ok!(rest.deeper())),
        (true, 2) => ip::v6(ok!(rest.deeper())),
        (true, 4) => ether::nsh(ok!(rest.deeper())),
        (true, 5) => ether::mpls(ok!(rest.deeper())),
        _ => plain,
    }
}

/// Geneve (RFC 8926 §3.4): options of any length, then a payload named by the protocol type.
fn geneve<'a>(mut rest: Cursor<'a>, plain: Decoded<'a>) -> Decoded<'a> {
    let Some(head) = take::<8>(&mut rest) else { return plain };
    // Version 0, not a control packet; reserved bits zero.
    if head[0] & 0xc0 != 0 || head[1] & 0xbf != 0 || head[7] != 0 {
        return plain;
    }
    ok!(rest.skip(usize::from(head[0] & 0x3f) * 4, Layer::Tunnel));
    match u16::from_be_bytes([head[2], head[3]]) {
        ether::BRIDGED => ether::frame(ok!(rest.deeper())),
        known @ (ether::IPV4 | ether::IPV6 | ether::MPLS | ether::NSH) => ether::by_type(known, ok!(rest.deeper())),
        _ => plain,
    }
}

/// GRE in UDP (RFC 8086): version 0 without checksum or routing, and IP or Ethernet inside.
fn gre<'a>(rest: Cursor<'a>, plain: Decoded<'a>) -> Decoded<'a> {
    match rest.peek::<4>() {
        Some([flags, 0, 0x08, 0x00] | [flags, 0, 0x86, 0xdd] | [flags, 0, 0x65, 0x58]) if flags & 0x4f == 0 => {
            tunnel::gre(rest)
        }
        _ => plain,
    }
}

/// MPLS in UDP (RFC 7510), if one to four labels have a plausible IP header under them.
fn mpls<'a>(rest: Cursor<'a>, plain: Decoded<'a>) -> Decoded<'a> {
    for labels in 1..=4 {
        let Some(inner) = rest.after(labels * 4) else { break };
        let bottom = rest.bytes.get(labels * 4 - 2).is_some_and(|byte| byte & 1 == 1);
        if bottom && ip::is_plausible(&inner) {
            return ip::by_version(ok!(inner.deeper()));
        }
        if bottom {
            break;
        }
    }
    plain
}

/// GTP-U version 1 (3GPP TS 29.281 §5.1): G-PDUs only, with their optional fields and extension
/// headers.
fn gtp<'a>(mut rest: Cursor<'a>, plain: Decoded<'a>, payload_len: usize) -> Decoded<'a> {
    let Some(head) = take::<8>(&mut rest) else { return plain };
    let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    // Version 1, protocol type GTP, reserved bit 0; G-PDU. The length is exact, because nothing may
    // follow in the datagram.
    if head[0] & 0xf8 != 0x30 || head[1] != 255 || len + 8 != payload_len {
        return plain;
    }
    if head[0] & 0x07 != 0 {
        // Sequence number, N-PDU number and the type of the next extension header: present
        // together.
        let optional = ok!(rest.take::<4>(Layer::Tunnel));
        let mut next = if head[0] & 0x04 != 0 { optional[3] } else { 0 };
        // Every extension header takes at least four bytes, so the packet bounds this loop.
        while next != 0 {
            let words = usize::from(ok!(rest.peek::<1>().ok_or(Skipped::Malformed(Layer::Tunnel)))[0]);
            let header = ok!(rest.bytes.get(..words * 4).ok_or(Skipped::Malformed(Layer::Tunnel)));
            next = *ok!(header.last().ok_or(Skipped::Malformed(Layer::Tunnel)));
            ok!(rest.skip(words * 4, Layer::Tunnel));
        }
    }
    if !ip::is_plausible(&rest) {
        return plain;
    }
    ip::by_version(ok!(rest.deeper()))
}

/// L2TP data messages: version 2 (RFC 2661 §3.1) with PPP, version 3 over UDP (RFC 3931 §4.1.2)
/// with Ethernet.
fn l2tp<'a>(mut rest: Cursor<'a>, plain: Decoded<'a>) -> Decoded<'a> {
    let Some(flags) = take::<2>(&mut rest) else { return plain };
    match u16::from_be_bytes(*flags) {
        // Version 3, data: two reserved bytes, then the session id.
        0x0003 => match take::<6>(&mut rest) {
            Some([0, 0, session @ ..]) if session != &[0; 4] => tunnel::l2tp_3_session(rest),
            _ => plain,
        },
        // Version 2, data: of T L x x S x O P x x x x Ver only L, S, O and P may be set.
        flags if flags & !0x4b00 == 2 => {
            if flags & 0x4000 != 0 {
                let Some(len) = take::<2>(&mut rest) else { return plain };
                let len = usize::from(u16::from_be_bytes(*len));
                // The length includes the flags.
                if len < 8 || len - 4 > rest.wire_len() {
                    return plain;
                }
                rest = rest.limit(len - 4);
            }
            let sequence = if flags & 0x0800 != 0 { 4 } else { 0 };
            ok!(rest.skip(4 + sequence, Layer::Tunnel));
            if flags & 0x0200 != 0 {
                let padding = ok!(rest.take_u16(Layer::Tunnel));
                ok!(rest.skip(usize::from(padding), Layer::Tunnel));
            }
            ppp::packet(ok!(rest.deeper()))
        }
        _ => plain,
    }
}

/// Teredo (RFC 4380 §5.1.1): optional authentication and origin indications, then IPv6.
fn teredo<'a>(mut rest: Cursor<'a>, plain: Decoded<'a>) -> Decoded<'a> {
    if rest.bytes.starts_with(&[0, 1]) {
        let Some(head) = take::<4>(&mut rest) else { return plain };
        // Client id, authentication value, then nonce (8) and confirmation (1).
        let len = usize::from(head[2]) + usize::from(head[3]) + 9;
        if rest.skip(len, Layer::Tunnel).is_err() {
            return plain;
        }
    }
    if rest.bytes.starts_with(&[0, 0]) && take::<8>(&mut rest).is_none() {
        return plain;
    }
    let Some(head) = rest.peek::<40>() else { return plain };
    let payload_len = usize::from(u16::from_be_bytes([head[4], head[5]]));
    // One side is a Teredo address (2001::/32), and trailers may follow (RFC 6081 §4); or, with a
    // relay that translates the addresses, the length fits exactly.
    let is_teredo = |address: &[u8]| address.starts_with(&[0x20, 0x01, 0, 0]);
    let fits = if is_teredo(&head[8..24]) || is_teredo(&head[24..40]) {
        payload_len + 40 <= rest.wire_len()
    } else {
        payload_len + 40 == rest.wire_len()
    };
    if head[0] >> 4 != 6 || !fits {
        return plain;
    }
    ip::v6(ok!(rest.deeper()))
}

/// AYIYA (draft-massar-v6ops-ayiya-02 §3): IPv6 through NAT, used by SixXS.
fn ayiya<'a>(mut rest: Cursor<'a>, plain: Decoded<'a>) -> Decoded<'a> {
    let Some(head) = take::<8>(&mut rest) else { return plain };
    // Operation 1, "forward", and IPv6 inside.
    if head[2] & 0x0f != 1 || head[3] != 41 {
        return plain;
    }
    let identity = 1_usize << (head[0] >> 4);
    let signature = usize::from(head[1] >> 4) * 4;
    let Some(inner) = rest.after(identity + signature) else { return plain };
    if !ip::is_version(&inner, ether::IPV6) || !ip::is_plausible(&inner) {
        return plain;
    }
    ip::v6(ok!(inner.deeper()))
}
