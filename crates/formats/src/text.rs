//! Makes foreign text safe for a terminal, and numbers readable.
//!
//! Text from the wire or from a file name reaches a terminal only through [`escape`]. An escape
//! sequence in a response header could otherwise retitle the window, recolour or erase lines, and
//! on old terminals type commands.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

/// Replaces [unsafe](is_unsafe) characters by visible escapes such as `\x1b` or `\u{202e}`. A
/// backslash is not escaped.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            c if is_unsafe(c) && c.is_ascii() => {
                let _ = write!(escaped, "\\x{:02x}", u32::from(c));
            }
            c if is_unsafe(c) => {
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Returns whether a terminal would interpret this character instead of showing it.
///
/// These are control characters, C1 included (8-bit terminals read U+009B as CSI), and characters
/// that change the layout of their neighbours: bidirectional controls, line separators, zero-width
/// characters, tags (Unicode TR 36, TR 39).
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns the number of terminal columns that escaped text takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Cuts escaped text to at most `room` columns and marks a cut with `…`.
pub fn cut(text: &str, room: usize) -> Cow<'_, str> {
    if columns(text) <= room {
        return Cow::Borrowed(text);
    }
    let mut taken = 0;
    let kept = text.chars().take_while(|c| {
        taken += c.width().unwrap_or(0);
        taken < room
    });
    let mut short: String = kept.collect();
    if room > 0 {
        short.push('…');
    }
    Cow::Owned(short)
}

/// Formats a number of bytes: exact below 10,000, then in binary units.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 10_000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would print as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Formats a duration with about three digits.
pub(crate) fn duration(nanos: u64) -> String {
    let nanos = nanos as f64;
    match nanos {
        ..1e3 => format!("{nanos} ns"),
        ..1e6 => format!("{:.0} µs", nanos / 1e3),
        ..1e7 => format!("{:.2} ms", nanos / 1e6),
        ..1e9 => format!("{:.1} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

/// Formats a count with its noun: `1 frame`, `2 frames`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Formats a number with its thousands separated by commas.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_characters_are_escaped() {
        for (raw, safe) in [
            ("/plain?q=ä→日\\n", "/plain?q=ä→日\\n"),
            ("a\u{1b}]0;x\u{7}b", "a\\x1b]0;x\\x07b"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\r\n\tb\0\u{7f}", "a\\r\\n\\tb\\x00\\x7f"),
            ("ab\u{202e}cd\u{2066}", "ab\\u{202e}cd\\u{2066}"),
        ] {
            assert_eq!(escape(raw), safe);
        }
    }

    #[test]
    fn text_is_cut_at_the_column_and_says_so() {
        for (text, room, want) in [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "abcd…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(cut(text, room), want, "{text} in {room}");
            assert!(columns(&cut(text, room)) <= room);
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 9_999, 10_000, 1_048_576].map(size), ["0 B", "9999 B", "9.8 KiB", "1.0 MiB"]);
        assert_eq!(size(u64::MAX), "16.0 EiB");
        assert_eq!([0, 999, 412_000, 1_234_567].map(duration), ["0 ns", "999 ns", "412 µs", "1.23 ms"]);
        assert_eq!([23_400_000, 1_500_000_000].map(duration), ["23.4 ms", "1.50 s"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2].map(|n| count(n, "frame")), ["1 frame", "2 frames"]);
    }
}
