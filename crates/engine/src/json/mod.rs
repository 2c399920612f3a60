//! A message as one line of JSON.
//!
//! U+0085, U+2028 and U+2029 are escaped, which JSON does not ask for: much that reads "a line" ends one there too
//! (Python's `splitlines`, JavaScript before 2019). All else is what serde_json writes, byte for byte: a test compares
//! the two. Which keys there are is [`crate::message::shape`]'s. Next: [`text`], where the time goes.

mod escape;
mod fields;
mod lines;
mod text;

use std::convert::Infallible;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr2_iter;

use crate::key::Endpoint;
use crate::message::Message;
use crate::message::shape::{Listener, Millis, Value};
use crate::time::Rfc3339;
pub use lines::Lines;

impl Message {
    /// Appends its JSON and a line feed. Who writes many lines does it faster with [`Lines`].
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let mut lines = Lines::default();
        lines.push(self);
        out.extend_from_slice(lines.as_bytes());
    }
}

impl Lines {
    /// Appends the JSON of a message and a line feed.
    pub fn push(&mut self, message: &Message) {
        let start = self.len();
        let Ok(()) = message.tell(&mut Object { lines: self, before: b'{' });
        self.raw(b"}");
        self.escape_line_ends(start);
        self.raw(b"\n");
    }
}

/// A line in the making.
struct Object<'a> {
    lines: &'a mut Lines,
    /// What stands before the next key.
    before: u8,
}

impl Listener for Object<'_> {
    type Error = Infallible;

    // Inlined into the shape, where keys and kinds of values are known.
    #[inline(always)]
    fn key(&mut self, key: &'static str, value: Value<'_>) -> Result<(), Infallible> {
        // A key is a plain word: it needs no escape.
        self.lines.with_room(KEY_MAX, |room| {
            room[..2].copy_from_slice(&[self.before, b'"']);
            room[2..2 + key.len()].copy_from_slice(key.as_bytes());
            room[2 + key.len()..4 + key.len()].copy_from_slice(b"\":");
            4 + key.len()
        });
        self.before = b',';
        self.lines.value(value);
        Ok(())
    }
}

/// More than the longest key with its quotes.
const KEY_MAX: usize = 32;

impl Lines {
    #[inline(always)]
    fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Time(time) => self.quoted(time.write(&mut [0; Rfc3339::LEN_MAX])),
            Value::Text(text) => self.quoted(text.as_bytes()),
            Value::Utf8(text) => self.text(text),
            Value::Base64(bytes) => self.base64(bytes),
            Value::Number(number) => self.number(number),
            Value::Millis(nanos) => match Millis::of(nanos) {
                Millis::Whole(millis) => self.number(millis),
                // As serde_json writes it: with the same crate.
                Millis::Part(millis) => self.raw(zmij::Buffer::new().format(millis).as_bytes()),
            },
            Value::True => self.raw(b"true"),
            Value::Endpoint(endpoint) => self.endpoint(endpoint),
            Value::Fields(fields) => self.fields(fields),
            Value::Anomalies(set) => self.list(set.iter(), |lines, anomaly| lines.text(anomaly.name().as_bytes())),
            Value::Id(id) => self.quoted(&id.digits()),
            Value::Numbers(numbers) => self.list(numbers.iter(), |lines, number| lines.number(*number)),
        }
    }

    /// A string that is known to need no escape.
    #[inline(always)]
    fn quoted(&mut self, plain: &[u8]) {
        self.raw(b"\"");
        self.raw(plain);
        self.raw(b"\"");
    }

    fn number(&mut self, number: u64) {
        self.raw(itoa::Buffer::new().format(number).as_bytes());
    }

    fn endpoint(&mut self, endpoint: Endpoint) {
        self.raw(b"{\"ip\":\"");
        match endpoint.ip {
            IpAddr::V4(ip) => {
                for (place, octet) in ip.octets().into_iter().enumerate() {
                    if place > 0 {
                        self.raw(b".");
                    }
                    self.number(octet.into());
                }
            }
            IpAddr::V6(ip) => self.raw(ip.to_string().as_bytes()),
        }
        self.raw(b"\",\"port\":");
        self.number(endpoint.port.into());
        self.raw(b"}");
    }

    fn list<T>(&mut self, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.raw(b"[");
        for (place, item) in items.enumerate() {
            if place > 0 {
                self.raw(b",");
            }
            write(self, item);
        }
        self.raw(b"]");
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.raw(b"\"");
        // A multiple of three, so that only the last piece is padded.
        for piece in bytes.chunks(384) {
            self.with_room(512, |room| STANDARD.encode_slice(piece, room).unwrap_or(0));
        }
        self.raw(b"\"");
    }

    /// Escapes what ends a line for some, in the JSON that starts at `start`.
    ///
    /// Outside strings JSON is ASCII, so wherever these bytes stand they stand in a string. Measured over 300 000 messages
    /// of JSON bodies: looking at each piece between two escapes cost a fifth of the whole replay, once over the line nothing.
    fn escape_line_ends(&mut self, start: usize) {
        let json = &self.as_bytes()[start..];
        let escapes: Vec<_> = memchr2_iter(0xc2, 0xe2, json)
            .filter_map(|at| match &json[at..] {
                [0xc2, 0x85, ..] => Some((at, 2, b"\\u0085")),
                [0xe2, 0x80, 0xa8, ..] => Some((at, 3, b"\\u2028")),
                [0xe2, 0x80, 0xa9, ..] => Some((at, 3, b"\\u2029")),
                _ => None,
            })
            .collect();
        if escapes.is_empty() {
            return;
        }
        self.append(|out| {
            let json = out.split_off(start);
            let mut from = 0;
            for (at, length, escape) in escapes {
                out.extend_from_slice(&json[from..at]);
                out.extend_from_slice(escape);
                from = at + length;
            }
            out.extend_from_slice(&json[from..]);
        });
    }
}

#[cfg(test)]
mod tests;
