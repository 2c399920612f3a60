//! How the pieces of a head are copied, and what is seen in them once they are.
//!
//! Knows neither fields nor start lines. Next: [`super::fields`].

/// How the pieces of a head are copied.
pub(super) trait Copying {
    fn text(to: &mut Vec<u8>, bytes: &[u8]);
    /// In lower case.
    fn name(to: &mut Vec<u8>, bytes: &[u8]);
    fn value(to: &mut Vec<u8>, bytes: &[u8]);
}

/// As they are: to be looked at afterwards.
pub(super) struct Plain;

impl Copying for Plain {
    #[inline(always)]
    fn text(to: &mut Vec<u8>, bytes: &[u8]) {
        to.extend_from_slice(bytes);
    }

    #[inline(always)]
    fn name(to: &mut Vec<u8>, bytes: &[u8]) {
        push_lower(to, bytes);
    }

    #[inline(always)]
    fn value(to: &mut Vec<u8>, bytes: &[u8]) {
        to.extend_from_slice(bytes);
    }
}

/// Piece by piece as text, without folds.
pub(super) struct Careful;

impl Copying for Careful {
    fn text(to: &mut Vec<u8>, bytes: &[u8]) {
        push_text(to, bytes);
    }

    fn name(to: &mut Vec<u8>, bytes: &[u8]) {
        let start = to.len();
        push_text(to, bytes);
        to[start..].make_ascii_lowercase();
    }

    /// Each fold becomes a space, as RFC 9112 §5.2 has it for who does not refuse it.
    fn value(to: &mut Vec<u8>, bytes: &[u8]) {
        let start = to.len();
        push_text(to, bytes);
        let folded = to.split_off(start);
        for (line, part) in folded.split(|&byte| byte == b'\n').enumerate() {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            let begin = if line > 0 { part.iter().take_while(|byte| blank(byte)).count() } else { 0 };
            if line > 0 {
                let end =
                    to[start..].iter().rposition(|byte| !blank(byte) && *byte != b'\r').map_or(0, |last| last + 1);
                to.truncate(start + end);
                to.push(b' ');
            }
            to.extend_from_slice(&part[begin..]);
        }
    }
}

/// Bytes as text: UTF-8, or else Latin-1, in which every byte is a character.
fn push_text(text: &mut Vec<u8>, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(utf8) => text.extend_from_slice(utf8.as_bytes()),
        Err(_) => {
            let latin: String = bytes.iter().map(|&byte| char::from(byte)).collect();
            text.extend_from_slice(latin.as_bytes());
        }
    }
}

/// Appends a name in lower case, sixteen bytes at once, its first and its last, which overlap: a name is short, and a loop over
/// its bytes took longer than all else.
#[inline(always)]
fn push_lower(to: &mut Vec<u8>, name: &[u8]) {
    let start = to.len();
    if name.len() > NAME_MAX {
        to.extend_from_slice(name);
        return to[start..].make_ascii_lowercase();
    }
    to.extend_from_slice(&[0; NAME_MAX]);
    let room = &mut to[start..];
    let length = name.len();
    if let (Some(first), Some(last)) = (name.first_chunk::<16>(), name.last_chunk::<16>()) {
        room[..16].copy_from_slice(&lower(*first));
        room[length - 16..length].copy_from_slice(&lower(*last));
    } else {
        let (first, last) = match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => (few(name), 0),
        };
        room[..8].copy_from_slice(&lower_word(first).to_le_bytes());
        if length > 8 {
            room[length - 8..length].copy_from_slice(&lower_word(last).to_le_bytes());
        }
    }
    to.truncate(start + length);
}

/// Longer than nearly every name.
const NAME_MAX: usize = 32;

/// A one in each byte.
pub(crate) const EACH: u64 = 0x0101_0101_0101_0101;

/// Less than eight bytes as the low bytes of a number: loads that overlap, where a loop is a branch that nobody foresees.
#[inline(always)]
pub(crate) fn few(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
        return first | last << (8 * (bytes.len() - 4));
    }
    let at = |place: usize| bytes.get(place).map_or(0, |&byte| u64::from(byte) << (8 * place));
    at(0) | at(1) | at(2)
}

/// Eight bytes in a number, letters of ASCII in lower case. As an array they were taken apart byte by byte to make a vector.
#[inline(always)]
const fn lower_word(bytes: u64) -> u64 {
    // The highest bit of a byte says what adding to the others made of it.
    let low = bytes & (0x7f * EACH);
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let beyond_z = low + (0x7f - b'Z' as u64) * EACH;
    let upper = from_a & !beyond_z & !bytes & (0x80 * EACH);
    bytes | upper >> 2
}

/// Letters of ASCII in lower case: one comparison of vectors, without a loop.
#[inline(always)]
fn lower(bytes: [u8; 16]) -> [u8; 16] {
    bytes.map(|byte| byte | u8::from(byte.wrapping_sub(b'A') < 26) << 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_in_lower_case() {
        let every: Vec<u8> = (0..=u8::MAX).collect();
        for length in 1..=70 {
            for name in every.windows(length).chain([&[][..]]) {
                let mut to = b"BEFORE".to_vec();
                push_lower(&mut to, name);
                assert_eq!(to, [b"BEFORE", &*name.to_ascii_lowercase()].concat());
            }
        }
    }
}
