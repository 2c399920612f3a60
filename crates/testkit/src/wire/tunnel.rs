//! Tunnels and tags: each puts a layer around a packet, so they nest in any order that makes sense.
//!
//! It never fragments and never invents inner packets. Each variant cites the definition of its
//! header. Next: `link` beside this file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::ip::{IPV4, IPV6, Ip, udp};
use super::link::ethernet_header;
use super::{Way, WireError, WirePacket};

/// One layer around a packet. The two numbers are the identifiers to the server and back, which may
/// differ (policy 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrap {
    /// An IEEE 802.1Q tag, EtherType 0x8100.
    Vlan(u16, u16),
    /// An IEEE 802.1ad service tag, EtherType 0x88a8; a `Vlan` goes inside it.
    QinQ(u16, u16),
    /// An MPLS label (RFC 3032 §2.1).
    Mpls(u32, u32),
    /// PPPoE session stage (RFC 2516 §4).
    Pppoe,
    /// GRE without options (RFC 2784 §2.1).
    Gre,
    /// ERSPAN type II: GRE with a sequence number, 8 bytes, Ethernet (draft-foschiano-erspan §4.2).
    Erspan,
    /// VXLAN (RFC 7348 §5).
    Vxlan(u32, u32),
    /// Geneve with Ethernet inside (RFC 8926 §3.4).
    Geneve(u32, u32),
    /// IPv4 in IPv4 (RFC 2003).
    Ipip,
    /// IPv6 in IPv4 (RFC 4213 §3).
    SixInFour,
    /// IPv4 in IPv6 (RFC 2473).
    FourInSix,
    /// GTP-U, one G-PDU (3GPP TS 29.281 §5.1).
    GtpU(u32, u32),
    /// L2TPv2 data message with PPP (RFC 2661 §3.1).
    L2tp,
    /// Teredo without indications (RFC 4380 §5.1.1).
    Teredo,
}

const ALLOWED: &str = "vlan:ID, qinq:ID, mpls:LABEL, pppoe, gre, erspan, vxlan:VNI, geneve:VNI, ipip, 6in4, 4in6, \
                       gtpu:TEID, l2tp, teredo (an ID may be TO/BACK)";

impl Wrap {
    /// Returns the packet with this layer around `inner`.
    pub fn around(self, inner: &WirePacket, way: Way) -> Result<WirePacket, WireError> {
        let id = |to: u32, back: u32| if way == Way::ToServer { to } else { back };
        match self {
            Self::Vlan(to, back) => Ok(tagged(0x8100, id(to.into(), back.into()), inner)),
            Self::QinQ(to, back) => Ok(tagged(0x88a8, id(to.into(), back.into()), inner)),
            Self::Mpls(to, back) => {
                // Bottom of stack unless another label follows; TTL 64.
                let bottom = u32::from(inner.ethertype != 0x8847);
                let label = (id(to, back) & 0xf_ffff) << 12 | bottom << 8 | 64;
                Ok(WirePacket { ethertype: 0x8847, bytes: joined(&label.to_be_bytes(), &inner.bytes) })
            }
            Self::Pppoe => {
                let ppp = joined(&self.ppp_protocol(inner)?.to_be_bytes(), &inner.bytes);
                let len = u16::try_from(ppp.len());
                let len =
                    len.map_err(|_| WireError::TooLong { header: "PPPoE length", len: ppp.len(), max: 65_535 })?;
                let mut bytes = vec![0x11, 0, 0, 1];
                bytes.extend(len.to_be_bytes());
                bytes.extend(ppp);
                Ok(WirePacket { ethertype: 0x8864, bytes })
            }
            Self::Gre => {
                let gre = joined(&u32::from(inner.ethertype).to_be_bytes(), &inner.bytes);
                outer_v4(47, way).packet(&gre)
            }
            Self::Erspan => {
                // Flag S and protocol 0x88be; sequence number 0; version 1, session 1, index 0.
                let mut gre = vec![0x10, 0, 0x88, 0xbe, 0, 0, 0, 0, 0x10, 0, 0, 1, 0, 0, 0, 0];
                gre.extend(ethernet(inner, way));
                outer_v4(47, way).packet(&gre)
            }
            Self::Vxlan(to, back) => {
                let mut bytes = vec![8, 0, 0, 0];
                bytes.extend((id(to, back) << 8).to_be_bytes());
                bytes.extend(ethernet(inner, way));
                udp(&outer_v4(17, way), 50_000, 4_789, &bytes)
            }
            Self::Geneve(to, back) => {
                let mut bytes = vec![0, 0, 0x65, 0x58];
                bytes.extend((id(to, back) << 8).to_be_bytes());
                bytes.extend(ethernet(inner, way));
                udp(&outer_v4(17, way), 50_000, 6_081, &bytes)
            }
            Self::Ipip if inner.ethertype == IPV4 => outer_v4(4, way).packet(&inner.bytes),
            Self::SixInFour if inner.ethertype == IPV6 => outer_v4(41, way).packet(&inner.bytes),
            Self::FourInSix if inner.ethertype == IPV4 => outer_v6(4, way).packet(&inner.bytes),
            Self::GtpU(to, back) if matches!(inner.ethertype, IPV4 | IPV6) => {
                // Version 1, GTP, no optional fields; message type 255, G-PDU.
                let len = u16::try_from(inner.bytes.len()).unwrap_or(u16::MAX);
                let mut bytes = vec![0x30, 0xff];
                bytes.extend(len.to_be_bytes());
                bytes.extend(id(to, back).to_be_bytes());
                bytes.extend(&inner.bytes);
                udp(&outer_v4(17, way), 2_152, 2_152, &bytes)
            }
            Self::L2tp => {
                // A data message, version 2, without optional fields: tunnel 1, session 1; PPP
                // address and control.
                let mut bytes = vec![0, 2, 0, 1, 0, 1, 0xff, 3];
                bytes.extend(self.ppp_protocol(inner)?.to_be_bytes());
                bytes.extend(&inner.bytes);
                udp(&outer_v4(17, way), 1_701, 1_701, &bytes)
            }
            Self::Teredo if inner.ethertype == IPV6 => {
                let (src, dst) = if way == Way::ToServer { (50_000, 3_544) } else { (3_544, 50_000) };
                udp(&outer_v4(17, way), src, dst, &inner.bytes)
            }
            _ => Err(self.cannot(inner)),
        }
    }

