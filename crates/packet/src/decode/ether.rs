//! Ethernet and everything with an EtherType: VLAN tags, MPLS, PPPoE, LLC/SNAP, NSH.
//!
//! [`Cursor::count_shim`] bounds loops over shims and [`Cursor::deeper`] bounds Ethernet in
//! tunnels, so no input recurses far. It never looks at MAC addresses, VLAN ids or labels (policy
//! 10). Next: [`super::ip`].

use super::cursor::Cursor;
use super::{Decoded, Layer, Skipped, ip, ppp};

pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
/// Transparent Ethernet bridging (RFC 1701): a whole Ethernet frame, in GRE, NVGRE and Geneve.
pub(super) const BRIDGED: u16 = 0x6558;
/// A network service header (RFC 8300).
pub(super) const NSH: u16 = 0x894f;
/// Unicast MPLS (RFC 3032).
pub(super) const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
const ARP: u16 = 0x0806;
/// IEEE 802.1Q.
const VLAN: u16 = 0x8100;
/// IEEE 802.1ad, the outer tag of QinQ.
const VLAN_SERVICE: u16 = 0x88a8;
/// QinQ before 802.1ad (Nortel, Cisco, Juniper).
const VLAN_OLD_1: u16 = 0x9100;
const VLAN_OLD_2: u16 = 0x9200;
const VLAN_OLD_3: u16 = 0x9300;
/// A Cisco VN-Tag (IEEE 802.1BR's ancestor): four bytes, then the next EtherType.
const VN_TAG: u16 = 0x8926;
/// Provider backbone bridging (IEEE 802.1ah): a four-byte I-TAG, then a whole Ethernet frame.
const BACKBONE: u16 = 0x88e7;
/// Cisco FabricPath: a two-byte tag, then a whole Ethernet frame.
const FABRIC_PATH: u16 = 0x8903;
const PPPOE_SESSION: u16 = 0x8864;
const PPPOE_DISCOVERY: u16 = 0x8863;
/// Below this a "type" is an IEEE 802.3 length.
const ETHERTYPE_MIN: u16 = 0x0600;
/// Most bytes in an IEEE 802.3 frame that carries a length.
const LENGTH_MAX: u16 = 1500;

/// Decodes an Ethernet frame from its destination address on, inlined where nearly every frame
/// starts.
#[inline(always)] // hot: see NOTES#decoded
pub(super) fn frame_inline(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.take::<14>(Layer::Link));
    match u16::from_be_bytes([head[12], head[13]]) {
        IPV4 => ip::v4_inline(rest),
        IPV6 => ip::v6_inline(rest),
        other => by_type(other, rest),
    }
}

