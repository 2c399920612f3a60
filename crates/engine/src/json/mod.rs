//! Writes a message as one line of JSON.
//!
//! U+0085, U+2028 and U+2029 are escaped, which JSON does not require: many readers end a line there
//! too (Python's `splitlines`, JavaScript before 2019). Everything else is what serde_json writes, byte
//! for byte; a test compares the two. [`crate::message::shape`] defines the keys. Next: [`escape`],
//! where most of the time goes.

mod escape;
mod fields;
mod lines;
mod small;
mod text;

use std::convert::Infallible;
use std::mem;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr2_iter;

use crate::message::Message;
use crate::message::shape::{Value, Visitor};
pub use lines::Lines;
use small::{small, write_number};

impl Message {
    /// Appends the message's JSON and a line feed. [`Lines`] is faster for many messages.
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
        let Ok(()) = message.visit(&mut Object { lines: self, before: b'{' });
        self.raw(b"}");
        self.escape_line_ends(start);
        self.raw(b"\n");
    }
}

/// The line being written.
struct Object<'a> {
    lines: &'a mut Lines,
    /// Byte before the next key: an opening brace or a comma.
    before: u8,
}

impl Visitor for Object<'_> {
    type Error = Infallible;

    // Inlined into `Message::visit`, which knows the keys and the kinds of values.
    #[inline(always)]
    fn key(&mut self, key: &'static str, value: Value<'_>) -> Result<(), Infallible> {
        let before = mem::replace(&mut self.before, b',');
        self.lines.with_small_room(
            #[inline(always)]
            |room| {
                // A key is a plain word and needs no escape.
                room[..2].copy_from_slice(&[before, b'"']);
                room[2..2 + key.len()].copy_from_slice(key.as_bytes());
                room[2 + key.len()..4 + key.len()].copy_from_slice(b"\":");
                let at = 4 + key.len();
                at + small(value, &mut room[at..])
            },
        );
        self.lines.large(value);
        Ok(())
    }
}

impl Lines {
    /// Writes a value of any length.
    #[inline(always)]
    fn large(&mut self, value: Value<'_>) {
        match value {
            Value::Utf8(text) => self.text(text),
            Value::Base64(bytes) => self.base64(bytes),
            Value::Fields(fields) => self.fields(fields),
            Value::Anomalies(set) => self.list(set.iter(), |lines, anomaly| lines.text(anomaly.name().as_bytes())),
            Value::Numbers(numbers) => self.list(numbers.iter(), |lines, number| {
                lines.with_small_room(|room| write_number(*number, room));
            }),
            _ => {}
        }
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
        // 384 is a multiple of three, so only the last piece is padded.
        for piece in bytes.chunks(384) {
            self.with_room(512, |room| STANDARD.encode_slice(piece, room).unwrap_or(0));
        }
        self.raw(b"\"");
    }

    /// Escapes the additional line ends in the JSON that starts at `start`.
    ///
    /// JSON is ASCII outside strings, so these bytes can only stand in a string. One pass over the line
    /// is cheaper than a check of each piece between two escapes (see NOTES#line-ends).
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
