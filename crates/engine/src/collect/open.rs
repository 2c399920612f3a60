//! Messages in the making: one for each direction of an exchange.

use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::{Endpoint, FlowId};

use crate::anomaly::{Anomaly, AnomalySet};
use crate::content;
use crate::event::Over;
use crate::http::Direction;
use crate::message::{Body, Fields, HeadText, Message, Order, Phase};

/// Capacity of a body that is kept for reuse; larger ones are rare.
const SPARE_BODY_MAX: usize = 64 << 10;

/// The messages that are open in one direction of a connection, by exchange.
///
/// HTTP/1 has one at most, which is found without a search; HTTP/2 and HTTP/3 have one for each
/// stream.
#[derive(Debug, Default)]
pub(super) struct OpenMessages {
    first: Option<Box<MessageBuilder>>,
    /// Sorted by exchange; `None` until two are open at once.
    #[expect(clippy::box_collection, reason = "every connection has two of these and nearly none has more messages")]
    more: Option<Box<Vec<Box<MessageBuilder>>>>,
}

/// The place of an open message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(super) slot: u32,
    pub(super) exchange: u32,
    pub(super) direction: Direction,
}

impl OpenMessages {
    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_none()
    }

    /// Adds the message of an exchange that has none open.
    pub(super) fn insert(&mut self, message: Box<MessageBuilder>) -> &mut Message {
        debug_assert!(self.get_mut(message.exchange()).is_none(), "a head follows the end of the message before it");
        if self.is_empty() {
            return &mut self.first.insert(message).message;
        }
        let more = self.more.get_or_insert_default();
        let at = more.partition_point(|open| open.exchange() < message.exchange());
        more.insert(at, message);
        &mut more[at].message
    }

    #[inline]
    pub(super) fn get_mut(&mut self, exchange: u32) -> Option<&mut MessageBuilder> {
        match &mut self.first {
            Some(first) if first.exchange() == exchange => Some(first),
            _ => {
                let more = self.more.as_deref_mut()?;
                let at = more.binary_search_by_key(&exchange, |open| open.exchange()).ok()?;
                Some(&mut more[at])
            }
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, exchange: u32) -> Option<Box<MessageBuilder>> {
        if self.first.as_ref().is_some_and(|first| first.exchange() == exchange) {
            return self.first.take();
        }
        let more = self.more.as_deref_mut()?;
        let at = more.binary_search_by_key(&exchange, |open| open.exchange()).ok()?;
        let removed = more.remove(at);
        if more.is_empty() {
            self.more = None;
        }
        Some(removed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &MessageBuilder> {
        self.first.iter().chain(self.more.iter().flat_map(|more| more.iter())).map(|open| &**open)
    }
}

/// A message in the making, or made.
#[derive(Debug)]
pub(crate) struct MessageBuilder {
    pub(super) message: Message,
    pub(super) body: Vec<u8>,
    /// Accounted bytes.
    pub(super) held: usize,
    /// Bytes it had when it was spare.
    pub(super) spare_bytes: usize,
}

impl MessageBuilder {
    /// A message that has only its head.
    pub(super) fn new(head: HeadText) -> Self {
        let nobody = Endpoint::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let message = Message {
            started: Stamp::default(),
            direction: Direction::Request,
            receiver: nobody,
            destination: nobody,
            head,
            trailers: Fields::default(),
            body: Body::Empty,
            body_size: 0,
            content_decoded: false,
            body_truncated: false,
            incomplete: None,
            missing_bytes: 0,
            anomalies: AnomalySet::EMPTY,
            connection: FlowId::default(),
            connection_first: 0,
            exchange: 0,
            interim: 0,
            over: Over::default(),
            latency_nanos: None,
            frames: Vec::new(),
            completed_by: 0,
            phase: Phase::Frame,
        };
        Self { message, body: Vec::new(), held: 0, spare_bytes: 0 }
    }

    /// Makes a message that was lent as good as new; its memory stays.
    pub(super) fn reuse(&mut self) {
        let head = self.message.head.take();
        let mut trailers = std::mem::take(&mut self.message.trailers);
        trailers.clear();
        let mut frames = std::mem::take(&mut self.message.frames);
        frames.clear();
        let mut body = match std::mem::take(&mut self.message.body) {
            Body::Empty => std::mem::take(&mut self.body),
            body => body.into_bytes(),
        };
        body.clear();
        if body.capacity() > SPARE_BODY_MAX {
            body = Vec::new();
        }
        *self = Self::new(head);
        self.message.trailers = trailers;
        self.message.frames = frames;
        self.body = body;
    }

    const fn exchange(&self) -> u32 {
        self.message.exchange
    }

    /// Returns its place in the output.
    pub(crate) const fn order(&self) -> Order {
        self.message.order()
    }

    /// Gives the message its body, its codings undone up to `decode_up_to` bytes. Returns what was
    /// odd about it.
    pub(super) fn complete(&mut self, decode_up_to: Option<usize>) -> Option<Anomaly> {
        let Self { message, body, .. } = self;
        let mut cut = message.body_truncated || message.incomplete.is_some();
        let decoded = match decode_up_to {
            Some(max) if !body.is_empty() => {
                content::decode(message.head.fields().values("content-encoding"), body, !cut, max)
            }
            _ => Ok(None),
        };
        let odd = match decoded {
            Ok(None) => None,
            Ok(Some(decoded)) => {
                *body = decoded.bytes;
                message.content_decoded = true;
                message.body_truncated |= decoded.truncated;
                cut |= decoded.truncated;
                None
            }
            Err(anomaly) => {
                message.anomalies.insert(anomaly);
                Some(anomaly)
            }
        };
        // A message without a body leaves the memory here.
        if !body.is_empty() {
            message.body = Body::new(std::mem::take(body), cut);
        }
        odd
    }

    /// Bytes of its memory, used or not.
    pub(super) fn capacity(&self) -> usize {
        let Self { message, body, .. } = self;
        let frames = message.frames.capacity() * size_of::<u64>();
        size_of::<Self>() + message.head.capacity() + message.trailers.capacity() + frames + body.capacity()
    }

    /// Accounted bytes, by what is used.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.message.head.held() + self.message.frames.len() * size_of::<u64>() + self.body.len()
    }

    pub(super) fn keep(&mut self, bytes: &[u8], max: usize) {
        self.message.body_size += bytes.len() as u64;
        // What follows a hole is never joined to what precedes it; nor what follows bytes that were
        // shed.
        if self.message.missing_bytes > 0 || self.message.anomalies.contains(Anomaly::BodyShed) {
            return;
        }
        let keep = bytes.len().min(max - self.body.len());
        self.message.body_truncated |= keep < bytes.len();
        // Grows by a quarter, not twofold: many bodies that grow in step must not take twice what
        // is accounted for them.
        if self.body.capacity() - self.body.len() < keep {
            self.body.reserve_exact(keep.max(self.body.len() / 4));
        }
        self.body.extend_from_slice(&bytes[..keep]);
    }

    pub(super) fn carried_by(&mut self, stamp: Stamp, track_frames: bool) {
        if track_frames && self.message.frames.last() != Some(&stamp.number) {
            self.message.frames.push(stamp.number);
        }
    }
}
