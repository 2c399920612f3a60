//! A cursor over a packet: the bytes that remain after the headers read so far.
//!
//! It never allocates and never panics: a header that is not there is `Malformed` in the asking
//! layer. Next: [`super::link`], where a frame's first header is read.

use super::{Layer, Skipped};
use crate::frame::Frame;

/// Most tunnels inside each other (policy 11).
pub(super) const DEPTH_MAX: u8 = 4;

/// Most VLAN tags, MPLS labels, SNAP and other shims between a link header and its IP header.
/// Arbitrary: twice the deepest stack seen in an operator's network.
const SHIMS_MAX: u8 = 16;

/// The bytes after the headers read so far, and the number of bytes that a snapshot length cut.
///
/// Invariant: `bytes` only gets shorter, in front by a header and at the back by a length field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    /// Captured bytes.
    pub(super) bytes: &'a [u8],
    /// Bytes after `bytes` that were on the wire but not captured (snapshot length).
    ///
    /// It only gets smaller: a length field that claims more than was on the wire makes no hole.
    /// Such a packet is damaged, and its receiver drops it; or a tool cut it together with its
    /// `wire_len`. In the first case a hole would swallow live data. In the second the sequence
    /// number of the next segment shows the true hole.
    pub(super) cut: u32,
    /// Tunnels opened so far; at most [`DEPTH_MAX`].
    pub(super) depth: u8,
    /// Shims since the last link header; at most [`SHIMS_MAX`].
    shims: u8,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning of a frame. A `wire_len` below the captured length is damage, and
    /// nothing counts as cut.
    #[inline]
    pub(super) fn of(frame: &Frame<'a>) -> Self {
        let captured = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        Self { bytes: frame.bytes, cut: frame.wire_len.saturating_sub(captured), depth: 0, shims: 0 }
    }

    /// Starts at the payload of a reassembled datagram, `depth` tunnels down, with `cut` bytes
    /// missing at its end.
    pub(super) fn of_datagram(bytes: &'a [u8], cut: u32, depth: u8) -> Self {
        Self { bytes, cut, depth, shims: 0 }
    }

    /// Takes a header of `N` bytes off.
    #[inline]
    pub(super) fn take<const N: usize>(&mut self, layer: Layer) -> Result<&'a [u8; N], Skipped> {
        let (head, tail) = self.bytes.split_first_chunk().ok_or(Skipped::Malformed(layer))?;
        self.bytes = tail;
        Ok(head)
    }

    /// Takes a big-endian 16-bit field off.
    #[inline]
    pub(super) fn take_u16(&mut self, layer: Layer) -> Result<u16, Skipped> {
        self.take::<2>(layer).map(|field| u16::from_be_bytes(*field))
    }

    /// Takes `n` bytes off without reading them.
    #[inline]
    pub(super) fn skip(&mut self, n: usize, layer: Layer) -> Result<(), Skipped> {
        self.bytes = self.bytes.get(n..).ok_or(Skipped::Malformed(layer))?;
        Ok(())
    }

    /// Returns the cursor `n` bytes further on, if it has that many.
    pub(super) fn after(self, n: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(n..)?, ..self })
    }

    /// Returns the first `N` bytes without taking them off.
    #[inline]
    pub(super) fn peek<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.bytes.first_chunk()
    }

    /// Applies a length field: at most `len` bytes follow, the rest is padding or a trailer.
    #[inline]
    #[must_use]
    pub(super) fn limit(self, len: usize) -> Self {
        match self.bytes.get(..len) {
            Some(bytes) => Self { bytes, cut: 0, ..self },
            None => {
                let missing = u32::try_from(len - self.bytes.len()).unwrap_or(u32::MAX);
                Self { cut: self.cut.min(missing), ..self }
            }
        }
    }

    /// Bytes on the wire from here on, within the length fields.
    pub(super) fn wire_len(&self) -> usize {
        self.bytes.len().saturating_add(usize::try_from(self.cut).unwrap_or(usize::MAX))
    }

    /// Enters a tunnel.
    pub(super) fn deeper(self) -> Result<Self, Skipped> {
        if self.depth >= DEPTH_MAX {
            return Err(Skipped::TooDeep);
        }
        Ok(Self { depth: self.depth + 1, shims: 0, ..self })
    }

    /// Counts a VLAN tag, label or other shim.
    #[inline]
    pub(super) fn count_shim(&mut self) -> Result<(), Skipped> {
        if self.shims >= SHIMS_MAX {
            return Err(Skipped::TooDeep);
        }
        self.shims += 1;
        Ok(())
    }
}
