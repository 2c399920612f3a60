//! A whole message, from which every output is made.
//!
//! Next: [`shape`], its keys in JSON.

mod copying;
mod fields;
mod head;
mod names;
pub(crate) mod shape;

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::{Endpoint, FlowId};

use crate::anomaly::AnomalySet;
use crate::event::{Began, Incomplete, Over};
use crate::http::Direction;
pub use fields::Fields;
pub(crate) use head::HeadText;

/// An HTTP message: all of it, or the part that was captured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Message {
    /// The frame that carried its first byte.
    pub started: Stamp,
    /// Request or response.
    pub direction: Direction,
    /// The server's endpoint, in both directions.
    pub receiver: Endpoint,
    /// The client's endpoint, in both directions.
    pub destination: Endpoint,
    /// Start line and fields; read through the accessors.
    pub(crate) head: HeadText,
    /// Trailer fields.
    pub trailers: Fields,
    /// The kept part of the content.
    pub body: Body,
    /// Captured bytes of the body, kept or not: without chunked framing, before content decoding.
    pub body_size: u64,
    /// True if `body` is without its content codings.
    pub content_decoded: bool,
    /// True if `body` was cut by the limit.
    pub body_truncated: bool,
    /// The reason why the message is not whole, if it is not.
    pub incomplete: Option<Incomplete>,
    /// Body bytes known to be missing from the capture.
    pub missing_bytes: u64,
    /// Anomalies of the message.
    pub anomalies: AnomalySet,
    /// Identity of its connection.
    pub connection: FlowId,
    /// Number of the frame that opened its connection. Orders messages completed by one frame.
    pub connection_first: u64,
    /// Number of its exchange on the connection.
    pub exchange: u32,
    /// Interim responses (1xx) of its exchange that came before it.
    pub interim: u32,
    /// The exchanges that get no further message in its direction.
    pub over: Over,
    /// Nanoseconds from the request's last byte to this final response's first byte.
    pub latency_nanos: Option<u64>,
    /// Numbers of the frames that carried it, if they are tracked.
    pub frames: Vec<u64>,
    /// Number of the frame that completed it: the latest frame, if a time-out or the end of the
    /// capture did.
    pub completed_by: u64,
    /// The time of its completion, relative to that frame.
    pub phase: Phase,
}

/// The time of a message's completion, relative to the frame. Variants are in output order.
///
/// At most 4096 messages of a connection, a full run, wait to be sorted by exchange: the bytes
/// after one lost segment can hold half a million requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[expect(clippy::exhaustive_enums, reason = "an order; all of it is here")]
pub enum Phase {
    /// By a full run of one connection; the number is that of the segment that filled it.
    Run(u64),
    /// By the frame, or by an eviction to make room for it.
    #[default]
    Frame,
    /// By a time-out, when this second of Unix time passed after the frame.
    Second(u64),
    /// By the end of the capture.
    End,
}

/// Global sort key of a message.
///
/// Each [shard](crate::shard) outputs its messages in this order, and a connection belongs to one
/// shard, so merging by the key gives the order of a single shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutputKey(u64, Phase, Began);

impl Message {
    /// Returns the method of a request (RFC 9110 §9).
    pub fn method(&self) -> Option<&str> {
        self.head.method()
    }

    /// Returns the request-target of a request, verbatim (RFC 9112 §3.2).
    pub fn target(&self) -> Option<&str> {
        self.head.path()
    }

    /// Returns the status code of a response (RFC 9110 §15).
    pub const fn status(&self) -> Option<u16> {
        self.head.status()
    }

    /// Returns the reason phrase of a response, if it is not empty (RFC 9112 §4).
    pub fn reason(&self) -> Option<&str> {
        self.head.reason()
    }

    /// Returns the version of HTTP as digits, without the name: `1.1`.
    pub const fn version(&self) -> &'static str {
        self.head.version()
    }

    /// Returns the header fields in wire order (RFC 9110 §6.3). Names are in lower case.
    pub const fn fields(&self) -> &Fields {
        self.head.fields()
    }

    /// Returns the heap bytes that head, trailers, body and frame numbers use, without spare
    /// capacity.
    pub fn heap_size(&self) -> usize {
        let frames = size_of_val(self.frames.as_slice());
        self.head.held() + self.trailers.held() + self.body.as_bytes().len() + frames
    }

    /// Replaces the values of the fields with these names, trailers included, by `[REDACTED]`.
    /// Names compare case-insensitively.
    pub fn redact(&mut self, names: &[String]) {
        self.redact_with(names, &mut |_, _| "[REDACTED]".to_owned());
    }

    /// Replaces the values of the fields with these names, trailers included, by the result of
    /// `replace`, which gets the name in lower case and the value.
    pub fn redact_with(&mut self, names: &[String], replace: &mut dyn FnMut(&str, &str) -> String) {
        self.head.redact(names, replace);
        self.trailers.redact(names, replace);
    }

    /// Returns the sort key among the messages of a phase.
    pub const fn order(&self) -> Order {
        Order { began: self.began(), exchange: self.exchange, direction: self.direction }
    }

    /// Returns the global sort key.
    pub const fn output_key(&self) -> OutputKey {
        OutputKey(self.completed_by, self.phase, self.began())
    }

    const fn began(&self) -> Began {
        Began { frame: self.connection_first, id: self.connection }
    }
}

/// Sort key in a phase: connection, then exchange, then the request before the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    began: Began,
    exchange: u32,
    direction: Direction,
}

/// The kept content, as text if it is UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Body {
    /// There is no content, or none was kept.
    #[default]
    Empty,
    /// The content is UTF-8.
    Text(Text),
    /// The content is not UTF-8.
    Binary(Vec<u8>),
}

/// Bytes checked to be UTF-8. Reading them as bytes costs no second check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Vec<u8>);

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl Text {
    /// Returns the text, after checking every byte again.
    ///
    /// # Panics
    /// Never: the bytes were checked when the text was made.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("checked when it was made, and it never changes")
    }

    /// Returns the bytes, which are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Body {
    /// Makes a body from kept bytes. `cut` says that they are a prefix: then a character that is
    /// cut off at the end is dropped instead of making the body binary.
    pub fn new(mut bytes: Vec<u8>, cut: bool) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if simdutf8::basic::from_utf8(&bytes).is_err()
            && let Err(error) = str::from_utf8(&bytes)
        {
            if !cut || error.error_len().is_some() {
                return Self::Binary(bytes);
            }
            bytes.truncate(error.valid_up_to());
        }
        Self::Text(Text(bytes))
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the buffer for reuse.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Text(Text(bytes)) | Self::Binary(bytes) => bytes,
        }
    }
}
