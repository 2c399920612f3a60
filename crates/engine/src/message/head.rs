//! A message's copy of its start line and fields, as text. It takes two allocations for any number
//! of fields.
//!
//! Knows nothing of JSON. Next: [`super::fields`], then [`super::shape`].

use super::fields::{Fields, Span, checked};
use crate::http::{Head, StartLine, Version};

/// A head as text. Pieces that are not UTF-8 were read as Latin-1; field names are in lower case.
#[derive(Debug, Clone)]
pub(crate) struct HeadText {
    kind: Kind,
    version: Version,
    /// Scheme of a request in HTTP/2 or HTTP/3.
    scheme: Option<Span>,
    /// Authority of a request in HTTP/2 or HTTP/3.
    authority: Option<Span>,
    /// The fields. Their text starts with the parts of the start line: method and request-target,
    /// or the reason phrase.
    fields: Fields,
}

/// The parts of the start line, and where they are in the text before the fields.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Request { method: Span, target: Span },
    Response { status: u16, reason: Span },
}

impl HeadText {
    /// Copies a head.
    pub(crate) fn new(head: &Head<'_>) -> Self {
        let kind = Kind::Response { status: 0, reason: Span::default() };
        let mut copy = Self { kind, version: head.version, scheme: None, authority: None, fields: Fields::default() };
        copy.set(head);
        copy
    }

    /// Takes the memory out of this head, to be [set](Self::set) again.
    pub(crate) fn take(&mut self) -> Self {
        let fields = std::mem::take(&mut self.fields);
        Self { kind: self.kind, version: self.version, scheme: None, authority: None, fields }
    }

    /// Replaces this head by a copy of `head`. Reuses the memory.
    #[inline(always)]
    pub(crate) fn set(&mut self, head: &Head<'_>) {
        self.version = head.version;
        if self.set_at_once(head).is_none() {
            self.set_piece_by_piece(head);
        }
    }

    /// Copies the bytes that the head was read from as a whole. Returns `None` if the copy would
    /// not be its text.
    #[inline(always)]
    fn set_at_once(&mut self, head: &Head<'_>) -> Option<()> {
        if head.scheme.is_some() || head.authority.is_some() {
            return None;
        }
        (self.scheme, self.authority) = (None, None);
        let place = |piece| Span::of(piece, head.raw);
        self.kind = match head.start {
            StartLine::Request { method, target } => Kind::Request { method: place(method)?, target: place(target)? },
            StartLine::Response { status, reason } => Kind::Response { status, reason: place(reason)? },
        };
        self.fields.set_at_once(head.raw, head.fields)?;
        (head.raw.is_ascii() || self.is_utf8()).then_some(())
    }

    /// Returns whether each piece is UTF-8. Checking the whole is not enough: a character may start
    /// in one piece and end in the next.
    #[cold]
    fn is_utf8(&self) -> bool {
        let start = match self.kind {
            Kind::Request { method, target } => [method, target],
            Kind::Response { reason, .. } => [reason; 2],
        };
        let start = start.into_iter().map(|piece| self.fields.piece(piece));
        let lines = self.fields.lines().flat_map(|(name, value)| [name, value]);
        start.chain(lines).all(|piece| str::from_utf8(piece).is_ok())
    }

    #[cold]
    fn set_piece_by_piece(&mut self, head: &Head<'_>) {
        self.fields.clear();
        let mut place = |piece| self.fields.push_before(piece);
        self.kind = match head.start {
            StartLine::Request { method, target } => Kind::Request { method: place(method), target: place(target) },
            StartLine::Response { status, reason } => Kind::Response { status, reason: place(reason) },
        };
        self.scheme = head.scheme.map(&mut place);
        self.authority = head.authority.map(place);
        self.fields.push(head.fields);
    }

    /// Returns the method of a request.
    pub(crate) fn method(&self) -> Option<&str> {
        self.request_line().map(|(method, _)| checked(method))
    }

    /// Returns the request-target of a request, verbatim.
    pub(crate) fn path(&self) -> Option<&str> {
        self.request_line().map(|(_, target)| checked(target))
    }

    /// Returns method and request-target as bytes, which are UTF-8.
    pub(super) fn request_line(&self) -> Option<(&[u8], &[u8])> {
        match self.kind {
            Kind::Request { method, target } => Some((self.fields.piece(method), self.fields.piece(target))),
            Kind::Response { .. } => None,
        }
    }

