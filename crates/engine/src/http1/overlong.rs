//! Scans a head over the size limit for its end and for the fields that frame the body.
//!
//! Our limit must not move the end of a body: the next message must start where the peer reads it.
//! Keeps one field at most. Next: [`super::framing`].

use memchr::memchr;

use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::Version;
use crate::http1::abnf::is_ows;
use crate::http1::framing::{FramingFields, FramingInput};
use crate::http1::head::read_fields;

/// Bytes kept of one framing field: far more than any honest one has (arbitrary).
const FIELD_MAX: usize = 4096;

/// Reads field lines until the blank line; it must get every byte of them.
#[derive(Debug)]
pub(crate) struct OverlongHead {
    input: FramingInput,
    /// Anomalies of line ends and of the fields that frame the body.
    pub(crate) anomalies: AnomalySet,
    /// The current field with its folds, while it may be one that frames the body.
    field: Vec<u8>,
    /// The current field does not frame the body.
    skip: bool,
    line: Line,
}

/// The position of the next byte in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Start,
    /// After a CR at the start.
    Cr,
    /// Further in; `cr` if the last byte was a CR.
    Inside {
        cr: bool,
    },
}

impl OverlongHead {
    /// Starts after the start line of a response with this status, or of a request.
    pub(crate) fn new(status: Option<u16>, version: Version) -> Self {
        Self {
            input: FramingInput { status, version, fields: FramingFields::default() },
            anomalies: AnomalySet::EMPTY,
            field: Vec::new(),
            skip: false,
            line: Line::Start,
        }
    }

    /// Reads the next bytes. Returns the length up to and including the blank line, once it has come.
    pub(crate) fn find_blank(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&first) = bytes.get(at) {
            match (self.line, first) {
                (Line::Start | Line::Cr, b'\n') => {
                    if self.line == Line::Start {
                        self.anomalies.insert(Anomaly::BareLf);
                    }
                    self.see();
                    return Some(at + 1);
                }
                (Line::Start, b'\r') => {
                    self.line = Line::Cr;
                    at += 1;
                    continue;
                }
                // RFC 9112 §5.2: a line that starts with white space continues the field before it.
                (Line::Start, _) if !is_ows(first) => self.see(),
                (Line::Cr, _) => {
                    self.see();
                    self.keep(b"\r");
                }
                _ => {}
            }
            let lf = memchr(b'\n', &bytes[at..]).map(|lf| at + lf);
            let text = &bytes[at..lf.unwrap_or(bytes.len())];
            let cr = text.last().map_or(self.line == Line::Inside { cr: true }, |&last| last == b'\r');
            if lf.is_some() && !cr {
                self.anomalies.insert(Anomaly::BareLf);
            }
            self.keep(text);
            self.keep(if lf.is_some() { b"\n" } else { b"" });
            self.line = if lf.is_some() { Line::Start } else { Line::Inside { cr } };
            at += text.len() + usize::from(lf.is_some());
        }
        None
    }

    /// Everything read so far that the framing depends on.
    pub(crate) const fn input(&self) -> &FramingInput {
        &self.input
    }

    /// Accounted bytes on the heap.
    pub(crate) fn held(&self) -> usize {
        self.field.capacity()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if !self.skip {
            let room = FIELD_MAX - self.field.len();
            self.field.extend_from_slice(&bytes[..bytes.len().min(room)]);
            self.skip = !FramingFields::may_begin(&self.field);
        }
    }

    /// Reads the current field, which is complete.
    fn see(&mut self) {
        if FramingFields::may_begin(&self.field) {
            let mut fields = Vec::new();
            read_fields(&self.field, 1, &mut fields, &mut self.anomalies);
            fields.iter().for_each(|field| self.input.fields.see(field));
        }
        self.field.clear();
        self.skip = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::framing::{Framing, Method, framing};

    /// Checks the framing that these fields give, with the bytes cut in two at every place.
    #[track_caller]
    fn check(fields: &str, want: Framing) {
        let bytes = format!("{fields}\r\nbody");
        for cut in 0..=fields.len() + 2 {
            let (before, rest) = bytes.as_bytes().split_at(cut);
            let mut overlong = OverlongHead::new(Some(200), Version::Http11);
            let end = overlong.find_blank(before).or_else(|| overlong.find_blank(rest).map(|end| cut + end));
            assert_eq!(end, Some(fields.len() + 2), "{fields:?} cut at {cut}");
            let bare = fields.replace("\r\n", "").contains('\n');
            assert_eq!(overlong.anomalies.contains(Anomaly::BareLf), bare, "{fields:?} cut at {cut}");
            assert_eq!(framing(overlong.input(), Method::Other).0, want, "{fields:?} cut at {cut}");
        }
    }

    #[test]
    fn only_fields_that_frame_the_body_are_read() {
        check("", Framing::UntilClose);
        check("Content-Length: 5\r\n", Framing::Length(5));
        check("A: b\r\ncontent-length:5\r\nC: d\r\n", Framing::Length(5));
        check("A: b\nContent-Length: 5\nC: d\n", Framing::Length(5));
        check("Content-Length:\r\n 5\r\nA: b\r\n", Framing::Length(5));
        check("A: b\r\n Content-Length: 5\r\n", Framing::UntilClose);
        check("A: b\r\n\tc\r\nContent-Length: 5\n", Framing::Length(5));
        check("A: b\rc\r\nB: d\r\r\nContent-Length: 5\r\n", Framing::Length(5));
        check("\rContent-Length: 5\r\n", Framing::UntilClose);
        check("Content-Length-X: 5\r\nX-Content-Length: 5\r\nContent: 5\r\n", Framing::UntilClose);
        check("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Framing::Chunked);
        check("Content-Length: 5\r\nContent-Length: 6\r\n", Framing::UntilClose);
        check(&format!("X: {}\r\nContent-Length: 5\r\n", "Content-Length: 6".repeat(20)), Framing::Length(5));
    }

    #[test]
    fn one_field_is_kept_and_no_more_of_it_than_the_limit() {
        let mut overlong = OverlongHead::new(None, Version::Http11);
        for _ in 0..1000 {
            assert_eq!(overlong.find_blank(b"Content-Length: 5\r\n"), None);
        }
        assert_eq!(framing(overlong.input(), Method::Other).0, Framing::Length(5));
        overlong.find_blank(b"Content-Length: ");
        for _ in 0..1000 {
            assert_eq!(overlong.find_blank(&[b'0'; 100]), None);
        }
        assert_eq!(overlong.find_blank(b"\r\nX(: y\r\n"), None);
        assert!(overlong.anomalies.is_empty(), "a field that frames nothing is not read");
        assert!((FIELD_MAX..=2 * FIELD_MAX).contains(&overlong.held()), "{}", overlong.held());
    }
}
