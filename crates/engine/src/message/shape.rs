//! The one shape of a message in JSON: its keys, their order and their values.
//!
//! A key without a value is left out, never `null`; `message.schema.json` describes the shape.
//! [`Message::visit`] defines it, and has two visitors: serde here, and [`crate::json`], which
//! writes lines faster.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer, ser::SerializeMap};
use sniffer_packet::key::{Endpoint, FlowId};
use sniffer_packet::time::Rfc3339;

use super::fields::checked;
use super::{Body, Fields, Message};
use crate::anomaly::AnomalySet;
use crate::event::Incomplete;
use crate::http::Direction;

/// The value of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Time(Rfc3339),
    Text(&'static str),
    /// Bytes that are known to be UTF-8.
    Utf8(&'a [u8]),
    Base64(&'a [u8]),
    Number(u64),
    /// Nanoseconds, shown as milliseconds with as many digits as needed.
    Millis(u64),
    True,
    /// `{ip, port}`
    Endpoint(&'a Endpoint),
    /// One value for each name, or a list if the name occurs more than once.
    Fields(&'a Fields),
    Anomalies(AnomalySet),
    Id(FlowId),
    Numbers(&'a [u64]),
}

/// Receives the keys and values of a message.
pub(crate) trait Visitor {
    /// The error of a visit that fails.
    type Error;

    /// Receives the next key that has a value.
    fn key(&mut self, key: &'static str, value: Value<'_>) -> Result<(), Self::Error>;
}

impl Message {
    /// Visits every key that has a value, in order.
    pub(crate) fn visit<L: Visitor>(&self, to: &mut L) -> Result<(), L::Error> {
        to.key("timestamp", Value::Time(self.started.time.rfc3339(self.started.precision)))?;
        to.key("direction", Value::Text(self.direction.name()))?;
        to.key("receiver", Value::Endpoint(&self.receiver))?;
        to.key("destination", Value::Endpoint(&self.destination))?;
        if let Some((method, target)) = self.head.request_line() {
            to.key("method", Value::Utf8(method))?;
            to.key("path", Value::Utf8(target))?;
            if let Some(scheme) = self.head.scheme() {
                to.key("scheme", Value::Utf8(scheme.as_bytes()))?;
            }
            if let Some(authority) = self.head.authority() {
                to.key("authority", Value::Utf8(authority.as_bytes()))?;
            }
        }
        if let Some(status) = self.head.status() {
            to.key("statusCode", Value::Number(status.into()))?;
        }
        if let Some(reason) = self.head.reason_phrase() {
            to.key("reason", Value::Utf8(reason))?;
        }
        to.key("httpVersion", Value::Text(self.head.version()))?;
        to.key("headers", Value::Fields(self.head.fields()))?;
        if !self.trailers.is_empty() {
            to.key("trailers", Value::Fields(&self.trailers))?;
        }
        match &self.body {
            Body::Empty => {}
            Body::Text(text) => to.key("body", Value::Utf8(text.as_bytes()))?,
            Body::Binary(bytes) => {
                to.key("body", Value::Base64(bytes))?;
                to.key("bodyEncoding", Value::Text("base64"))?;
            }
        }
        to.key("bodySize", Value::Number(self.body_size))?;
        if self.content_decoded {
            to.key("contentDecoded", Value::True)?;
        }
        if self.body_truncated {
            to.key("bodyTruncated", Value::True)?;
        }
        if let Some(why) = self.incomplete {
            to.key("incomplete", Value::Text(Incomplete::name(why)))?;
        }
        if self.missing_bytes > 0 {
            to.key("missingBytes", Value::Number(self.missing_bytes))?;
        }
        if !self.anomalies.is_empty() {
            to.key("anomalies", Value::Anomalies(self.anomalies))?;
        }
        to.key("connection", Value::Id(self.connection))?;
        to.key("exchange", Value::Number(self.exchange.into()))?;
        if let Some(nanos) = self.latency_nanos {
            to.key("latencyMs", Value::Millis(nanos))?;
        }
        if !self.frames.is_empty() {
            to.key("frames", Value::Numbers(&self.frames))?;
        }
        Ok(())
    }
}

impl Direction {
    const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// A number of milliseconds as a JSON number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Millis {
    Whole(u64),
    Part(f64),
}

impl Millis {
    pub(crate) const fn of(nanos: u64) -> Self {
        if nanos.is_multiple_of(1_000_000) {
            return Self::Whole(nanos / 1_000_000);
        }
        // Nanoseconds below 2⁵³ divide to the nearest double, whose shortest text has exactly their
        // digits.
        Self::Part(nanos as f64 / 1e6)
    }
}

impl Fields {
    /// Iterates over distinct names in order of first appearance, each with its first value and
    /// whether it repeats.
    pub(crate) fn distinct(&self) -> impl Iterator<Item = (&[u8], &[u8], bool)> {
        let repeated = self.repeated();
        let mut lines = self.lines().enumerate();
        std::iter::from_fn(move || {
            loop {
                let (i, (name, value)) = lines.next()?;
                if !repeated.may_have(name) {
                    return Some((name, value, false));
                }
                // A head has at most a few hundred fields, so looking back beats a table.
                if !self.lines().take(i).any(|(before, _)| before == name) {
                    return Some((name, value, self.lines().skip(i + 1).any(|(later, _)| later == name)));
                }
            }
        })
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = Entries(serializer.serialize_map(None)?);
        self.visit(&mut map)?;
        map.0.end()
    }
}

struct Entries<M>(M);

impl<M: SerializeMap> Visitor for Entries<M> {
    type Error = M::Error;

    fn key(&mut self, key: &'static str, value: Value<'_>) -> Result<(), M::Error> {
        self.0.serialize_entry(key, &value)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Time(time) => serializer.collect_str(&time),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Utf8(bytes) => serializer.serialize_str(checked(bytes)),
            Self::Base64(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            Self::Number(number) => serializer.serialize_u64(number),
            Self::Millis(nanos) => match Millis::of(nanos) {
                Millis::Whole(millis) => serializer.serialize_u64(millis),
                Millis::Part(millis) => serializer.serialize_f64(millis),
            },
            Self::True => serializer.serialize_bool(true),
            Self::Endpoint(endpoint) => endpoint.serialize(serializer),
            Self::Fields(fields) => fields.serialize(serializer),
            Self::Anomalies(set) => set.serialize(serializer),
            Self::Id(id) => serializer.collect_str(&id),
            Self::Numbers(numbers) => serializer.collect_seq(numbers),
        }
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value, again) in self.distinct() {
            let name = checked(name);
            if again {
                map.serialize_entry(name, &Values(self, name))?;
            } else {
                map.serialize_entry(name, checked(value))?;
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

impl Serialize for Direction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for AnomalySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|anomaly| anomaly.name()))
    }
}
