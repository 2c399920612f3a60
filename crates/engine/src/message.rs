//! The one shape of a message, for every output: its fields, and its JSON.
//!
//! A key without a value is left out, never `null`; the order of keys is fixed (`message.schema.json` describes it).

use std::borrow::Cow;

use base64::Engine as _;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::anomaly::AnomalySet;
use crate::event::{Direction, Field, Head, Incomplete, StartLine, Version};
use crate::frame::Stamp;
use crate::key::{Endpoint, FlowId};

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
    /// Start line and fields.
    pub head: HeadText,
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
    /// Final response: nanoseconds from the request's last byte to its own first.
    pub latency_nanos: Option<u64>,
    /// Numbers of the frames that carried it, when they are kept.
    pub frames: Vec<u64>,
}

impl Message {
    /// Replaces the values of these fields, trailers too, by `[REDACTED]`; names compare without case.
    pub fn redact(&mut self, names: &[String]) {
        self.redact_with(names, &mut |_, _| "[REDACTED]".to_owned());
    }

    /// Replaces the values of these fields, trailers too, by what `replace` makes of name (in lower case) and value.
    pub fn redact_with(&mut self, names: &[String], replace: &mut dyn FnMut(&str, &str) -> String) {
        self.head.fields.redact(names, replace);
        self.trailers.redact(names, replace);
    }

    /// What orders messages that one frame completed, before their place in the stream.
    pub const fn order(&self) -> (u64, u32, Direction) {
        (self.connection_first, self.exchange, self.direction)
    }
}

/// Content as text where it is UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Body {
    /// None, or none was kept.
    #[default]
    Empty,
    /// It is UTF-8.
    Text(String),
    /// It is not.
    Binary(Vec<u8>),
}

impl Body {
    /// From kept bytes; `cut` when they are a prefix: then a character cut at the end does not make it binary.
    pub fn new(mut bytes: Vec<u8>, cut: bool) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if simdutf8::basic::from_utf8(&bytes).is_err()
            && let Err(error) = std::str::from_utf8(&bytes)
        {
            if !cut || error.error_len().is_some() {
                return Self::Binary(bytes);
            }
            bytes.truncate(error.valid_up_to());
        }
        String::from_utf8(bytes).map_or_else(|error| Self::Binary(error.into_bytes()), Self::Text)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// A head as text: what is not UTF-8 was read as Latin-1, names are in lower case.
#[derive(Debug, Clone)]
pub struct HeadText {
    start: StartText,
    version: Version,
    fields: Fields,
}

#[derive(Debug, Clone)]
enum StartText {
    Request { text: Box<str>, method_len: usize },
    Response { status: u16, reason: Box<str> },
}

impl HeadText {
    /// Copies a head.
    pub fn new(head: &Head<'_>) -> Self {
        let start = match head.start {
            StartLine::Request { method, target } => {
                let method = text(method);
                let method_len = method.len();
                let mut line = method.into_owned();
                line.push_str(&text(target));
                StartText::Request { text: line.into(), method_len }
            }
            StartLine::Response { status, reason } => StartText::Response { status, reason: text(reason).into() },
        };
        Self { start, version: head.version, fields: Fields::new(head.fields) }
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&str> {
        match &self.start {
            StartText::Request { text, method_len } => Some(&text[..*method_len]),
            StartText::Response { .. } => None,
        }
    }

    /// The request-target of a request, verbatim.
    pub fn path(&self) -> Option<&str> {
        match &self.start {
            StartText::Request { text, method_len } => Some(&text[*method_len..]),
            StartText::Response { .. } => None,
        }
    }

    /// The status code of a response.
    pub const fn status(&self) -> Option<u16> {
        match &self.start {
            StartText::Request { .. } => None,
            StartText::Response { status, .. } => Some(*status),
        }
    }

    /// The reason phrase of a response, when it is not empty.
    pub fn reason(&self) -> Option<&str> {
        match &self.start {
            StartText::Response { reason, .. } if !reason.is_empty() => Some(reason),
            _ => None,
        }
    }

    /// `1.0` or `1.1`.
    pub const fn version(&self) -> &'static str {
        match self.version {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
        }
    }

    /// The fields, in wire order.
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Accounted bytes on the heap.
    pub(crate) fn held(&self) -> usize {
        let start = match &self.start {
            StartText::Request { text, .. } => text.len(),
            StartText::Response { reason, .. } => reason.len(),
        };
        start + self.fields.held()
    }
}

/// Field lines in wire order, in one piece of text: `name value name value …`.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    text: String,
    /// Ends of name and value of each line in `text`. Invariant: ascending, and at character boundaries.
    ends: Vec<(u32, u32)>,
}

