//! How the pieces of a head are copied, and what is seen in them once they are.
//!
//! Knows neither fields nor start lines. Next: [`super::fields`].

/// How the pieces of a head are copied.
pub(super) trait Copying {
    fn text(to: &mut Vec<u8>, bytes: &[u8]);
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
