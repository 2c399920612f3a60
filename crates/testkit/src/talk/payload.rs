//! The `|` lines of a block: text to bytes and back.
//!
//! A line is its text and CRLF; a lone `\` at its end leaves the CRLF out. It never makes more
//! bytes than the limit. Next: [`super::parse`], which collects the lines.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::units::number;

const ESCAPES: &str = r"\\ \n \r \t \0 \xHH \{ \} or, at the very end, \ for no line end";
const GENERATORS: &str = "{N*TEXT}, {digits N}, {hex HH…}, {base64 …}, {gzip TEXT}, {deflate TEXT}; a brace meant as \
                          itself is {{ (before a quote, a space or } it may stand alone)";

/// Appends the bytes of one line (the text after `| `) to `out`, which must not grow over `max`.
///
/// The error names what the line says and what is allowed.
pub fn append_line(line: &str, out: &mut Vec<u8>, max: usize) -> Result<(), String> {
    let (text, end): (&str, &[u8]) = match line.strip_suffix('\\') {
        // An even number of backslashes at the end is that many escaped ones.
        Some(text) if trailing_backslashes(text).is_multiple_of(2) => (text, b""),
        _ => (line, b"\r\n"),
    };
    append_text(text, out, max, true)?;
    out.extend(end);
    if out.len() > max { Err(too_long(max)) } else { Ok(()) }
}

fn trailing_backslashes(text: &str) -> usize {
    text.bytes().rev().take_while(|b| *b == b'\\').count()
}

fn too_long(max: usize) -> String {
    format!("the payload grows beyond {max} bytes")
}

/// Appends text with escapes and, if `braces`, generators.
fn append_text(text: &str, out: &mut Vec<u8>, max: usize, braces: bool) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.find(|c| c == '\\' || (braces && c == '{')) {
        out.extend(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        if rest.starts_with('\\') {
            let (byte, len) = escape(rest)?;
            out.push(byte);
            rest = &rest[len..];
        } else if rest.starts_with("{{") {
            out.push(b'{');
            rest = &rest[2..];
        } else if rest[1..].chars().next().is_none_or(|c| c == '"' || c == '}' || c.is_whitespace()) {
            out.push(b'{');
            rest = &rest[1..];
        } else {
            let end =
                closing_brace(rest).ok_or_else(|| format!("{rest:?} has no closing brace; allowed: {GENERATORS}"))?;
            generate(&rest[1..end], out, max)?;
            rest = &rest[end + 1..];
        }
        if out.len() > max {
            return Err(too_long(max));
        }
    }
    out.extend(rest.as_bytes());
    if out.len() > max { Err(too_long(max)) } else { Ok(()) }
}

/// Returns the end of the generator at the start of `text`; an escaped brace does not end it.
fn closing_brace(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'}' => return Some(at),
            _ => {}
        }
    }
    None
}

/// Returns the byte and the length of the escape at the start of `text`.
fn escape(text: &str) -> Result<(u8, usize), String> {
    let bytes = text.as_bytes();
    let byte = match bytes.get(1) {
        Some(b'\\') => b'\\',
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'0') => 0,
        Some(b'{') => b'{',
        Some(b'}') => b'}',
        Some(b'x') => {
            let hex = text.get(2..4).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
            return value.map(|byte| (byte, 4)).ok_or_else(|| unknown_escape(text));
        }
        _ => return Err(unknown_escape(text)),
    };
    Ok((byte, 2))
}

fn unknown_escape(text: &str) -> String {
    let found: String = text.chars().take(4).collect();
    format!("{found:?} is no escape; allowed: {ESCAPES}")
}

