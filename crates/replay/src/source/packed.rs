//! The packed bytes of a capture, buffered for the two decoders.
//!
//! It never unpacks. Next: [`super::gzip`], [`super::zstd`].

use std::io::{self, Read};

use super::raw::Raw;

/// Packed bytes are read in pieces of this size; 64 KiB is what a Linux pipe holds.
const PIECE: usize = 64 * 1024;

/// A small read buffer: `bytes[start..end]` is read and not yet used.
pub(super) struct Packed {
    pub(super) raw: Raw,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// True once a read found the end.
    pub(super) ended: bool,
}

impl Packed {
    /// A buffer that starts with `first`, which was already read from `raw`.
    pub(super) fn new(first: &[u8], raw: Raw) -> Self {
        let mut bytes = first.to_vec();
        bytes.resize(PIECE.max(first.len()), 0);
        Self { raw, bytes, start: 0, end: first.len(), ended: false }
    }

    /// Returns the bytes that are buffered, after one read if there are none. Empty at the end.
    pub(super) fn available(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.end = self.raw.read(&mut self.bytes)?;
            self.ended = self.end == 0;
        }
        Ok(&self.bytes[self.start..self.end])
    }

    /// Marks bytes of [`Self::available`] as used.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Returns the next byte, or `None` at the end.
    pub(super) fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.available()?.first().copied();
        self.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// Returns the bytes of the packed file used so far.
    pub(super) fn used(&self) -> u64 {
        self.raw.position - (self.end - self.start) as u64
    }
}

impl Read for Packed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.available()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
