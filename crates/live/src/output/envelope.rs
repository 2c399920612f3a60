//! A message ready for outputs: its line, made once for all of them, and what identifies it.

use std::fmt;

use bytes::Bytes;
use sniffer_engine::http::Direction;
use sniffer_engine::message::Message;
use sniffer_packet::key::FlowId;

/// A message on its way out. Cheap to clone unless it holds the message itself.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) key: Key,
    /// Its JSON and a line feed; empty where no output wants it.
    pub(crate) line: Bytes,
    /// For the callback only.
    pub(crate) message: Option<Box<Message>>,
}

/// What identifies a message: equal on every try and every machine.
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
    /// Its share of a queue's room, in bytes.
    pub(crate) fn size(&self) -> usize {
        /// What a queue keeps beside the contents.
        const OVERHEAD: usize = 256;
        let message = self.message.as_ref().map_or(0, |message| {
            let fields: usize = message.fields().iter().map(|(name, value)| name.len() + value.len() + 8).sum();
            fields + message.target().map_or(0, str::len) + message.body.as_bytes().len() + size_of::<Message>()
        });
        OVERHEAD + self.line.len() + message
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An envelope of about this size.
    pub(crate) fn envelope(exchange: u32, size: usize) -> Envelope {
        let key = Key { connection: FlowId::default(), exchange, direction: Direction::Request, interim: 0 };
        Envelope { key, line: Bytes::from(vec![b'x'; size]), message: None }
    }

    #[test]
    fn each_message_of_an_exchange_has_a_key_of_its_own() {
        let key =
            |direction, interim| Key { connection: FlowId::default(), exchange: 3, direction, interim }.to_string();
        assert_eq!(key(Direction::Request, 0), "0000000000000000-3-request");
        assert_eq!(key(Direction::Response, 0), "0000000000000000-3-response-0");
        assert_eq!(key(Direction::Response, 1), "0000000000000000-3-response-1");
    }
}
