//! Reads a message head: finds its end, then its start line and fields.
//!
//! httparse reads well-formed heads, the bulk of all traffic. The lenient reader below reads the
//! rest: it names each oddity and goes on (policy 14).
//!
//! Next: [`super::framing`].

use std::mem::MaybeUninit;

use memchr::{memchr, memchr_iter};

use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::{Field, Head, StartLine, Version, is_tchar};
use crate::http1::abnf::{is_ows, strip_cr, trim_ows, version_at_end};
use crate::http1::framing::FramingFields;
use crate::http1::start_line::METHOD_MAX;

/// Searches for the end of a head piece by piece, without looking at a byte twice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EndFinder {
    /// Start of the line that has not ended yet.
    line: usize,
    /// How many bytes have been searched for a line end.
    searched: usize,
    pub(crate) anomalies: AnomalySet,
}

impl EndFinder {
    /// Returns the length of the head with its blank line once `bytes` holds all of it. Between calls
    /// `bytes` may only grow.
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let from = self.searched;
        for found in memchr_iter(b'\n', &bytes[from..]) {
            let lf = from + found;
            let line = &bytes[self.line..lf];
            let text = strip_cr(line);
            if text.len() == line.len() {
                self.anomalies.insert(Anomaly::BareLf);
            }
            self.searched = lf + 1;
            self.line = lf + 1;
            if text.is_empty() {
                return Some(lf + 1);
            }
        }
        self.searched = bytes.len();
        None
    }

    /// Returns where the incomplete line starts: everything before it can be read.
    pub(crate) const fn complete_lines(&self) -> usize {
        self.line
    }
}

/// Fields of a head that are read into a small array on the stack: enough for most heads (hot: see NOTES#head).
const FIELDS_FEW: usize = 16;
/// Fields of a head that are read into a large array on the stack. Longer heads go to the lenient reader.
const FIELDS_MANY: usize = 64;

