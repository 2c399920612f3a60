//! The nouns of RFC 9110: direction, field, start line, version, head. Borrowed, for every version
//! of HTTP.
//!
//! Next: [`crate::event`], which carries them.

/// Client to server, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "HTTP has two")]
pub enum Direction {
    /// Client to server.
    Request,
    /// Server to client.
    Response,
}

impl Direction {
    /// 0 for a request, 1 for a response.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A field line: name as sent, value without surrounding white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a name and a value")]
pub struct Field<'a> {
    /// As on the wire.
    pub name: &'a [u8],
    /// As on the wire; the lines of a folded value are joined by the fold's own bytes.
    pub value: &'a [u8],
}

/// The start line of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "HTTP has two kinds of start line")]
pub enum StartLine<'a> {
    /// `method SP request-target SP HTTP-version`
    Request {
        /// A token.
        method: &'a [u8],
        /// The request-target verbatim.
        target: &'a [u8],
    },
    /// `HTTP-version SP status-code SP [ reason-phrase ]`
    Response {
        /// 100–999.
        status: u16,
        /// May be empty.
        reason: &'a [u8],
    },
}

/// The version of HTTP that a message is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever writes a version must know them all")]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, and what calls itself a later HTTP/1 (RFC 9110 §2.5).
    Http11,
    /// HTTP/2
    Http2,
    /// HTTP/3
    Http3,
}

impl Version {
    /// The number alone: `1.0`, `1.1`, `2`, `3`.
    pub const fn number(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
            Self::Http3 => "3",
        }
    }
}

/// A whole head.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Head<'a> {
    /// The start line.
    pub start: StartLine<'a>,
    /// The version of the start line.
    pub version: Version,
    /// The scheme and the authority that HTTP/2 and HTTP/3 send beside the request-target (RFC 9113
    /// §8.3.1).
    pub scheme: Option<&'a [u8]>,
    /// See `scheme`.
    pub authority: Option<&'a [u8]>,
    /// In wire order.
    pub fields: &'a [Field<'a>],
    /// The bytes it was read from, when httparse took all of them: then it is copied in one piece.
    pub(crate) raw: &'a [u8],
}

/// Returns whether this is a token (RFC 9110 §5.6.2), as a method or a field name must be.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_tchar)
}

/// Returns whether this byte may stand in a token: `tchar` of RFC 9110 §5.6.2.
pub(crate) const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}
