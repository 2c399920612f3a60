//! Classifies a first line before its head is complete, and recognises the lines at which reading
//! resumes after a loss (policy 15).
//!
//! Never reads the parts of a line. Next: [`super::head`], which does.

use memchr::memchr;

use crate::http::is_tchar;
use crate::http1::abnf::{is_ows, strip_cr, version_at_end};

/// The kind of a first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// `token SP … HTTP/1.x`
    Request,
    /// `HTTP/1.x SP 3DIGIT`
    Response,
    /// The bytes so far may become either.
    Undecided,
    /// Not HTTP/1.
    Neither,
}

/// Longest method (arbitrary). Bounds the work on a long word that may not be HTTP.
pub(crate) const METHOD_MAX: usize = 1024;

/// Classifies the line at the start of `bytes`, whose head may be incomplete.
///
/// Decides as early as the bytes allow: text that is not HTTP at its first line end, binary at its
/// first byte that is not a `tchar`.
pub(crate) fn classify(bytes: &[u8]) -> LineKind {
    const RESPONSE: &[u8] = b"HTTP/1.";
    let common = bytes.len().min(RESPONSE.len());
    if bytes[..common] == RESPONSE[..common] {
        return match &bytes[common..] {
            [] => LineKind::Undecided,
            [minor, rest @ ..] if minor.is_ascii_digit() => classify_status(rest),
            _ => LineKind::Neither,
        };
    }
    let method = bytes.iter().take(METHOD_MAX).position(|&b| !is_tchar(b)).unwrap_or(bytes.len());
    match bytes.get(method) {
        None if method > METHOD_MAX => return LineKind::Neither,
        None => return LineKind::Undecided,
        Some(b' ' | b'\t') if method > 0 => {}
        Some(_) => return LineKind::Neither,
    }
    let Some(lf) = memchr(b'\n', &bytes[method..]).map(|at| method + at) else { return LineKind::Undecided };
    if version_at_end(strip_cr(&bytes[method..lf])).is_some() { LineKind::Request } else { LineKind::Neither }
}

/// Returns whether `new` bytes after `held` undecided ones leave the line undecided: after so many,
/// only a line end can decide. Without this, all of them would be looked at again for every byte.
pub(crate) fn cannot_decide(held: usize, new: &[u8]) -> bool {
    held > 2 * METHOD_MAX && memchr(b'\n', new).is_none()
}

fn classify_status(rest: &[u8]) -> LineKind {
    let blanks = rest.iter().take_while(|&&b| is_ows(b)).count();
    let digits = &rest[blanks..];
    for place in 0..3 {
        match digits.get(place) {
            None => return LineKind::Undecided,
            Some(b) if blanks > 0 && b.is_ascii_digit() => {}
            _ => return LineKind::Neither,
        }
    }
    match digits.get(3) {
        None => LineKind::Undecided,
        Some(b' ' | b'\t' | b'\r' | b'\n') if digits[0] != b'0' => LineKind::Response,
        Some(_) => LineKind::Neither,
    }
}

/// Methods at which reading may resume: those of the IANA registry, and those of media servers,
/// caches and UPnP. Not any token: the second segment of `HE`, `AD / HTTP/1.1` starts with one.
const KNOWN_METHODS: [&[u8]; 50] = [
    b"ACL",
    b"BASELINE-CONTROL",
    b"BIND",
    b"BCOPY",
    b"BDELETE",
    b"BMOVE",
    b"BPROPFIND",
    b"BPROPPATCH",
    b"CHECKIN",
    b"CHECKOUT",
    b"CONNECT",
    b"COPY",
    b"DELETE",
    b"GET",
    b"HEAD",
    b"LABEL",
    b"LINK",
    b"LOCK",
    b"M-SEARCH",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MKREDIRECTREF",
    b"MKWORKSPACE",
    b"MOVE",
    b"NOTIFY",
    b"OPTIONS",
    b"ORDERPATCH",
    b"PATCH",
    b"POST",
    b"PROPFIND",
    b"PROPPATCH",
    b"PURGE",
    b"PUT",
    b"QUERY",
    b"REBIND",
    b"REPORT",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"SEARCH",
    b"SOURCE",
    b"SUBSCRIBE",
    b"TRACE",
    b"UNBIND",
    b"UNCHECKOUT",
    b"UNLINK",
    b"UNLOCK",
    b"UNSUBSCRIBE",
    b"UPDATE",
];

/// Returns whether `bytes` starts with a start line strict enough to resume at (policy 15).
pub(crate) fn is_strict_start(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"HTTP/") {
        return classify(bytes) == LineKind::Response;
    }
    let Some(lf) = memchr(b'\n', bytes) else { return false };
    let line = &bytes[..lf + 1];
    match classify(line) {
        LineKind::Request => {
            let mut parts = line.split(|&b| b == b' ');
            let (method, target, rest) = (parts.next(), parts.next(), parts.next());
            let known = method.is_some_and(|method| KNOWN_METHODS.contains(&method));
            let target = target.is_some_and(|t| !t.is_empty() && t.iter().all(|b| b.is_ascii_graphic() || *b >= 0x80));
            known && target && rest.is_some_and(|v| v.starts_with(b"HTTP/1.")) && parts.next().is_none()
        }
        LineKind::Response | LineKind::Undecided | LineKind::Neither => false,
    }
}

/// Returns whether `bytes`, which hold no whole line, may be the beginning of a strict start line:
/// a segment can be shorter than the line.
pub(crate) fn may_become_strict(bytes: &[u8]) -> bool {
    const RESPONSE: &[u8] = b"HTTP/1.";
    if classify(bytes) != LineKind::Undecided {
        return false;
    }
    if bytes.starts_with(&RESPONSE[..RESPONSE.len().min(bytes.len())]) {
        return true;
    }
    let mut parts = bytes.split(|&b| b == b' ');
    let method = parts.next().unwrap_or(bytes);
    let method = if method.len() == bytes.len() {
        KNOWN_METHODS.iter().any(|known| known.starts_with(method))
    } else {
        KNOWN_METHODS.contains(&method)
    };
    let target = parts.next().is_none_or(|t| t.iter().all(|b| b.is_ascii_graphic() || *b >= 0x80));
    let version = parts.next().is_none_or(|v| b"HTTP/1.1\r".starts_with(v) || b"HTTP/1.0\r".starts_with(v));
    method && target && version && parts.next().is_none()
}
