//! Escapes text for the inside of a JSON string. A replay of small messages spends its time here,
//! because JSON inside JSON is full of quotes.
//!
//! Handles 32 bytes at once. A mask marks the bytes that need an escape. For each eight bytes, a
//! shuffle looked up by their part of the mask opens gaps and puts backslashes into them.
//!
//! ```text
//!   bytes    a  "  b  \  c  d  e  f     (8 is the backslash)
//!   mask     0  1  0  1  0  0  0  0
//!   shuffle  0  8  1  2  8  3  4  5  6  7
//!   output   a  \  "  b  \  \  c  d  e  f
//! ```
//!
//! fearless_simd chooses the instructions at run time and keeps this code safe. Where no single
//! instruction shuffles bytes (x86-64 before 2008, virtual machines that hide it), each byte goes
//! through a table. Throughput of each variant: NOTES#escape.
//!
//! Next: [`super::text`] and [`super::fields`], the callers.

use fearless_simd::{Level, dispatch, prelude::*, u8x16, u8x32, u64x2};

/// Bytes that are handled at once.
const CHUNK: usize = 32;

/// The longest escape, `\u00XX`.
const ESCAPE_MAX: usize = 6;

/// Returns the room that [`escape`] needs. Stores write past the bytes that count.
pub(super) const fn room_for(length: usize) -> usize {
    length * ESCAPE_MAX + CHUNK_ROOM
}

/// Room for one chunk.
const CHUNK_ROOM: usize = CHUNK * ESCAPE_MAX + size_of::<u64>();

/// Writes `text` as the inside of a JSON string. Returns the length written. `room` must have
/// [`room_for`] the text.
pub(super) fn escape(level: Level, text: &[u8], room: &mut [u8]) -> usize {
    dispatch!(level, simd => if shuffles(simd.level()) { by_shuffle(simd, text, room) } else { by_byte(text, room) })
}

/// Returns whether one instruction shuffles sixteen bytes.
#[inline(always)]
pub(super) fn shuffles(level: Level) -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return level.as_sse4_2().is_some();
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    return !level.is_fallback();
}

/// Copies the first `length` bytes of a text if none of them needs an escape. Returns whether it did.
///
/// Reads and writes whole chunks, also past `length`. Returns false where `text` or `room` is too short
/// for that.
#[inline(always)]
pub(super) fn copy_clean<S: Simd>(simd: S, text: &[u8], length: usize, room: &mut [u8]) -> bool {
    let (mut text, mut room, mut left) = (text, room, length);
    while let (Some((chunk, text_rest)), Some((room_of_it, room_rest))) =
        (text.split_first_chunk::<CHUNK>(), room.split_first_chunk_mut::<CHUNK>())
    {
        let counts = (1_u64 << left.min(CHUNK)) - 1;
        if dirty(simd, u8x32::simd_from(simd, *chunk)) & counts != 0 {
            return false;
        }
        *room_of_it = *chunk;
        if left <= CHUNK {
            return true;
        }
        (text, room, left) = (text_rest, room_rest, left - CHUNK);
    }
    false
}

/// Returns a mask with a bit for each byte that needs an escape.
#[inline(always)]
fn dirty<S: Simd>(simd: S, bytes: u8x32<S>) -> u64 {
    let control = bytes.simd_lt(u8x32::splat(simd, b' '));
    let marks = bytes.simd_eq(u8x32::splat(simd, b'"')) | bytes.simd_eq(u8x32::splat(simd, b'\\'));
    (control | marks).to_bitmask()
}

#[inline(always)]
fn by_shuffle<S: Simd>(simd: S, text: &[u8], room: &mut [u8]) -> usize {
    let (chunks, tail) = text.as_chunks();
    let mut at = 0;
    for chunk in chunks {
        at += escape_chunk(simd, chunk, &mut room[at..]);
    }
    if !tail.is_empty() {
        let mut chunk = [b' '; CHUNK];
        chunk[..tail.len()].copy_from_slice(tail);
        // The padding is spaces, which need no escape: subtract them from the length.
        at += escape_chunk(simd, &chunk, &mut room[at..]) - (CHUNK - tail.len());
    }
    at
}

