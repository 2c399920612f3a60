//! Copies an odd head as text, piece by piece.
//!
//! Knows neither fields nor start lines. Next: [`super::fields`].

/// Appends bytes as text: as UTF-8 if they are, otherwise as Latin-1, where every byte is a character.
pub(super) fn push_text(text: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_ascii() || simdutf8::basic::from_utf8(bytes).is_ok() {
        return text.extend_from_slice(bytes);
    }
    let latin: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    text.extend_from_slice(latin.as_bytes());
}

/// Appends a value. Each fold becomes a space, as RFC 9112 §5.2 says for recipients that accept folds.
pub(super) fn push_value(text: &mut Vec<u8>, bytes: &[u8]) {
    let start = text.len();
    push_text(text, bytes);
    if memchr::memchr(b'\n', bytes).is_none() {
        return;
    }
    let folded = text.split_off(start);
    for (line, part) in folded.split(|&byte| byte == b'\n').enumerate() {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let begin = if line > 0 { part.iter().take_while(|byte| blank(byte)).count() } else { 0 };
        if line > 0 {
            let end = text[start..].iter().rposition(|byte| !blank(byte) && *byte != b'\r').map_or(0, |last| last + 1);
            text.truncate(start + end);
            text.push(b' ');
        }
        text.extend_from_slice(&part[begin..]);
    }
}
