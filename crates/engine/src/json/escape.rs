//! Text into the inside of a JSON string: where a replay spends its time when messages are small, since JSON inside JSON is
//! all quotes.
//!
//! 32 bytes at once, whether they need escapes or not: a mask of those that do, and for each eight of them a shuffle, looked
//! up by their part of the mask, that opens gaps and puts backslashes there. Instructions are chosen at run time, by
//! fearless_simd, which also makes this safe code; where bytes are not shuffled by one instruction (x86-64 before 2008,
//! virtual machines that hide it) each byte goes through a table. Measured on JSON bodies of 0.3–4 KiB, an escape every 7
//! bytes, and on prose, an escape a body, GB of text a second:
//!
//! | | serde_json | json-escape-simd | table | SSE4.2 | AVX2 | AVX-512 |
//! |---|---|---|---|---|---|---|
//! | JSON | 1.1 | 1.2 | 1.6 | 6.2 | 7.9 | 7.5 |
//! | prose | 2.3 | 39 | 1.6 | 14 | 24 | 19 |
//!
//! AVX-512 can also leave gaps out of 64 bytes by one instruction: a fifth faster here, and not to be seen in a replay.
//!
//! Next: [`super::text`] and [`super::fields`], which come here.

use fearless_simd::{Level, dispatch, prelude::*, u8x16, u8x32, u64x2};

/// Bytes that are looked at together.
const CHUNK: usize = 32;

/// The longest escape, `\u00XX`.
const ESCAPE_MAX: usize = 6;

/// How many bytes of room [`escape`] asks for: stores reach beyond what counts of them.
pub(super) const fn room_for(length: usize) -> usize {
    length * ESCAPE_MAX + CHUNK_ROOM
}

/// The room of a chunk.
const CHUNK_ROOM: usize = CHUNK * ESCAPE_MAX + size_of::<u64>();

/// Writes text as it stands in a JSON string, and says how long that is. There must be [`room_for`] it.
pub(super) fn escape(level: Level, text: &[u8], room: &mut [u8]) -> usize {
    dispatch!(level, simd => if shuffles(simd.level()) { by_shuffle(simd, text, room) } else { by_byte(text, room) })
}

/// Whether sixteen bytes are shuffled by one instruction.
#[inline(always)]
pub(super) fn shuffles(level: Level) -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return level.as_sse4_2().is_some();
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    return !level.is_fallback();
}

/// Copies the first `length` bytes of a text if none of them needs an escape.
///
/// Chunks are copied whole, also where they reach beyond `length`: false, too, where there is not that much.
#[inline(always)]
pub(super) fn copy_clean<S: Simd>(simd: S, text: &[u8], length: usize, room: &mut [u8]) -> bool {
    let (mut text, mut room, mut left) = (text, room, length);
    while let (Some((chunk, text_behind)), Some((room_of_it, room_behind))) =
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
        (text, room, left) = (text_behind, room_behind, left - CHUNK);
    }
    false
}

/// A bit for each byte that needs an escape.
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
        // What was added are spaces, which come out as they went in.
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
    // The letter of a control character's escape, none where there is no short one.
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

/// The first and the last eight bytes, each with eight backslashes behind them.
#[inline(always)]
fn with_backslashes<S: Simd>(simd: S, bytes: u8x16<S>) -> [u8x16<S>; 2] {
    let backslashes = u64x2::splat(simd, u64::from_le_bytes([b'\\'; 8]));
    let (first, last) = u64x2::from_bytes(bytes.to_bytes()).interleave(backslashes);
    [u8x16::from_bytes(first.to_bytes()), u8x16::from_bytes(last.to_bytes())]
}

/// Where each byte of the output comes from, by which of eight bytes are escaped: place 8 is a backslash.
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

/// A byte at a time, each by the table.
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

/// What a byte becomes inside a string: up to six bytes, and in the highest how many they are.
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
