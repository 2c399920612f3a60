//! Character classes and small rules of the grammar that every reader of HTTP/1 shares.
//!
//! The names are those of RFC 9110 §5.6 and RFC 9112; the rules are as lenient as policy 14 asks.
//! Imports nothing of this folder. Next: [`super::start_line`].

/// True for a byte of `OWS`: SP or HTAB (RFC 9110 §5.6.3).
pub(crate) const fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Removes `OWS` and the line ends of an `obs-fold` (RFC 9112 §5.2) from both ends.
pub(crate) fn trim_ows(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| is_ows(*byte) || matches!(byte, b'\r' | b'\n');
    let start = bytes.iter().position(|b| !is_space(b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !is_space(b)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// Removes the CR of the CRLF that ended the line.
pub(crate) fn strip_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Finds the `HTTP-version` (RFC 9112 §2.3) that ends a request line. Returns the minor version and
/// where the version starts.
pub(crate) fn version_at_end(line: &[u8]) -> Option<(u8, usize)> {
    let line = &line[..line.iter().rposition(|b| !is_ows(*b))? + 1];
    let at = line.len().checked_sub(b"HTTP/1.1".len())?;
    let minor = line.last().filter(|b| b.is_ascii_digit())?;
    let separated = line[..at].last().is_some_and(|&b| is_ows(b));
    (separated && line[at..].starts_with(b"HTTP/1.")).then_some((minor - b'0', at))
}
