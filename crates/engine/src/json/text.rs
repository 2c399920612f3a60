//! JSON strings: what is clean is copied while it is looked at, the rest is escaped.
//!
//! Most strings are header names and values of 5–100 bytes without escapes: looked at in chunks of 16 bytes, which any
//! processor compares at once, without a call. Next: [`super::escape`], for the others.

use super::escape::{escape, room_for};
use super::lines::Lines;

/// Bytes that are compared at once.
const CHUNK: usize = 16;

/// Bytes that are escaped with one request for room.
const BLOCK: usize = 1024;

impl Lines {
    /// Appends a string: `text` is UTF-8.
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

    /// Appends a string of less than a chunk.
    #[inline]
    fn short(&mut self, text: &[u8]) {
        let padded = (load(text) | SPACES.checked_shl(8 * text.len() as u32).unwrap_or(0)).to_le_bytes();
        if is_clean(&padded) {
            self.with_room(CHUNK + 2, |room| {
                room[0] = b'"';
                room[1..1 + CHUNK].copy_from_slice(&padded);
                room[1 + text.len()] = b'"';
                text.len() + 2
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

/// Less than a chunk as the low bytes of a number: two loads that overlap, where a copy of unknown length is a call.
#[inline(always)]
fn load(text: &[u8]) -> u128 {
    let last = |width: usize| 8 * (text.len() - width) as u32;
    if let (Some(low), Some(high)) = (text.first_chunk(), text.last_chunk()) {
        return u128::from(u64::from_le_bytes(*low)) | u128::from(u64::from_le_bytes(*high)) << last(8);
    }
    if let (Some(low), Some(high)) = (text.first_chunk(), text.last_chunk()) {
        return u128::from(u32::from_le_bytes(*low)) | u128::from(u32::from_le_bytes(*high)) << last(4);
    }
    text.iter().rev().fold(0, |all, &byte| all << 8 | u128::from(byte))
}

const SPACES: u128 = u128::from_le_bytes([b' '; CHUNK]);

/// Whether none of the bytes needs an escape. Without branches, so that they are compared at once.
#[inline(always)]
fn is_clean(chunk: &[u8; CHUNK]) -> bool {
    chunk.iter().fold(0, |dirty, &byte| dirty | u8::from((byte < 0x20) | (byte == b'"') | (byte == b'\\'))) == 0
}