impl Fields {
    /// Copies field lines, names in lower case.
    pub fn new(fields: &[Field<'_>]) -> Self {
        let length = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
        let mut copy = Self { text: String::with_capacity(length), ends: Vec::with_capacity(fields.len()) };
        for field in fields {
            let start = copy.text.len();
            copy.text.push_str(&text(field.name));
            copy.text[start..].make_ascii_lowercase();
            let name = copy.text.len() as u32;
            push_value(&mut copy.text, &text(field.value));
            copy.ends.push((name, copy.text.len() as u32));
        }
        copy
    }

    /// Names and values in wire order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        (0..self.ends.len()).map(|i| self.line(i))
    }

    /// Values of a name, which must be in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        self.iter().filter(move |&(n, _)| n == name).map(|(_, value)| value)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many lines there are.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    fn line(&self, i: usize) -> (&str, &str) {
        let start = if i == 0 { 0 } else { self.ends[i - 1].1 as usize };
        let (name, value) = self.ends[i];
        (&self.text[start..name as usize], &self.text[name as usize..value as usize])
    }

    fn redact(&mut self, names: &[String], replace: &mut dyn FnMut(&str, &str) -> String) {
        if !self.iter().any(|(name, _)| names.iter().any(|n| n.eq_ignore_ascii_case(name))) {
            return;
        }
        let mut redacted = Self::default();
        for (name, value) in self.iter() {
            redacted.text.push_str(name);
            let name_end = redacted.text.len() as u32;
            match names.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                true => redacted.text.push_str(&replace(name, value)),
                false => redacted.text.push_str(value),
            }
            redacted.ends.push((name_end, redacted.text.len() as u32));
        }
        *self = redacted;
    }

    fn held(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<(u32, u32)>()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for i in 0..self.len() {
            let (name, value) = self.line(i);
            // A head has at most a few hundred fields, so looking back beats a table.
            if (0..i).any(|before| self.line(before).0 == name) {
                continue;
            }
            if (i + 1..self.len()).any(|later| self.line(later).0 == name) {
                map.serialize_entry(name, &Values(self, name))?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

struct Values<'a>(&'a Fields, &'a str);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values(self.1))
    }
}

/// A value, with each fold in it replaced by a space, as RFC 9112 §5.2 has it for who does not refuse it.
fn push_value(text: &mut String, value: &str) {
    for (line, part) in value.split('\n').enumerate() {
        if line > 0 {
            text.truncate(text.trim_end_matches(['\r', ' ', '\t']).len());
            text.push(' ');
        }
        text.push_str(if line > 0 { part.trim_start_matches([' ', '\t']) } else { part });
    }
}

/// Bytes as text: UTF-8, or else Latin-1, in which every byte is a character.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

impl Serialize for Direction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Request => "request",
            Self::Response => "response",
        })
    }
}

impl Serialize for AnomalySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|anomaly| anomaly.name()))
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &Shown(self.started.time.rfc3339(self.started.precision)))?;
        map.serialize_entry("direction", &self.direction)?;
        map.serialize_entry("receiver", &self.receiver)?;
        map.serialize_entry("destination", &self.destination)?;
        entry(&mut map, "method", self.head.method())?;
        entry(&mut map, "path", self.head.path())?;
        entry(&mut map, "statusCode", self.head.status())?;
        entry(&mut map, "reason", self.head.reason())?;
        map.serialize_entry("httpVersion", self.head.version())?;
        map.serialize_entry("headers", self.head.fields())?;
        entry(&mut map, "trailers", Some(&self.trailers).filter(|fields| !fields.is_empty()))?;
        match &self.body {
            Body::Empty => {}
            Body::Text(text) => map.serialize_entry("body", text)?,
            Body::Binary(bytes) => {
                map.serialize_entry("body", &base64::engine::general_purpose::STANDARD.encode(bytes))?;
                map.serialize_entry("bodyEncoding", "base64")?;
            }
        }
        map.serialize_entry("bodySize", &self.body_size)?;
        entry(&mut map, "contentDecoded", Some(true).filter(|_| self.content_decoded))?;
        entry(&mut map, "bodyTruncated", Some(true).filter(|_| self.body_truncated))?;
        entry(&mut map, "incomplete", self.incomplete.map(Incomplete::name))?;
        entry(&mut map, "missingBytes", Some(self.missing_bytes).filter(|&n| n > 0))?;
        entry(&mut map, "anomalies", Some(self.anomalies).filter(|set| !set.is_empty()))?;
        map.serialize_entry("connection", &Shown(self.connection))?;
        map.serialize_entry("exchange", &self.exchange)?;
        entry(&mut map, "latencyMs", self.latency_nanos.map(Millis))?;
        entry(&mut map, "frames", Some(&self.frames).filter(|frames| !frames.is_empty()))?;
        map.end()
    }
}

fn entry<M: SerializeMap, T: Serialize>(map: &mut M, key: &'static str, value: Option<T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

/// Nanoseconds as milliseconds, with the digits there are.
struct Millis(u64);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1_000_000) {
            return serializer.serialize_u64(self.0 / 1_000_000);
        }
        // Nanoseconds below 2⁵³ divide to the nearest double, whose shortest text has just the digits there are.
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

struct Shown<T>(T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
