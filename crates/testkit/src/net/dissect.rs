//! Finds IP, TCP and payload in a frame, just enough to change it.
//!
//! It follows VLAN tags and IPv6 extension headers, opens no tunnel, and reads no fragments. A
//! frame that it does not understand is `None` and stays as it is. Independent of
//! [`sniffer_packet::decode`] on purpose. Next: `packets`, `segments`.

use std::net::IpAddr;

use sniffer_packet::frame::LinkType;
use sniffer_packet::frame::OwnedFrame;
use sniffer_packet::key::{Endpoint, FlowKey, Side};
use sniffer_packet::segment::Flags;

/// Offsets of the layers in a frame with an IP packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct IpLayout {
    /// Offset of the EtherType that announces the IP packet, if the link layer has one.
    pub(super) ethertype_at: Option<usize>,
    pub(super) ip: usize,
    pub(super) v6: bool,
    /// End of the IP packet on the wire; padding follows.
    pub(super) end: usize,
}

/// Offsets of the layers in a frame with a TCP segment, and its connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) ip: IpLayout,
    /// Offset of the protocol (IPv4) or of the next-header value that announces TCP (IPv6).
    pub(super) protocol_at: usize,
    pub(super) tcp: usize,
    pub(super) payload: usize,
    pub(super) flow: FlowKey,
    pub(super) side: Side,
}

const TCP: u8 = 6;
const FRAME_LEN_MAX: usize = 1 << 20;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl IpLayout {
    pub(super) fn of(frame: &OwnedFrame) -> Option<Self> {
        let bytes = &frame.bytes;
        let (mut ethertype_at, mut ip) = match frame.link {
            LinkType::ETHERNET => (Some(12), 14),
            LinkType::LINUX_SLL => (Some(14), 16),
            LinkType::LINUX_SLL2 => (Some(0), 20),
            LinkType::NULL | LinkType::LOOP => (None, 4),
            LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 | LinkType(12 | 14) => (None, 0),
            _ => return None,
        };
        if let Some(at) = ethertype_at {
            let mut ethertype = u16_at(bytes, at)?;
            while matches!(ethertype, 0x8100 | 0x88a8) {
                (ethertype_at, ip) = (Some(ip + 2), ip + 4);
                ethertype = u16_at(bytes, ip - 2)?;
            }
            if !matches!(ethertype, 0x0800 | 0x86dd) {
                return None;
            }
        }
        let wire_len = (frame.wire_len as usize).clamp(bytes.len(), FRAME_LEN_MAX.max(bytes.len()));
        let (v6, len) = match bytes.get(ip)? >> 4 {
            4 => (false, usize::from(u16_at(bytes, ip + 2)?)),
            6 => (true, usize::from(u16_at(bytes, ip + 4)?) + 40),
            _ => return None,
        };
        // A length of zero comes from offload: the rest of the frame.
        let unknown = len == if v6 { 40 } else { 0 };
        let end = if unknown { wire_len } else { ip + len };
        (end <= wire_len).then_some(Self { ethertype_at, ip, v6, end })
    }

    /// Source and destination address.
    fn addresses(&self, bytes: &[u8]) -> Option<(IpAddr, IpAddr)> {
        let address = |at: usize| -> Option<IpAddr> {
            Some(match self.v6 {
                true => IpAddr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?),
                false => IpAddr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?),
            })
        };
        let (src, dst) = if self.v6 { (self.ip + 8, self.ip + 24) } else { (self.ip + 12, self.ip + 16) };
        Some((address(src)?, address(dst)?))
    }
}

impl Layout {
    pub(super) fn of(frame: &OwnedFrame) -> Option<Self> {
        let ip = IpLayout::of(frame)?;
        let bytes = &frame.bytes;
        let (protocol_at, tcp) = if ip.v6 { after_extensions(bytes, ip.ip)? } else { after_v4(bytes, ip.ip)? };
        if *bytes.get(protocol_at)? != TCP {
            return None;
        }
        let payload = tcp + usize::from(bytes.get(tcp + 12)? >> 4) * 4;
        if payload < tcp + 20 || payload > bytes.len() || payload > ip.end {
            return None;
        }
        let (src, dst) = ip.addresses(bytes)?;
        let (flow, side) =
            FlowKey::of(&Endpoint::new(src, u16_at(bytes, tcp)?), &Endpoint::new(dst, u16_at(bytes, tcp + 2)?));
        Some(Self { ip, protocol_at, tcp, payload, flow, side })
    }

    pub(super) fn flags(&self, frame: &OwnedFrame) -> Flags {
        Flags(frame.bytes[self.tcp + 13])
    }

    pub(super) fn seq(&self, frame: &OwnedFrame) -> u32 {
        u32_at(&frame.bytes, self.tcp + 4).unwrap_or_default()
    }

    /// Length of the payload on the wire, captured or not.
    pub(super) const fn payload_len(&self) -> usize {
        self.ip.end - self.payload
    }

    /// Returns whether the segment begins or ends connections, so that nothing may pass it.
    pub(super) fn is_barrier(&self, frame: &OwnedFrame) -> bool {
        let flags = self.flags(frame);
        flags.has(Flags::SYN) || flags.has(Flags::RST)
    }

    /// Returns whether the segment carries nothing but an acknowledgement.
    pub(super) fn is_bare_ack(&self, frame: &OwnedFrame) -> bool {
        self.payload_len() == 0 && self.flags(frame) == Flags::ACK
    }
}

/// Returns the two hosts of a fragment, in the order of their addresses.
pub(super) fn hosts_of_fragment(frame: &OwnedFrame) -> Option<(IpAddr, IpAddr)> {
    let layout = IpLayout::of(frame)?;
    let bytes = &frame.bytes;
    let is_fragment = match layout.v6 {
        true => after_extensions(bytes, layout.ip).is_some_and(|(at, _)| bytes.get(at) == Some(&44)),
        false => u16_at(bytes, layout.ip + 6)? & 0x3fff != 0,
    };
    let (src, dst) = layout.addresses(bytes).filter(|_| is_fragment)?;
    Some((src.min(dst), src.max(dst)))
}

/// Returns the offsets of protocol and payload in an IPv4 packet; `None` for a fragment.
fn after_v4(bytes: &[u8], ip: usize) -> Option<(usize, usize)> {
    // More fragments, or an offset.
    if u16_at(bytes, ip + 6)? & 0x3fff != 0 {
        return None;
    }
    let header = usize::from(bytes[ip] & 15) * 4;
    (header >= 20).then_some((ip + 9, ip + header))
}

/// Returns the offsets of the last next-header value and of the payload in an IPv6 packet.
fn after_extensions(bytes: &[u8], ip: usize) -> Option<(usize, usize)> {
    let (mut next_at, mut at) = (ip + 6, ip + 40);
    // Hop-by-hop, routing, destination options (RFC 8200 §4.1); nobody sends more than eight
    // headers.
    for _ in 0..8 {
        if !matches!(bytes.get(next_at)?, 0 | 43 | 60) {
            return Some((next_at, at));
        }
        next_at = at;
        at += (usize::from(*bytes.get(at + 1)?) + 1) * 8;
    }
    None
}
