//! The input: one captured packet with its time, link type and number.
//!
//! Next: [`crate::decode`], which finds the TCP segment in it.

use crate::block::Block;
use crate::time::{Precision, Timestamp};

/// A link-layer header type, as in the "LINKTYPE_" registry of pcap and pcapng files.
///
/// Source: <https://www.tcpdump.org/linktypes.html>. A file may store the `DLT_` number of one
/// operating system instead, such as 12 or 14 for raw IP. The decoder knows these numbers too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a four-byte address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    /// Ethernet II and IEEE 802.3.
    pub const ETHERNET: Self = Self(1);
    /// Raw IPv4 or IPv6, distinguished by the version nibble.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: like `NULL`, in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture v1, from `tcpdump -i any`.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// One captured packet, borrowed for the duration of a call.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// Time of capture; may be earlier than the previous frame's (policy 23).
    pub time: Timestamp,
    /// Precision of `time`.
    pub precision: Precision,
    /// Type of the header that `bytes` starts with.
    pub link: LinkType,
    /// Captured bytes.
    pub bytes: &'a [u8],
    /// Length on the wire in bytes; more than `bytes.len()` if a snapshot length cut the packet.
    pub wire_len: u32,
    /// Number in the capture, counted from 1 like Wireshark's.
    pub number: u64,
    /// The shared block that `bytes` lies in, if there is one.
    pub block: Option<&'a Block>,
}

impl<'a> Frame<'a> {
    /// Makes a frame that was captured whole, with microsecond time.
    pub fn new(number: u64, time: Timestamp, link: LinkType, bytes: &'a [u8]) -> Self {
        let wire_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { time, precision: Precision::Micros, link, bytes, wire_len, number, block: None }
    }

    /// The same frame with this length on the wire.
    #[must_use]
    pub fn with_wire_len(self, wire_len: u32) -> Self {
        Self { wire_len, ..self }
    }

    /// The same frame with time stamps of this precision.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same frame with the block that its bytes lie in. Bytes that an engine keeps are borrowed
    /// from the block, and copied only when the block is released.
    #[must_use]
    pub fn within(self, block: Option<&'a Block>) -> Self {
        Self { block, ..self }
    }

    /// The part of it that later stages keep.
    pub fn stamp(&self) -> Stamp {
        Stamp { number: self.number, time: self.time, precision: self.precision }
    }
}

/// Number and time of a frame: all that is kept of it after its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "built by every stage and by tests; it has no invariant")]
pub struct Stamp {
    /// Number in the capture, counted from 1.
    pub number: u64,
    /// Time of capture.
    pub time: Timestamp,
    /// Precision of `time`.
    pub precision: Precision,
}

/// A frame that owns its bytes, for lists that are reordered, cut and written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "tests build and change it freely; no invariant")]
pub struct OwnedFrame {
    /// Number in the capture, counted from 1; [`renumber`] after changing a list.
    pub number: u64,
    /// Time of capture.
    pub time: Timestamp,
    /// Precision of `time`.
    pub precision: Precision,
    /// Type of the header that `bytes` starts with.
    pub link: LinkType,
    /// Captured bytes.
    pub bytes: Vec<u8>,
    /// Length on the wire; more than `bytes.len()` if the frame was cut.
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
    /// Borrows it as a [`Frame`].
    pub fn as_frame(&self) -> Frame<'_> {
        self.with_bytes(&self.bytes)
    }

    fn with_bytes<'a>(&self, bytes: &'a [u8]) -> Frame<'a> {
        Frame::new(self.number, self.time, self.link, bytes).with_wire_len(self.wire_len).with_precision(self.precision)
    }

    /// Cuts the captured bytes to `len`, as a snapshot length does. The length on the wire stays.
    pub fn cut_to(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Returns whether a snapshot length cut it.
    pub fn is_cut(&self) -> bool {
        (self.bytes.len() as u64) < u64::from(self.wire_len)
    }
}

/// Makes a block with the bytes of these frames one after the other, like a capture's read buffer.
pub fn block_of(frames: &[OwnedFrame]) -> Block {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| bytes.extend_from_slice(&frame.bytes));
    Block::new(bytes)
}

/// Borrows the frames from [their block](block_of).
pub fn within<'a>(block: &'a Block, frames: &'a [OwnedFrame]) -> impl Iterator<Item = Frame<'a>> {
    let mut rest = &block[..];
    frames.iter().map(move |frame| {
        let (bytes, tail) = rest.split_at(frame.bytes.len());
        rest = tail;
        frame.with_bytes(bytes).within(Some(block))
    })
}

/// Numbers the frames 1, 2, 3 … in the order of the list.
pub fn renumber(frames: &mut [OwnedFrame]) {
    for (frame, number) in frames.iter_mut().zip(1..) {
        frame.number = number;
    }
}
