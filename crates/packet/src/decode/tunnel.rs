//! Tunnels with an IP protocol number: GRE with ERSPAN, PPTP and WCCP in it, EtherIP, L2TPv3.
//!
//! It opens a tunnel only if the header follows its specification, and keeps nothing of it: keys,
//! calls and session ids are not part of a connection (policy 10). Next: [`super::udp`] for tunnels
//! over UDP.

use super::cursor::Cursor;
use super::{Decoded, Layer, Skipped, ether, ip, ppp, wifi};

/// ERSPAN types I and II (draft-foschiano-erspan-03 §4.1 and §4.2).
const ERSPAN_2: u16 = 0x88be;
/// ERSPAN type III (the same draft, §4.3).
const ERSPAN_3: u16 = 0x22eb;
/// PPP, in PPTP's GRE version 1 (RFC 2637 §4.1).
const PPP: u16 = 0x880b;
/// Web cache redirection, WCCP v1 and v2 (draft-mclaggan-wccp-v2rev1 §4.12).
const WCCP: u16 = 0x883e;

/// Decodes GRE: version 0 (RFC 2784, RFC 2890) and version 1, which is PPTP's (RFC 2637).
pub(super) fn gre(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.take::<4>(Layer::Tunnel));
    let protocol = u16::from_be_bytes([head[2], head[3]]);
    let has = |bit: u8| head[0] & bit != 0;
    let (checksum, routing, key, sequence) = (has(0x80), has(0x40), has(0x20), has(0x10));
    match head[1] & 0x07 {
        0 => {
            // A receiver without source routing (RFC 1701) must discard it (RFC 2784 §2.3).
            if routing {
                return Decoded::Skipped(Skipped::Malformed(Layer::Tunnel));
            }
            let optional = [checksum, key, sequence].into_iter().filter(|present| *present).count() * 4;
            ok!(rest.skip(optional, Layer::Tunnel));
            gre_payload(protocol, sequence, ok!(rest.deeper()))
        }
        1 if protocol == PPP && key && !checksum && !routing => {
            // The key field holds payload length and call id. Without a sequence number there is no
            // payload.
            if !sequence {
                return Decoded::Skipped(Skipped::NotTcp);
            }
            let len = ok!(rest.take_u16(Layer::Tunnel));
            let acknowledgement = if head[1] & 0x80 != 0 { 4 } else { 0 };
            ok!(rest.skip(6 + acknowledgement, Layer::Tunnel));
            ppp::packet(ok!(rest.limit(usize::from(len)).deeper()))
        }
        _ => Decoded::Skipped(Skipped::Malformed(Layer::Tunnel)),
    }
}

/// Decodes the payload of GRE version 0.
fn gre_payload(protocol: u16, sequence: bool, mut rest: Cursor<'_>) -> Decoded<'_> {
    match protocol {
        ether::BRIDGED => ether::frame(rest),
        ERSPAN_2 => {
            // Type I has no header, and is recognised by the missing sequence number.
            if sequence {
                let head = ok!(rest.take::<8>(Layer::Tunnel));
                if head[0] >> 4 != 1 {
                    return Decoded::Skipped(Skipped::Malformed(Layer::Tunnel));
                }
            }
            ether::frame(rest)
        }
        ERSPAN_3 => {
            let head = ok!(rest.take::<12>(Layer::Tunnel));
            if head[0] >> 4 != 2 {
                return Decoded::Skipped(Skipped::Malformed(Layer::Tunnel));
            }
            // The O bit: a platform specific subheader follows.
            if head[11] & 1 == 1 {
                ok!(rest.skip(8, Layer::Tunnel));
            }
            // Frame type: 0 Ethernet, 2 IP.
            match head[10] >> 2 & 0x1f {
                0 => ether::frame(rest),
                2 => ip::by_version(rest),
                _ => Decoded::Skipped(Skipped::NotTcp),
            }
        }
        PPP => ppp::packet(rest),
        WCCP => {
            // Version 2 puts four bytes before the packet, which cannot look like IPv4. Linux
            // distinguishes the versions in the same way.
            if rest.peek::<1>().is_some_and(|first| first[0] >> 4 != 4) {
                ok!(rest.skip(4, Layer::Tunnel));
            }
            ip::v4(rest)
        }
        // Aruba's access points: whole 802.11 frames; the low bits name the radio or tunnel.
        0x8200..=0x8370 => wifi::first_packet(rest),
        other => ether::by_type(other, rest),
    }
}

/// Decodes Ethernet in IP (RFC 3378 §3): version 3, reserved zero bits, then a frame.
pub(super) fn ether_ip(mut rest: Cursor<'_>) -> Decoded<'_> {
    match ok!(rest.take::<2>(Layer::Tunnel)) {
        [0x30, 0x00] => ether::frame(ok!(rest.deeper())),
        _ => Decoded::Skipped(Skipped::Malformed(Layer::Tunnel)),
    }
}

/// Decodes L2TPv3 over IP (RFC 3931 §4.1.1): a session id, zero for control messages.
pub(super) fn l2tp_over_ip(mut rest: Cursor<'_>) -> Decoded<'_> {
    match ok!(rest.take::<4>(Layer::Tunnel)) {
        [0, 0, 0, 0] => Decoded::Skipped(Skipped::NotTcp),
        _ => l2tp_3_session(rest),
    }
}

/// Decodes the payload of an L2TPv3 session.
///
/// The lengths of its cookie (0, 4 or 8 bytes) and sublayer (0 or 4) are agreed during setup and
/// not in the packet. So it takes the first place where an Ethernet frame with IP could start.
pub(super) fn l2tp_3_session(rest: Cursor<'_>) -> Decoded<'_> {
    for before in [0, 4, 8, 12] {
        if let Some(inner) = rest.after(before).filter(ether::is_plausible) {
            return ether::frame(ok!(inner.deeper()));
        }
    }
    Decoded::Skipped(Skipped::NotTcp)
}