/// Decodes an Ethernet frame inside something else.
pub(super) fn frame(rest: Cursor<'_>) -> Decoded<'_> {
    frame_inline(rest)
}

/// Decodes the payload after an EtherType.
pub(super) fn by_type(ethertype: u16, rest: Cursor<'_>) -> Decoded<'_> {
    match ethertype {
        IPV4 => ip::v4(rest),
        IPV6 => ip::v6(rest),
        other => shim(other, rest),
    }
}

/// Decodes the payload after an EtherType that is not IP.
fn shim(mut ethertype: u16, mut rest: Cursor<'_>) -> Decoded<'_> {
    loop {
        ok!(rest.count_shim());
        match ethertype {
            IPV4 => return ip::v4(rest),
            IPV6 => return ip::v6(rest),
            VLAN | VLAN_SERVICE | VLAN_OLD_1 | VLAN_OLD_2 | VLAN_OLD_3 => {
                let tag = ok!(rest.take::<4>(Layer::Link));
                ethertype = u16::from_be_bytes([tag[2], tag[3]]);
            }
            VN_TAG => {
                ok!(rest.skip(4, Layer::Link));
                ethertype = ok!(rest.take_u16(Layer::Link));
            }
            BACKBONE => {
                ok!(rest.skip(4, Layer::Link));
                return frame(ok!(rest.deeper()));
            }
            FABRIC_PATH => {
                ok!(rest.skip(2, Layer::Link));
                return frame(ok!(rest.deeper()));
            }
            MPLS | MPLS_MULTICAST => return mpls(rest),
            PPPOE_SESSION => return pppoe(rest),
            NSH => return nsh(rest),
            length if length <= LENGTH_MAX => return llc(rest),
            _ => return Decoded::Skipped(Skipped::NotTcp),
        }
    }
}

/// Decodes IEEE 802.2 LLC, with SNAP (RFC 1042) or without. It ignores the 802.3 length, because IP
/// has its own.
pub(super) fn llc(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.take::<3>(Layer::Link));
    match head {
        // SNAP: an organisation and, for these two (RFC 1042; IEEE 802.1H bridge tunnel), an
        // EtherType.
        [0xaa, 0xaa, 0x03] => {
            let snap = ok!(rest.take::<5>(Layer::Link));
            let ethertype = u16::from_be_bytes([snap[3], snap[4]]);
            if !matches!(snap[..3], [0, 0, 0] | [0, 0, 0xf8]) || ethertype < ETHERTYPE_MIN {
                return Decoded::Skipped(Skipped::NotTcp);
            }
            by_type(ethertype, rest)
        }
        // IP directly in LLC (RFC 948).
        [0x06, 0x06, 0x03] => ip::v4(rest),
        _ => Decoded::Skipped(Skipped::NotTcp),
    }
}

/// Decodes a stack of MPLS labels (RFC 3032 §2.1). The packet does not name what is under it, so
/// this is a guess.
pub(super) fn mpls(mut rest: Cursor<'_>) -> Decoded<'_> {
    loop {
        ok!(rest.count_shim());
        let label = ok!(rest.take::<4>(Layer::Link));
        if label[2] & 1 == 1 {
            break;
        }
    }
    // 4 and 6 in the first nibble are IP (RFC 4928 §3), so pseudowires start their control word
    // with 0 (RFC 4385). Without a control word the nibble is a MAC address's, so IP must also be
    // plausible.
    let first = ok!(rest.peek::<1>().ok_or(Skipped::Malformed(Layer::Link)))[0] >> 4;
    if matches!(first, 4 | 6) && ip::is_plausible(&rest) {
        return ip::by_version(rest);
    }
    for control_word in [4, 0] {
        if let Some(inner) = rest.after(control_word).filter(is_plausible) {
            return frame(ok!(inner.deeper()));
        }
    }
    Decoded::Skipped(Skipped::NotTcp)
}

/// Returns whether this could be an Ethernet frame with IP in it, where no earlier header announces
/// one.
pub(super) fn is_plausible(rest: &Cursor<'_>) -> bool {
    let Some(mut payload) = rest.after(12) else { return false };
    // Up to two tags, as in QinQ.
    for _ in 0..3 {
        let Ok(ethertype) = payload.take_u16(Layer::Link) else { return false };
        match ethertype {
            IPV4 | IPV6 => return ip::is_plausible(&payload) && ip::is_version(&payload, ethertype),
            ARP | MPLS | MPLS_MULTICAST | PPPOE_SESSION | PPPOE_DISCOVERY => return true,
            VLAN | VLAN_SERVICE => {
                if payload.skip(2, Layer::Link).is_err() {
                    return false;
                }
            }
            length if length <= LENGTH_MAX => return payload.bytes.starts_with(&[0xaa, 0xaa, 0x03]),
            _ => return false,
        }
    }
    false
}

/// Decodes a PPPoE session packet (RFC 2516 §4): version, type, code, session, length, then PPP
/// without address and control.
pub(super) fn pppoe(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.take::<6>(Layer::Link));
    if head[0] != 0x11 {
        return Decoded::Skipped(Skipped::Malformed(Layer::Link));
    }
    if head[1] != 0 {
        return Decoded::Skipped(Skipped::NotTcp);
    }
    // The length is ignored: IP has its own, and offloaded segments outgrow this one.
    ppp::packet(rest)
}

/// Decodes a network service header (RFC 8300 §2), which has its length in 4-byte words.
pub(super) fn nsh(mut rest: Cursor<'_>) -> Decoded<'_> {
    let head = ok!(rest.take::<4>(Layer::Link));
    let len = usize::from(head[1] & 0x3f) * 4;
    if head[0] & 0xc0 != 0 || len < 8 {
        return Decoded::Skipped(Skipped::Malformed(Layer::Link));
    }
    ok!(rest.skip(len - 4, Layer::Link));
    match head[3] {
        1 => ip::v4(rest),
        2 => ip::v6(rest),
        3 => frame(ok!(rest.deeper())),
        5 => mpls(rest),
        _ => Decoded::Skipped(Skipped::NotTcp),
    }
}
