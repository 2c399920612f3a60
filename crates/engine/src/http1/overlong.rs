//! The fields of a head that is too long to keep: they are looked through for its end, and for what delimits the body.
//!
//! A limit of ours must not move the end of a body, so that what follows is still read where the peer reads it. Keeps
//! one field at most. Next: [`super::framing`].

use memchr::memchr;

use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::Version;
use crate::http1::abnf::is_ows;
use crate::http1::framing::{FramingFields, FramingInput};
use crate::http1::head::read_fields;

/// Bytes of one delimiting field that are kept: far more than any honest one has (arbitrary).
const FIELD_MAX: usize = 4096;

/// Reads field lines, of which it gets every byte, until the blank line.
#[derive(Debug)]
pub(crate) struct OverlongHead {
    input: FramingInput,
    /// What is odd about line ends, and about the fields that delimit the body.
    pub(crate) anomalies: AnomalySet,
    /// The field in progress with its folds, as long as it may be one that delimits the body.
    field: Vec<u8>,
    skip: bool,
    line: Line,
}

/// Where in its line the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Start,
    /// Behind a CR at the start.
    Cr,
    /// Further in; whether behind a CR.
    Inside {
        cr: bool,
    },
}

impl OverlongHead {
    /// For the fields behind the start line of a response with this status, or of a request.
    pub(crate) fn new(status: Option<u16>, version: Version) -> Self {
        Self {
            input: FramingInput { status, version, fields: FramingFields::default() },
            anomalies: AnomalySet::EMPTY,
            field: Vec::new(),
            skip: false,
            line: Line::Start,
        }
    }

    /// Takes the next bytes; how many there are up to and with the blank line, once it has come.
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
                // RFC 9112 §5.2: a line that starts with white space goes on with the field before it.
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

    /// Of the head, all that its framing depends on, as far as it came.
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

    /// The field is whole.
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

    /// The fields, in every two pieces, and how the body behind them is delimited.
    #[track_caller]
    fn check(fields: &str, want: Framing) {
        let behind = format!("{fields}\r\nbehind");
        for cut in 0..=fields.len() + 2 {
            let (before, rest) = behind.as_bytes().split_at(cut);
            let mut beyond = OverlongHead::new(Some(200), Version::Http11);
            let end = beyond.find_blank(before).or_else(|| beyond.find_blank(rest).map(|end| cut + end));
            assert_eq!(end, Some(fields.len() + 2), "{fields:?} cut at {cut}");
            let bare = fields.replace("\r\n", "").contains('\n');
            assert_eq!(beyond.anomalies.contains(Anomaly::BareLf), bare, "{fields:?} cut at {cut}");
            assert_eq!(framing(beyond.input(), Method::Other).0, want, "{fields:?} cut at {cut}");
        }
    }

    #[test]
    fn fields_that_delimit_are_seen_and_no_others() {
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
        let mut beyond = OverlongHead::new(None, Version::Http11);
        for _ in 0..1000 {
            assert_eq!(beyond.find_blank(b"Content-Length: 5\r\n"), None);
        }
        assert_eq!(framing(beyond.input(), Method::Other).0, Framing::Length(5));
        beyond.find_blank(b"Content-Length: ");
        for _ in 0..1000 {
            assert_eq!(beyond.find_blank(&[b'0'; 100]), None);
        }
        assert_eq!(beyond.find_blank(b"\r\nX(: y\r\n"), None);
        assert!(beyond.anomalies.is_empty(), "a field that delimits nothing is not read");
        assert!((FIELD_MAX..=2 * FIELD_MAX).contains(&beyond.held()), "{}", beyond.held());
    }
}
