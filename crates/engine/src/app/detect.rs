//! Detects the protocol from the first bytes of a direction: HTTP/1, or something else it recognises.
//!
//! Next: [`super::stack`].

use memchr::memchr;

use crate::http::is_tchar;
use crate::http1::start_line::{self, LineKind};

/// The result of looking at bytes where a message may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detected {
    /// A start line, after `blank` bytes of blank lines.
    Start { blank: usize },
    /// A PROXY protocol preamble of this length.
    Preamble(usize),
    /// A TLS record.
    Tls,
    /// The HTTP/2 connection preface, or the SETTINGS frame that a server starts with.
    Http2,
    /// RTSP, SIP or ICAP, which look like HTTP and may carry it (policy 18).
    HttpLike,
    /// More bytes are needed to decide.
    Undecided,
    /// None of these.
    Neither,
}

/// RFC 9113 §3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// PROXY protocol version 2, §2.2 of its specification.
const PROXY2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const PROXY1: &[u8] = b"PROXY ";
/// PROXY protocol version 1, §2.1: the longest line, with its CRLF.
const PROXY1_MAX: usize = 107;

/// Looks at everything since the last message ended; `first` at the beginning of a direction.
pub(crate) fn detect(bytes: &[u8], first: bool) -> Detected {
    if first {
        match preamble(bytes) {
            Some(found) => return found,
            None if bytes.len() < PROXY2.len() && PROXY2.starts_with(bytes) => return Detected::Undecided,
            None => {}
        }
    }
    let blank = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    let line = &bytes[blank..];
    if line.is_empty() {
        return Detected::Undecided;
    }
    if let Some(found) = tls(line).or_else(|| http2(line)) {
        return found;
    }
    match start_line::classify(line) {
        LineKind::Request | LineKind::Response => Detected::Start { blank },
        LineKind::Undecided => Detected::Undecided,
        LineKind::Neither if first && is_http_like(line) => Detected::HttpLike,
        LineKind::Neither => Detected::Neither,
    }
}

/// True for a request line of a protocol with HTTP's form: RTSP (RFC 7826), SIP (RFC 3261), ICAP
/// (RFC 3507).
fn is_http_like(bytes: &[u8]) -> bool {
    const VERSIONS: [&[u8]; 4] = [b" RTSP/1.0", b" RTSP/2.0", b" SIP/2.0", b" ICAP/1.0"];
    let Some(lf) = memchr(b'\n', bytes) else { return false };
    let line = bytes[..lf].strip_suffix(b"\r").unwrap_or(&bytes[..lf]);
    // Without a method it was already ruled out, before its line was whole.
    let method = line.iter().take_while(|&&b| is_tchar(b)).count();
    method > 0 && line.get(method) == Some(&b' ') && VERSIONS.iter().any(|version| line.ends_with(version))
}

/// Returns whether a PROXY protocol version 2 preamble starts here: its length ends it, so it may hold
/// no line end.
pub(crate) fn starts_binary_preamble(bytes: &[u8]) -> bool {
    bytes.starts_with(PROXY2)
}

/// A TLS record header (RFC 8446 §5.1): a content type of 20 to 24, then 0x03 and a minor version up to 4.
fn tls(bytes: &[u8]) -> Option<Detected> {
    match bytes {
        [20..=24, 3, 0..=4, ..] => Some(Detected::Tls),
        [20..=24] | [20..=24, 3] => Some(Detected::Undecided),
        _ => None,
    }
}

fn http2(bytes: &[u8]) -> Option<Detected> {
    let common = bytes.len().min(HTTP2_PREFACE.len());
    if common > 2 && bytes[..common] == HTTP2_PREFACE[..common] {
        return Some(if common == HTTP2_PREFACE.len() { Detected::Http2 } else { Detected::Undecided });
    }
    // RFC 9113 §4.1 and §6.5: a length that is a multiple of 6, type 4, no flags, stream 0.
    match bytes {
        [0, 0, length, 4, 0, 0, 0, 0, 0, ..] if length % 6 == 0 => Some(Detected::Http2),
        [0] | [0, 0] | [0, 0, _] => Some(Detected::Undecided),
        [0, 0, length, 4, rest @ ..] if rest.len() < 5 && length % 6 == 0 && rest.iter().all(|&b| b == 0) => {
            Some(Detected::Undecided)
        }
        _ => None,
    }
}

