//! Writes single JSON strings: copies the clean beginning while checking it, and escapes the rest.
//!
//! Methods, targets and the like are short and need no escapes. They are checked without a call, in
//! chunks of 16 bytes, which any processor compares at once, or in integers of eight bytes. Next:
//! [`super::escape`], for the others, above all bodies.

use super::escape::{escape, room_for};
use super::lines::Lines;

/// Bytes that are compared at once.
const CHUNK: usize = 16;

/// Bytes that are escaped per request for room.
const BLOCK: usize = 1024;

impl Lines {
    /// Appends `text`, which must be UTF-8, as a string.
    #[inline]
    pub(super) fn text(&mut self, text: &[u8]) {
        let Some(last) = text.last_chunk() else { return self.short(text) };
        let mut clean = 0;
        self.with_room(text.len() + 2, |room| {
            room[0] = b'"';
            let (room, quote) = room[1..text.len() + 2].split_at_mut(text.len());
            quote[0] = b'"';
            for (chunk, room) in text.as_chunks::<CHUNK>().0.iter().zip(room.as_chunks_mut().0) {
                if !is_clean(chunk) {
                    return 1 + clean;
                }
                *room = *chunk;
                clean += CHUNK;
            }
            if let Some(room) = room.last_chunk_mut()
                && is_clean(last)
            {
                *room = *last;
                clean = text.len();
                return clean + 2;
            }
            1 + clean
        });
        if clean < text.len() {
            self.escape(&text[clean..]);
            self.raw(b"\"");
        }
    }

    /// Appends a string shorter than a chunk, as its first and its last eight bytes, which may overlap.
    #[inline]
    fn short(&mut self, text: &[u8]) {
        let length = text.len();
        let (first, last) = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => (few(text) | (b' ' as u64 * EACH) << (8 * length), b' ' as u64 * EACH),
        };
        if is_clean_word(first) && is_clean_word(last) {
            self.with_small_room(|room| {
                room[0] = b'"';
                room[1..9].copy_from_slice(&first.to_le_bytes());
                if length > 8 {
                    room[length - 7..=length].copy_from_slice(&last.to_le_bytes());
                }
                room[length + 1] = b'"';
                length + 2
            });
        } else {
            self.raw(b"\"");
            self.escape(text);
            self.raw(b"\"");
        }
    }

    #[inline(never)]
    fn escape(&mut self, text: &[u8]) {
        let level = self.level;
        for block in text.chunks(BLOCK) {
            self.with_room(room_for(block.len()), |room| escape(level, block, room));
        }
    }
}

/// Returns whether none of the bytes needs an escape. Without branches, so that it becomes one
/// vector comparison.
#[inline(always)]
fn is_clean(chunk: &[u8; CHUNK]) -> bool {
    chunk.iter().fold(0, |dirty, &byte| dirty | u8::from((byte < 0x20) | (byte == b'"') | (byte == b'\\'))) == 0
}

/// [`is_clean`] for eight bytes in an integer.
#[inline(always)]
const fn is_clean_word(word: u64) -> bool {
    // Subtraction sets the highest bit of a byte that is smaller, unless the byte had it before.
    const fn has_less(word: u64, than: u8) -> u64 {
        word.wrapping_sub(than as u64 * EACH) & !word
    }
    let quote = has_less(word ^ (b'"' as u64 * EACH), 1);
    let backslash = has_less(word ^ (b'\\' as u64 * EACH), 1);
    (has_less(word, b' ') | quote | backslash) & (0x80 * EACH) == 0
}

/// A one in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Returns fewer than eight bytes as the low bytes of an integer. Overlapping loads avoid a loop with
/// an unpredictable branch.
#[inline(always)]
fn few(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
        return first | last << (8 * (bytes.len() - 4));
    }
    let at = |place: usize| bytes.get(place).map_or(0, |&byte| u64::from(byte) << (8 * place));
    at(0) | at(1) | at(2)
}
