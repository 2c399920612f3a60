//! Frames built by hand, header by header, from the RFCs: TCP, IP, tunnels, link layers.
//!
//! It shares no code with [`crate::decode`] on purpose, and never checks that a packet makes sense: tests need
//! nonsense too. What cannot be written at all (a length over its field) is a [`WireError`].
//!
//! Inside out: [`Tcp`] → [`Ip`] → any number of [`Wrap`]s → [`frame_bytes`] with a link header. Next: `tcp`, `ip`,
//! `tunnel`, `link` beside this file.

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

use crate::block::Block;
use crate::frame::{Frame, LinkType};
use crate::time::{Precision, Timestamp};

/// A frame that owns its bytes, so that a list of them can be reordered, cut and written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "tests build and change it freely; no invariant")]
pub struct OwnedFrame {
    /// Number in the capture, counted from 1; [`renumber`] after changing a list.
    pub number: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// How fine `time` is.
    pub precision: Precision,
    /// What `bytes` starts with.
    pub link: LinkType,
    /// The bytes that were captured.
    pub bytes: Vec<u8>,
    /// Length on the wire; more than `bytes.len()` when the frame was cut.
    pub wire_len: u32,
}

impl From<&Frame<'_>> for OwnedFrame {
    fn from(frame: &Frame<'_>) -> Self {
        Self {
            number: frame.number,
            time: frame.time,
            precision: frame.precision,
            link: frame.link,
            bytes: frame.bytes.to_vec(),
            wire_len: frame.wire_len,
        }
    }
}

impl OwnedFrame {
    /// Lent as the engine takes it.
    pub fn as_frame(&self) -> Frame<'_> {
        self.with_bytes(&self.bytes)
    }

    fn with_bytes<'a>(&self, bytes: &'a [u8]) -> Frame<'a> {
        Frame::new(self.number, self.time, self.link, bytes).with_wire_len(self.wire_len).with_precision(self.precision)
    }

    /// Cuts what was captured to `len` bytes, as a snapshot length does; the length on the wire stays.
    pub fn cut_to(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Whether the snapshot length left bytes out.
    pub fn is_cut(&self) -> bool {
        (self.bytes.len() as u64) < u64::from(self.wire_len)
    }
}

/// A block in which the bytes of these frames lie one after the other, as they do where a capture is read.
pub fn block_of(frames: &[OwnedFrame]) -> Block {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| bytes.extend_from_slice(&frame.bytes));
    Block::new(bytes)
}

/// Frames lent from [their block](block_of).
pub fn within<'a>(block: &'a Block, frames: &'a [OwnedFrame]) -> impl Iterator<Item = Frame<'a>> {
    let mut rest = &block[..];
    frames.iter().map(move |frame| {
        let (bytes, behind) = rest.split_at(frame.bytes.len());
        rest = behind;
        frame.with_bytes(bytes).within(Some(block))
    })
}

/// Numbers the frames 1, 2, 3 … in the order in which they stand.
pub fn renumber(frames: &mut [OwnedFrame]) {
    for (frame, number) in frames.iter_mut().zip(1..) {
        frame.number = number;
    }
}

/// Which way a packet goes between the two hosts: decides MAC addresses and the ends of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Way {
    /// From the client to the server: `>>>`.
    ToServer,
    /// From the server to the client: `<<<`.
    ToClient,
}

impl Way {
    /// The other way.
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
pub struct Packet {
    /// EtherType: 0x0800 for IPv4, 0x86dd for IPv6, 0x8100 for a VLAN tag …
    pub ethertype: u16,
    /// From the first byte after the EtherType.
    pub bytes: Vec<u8>,
}

/// Why a frame cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// A length does not fit its field.
    TooLong {
        /// The header with the field.
        header: &'static str,
        /// The length that came.
        len: usize,
        /// The greatest the field can say.
        max: usize,
    },
    /// The two addresses are not of one family.
    MixedFamilies,
    /// This layer cannot carry that packet: Teredo carries no IPv4, raw IP no VLAN tag.
    Cannot {
        /// What should have carried it.
        carrier: String,
        /// The EtherType of what came.
        ethertype: u16,
    },
    /// Text that names no layer, and what is allowed.
    Unknown {
        /// What came.
        found: String,
        /// What is allowed.
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