    fn ppp_protocol(self, inner: &WirePacket) -> Result<u16, WireError> {
        match inner.ethertype {
            IPV4 => Ok(0x0021),
            IPV6 => Ok(0x0057),
            _ => Err(self.cannot(inner)),
        }
    }

    fn cannot(self, inner: &WirePacket) -> WireError {
        WireError::Cannot { carrier: self.to_string(), ethertype: inner.ethertype }
    }
}

impl FromStr for Wrap {
    type Err = WireError;

    /// `vlan:5`, `vxlan:100/200`, `gre` …
    fn from_str(text: &str) -> Result<Self, WireError> {
        let unknown = || WireError::Unknown { found: text.to_owned(), allowed: ALLOWED };
        let (name, ids) = text.split_once(':').unwrap_or((text, ""));
        let ids = if ids.is_empty() { None } else { Some(ids.split_once('/').unwrap_or((ids, ids))) };
        let numbers = |max: u32| -> Result<(u32, u32), WireError> {
            let (to, back) = ids.ok_or_else(unknown)?;
            let number = |text: &str| text.parse().ok().filter(|n| *n <= max).ok_or_else(unknown);
            Ok((number(to)?, number(back)?))
        };
        let tag = || numbers(4_095).map(|(to, back)| (to as u16, back as u16));
        match (name, ids.is_some()) {
            ("vlan", _) => tag().map(|(to, back)| Self::Vlan(to, back)),
            ("qinq", _) => tag().map(|(to, back)| Self::QinQ(to, back)),
            ("mpls", _) => numbers(0xf_ffff).map(|(to, back)| Self::Mpls(to, back)),
            ("vxlan", _) => numbers(0xff_ffff).map(|(to, back)| Self::Vxlan(to, back)),
            ("geneve", _) => numbers(0xff_ffff).map(|(to, back)| Self::Geneve(to, back)),
            ("gtpu", _) => numbers(u32::MAX).map(|(to, back)| Self::GtpU(to, back)),
            ("pppoe", false) => Ok(Self::Pppoe),
            ("gre", false) => Ok(Self::Gre),
            ("erspan", false) => Ok(Self::Erspan),
            ("ipip", false) => Ok(Self::Ipip),
            ("6in4", false) => Ok(Self::SixInFour),
            ("4in6", false) => Ok(Self::FourInSix),
            ("l2tp", false) => Ok(Self::L2tp),
            ("teredo", false) => Ok(Self::Teredo),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, to, back) = match *self {
            Self::Vlan(to, back) => ("vlan", to.into(), back.into()),
            Self::QinQ(to, back) => ("qinq", to.into(), back.into()),
            Self::Mpls(to, back) => ("mpls", to, back),
            Self::Vxlan(to, back) => ("vxlan", to, back),
            Self::Geneve(to, back) => ("geneve", to, back),
            Self::GtpU(to, back) => ("gtpu", to, back),
            Self::Pppoe => return f.write_str("pppoe"),
            Self::Gre => return f.write_str("gre"),
            Self::Erspan => return f.write_str("erspan"),
            Self::Ipip => return f.write_str("ipip"),
            Self::SixInFour => return f.write_str("6in4"),
            Self::FourInSix => return f.write_str("4in6"),
            Self::L2tp => return f.write_str("l2tp"),
            Self::Teredo => return f.write_str("teredo"),
        };
        if to == back { write!(f, "{name}:{to}") } else { write!(f, "{name}:{to}/{back}") }
    }
}

fn tagged(ethertype: u16, id: u32, inner: &WirePacket) -> WirePacket {
    let mut bytes = (id as u16).to_be_bytes().to_vec();
    bytes.extend(inner.ethertype.to_be_bytes());
    bytes.extend(&inner.bytes);
    WirePacket { ethertype, bytes }
}

fn ethernet(inner: &WirePacket, way: Way) -> Vec<u8> {
    joined(&ethernet_header(inner.ethertype, way), &inner.bytes)
}

fn joined(head: &[u8], tail: &[u8]) -> Vec<u8> {
    [head, tail].concat()
}

/// Outer header with documentation addresses (RFC 5737), so that an outer address in an output is
/// noticed.
fn outer_v4(protocol: u8, way: Way) -> Ip {
    let ends = [1, 2].map(|n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)));
    let (src, dst) = if way == Way::ToServer { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
    Ip::new(src, dst, protocol, 64)
}

fn outer_v6(protocol: u8, way: Way) -> Ip {
    let ends = [1, 2].map(|n| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, n)));
    let (src, dst) = if way == Way::ToServer { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
    Ip::new(src, dst, protocol, 64)
}
