//! Link-layer headers: Ethernet, Linux cooked, BSD loopback, raw IP.
//!
//! It never pads; the caller does. Sources: <https://www.tcpdump.org/linktypes.html> and the pages
//! linked there. Next: [`super::OwnedFrame`].

use sniffer_packet::frame::LinkType;

use super::{IPV4, IPV6, Way, WireError, WirePacket};

/// Link types and their names in the text format.
const NAMES: [(&str, LinkType); 9] = [
    ("ethernet", LinkType::ETHERNET),
    ("sll", LinkType::LINUX_SLL),
    ("sll2", LinkType::LINUX_SLL2),
    ("raw", LinkType::RAW),
    ("null", LinkType::NULL),
    ("loop", LinkType::LOOP),
    ("ipv4", LinkType::IPV4),
    ("ipv6", LinkType::IPV6),
    ("raw12", LinkType(12)),
];
const ALLOWED: &str = "ethernet, sll, sll2, raw, null, loop, ipv4, ipv6, raw12";

/// The link type of this name.
pub fn link_named(name: &str) -> Result<LinkType, WireError> {
    let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, link)| *link);
    found.ok_or_else(|| WireError::Unknown { found: name.to_owned(), allowed: ALLOWED })
}

/// The name of this link type, if the text format has one.
pub fn link_name(link: LinkType) -> Option<&'static str> {
    NAMES.iter().find(|(_, known)| *known == link).map(|(name, _)| *name)
}

/// Locally administered MAC addresses: the client's end in 1, the server's in 2.
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Returns a packet with the header of its link type before it.
pub fn frame_bytes(link: LinkType, packet: &WirePacket, way: Way) -> Result<Vec<u8>, WireError> {
    let mut bytes = match link {
        LinkType::ETHERNET => ethernet_header(packet.ethertype, way),
        LinkType::LINUX_SLL => {
            // Packet type 0 "to us" or 4 "from us": the capture is taken on the server. ARPHRD 1 is
            // Ethernet.
            let mut header = vec![0, from_us(way), 0, 1, 0, 6];
            header.extend(padded_mac(way));
            header.extend(packet.ethertype.to_be_bytes());
            header
        }
        LinkType::LINUX_SLL2 => {
            let mut header = packet.ethertype.to_be_bytes().to_vec();
            // Reserved, interface index 2, ARPHRD 1, packet type, address length.
            header.extend([0, 0, 0, 0, 0, 2, 0, 1, from_us(way), 6]);
            header.extend(padded_mac(way));
            header
        }
        LinkType::NULL => family(link, packet)?.to_le_bytes().to_vec(),
        LinkType::LOOP => family(link, packet)?.to_be_bytes().to_vec(),
        LinkType::RAW | LinkType(12) if matches!(packet.ethertype, IPV4 | IPV6) => Vec::new(),
        LinkType::IPV4 if packet.ethertype == IPV4 => Vec::new(),
        LinkType::IPV6 if packet.ethertype == IPV6 => Vec::new(),
        _ => return Err(cannot(link, packet)),
    };
    bytes.extend(&packet.bytes);
    Ok(bytes)
}

/// Makes an Ethernet header: destination, source, EtherType.
pub(super) fn ethernet_header(ethertype: u16, way: Way) -> Vec<u8> {
    let (src, dst) = match way {
        Way::ToServer => (CLIENT_MAC, SERVER_MAC),
        Way::ToClient => (SERVER_MAC, CLIENT_MAC),
    };
    let mut header = dst.to_vec();
    header.extend(src);
    header.extend(ethertype.to_be_bytes());
    header
}

fn padded_mac(way: Way) -> [u8; 8] {
    let mac = if way == Way::ToServer { CLIENT_MAC } else { SERVER_MAC };
    let mut padded = [0; 8];
    padded[..6].copy_from_slice(&mac);
    padded
}

fn from_us(way: Way) -> u8 {
    if way == Way::ToClient { 4 } else { 0 }
}

/// Address family: `AF_INET`, or `AF_INET6` by the number of macOS (NetBSD has 24, FreeBSD 28).
fn family(link: LinkType, packet: &WirePacket) -> Result<u32, WireError> {
    match packet.ethertype {
        IPV4 => Ok(2),
        IPV6 => Ok(30),
        _ => Err(cannot(link, packet)),
    }
}

fn cannot(link: LinkType, packet: &WirePacket) -> WireError {
    let carrier = link_name(link).map_or_else(|| format!("link type {}", link.0), str::to_owned);
    WireError::Cannot { carrier, ethertype: packet.ethertype }
}