    /// Returns the scheme that an HTTP/2 or HTTP/3 request names beside its target.
    pub(crate) fn scheme(&self) -> Option<&str> {
        self.scheme.map(|piece| checked(self.fields.piece(piece)))
    }

    /// Returns the authority that an HTTP/2 or HTTP/3 request names beside its target.
    pub(crate) fn authority(&self) -> Option<&str> {
        self.authority.map(|piece| checked(self.fields.piece(piece)))
    }

    /// Returns the status code of a response.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Request { .. } => None,
            Kind::Response { status, .. } => Some(status),
        }
    }

    /// Returns the reason phrase of a response, if it is not empty.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason_phrase().map(checked)
    }

    /// Returns the reason phrase as bytes, which are UTF-8.
    pub(super) fn reason_phrase(&self) -> Option<&[u8]> {
        match self.kind {
            Kind::Response { reason, .. } => Some(self.fields.piece(reason)).filter(|reason| !reason.is_empty()),
            Kind::Request { .. } => None,
        }
    }

    /// Returns the version's number: `1.0`, `1.1`, `2`, `3`.
    pub(crate) const fn version(&self) -> &'static str {
        self.version.number()
    }

    /// Returns the field lines.
    pub(crate) const fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(super) fn redact(&mut self, names: &[String], replace: &mut dyn FnMut(&str, &str) -> String) {
        self.fields.redact(names, replace);
    }

    /// Returns the accounted bytes on the heap.
    pub(crate) fn held(&self) -> usize {
        self.fields.held()
    }

    /// Returns the bytes of its memory, used or not.
    pub(crate) const fn capacity(&self) -> usize {
        self.fields.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head::read;

    fn text(head: &HeadText) -> String {
        let start = [head.method(), head.path(), head.reason()].into_iter().flatten();
        let fields = head.fields().iter().map(|(name, value)| format!("[{name}={value}]"));
        format!("{}{}", start.collect::<Vec<_>>().join(" "), fields.collect::<String>())
    }

    /// RFC 9112 §5 allows optional white space around a value. Each piece that is not UTF-8 is
    /// Latin-1.
    #[test]
    fn a_head_is_the_same_text_copied_at_once_and_piece_by_piece() {
        let long = "X-".repeat(40);
        let long_line = format!("GET / HTTP/1.1\r\n{long}: V\r\n\r\n");
        for (bytes, want) in [
            (&b"GET /A HTTP/1.1\r\nHost: A.b\r\nX: Y\r\n\r\n"[..], "GET /A[host=A.b][x=Y]"),
            (b"GET / HTTP/1.0\r\n\r\n", "GET /"),
            (b"HTTP/1.1 200 OK\r\nA: \r\nB:\r\nC: d\r\n\r\n", "OK[a=][b=][c=d]"),
            (b"HTTP/1.1 204\r\nA: B\r\n\r\n", "[a=B]"),
            (b"HTTP/1.1 204 \r\nA: B\r\n\r\n", "[a=B]"),
            (b"GET / HTTP/1.1\r\nA:B\r\nC:  D\r\nE:\tF\r\n\r\n", "GET /[a=B][c=D][e=F]"),
            (b"GET / HTTP/1.1\r\nA: B \t\r\nC: D\r\n\r\n", "GET /[a=B][c=D]"),
            (b"GET / HTTP/1.1\nA: B\nC: D\n\n", "GET /[a=B][c=D]"),
            (b"HTTP/1.1 200 \xc3\xa9\r\nA: \xc3\xa9\r\n\r\n", "\u{e9}[a=\u{e9}]"),
            (b"HTTP/1.1 200 \xe9\r\nA: \xc3\xa9\r\nB: \xe9\r\n\r\n", "\u{e9}[a=\u{e9}][b=\u{e9}]"),
            (long_line.as_bytes(), &format!("GET /[{}=V]", long.to_lowercase())),
        ] {
            let copies = read(bytes, 16, |head, _| {
                [head.raw, b"", &head.raw[..head.raw.len() / 2]].map(|raw| text(&HeadText::new(&Head { raw, ..head })))
            });
            assert_eq!(copies.unwrap(), [want; 3], "{}", bytes.escape_ascii());
        }
    }
}