/// Appends the bytes of a generator; `text` is the part between the braces.
fn generate(text: &str, out: &mut Vec<u8>, max: usize) -> Result<(), String> {
    let unknown = || format!("{{{text}}} is no generator; allowed: {GENERATORS}");
    let room = max.saturating_sub(out.len());
    let checked = |len: Option<usize>| len.filter(|len| *len <= room).ok_or_else(|| too_long(max));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((count, unit)) = text.split_once('*').filter(|(count, _)| digits(count)) {
        let count = count.parse::<usize>().map_err(|_| too_long(max))?;
        let mut bytes = Vec::new();
        append_text(unit, &mut bytes, room, false)?;
        checked(bytes.len().checked_mul(count))?;
        out.extend(bytes.repeat(count));
        return Ok(());
    }
    let (name, argument) = text.split_once(' ').ok_or_else(unknown)?;
    match name {
        "digits" => {
            let count = number(argument).ok_or_else(unknown)?;
            let count = checked(usize::try_from(count).ok())?;
            out.extend((b'0'..=b'9').cycle().take(count));
        }
        "hex" => {
            let digits: Option<Vec<u8>> =
                argument.bytes().filter(|b| *b != b' ').map(|b| (b as char).to_digit(16).map(|d| d as u8)).collect();
            let digits = digits.filter(|digits| digits.len().is_multiple_of(2)).ok_or_else(unknown)?;
            out.extend(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
        }
        "base64" => out.extend(STANDARD.decode(argument).map_err(|_| unknown())?),
        "gzip" | "deflate" => {
            let mut bytes = Vec::new();
            append_text(argument, &mut bytes, room, false)?;
            if name == "gzip" { gzip(&bytes, out) } else { zlib(&bytes, out) }
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Appends gzip (RFC 1952) with stored blocks: valid, and independent of any compressor. Output of
/// real compressors can be given as `{base64 …}`.
pub(crate) fn gzip(bytes: &[u8], out: &mut Vec<u8>) {
    // Deflate, no flags, no time, no extra flags, unknown system.
    out.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    stored(bytes, out);
    out.extend(crc32(bytes).to_le_bytes());
    out.extend((bytes.len() as u32).to_le_bytes());
}

/// Appends zlib (RFC 1950), the format of the content coding "deflate" (RFC 9110 §8.4.1.2).
fn zlib(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend([0x78, 0x01]);
    stored(bytes, out);
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    out.extend((b << 16 | a).to_be_bytes());
}

/// Appends stored deflate blocks of at most 65 535 bytes (RFC 1951 §3.2.4).
fn stored(bytes: &[u8], out: &mut Vec<u8>) {
    let last = bytes.len().saturating_sub(1) / 65_535;
    let blocks = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(65_535).collect() };
    for (n, block) in blocks.into_iter().enumerate() {
        out.push(u8::from(n == last));
        out.extend((block.len() as u16).to_le_bytes());
        out.extend((!(block.len() as u16)).to_le_bytes());
        out.extend(block);
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// Shortest run of one letter or digit that is written as `{N*x}`.
const RUN_MIN: usize = 32;

/// Returns the lines (without `| `) for these bytes. Printable ASCII stays as it is, except in long
/// runs.
pub fn lines_of(bytes: &[u8]) -> Vec<String> {
    bytes.split_inclusive(|b| *b == b'\n').map(line_of).collect()
}

fn line_of(bytes: &[u8]) -> String {
    let (text, end) = match bytes.strip_suffix(b"\r\n") {
        Some(text) => (text, ""),
        None => (bytes, "\\"),
    };
    let mut line = String::new();
    for run in text.chunk_by(|before, byte| before == byte) {
        let byte = run[0];
        if run.len() >= RUN_MIN && (byte.is_ascii_alphanumeric() || byte == b'.') {
            line.push_str(&format!("{{{}*{}}}", run.len(), char::from(byte)));
            continue;
        }
        run.iter().for_each(|byte| push(&mut line, *byte));
    }
    // Editors remove a space at the end of a line.
    if end.is_empty() && line.ends_with(' ') {
        line.truncate(line.len() - 1);
        line.push_str(r"\x20");
    }
    line + end
}

fn push(line: &mut String, byte: u8) {
    match byte {
        b'\\' => line.push_str(r"\\"),
        b'\n' => line.push_str(r"\n"),
        b'\r' => line.push_str(r"\r"),
        b'{' => line.push_str(r"\{"),
        0x20..=0x7e => line.push(char::from(byte)),
        _ => line.push_str(&format!(r"\x{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(line: &str) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        append_line(line, &mut out, 1_000).map(|()| out)
    }

    #[test]
    fn a_line_is_its_text_and_crlf_unless_a_backslash_ends_it() {
        for (line, expected) in [
            ("GET / HTTP/1.1", &b"GET / HTTP/1.1\r\n"[..]),
            ("", b"\r\n"),
            (r"\", b""),
            (r"hello\", b"hello"),
            (r"bare LF\n\", b"bare LF\n"),
            (r"backslash\\", b"backslash\\\r\n"),
            (r"backslash\\\", b"backslash\\"),
            (r"caf\xe9\t\0\", b"caf\xe9\t\0"),
            ("caf\u{e9}", "caf\u{e9}\r\n".as_bytes()),
            (r#"{"a":{"b":1}}\"#, br#"{"a":{"b":1}}"#),
            (r"{} { }{{x}\{y\}\", b"{} { }{x}{y}"),
            (r"{3*ab}{2*\n}{0*x}\", b"ababab\n\n"),
            (r"{digits 12}\", b"012345678901"),
            (r"{hex 16 03 0100}{base64 aGk=}\", b"\x16\x03\x01\x00hi"),
        ] {
            assert_eq!(bytes(line).unwrap(), expected, "{line:?}");
        }
    }

    #[test]
    fn an_error_names_what_is_wrong_and_what_is_allowed() {
        for (line, part) in [
            (r"\q", "is no escape; allowed: \\\\ \\n"),
            (r"\x1", "is no escape"),
            (r"\x+1", "is no escape"),
            ("{gzp x}", "{gzp x} is no generator; allowed: {N*TEXT}"),
            ("{x", "no closing brace"),
            ("{hex 1}", "no generator"),
            ("{base64 !}", "no generator"),
            ("{1000000000000000000000*x}", "beyond 1000 bytes"),
            ("{1000000000*x}", "beyond 1000 bytes"),
            ("{digits 999999999999}", "beyond 1000 bytes"),
            ("{1000*x}", "beyond 1000 bytes"),
        ] {
            let error = bytes(line).unwrap_err();
            assert!(error.contains(part), "{line:?}: {error}");
        }
    }

    #[test]
    fn gzip_and_deflate_are_read_by_a_real_decoder() {
        use std::io::Read;
        let text = "hello ".repeat(20);
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&bytes(&format!(r"{{gzip {text}}}\")).unwrap()[..])
            .read_to_string(&mut plain)
            .unwrap();
        assert_eq!(plain, text);
        plain.clear();
        flate2::read::ZlibDecoder::new(&bytes(&format!(r"{{deflate {text}}}\")).unwrap()[..])
            .read_to_string(&mut plain)
            .unwrap();
        assert_eq!(plain, text);
        plain.clear();
        flate2::read::GzDecoder::new(&bytes(r"{gzip \0}\").unwrap()[..]).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, "\0");
    }

    #[test]
    fn any_bytes_become_lines_and_the_same_bytes_again() {
        let mut rng = crate::rng::Rng::new(7);
        for round in 0..500 {
            let alphabet = b"ab \\{}\r\n\0\xff|*";
            let len = rng.below(30);
            let wanted: Vec<u8> = (0..len).map(|_| alphabet[rng.below(alphabet.len())]).collect();
            let mut got = Vec::new();
            for line in lines_of(&wanted) {
                assert!(!line.contains(['\n', '\r']));
                append_line(&line, &mut got, 1_000).unwrap();
            }
            assert_eq!(got, wanted, "round {round}");
        }
    }
}