/// Reads a whole, well-formed head at the start of `bytes`, and passes it to `found` with its length.
///
/// Handles nearly every head in one pass (hot: see NOTES#head). Returns `None` if
/// [`super::start_line::classify`], [`EndFinder`] and [`read`] must decide what the bytes are.
pub(crate) fn read_at_once<T>(
    bytes: &[u8],
    bytes_max: usize,
    fields_max: usize,
    mut found: impl FnMut(Head<'_>, usize) -> T,
) -> Option<T> {
    // httparse skips leading blank lines, which must be named.
    if matches!(bytes, [] | [b'\r' | b'\n', ..]) {
        return None;
    }
    read_well_formed(&bytes[..bytes.len().min(bytes_max)], fields_max, |head, length| {
        let is_start = match head.start {
            StartLine::Request { method, .. } => method.len() < METHOD_MAX,
            StartLine::Response { status, .. } => status >= 100,
        };
        (is_start && has_no_bare_lf(&bytes[..length], head.fields)).then(|| found(head, length))
    })?
}

/// Returns whether all lines of a well-formed head end in CRLF.
fn has_no_bare_lf(head: &[u8], fields: &[Field<'_>]) -> bool {
    let before = |name: &[u8]| head[name.as_ptr().addr() - head.as_ptr().addr() - 2];
    head.ends_with(b"\r\n\r\n") && fields.iter().all(|field| before(field.name) == b'\r')
}

/// Reads a whole head, from start line to blank line, and passes it to `found`.
///
/// Returns `None` if the first line is not a start line. Reads at most `fields_max` fields; names and
/// drops the rest.
pub(crate) fn read<T>(bytes: &[u8], fields_max: usize, mut found: impl FnMut(Head<'_>, AnomalySet) -> T) -> Option<T> {
    read_well_formed(bytes, fields_max, |head, _| found(head, AnomalySet::EMPTY))
        .or_else(|| read_lenient(bytes, fields_max, found))
}

fn read_well_formed<T>(bytes: &[u8], fields_max: usize, mut found: impl FnMut(Head<'_>, usize) -> T) -> Option<T> {
    let read = match read_fast::<FIELDS_FEW, T>(bytes, fields_max, &mut found) {
        Err(httparse::Error::TooManyHeaders) => read_fast::<FIELDS_MANY, T>(bytes, fields_max, &mut found),
        read => read,
    };
    match read {
        Ok(httparse::Status::Complete(read)) => Some(read),
        Ok(httparse::Status::Partial) | Err(_) => None,
    }
}

/// Reads a well-formed head with at most `N` fields.
fn read_fast<const N: usize, T>(
    bytes: &[u8],
    fields_max: usize,
    found: &mut impl FnMut(Head<'_>, usize) -> T,
) -> httparse::Result<T> {
    use httparse::Status::{Complete, Partial};

    let mut storage = [const { MaybeUninit::uninit() }; N];
    let config = httparse::ParserConfig::default();
    let (start, minor, headers, length) = if bytes.starts_with(b"HTTP/") {
        let mut response = httparse::Response::new(&mut []);
        let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, &mut storage)?;
        let (Complete(length), Some(status), Some(minor)) = (parsed, response.code, response.version) else {
            return Ok(Partial);
        };
        (StartLine::Response { status, reason: reason_of(response.reason, bytes) }, minor, response.headers, length)
    } else {
        let mut request = httparse::Request::new(&mut []);
        let parsed = config.parse_request_with_uninit_headers(&mut request, bytes, &mut storage)?;
        let (Complete(length), Some(method), Some(target), Some(minor)) =
            (parsed, request.method, request.path, request.version)
        else {
            return Ok(Partial);
        };
        let start = StartLine::Request { method: method.as_bytes(), target: target.as_bytes() };
        (start, minor, request.headers, length)
    };
    if headers.len() > fields_max {
        return Ok(Partial);
    }
    let mut fields = [Field { name: b"", value: b"" }; N];
    let fields = borrow(headers, &mut fields);
    Ok(Complete(found(
        Head { start, version: version(minor), scheme: None, authority: None, fields, raw: &bytes[..length] },
        length,
    )))
}

fn borrow<'s, 'a>(headers: &[httparse::Header<'a>], into: &'s mut [Field<'a>]) -> &'s [Field<'a>] {
    for (field, header) in into.iter_mut().zip(headers) {
        *field = Field { name: header.name.as_bytes(), value: header.value };
    }
    &into[..headers.len()]
}

/// Returns the reason phrase. httparse returns one with obs-text as empty: that is read from the line itself.
fn reason_of<'a>(parsed: Option<&'a str>, bytes: &'a [u8]) -> &'a [u8] {
    if let Some(reason) = parsed.filter(|reason| !reason.is_empty()) {
        return reason.as_bytes();
    }
    let line = strip_cr(&bytes[..memchr(b'\n', bytes).unwrap_or(bytes.len())]);
    &line[line.len().min(b"HTTP/1.1 200 ".len())..]
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::Http10 } else { Version::Http11 }
}

/// Reads a head line by line, and names what RFC 9112 forbids.
pub(super) fn read_lenient<T>(
    bytes: &[u8],
    fields_max: usize,
    mut found: impl FnMut(Head<'_>, AnomalySet) -> T,
) -> Option<T> {
    let mut anomalies = AnomalySet::EMPTY;
    if memchr(0, bytes).is_some() {
        anomalies.insert(Anomaly::NulInHead);
    }
    let lf = memchr(b'\n', bytes)?;
    let (start, version) = start_line(strip_cr(&bytes[..lf]), &mut anomalies)?;
    let mut fields = Vec::with_capacity(fields_max.min(64));
    read_fields(&bytes[lf + 1..], fields_max, &mut fields, &mut anomalies);
    Some(found(Head { start, version, scheme: None, authority: None, fields: &fields, raw: b"" }, anomalies))
}

fn start_line<'a>(line: &'a [u8], anomalies: &mut AnomalySet) -> Option<(StartLine<'a>, Version)> {
    note_bare_cr(line, anomalies);
    if line.starts_with(b"HTTP/1.") {
        let minor = line.get(7).filter(|b| b.is_ascii_digit())?;
        let rest = &line[8..];
        let code_at = rest.iter().position(|&b| !is_ows(b))?;
        if code_at != 1 || rest[0] != b' ' {
            anomalies.insert(Anomaly::StartLineWhitespace);
        }
        let rest = &rest[code_at..];
        let code = rest.get(..3)?;
        let status = code.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u16::from(b - b'0')))?;
        let reason = &rest[3..];
        let reason = reason.strip_prefix(b" ").or_else(|| reason.strip_prefix(b"\t")).unwrap_or(reason);
        return (code_at > 0).then_some((StartLine::Response { status, reason }, version(minor - b'0')));
    }
    let method_end = line.iter().position(|&b| !is_tchar(b)).filter(|&n| n > 0)?;
    let (minor, target_end) = version_at_end(line)?;
    let target = line.get(method_end..target_end)?;
    let trimmed = trim_ows(target);
    let single = target.len() == trimmed.len() + 2 && target.first() == Some(&b' ') && target.last() == Some(&b' ');
    if !single || trimmed.iter().any(|b| is_ows(*b)) || line.last().is_some_and(|b| is_ows(*b)) {
        anomalies.insert(Anomaly::StartLineWhitespace);
    }
    if trimmed.is_empty() {
        return None;
    }
    Some((StartLine::Request { method: &line[..method_end], target: trimmed }, version(minor)))
}

/// Reads field lines, of a head or of trailers, up to the blank line or the end of `bytes`.
///
/// Drops fields over `fields_max` unless they frame the body: our limit must not move its end.
pub(crate) fn read_fields<'a>(
    bytes: &'a [u8],
    fields_max: usize,
    fields: &mut Vec<Field<'a>>,
    anomalies: &mut AnomalySet,
) {
    let mut at = 0;
    let mut last = Last::None;
    while let Some(rest) = bytes.get(at..) {
        let end = memchr(b'\n', rest).map_or(bytes.len(), |lf| at + lf);
        let line = strip_cr(&bytes[at..end]);
        if line.is_empty() {
            return;
        }
        note_bare_cr(line, anomalies);
        if is_ows(line[0]) {
            match (last, fields.last_mut()) {
                (Last::Kept { value_at }, Some(field)) => {
                    // RFC 9112 §5.2: the value continues. It is reported with the fold as on the wire.
                    anomalies.insert(Anomaly::ObsFold);
                    field.value = trim_ows(&bytes[value_at..at + line.len()]);
                }
                (Last::Dropped, _) => anomalies.insert(Anomaly::ObsFold),
                (Last::Kept { .. } | Last::None, _) => anomalies.insert(Anomaly::InvalidFieldLine),
            }
        } else {
            let over_limit = fields.len() >= fields_max;
            if over_limit {
                anomalies.insert(Anomaly::TooManyFields);
            }
            last = match field(line, anomalies) {
                None => Last::None,
                Some((field, _)) if over_limit && !FramingFields::names_one(field.name) => Last::Dropped,
                Some((field, value_at)) => {
                    fields.push(field);
                    Last::Kept { value_at: at + value_at }
                }
            };
        }
        at = end + 1;
    }
}

/// The previous field line, which a line that starts with white space continues.
#[derive(Clone, Copy)]
enum Last {
    /// There is none, or it was not a field.
    None,
    /// The field was kept; its value starts at this offset.
    Kept { value_at: usize },
    /// The field was over the limit.
    Dropped,
}

/// Reads one field line. Returns the field, and where in the line its value starts.
fn field<'a>(line: &'a [u8], anomalies: &mut AnomalySet) -> Option<(Field<'a>, usize)> {
    let Some(colon) = memchr(b':', line) else {
        anomalies.insert(Anomaly::InvalidFieldLine);
        return None;
    };
    let name = trim_ows(&line[..colon]);
    if name.len() != colon {
        anomalies.insert(Anomaly::SpaceBeforeColon);
    }
    if name.is_empty() {
        anomalies.insert(Anomaly::InvalidFieldLine);
        return None;
    }
    if !name.iter().all(|&b| is_tchar(b)) {
        anomalies.insert(Anomaly::InvalidFieldName);
    }
    Some((Field { name, value: trim_ows(&line[colon + 1..]) }, colon + 1))
}

fn note_bare_cr(line: &[u8], anomalies: &mut AnomalySet) {
    if memchr(b'\r', line).is_some() {
        anomalies.insert(Anomaly::BareCr);
    }
}
