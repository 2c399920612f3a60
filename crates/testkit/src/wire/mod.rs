//! Frames built by hand, header by header, from the RFCs: TCP, IP, tunnels, link layers.
//!
//! It shares no code with [`sniffer_packet::decode`] on purpose. It never checks that a packet
//! makes sense, because tests need nonsense too. A packet that cannot be written, because a length
//! does not fit its field, is a [`WireError`].
//!
//! From the inside out: [`Tcp`] → [`Ip`] → any number of [`Wrap`]s → [`frame_bytes`] with a link
//! header. Next: `tcp`, `ip`, `tunnel`, `link` beside this file.

mod ip;
mod link;
mod tcp;
mod tunnel;

use std::fmt;

pub use ip::Ip;
pub(super) use ip::sum;
use ip::{IPV4, IPV6};
pub use link::{frame_bytes, link_name, link_named};
pub use tcp::Tcp;
pub use tunnel::Wrap;

/// Direction of a packet between the two hosts; decides MAC addresses and the ends of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Way {
    /// From the client to the server: `>>>`.
    ToServer,
    /// From the server to the client: `<<<`.
    ToClient,
}

impl Way {
    /// The opposite direction.
    #[must_use]
    pub const fn back(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }

    /// 0 to the server, 1 to the client.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A network-layer packet and the EtherType that announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what passes between the builders; no invariant")]
pub struct WirePacket {
    /// EtherType: 0x0800 for IPv4, 0x86dd for IPv6, 0x8100 for a VLAN tag …
    pub ethertype: u16,
    /// Bytes after the EtherType.
    pub bytes: Vec<u8>,
}

/// The reason why a frame cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// A length does not fit its field.
    TooLong {
        /// The header with the field.
        header: &'static str,
        /// The length.
        len: usize,
        /// The largest value of the field.
        max: usize,
    },
    /// The two addresses are not of one family.
    MixedFamilies,
    /// This layer cannot carry that packet: Teredo carries no IPv4, raw IP no VLAN tag.
    Cannot {
        /// The layer that should carry it.
        carrier: String,
        /// EtherType of the packet.
        ethertype: u16,
    },
    /// The text names no layer.
    Unknown {
        /// The text.
        found: String,
        /// The allowed names.
        allowed: &'static str,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { header, len, max } => write!(f, "{header}: {len} bytes, the field holds at most {max}"),
            Self::MixedFamilies => f.write_str("IP: one address is IPv4 and the other IPv6"),
            Self::Cannot { carrier, ethertype } => {
                write!(f, "{carrier} cannot carry a packet of EtherType {ethertype:#06x}")
            }
            Self::Unknown { found, allowed } => write!(f, "{found:?} is unknown; allowed: {allowed}"),
        }
    }
}

impl std::error::Error for WireError {}

#[cfg(test)]
mod tests;
