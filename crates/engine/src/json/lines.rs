//! JSON on its way out: bytes, and how they are appended.
//!
//! Knows nothing of what they mean. Next: [`super::text`], strings.

use fearless_simd::Level;

/// JSON on its way out: a buffer that is kept filled beyond its end, so that a store of eight bytes where one counts asks
/// for room once a block and not once a byte.
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    /// How many of `bytes` are written. What stands behind is of no meaning.
    end: usize,
    /// What the processor can do.
    pub(super) level: Level,
}

/// More than the longest key and the longest small value, an address of IPv6.
pub(super) const SMALL_MAX: usize = 128;

impl Default for Lines {
    fn default() -> Self {
        Self { bytes: Vec::new(), end: 0, level: Level::new() }
    }
}

impl Lines {
    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// How many bytes were written.
    pub const fn len(&self) -> usize {
        self.end
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Forgets what was written; gives back what memory there is beyond `keep` bytes.
    pub fn clear(&mut self, keep: usize) {
        self.end = 0;
        if self.bytes.capacity() > keep {
            self.bytes.truncate(keep);
            self.bytes.shrink_to(keep);
        }
    }

    /// Lets somebody else append to what was written.
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

    /// Gives room for `length` bytes to a writer that says how many it wrote.
    #[inline(always)]
    pub(super) fn with_room(&mut self, length: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        if self.bytes.len() - self.end < length {
            self.grow(length);
        }
        self.end += write(&mut self.bytes[self.end..]);
    }

    /// [`Self::with_room`] for a key and a small value: its length is known, so that most places in it are, too.
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
