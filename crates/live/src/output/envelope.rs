//! A message ready for the outputs: its line, made once for all of them, and its key.

use std::fmt;

use bytes::Bytes;
use sniffer_engine::http::Direction;
use sniffer_engine::message::Message;
use sniffer_packet::key::FlowId;

/// A message on its way to an output. Cheap to clone unless it holds the message itself.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) key: Key,
    /// The message as JSON and a line feed; empty if no output wants it.
    pub(crate) line: Bytes,
    /// The message itself, for the callback only.
    pub(crate) message: Option<Box<Message>>,
}

/// Identifies a message. It is the same on every try and on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) connection: FlowId,
    pub(crate) exchange: u32,
    pub(crate) direction: Direction,
    /// Interim responses of its exchange that came before it: 1xx are messages of their own.
    pub(crate) interim: u32,
}

impl Key {
    pub(crate) const fn of(message: &Message) -> Self {
        let Message { connection, exchange, direction, interim, .. } = *message;
        Self { connection, exchange, direction, interim }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, exchange, direction, interim } = self;
        match direction {
            Direction::Request => write!(f, "{connection}-{exchange}-request"),
            Direction::Response => write!(f, "{connection}-{exchange}-response-{interim}"),
        }
    }
}

impl Envelope {
    /// Returns the bytes it counts for in a queue.
    pub(crate) fn size(&self) -> usize {
        /// Bytes that a queue keeps besides the contents.
        const OVERHEAD: usize = 256;
        let message = self.message.as_deref().map_or(0, |message| message.heap_size() + size_of::<Message>());
        OVERHEAD + self.line.len() + message
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns an envelope of about this size.
    pub(crate) fn envelope(exchange: u32, size: usize) -> Envelope {
        let key = Key { connection: FlowId::default(), exchange, direction: Direction::Request, interim: 0 };
        Envelope { key, line: Bytes::from(vec![b'x'; size]), message: None }
    }

    #[test]
    fn each_message_of_an_exchange_has_its_own_key() {
        let key =
            |direction, interim| Key { connection: FlowId::default(), exchange: 3, direction, interim }.to_string();
        assert_eq!(key(Direction::Request, 0), "0000000000000000-3-request");
        assert_eq!(key(Direction::Response, 0), "0000000000000000-3-response-0");
        assert_eq!(key(Direction::Response, 1), "0000000000000000-3-response-1");
    }
}