fn preamble(bytes: &[u8]) -> Option<Detected> {
    if bytes.starts_with(PROXY2) {
        let Some(&[high, low]) = bytes.get(14..16) else { return Some(Detected::Undecided) };
        let length = 16 + usize::from(u16::from_be_bytes([high, low]));
        return Some(if bytes.len() >= length { Detected::Preamble(length) } else { Detected::Undecided });
    }
    if bytes.starts_with(PROXY1) {
        let line = &bytes[..bytes.len().min(PROXY1_MAX)];
        return match line.windows(2).position(|pair| pair == b"\r\n") {
            Some(at) if !line[..at].ends_with(b"HTTP/1.1") && !line[..at].ends_with(b"HTTP/1.0") => {
                Some(Detected::Preamble(at + 2))
            }
            None if bytes.len() < PROXY1_MAX => Some(Detected::Undecided),
            _ => None,
        };
    }
    None
}

/// Returns whether a stream may begin with these bytes, so that waiting for earlier ones is needless.
pub(crate) fn may_begin(bytes: &[u8]) -> bool {
    match detect(bytes, true) {
        Detected::Undecided => start_line::may_become_strict(bytes),
        found => found != Detected::Neither,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the result for the bytes, and that every prefix is undecided or gives the same.
    #[track_caller]
    fn check(bytes: &[u8], want: Detected) {
        assert_eq!(detect(bytes, true), want, "{:?}", bytes.escape_ascii().to_string());
        if want != Detected::Neither {
            for cut in 1..bytes.len() {
                let found = detect(&bytes[..cut], true);
                assert!(
                    matches!(found, Detected::Undecided) || found == want,
                    "{:?} is {found:?}",
                    bytes[..cut].escape_ascii().to_string()
                );
            }
        }
    }

    #[test]
    fn first_bytes_decide_the_protocol() {
        check(b"GET / HTTP/1.1\r\n", Detected::Start { blank: 0 });
        check(b"\r\n\r\nGET / HTTP/1.1\r\n", Detected::Start { blank: 4 });
        check(b"x-any_token /a b HTTP/1.0\n", Detected::Start { blank: 0 });
        check(b"HTTP/1.1 200 OK\r\n", Detected::Start { blank: 0 });
        check(b"HTTP/1.1 200\r\n", Detected::Start { blank: 0 });
        check(b"\x16\x03\x01\x02\x00\x01", Detected::Tls);
        check(HTTP2_PREFACE, Detected::Http2);
        check(b"\0\0\x12\x04\0\0\0\0\0\0\x03", Detected::Http2);
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", Detected::Preamble(42));
        check(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd", Detected::Preamble(20));
        check(b"PROXY /a HTTP/1.1\r\n", Detected::Start { blank: 0 });
        check(b"OPTIONS * RTSP/1.0\r\n", Detected::HttpLike);
        check(b"INVITE sip:a@b SIP/2.0\r\n", Detected::HttpLike);
        check(b"RESPMOD icap://a/ ICAP/1.0\r\n", Detected::HttpLike);
        for other in [
            &b"EHLO example.test\r\n"[..],
            b"SSH-2.0-x\r\n",
            b"GET /\r\n",
            b"HTTP/2.0 200 OK\r\n",
            b"HTTP/1.1 20x OK\r\n",
            b"HTTP/1.1 099 OK\r\n",
            b"\x00\x01\x02\x03",
            b" GET / HTTP/1.1\r\n",
        ] {
            check(other, Detected::Neither);
        }
    }
}