#[inline(always)]
fn escape_chunk<S: Simd>(simd: S, chunk: &[u8; CHUNK], room: &mut [u8]) -> usize {
    let room = room.first_chunk_mut::<CHUNK_ROOM>().expect("room was asked for");
    let bytes = u8x32::simd_from(simd, *chunk);
    let dirty = dirty(simd, bytes);
    if dirty == 0 {
        room[..CHUNK].copy_from_slice(chunk);
        return CHUNK;
    }
    // The letters of the short escapes of control characters; 0 where there is none.
    let letters = u8x32::simd_from(simd, *b"\0\0\0\0\0\0\0\0btn\0fr\0\0\0\0\0\0\0\0\0\0btn\0fr\0\0");
    let letter = letters.swizzle_dyn_within_blocks(bytes.min(u8x32::splat(simd, 15)));
    let bytes = bytes.simd_lt(u8x32::splat(simd, b' ')).select(letter, bytes);
    if bytes.simd_eq(u8x32::splat(simd, 0)).any_true() {
        return by_byte(chunk, room);
    }
    let (low, high) = simd.split_u8x32(bytes);
    let ([first, second], [third, fourth]) = (with_backslashes(simd, low), with_backslashes(simd, high));
    let mut at = 0;
    for (eight, place) in [first, second, third, fourth].into_iter().zip([0, 8, 16, 24]) {
        let dirty = (dirty >> place) as u8;
        let gaps = u8x16::simd_from(simd, GAPS[usize::from(dirty)]);
        eight.swizzle_dyn(gaps).store_slice(&mut room[at..at + 16]);
        at += 8 + dirty.count_ones() as usize;
    }
    at
}

/// Returns the first and the last eight bytes, each followed by eight backslashes.
#[inline(always)]
fn with_backslashes<S: Simd>(simd: S, bytes: u8x16<S>) -> [u8x16<S>; 2] {
    let backslashes = u64x2::splat(simd, u64::from_le_bytes([b'\\'; 8]));
    let (first, last) = u64x2::from_bytes(bytes.to_bytes()).interleave(backslashes);
    [u8x16::from_bytes(first.to_bytes()), u8x16::from_bytes(last.to_bytes())]
}

/// The source of each output byte, by the mask of the eight bytes that need an escape. Source 8 is a
/// backslash.
static GAPS: [[u8; 16]; 256] = {
    let mut table = [[0; 16]; 256];
    let mut dirty = 0;
    while dirty < 256 {
        let (mut from, mut to) = (0, 0);
        while from < 8 {
            if dirty >> from & 1 == 1 {
                table[dirty][to] = 8;
                to += 1;
            }
            table[dirty][to] = from;
            to += 1;
            from += 1;
        }
        dirty += 1;
    }
    table
};

/// Escapes byte by byte, with the table.
#[inline(never)]
fn by_byte(text: &[u8], room: &mut [u8]) -> usize {
    let mut at = 0;
    for &byte in text {
        let escaped = ESCAPED[usize::from(byte)];
        room[at..at + 8].copy_from_slice(&escaped.to_le_bytes());
        at += (escaped >> 56) as usize;
    }
    at
}

/// The form of each byte inside a string: up to six bytes, and their number in the highest byte.
static ESCAPED: [u64; 256] = {
    let hex = b"0123456789abcdef";
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let short = match byte as u8 {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            _ => 0,
        };
        table[byte] = u64::from_le_bytes(if short != 0 {
            [b'\\', short, 0, 0, 0, 0, 0, 2]
        } else if byte < 0x20 {
            [b'\\', b'u', b'0', b'0', hex[byte >> 4], hex[byte & 15], 0, 6]
        } else {
            [byte as u8, 0, 0, 0, 0, 0, 0, 1]
        });
        byte += 1;
    }
    table
};
