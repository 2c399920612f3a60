//! The output buffer of JSON lines.
//!
//! Knows nothing of the meaning of the bytes. Next: [`super::text`], strings.

use fearless_simd::Level;

/// A buffer of JSON lines. It stays filled past its end, so that wide stores need one check for room
/// per block instead of one per byte.
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Length of what was written. The bytes after it have no meaning.
    end: usize,
    /// SIMD level of the processor.
    pub(super) level: Level,
}

/// More than the longest key and the longest small value (an IPv6 endpoint) together.
pub(super) const SMALL_MAX: usize = 128;

impl Default for Lines {
    fn default() -> Self {
        Self { bytes: Vec::new(), end: 0, level: Level::new() }
    }
}

impl Lines {
    /// Returns what was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// Returns how many bytes were written.
    pub const fn len(&self) -> usize {
        self.end
    }

    /// Returns whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Discards what was written, and frees memory over `keep` bytes.
    pub fn clear(&mut self, keep: usize) {
        self.end = 0;
        if self.bytes.capacity() > keep {
            self.bytes.truncate(keep);
            self.bytes.shrink_to(keep);
        }
    }

    /// Lets `write` append to what was written.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.truncate(self.end);
        write(&mut self.bytes);
        self.end = self.bytes.len();
    }

    /// Appends bytes as they are.
    #[inline(always)]
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.with_room(bytes.len(), |room| {
            room[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        });
    }

    /// Gives room for `length` bytes to `write`, which returns how many it wrote.
    #[inline(always)]
    pub(super) fn with_room(&mut self, length: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        if self.bytes.len() - self.end < length {
            self.grow(length);
        }
        self.end += write(&mut self.bytes[self.end..]);
    }

    /// [`Self::with_room`] for a key and a small value. The length is a constant, which makes most
    /// offsets into the room constants too.
    #[inline(always)]
    pub(super) fn with_small_room(&mut self, write: impl FnOnce(&mut [u8; SMALL_MAX]) -> usize) {
        if self.bytes.len() - self.end < SMALL_MAX {
            self.grow(SMALL_MAX);
        }
        self.end += write(self.bytes[self.end..].first_chunk_mut().expect("room was asked for"));
    }

    #[cold]
    fn grow(&mut self, length: usize) {
        self.bytes.reserve(length);
        self.bytes.resize(self.bytes.capacity(), 0);
    }
}
