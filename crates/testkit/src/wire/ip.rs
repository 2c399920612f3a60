//! IPv4 and IPv6 headers, extension headers, fragments, and the Internet checksum (RFC 791, RFC
//! 8200, RFC 1071).
//!
//! It never routes and never refuses an address. Next: [`super::Wrap`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{WireError, WirePacket};

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
pub(super) const IP_PROTOCOL_TCP: u8 = 6;
pub(super) const IP_PROTOCOL_UDP: u8 = 17;
const HOP_BY_HOP: u8 = 0;
const DESTINATION_OPTIONS: u8 = 60;
const FRAGMENT_HEADER: u8 = 44;

/// The fields of an IP header that a caller chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a header's fields, all free; no invariant")]
pub struct Ip {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// IPv4 protocol or IPv6 next header of the payload.
    pub protocol: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Identification, for fragments.
    pub id: u16,
    /// IPv6: put a hop-by-hop and a destination-options header in front. IPv4: four no-operation
    /// options.
    pub extensions: bool,
    /// Write a total length (IPv6: payload length) of zero, as segmentation offload leaves it.
    pub length_zero: bool,
}

impl Ip {
    /// Makes a header with these values and no options.
    pub const fn new(src: IpAddr, dst: IpAddr, protocol: u8, ttl: u8) -> Self {
        Self { src, dst, protocol, ttl, id: 0, extensions: false, length_zero: false }
    }

    /// Makes the packet that carries `payload` whole.
    pub fn packet(&self, payload: &[u8]) -> Result<WirePacket, WireError> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.v4(src, dst, payload, 0, false),
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let (next, bytes) = self.with_extensions(payload);
                self.v6(src, dst, next, &bytes)
            }
            _ => Err(WireError::MixedFamilies),
        }
    }

    /// Makes the packets that carry `payload` in fragments of at most `size` bytes, rounded down to
    /// a multiple of 8, at least 8.
    pub fn fragments(&self, payload: &[u8], size: usize) -> Result<Vec<WirePacket>, WireError> {
        let size = (size / 8 * 8).max(8);
        let last = payload.len().saturating_sub(1) / size;
        let piece = |(n, bytes)| self.fragment(bytes, n * size, n < last);
        payload.chunks(size).enumerate().map(piece).collect()
    }

    /// Makes a fragment with `bytes` at `offset` (a multiple of 8) in the datagram's payload.
    pub fn fragment(&self, bytes: &[u8], offset: usize, more: bool) -> Result<WirePacket, WireError> {
        // 13 bits, counted in units of eight bytes.
        if offset > 8 * 0x1fff {
            return Err(WireError::TooLong { header: "fragment offset", len: offset, max: 8 * 0x1fff });
        }
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.v4(src, dst, bytes, offset, more),
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut header = vec![self.protocol, 0];
                // The byte offset is the offset in units of eight with the low three bits free for
                // flags.
                header.extend(((offset as u16) | u16::from(more)).to_be_bytes());
                header.extend(u32::from(self.id).to_be_bytes());
                header.extend(bytes);
                let (next, bytes) = Self { protocol: FRAGMENT_HEADER, ..*self }.with_extensions(&header);
                self.v6(src, dst, next, &bytes)
            }
            _ => Err(WireError::MixedFamilies),
        }
    }

    fn v4(
        &self,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        bytes: &[u8],
        offset: usize,
        more: bool,
    ) -> Result<WirePacket, WireError> {
        let header_len = if self.extensions { 24 } else { 20 };
        let total = field("IPv4 total length", header_len + bytes.len())?;
        let mut header = vec![0x40 | (header_len / 4) as u8, 0];
        header.extend(if self.length_zero { 0 } else { total }.to_be_bytes());
        header.extend(self.id.to_be_bytes());
        // Don't Fragment on every packet that is no fragment, as current systems send it (RFC
        // 1191).
        let flags = if more {
            0x2000
        } else if offset > 0 {
            0
        } else {
            0x4000
        };
        header.extend((flags | (offset / 8) as u16).to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(src.octets());
        header.extend(dst.octets());
        if self.extensions {
            header.extend([1, 1, 1, 1]);
        }
        let checksum = !sum(0, &header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header.extend(bytes);
        Ok(WirePacket { ethertype: IPV4, bytes: header })
    }

    fn v6(&self, src: Ipv6Addr, dst: Ipv6Addr, next: u8, bytes: &[u8]) -> Result<WirePacket, WireError> {
        let len = field("IPv6 payload length", bytes.len())?;
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(if self.length_zero { 0 } else { len }.to_be_bytes());
        packet.extend([next, self.ttl]);
        packet.extend(src.octets());
        packet.extend(dst.octets());
        packet.extend(bytes);
        Ok(WirePacket { ethertype: IPV6, bytes: packet })
    }

    /// Returns the first next-header value, and the payload after the extension headers if they are
    /// wanted.
    fn with_extensions(&self, payload: &[u8]) -> (u8, Vec<u8>) {
        if !self.extensions {
            return (self.protocol, payload.to_vec());
        }
        // Each: next header, length in units of eight bytes minus one, PadN of four (RFC 8200
        // §4.2).
        let mut bytes = vec![DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0];
        bytes.extend([self.protocol, 0, 1, 4, 0, 0, 0, 0]);
        bytes.extend(payload);
        (HOP_BY_HOP, bytes)
    }
}

/// Makes an IP packet with a UDP datagram, for tunnels over UDP.
pub(super) fn udp(ip: &Ip, src: u16, dst: u16, payload: &[u8]) -> Result<WirePacket, WireError> {
    let len = field("UDP length", 8 + payload.len())?;
    let mut bytes = Vec::with_capacity(8 + payload.len());
    bytes.extend(src.to_be_bytes());
    bytes.extend(dst.to_be_bytes());
    bytes.extend(len.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    let checksum = !sum(pseudo_header_sum(ip.src, ip.dst, IP_PROTOCOL_UDP, bytes.len()), &bytes);
    // A computed zero is sent as all ones, because zero means "none" (RFC 768).
    let checksum = if checksum == 0 { 0xffff } else { checksum };
    bytes[6..8].copy_from_slice(&checksum.to_be_bytes());
    ip.packet(&bytes)
}

/// The pseudo-header's part of a TCP or UDP checksum (RFC 9293 §3.1, RFC 8200 §8.1).
pub(super) fn pseudo_header_sum(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> u16 {
    let mut start = 0;
    for ip in [src, dst] {
        start = match ip {
            IpAddr::V4(ip) => sum(start, &ip.octets()),
            IpAddr::V6(ip) => sum(start, &ip.octets()),
        };
    }
    start = sum(start, &[0, protocol]);
    sum(start, &(len as u32).to_be_bytes())
}

/// Sums up for the Internet checksum, continuing from `start`, without the final inversion (RFC
/// 1071). An odd last byte counts as if a zero followed.
pub(crate) fn sum(start: u16, bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(high) << 8,
        _ => 0,
    });
    let mut total = u64::from(start) + words.sum::<u64>();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn field(header: &'static str, len: usize) -> Result<u16, WireError> {
    u16::try_from(len).map_err(|_| WireError::TooLong { header, len, max: 65_535 })
}
