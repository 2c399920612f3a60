//! A whole message: what every output is made from.
//!
//! Next: [`shape`], which keys it has in JSON.

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
pub use head::HeadText;

/// A whole HTTP message, or what the capture has of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Message {
    /// The frame that carried its first byte.
    pub started: Stamp,
    /// Client to server, or back.
    pub direction: Direction,
    /// The server side, in both directions.
    pub receiver: Endpoint,
    /// The client side, in both directions.
    pub destination: Endpoint,
    /// Start line and fields; read through the accessors.
    pub(crate) head: HeadText,
    /// Trailer fields.
    pub trailers: Fields,
    /// What was kept of the content.
    pub body: Body,
    /// Bytes of the body that were in the capture, after de-chunking, before content-decoding, whether kept or not.
    pub body_size: u64,
    /// Whether content codings were undone in `body`.
    pub content_decoded: bool,
    /// Whether `body` was cut by the limit.
    pub body_truncated: bool,
    /// Why the message is not whole.
    pub incomplete: Option<Incomplete>,
    /// Body bytes known to be missing inside it.
    pub missing_bytes: u64,
    /// What was odd about it.
    pub anomalies: AnomalySet,
    /// Its connection.
    pub connection: FlowId,
    /// Number of the frame that opened its connection; orders messages that one frame completed.
    pub connection_first: u64,
    /// Its exchange on the connection.
    pub exchange: u32,
    /// Interim responses (1xx) of its exchange that came before it.
    pub interim: u32,
    /// Which exchanges get no further message in its direction.
    pub over: Over,
    /// Final response: nanoseconds from the request's last byte to its own first.
    pub latency_nanos: Option<u64>,
    /// Numbers of the frames that carried it, when they are kept.
    pub frames: Vec<u64>,
    /// Number of the frame that completed it; the last one, where time or the end of the capture did.
    pub completed_by: u64,
    /// With which of the messages of that frame it came.
    pub phase: Phase,
}

/// Messages that came between one frame and the next, in the order of output.
///
/// Not more than the limit of a run (4096) wait to be put into the order of exchanges: what is hidden behind one lost segment can be half a
/// million requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[expect(clippy::exhaustive_enums, reason = "an order; all of it is here")]
pub enum Phase {
    /// A full run of one connection, by the number of the segment that completed it.
    Run(u64),
    /// What the frame completed, and what was given up for its memory.
    #[default]
    Frame,
    /// What ended when this second, of Unix time, passed after the frame.
    Second(u64),
    /// What the end of the capture ended.
    End,
}

/// Whose turn it is among messages of several [shards](crate::shard): each has its own in this order, and a connection is in
/// one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutputKey(u64, Phase, Began);

impl Message {
    /// The method of a request (RFC 9110 §9).
    pub fn method(&self) -> Option<&str> {
        self.head.method()
    }

    /// The request-target of a request, verbatim (RFC 9112 §3.2).
    pub fn target(&self) -> Option<&str> {
        self.head.path()
    }

    /// The status code of a response (RFC 9110 §15).
    pub const fn status(&self) -> Option<u16> {
        self.head.status()
    }

    /// The reason phrase of a response, when it is not empty (RFC 9112 §4).
    pub fn reason(&self) -> Option<&str> {
        self.head.reason()
    }

    /// The version of the start line as digits: `1.0` or `1.1`.
    pub const fn version(&self) -> &'static str {
        self.head.version()
    }

    /// The header field lines, in wire order (RFC 9110 §6.3); names are in lower case.
    pub const fn fields(&self) -> &Fields {
        self.head.fields()
    }

    /// Bytes of heap memory in use by head, trailers, body and frame numbers. Spare capacity is not
    /// counted.
    pub fn heap_size(&self) -> usize {
        let frames = size_of_val(self.frames.as_slice());
        self.head.held() + self.trailers.held() + self.body.as_bytes().len() + frames
    }

    /// Replaces the values of these fields, trailers too, by `[REDACTED]`; names compare without case.
    pub fn redact(&mut self, names: &[String]) {
        self.redact_with(names, &mut |_, _| "[REDACTED]".to_owned());
    }

    /// Replaces the values of these fields, trailers too, by what `replace` makes of name (in lower case) and value.
    pub fn redact_with(&mut self, names: &[String], replace: &mut dyn FnMut(&str, &str) -> String) {
        self.head.redact(names, replace);
        self.trailers.redact(names, replace);
    }

    /// What orders messages that one frame completed, before their place in the stream.
    pub const fn order(&self) -> Order {
        Order { began: self.began(), exchange: self.exchange, direction: self.direction }
    }

    /// Its output key.
    pub const fn output_key(&self) -> OutputKey {
        OutputKey(self.completed_by, self.phase, self.began())
    }

    const fn began(&self) -> Began {
        Began { frame: self.connection_first, id: self.connection }
    }
}

/// The order of output in a phase: the connection, exchange, request before response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    began: Began,
    exchange: u32,
    direction: Direction,
}

/// Content as text where it is UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Body {
    /// None, or none was kept.
    #[default]
    Empty,
    /// It is UTF-8.
    Text(Text),
    /// It is not.
    Binary(Vec<u8>),
}

/// UTF-8 that was checked once; whoever needs bytes only pays for no second look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Vec<u8>);

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl Text {
    /// The text; looks at every byte again.
    ///
    /// # Panics
    /// Never: nothing but checked bytes comes in.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("checked when it was made, and it never changes")
    }

    /// The bytes, which are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Body {
    /// From kept bytes; `cut` when they are a prefix: then a character cut at the end does not make it binary.
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

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Its memory, to be used again.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Text(Text(bytes)) | Self::Binary(bytes) => bytes,
        }
    }
}
