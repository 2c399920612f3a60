//! From a message to the queues: redaction first, then the line, made once for all outputs.
//!
//! It also holds back what a sniffer posted ([`OwnPosts`]).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sniffer_engine::json::Lines;
use sniffer_engine::message::Message;
use sniffer_packet::key::FlowId;
use tracing::warn;

use super::own_posts::OwnPosts;
use crate::log::Throttle;
use crate::output::Output;
use crate::output::envelope::{Envelope, Key};
use crate::output::queue::Reason;

pub(super) struct Emitter {
    outputs: Arc<[Output]>,
    full: Vec<Throttle>,
    redact: Vec<String>,
    posts: OwnPosts,
    /// Buffer for a line.
    line: Lines,
}

/// Memory that the line buffer keeps, at most.
const LINE: usize = 1 << 20;

impl Emitter {
    pub(super) fn new(outputs: Arc<[Output]>, redact: Vec<String>, posts: OwnPosts) -> Self {
        let full = outputs.iter().map(|_| Throttle::new(1)).collect();
        Self { outputs, full, redact, posts, line: Lines::default() }
    }

    pub(super) fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Puts a message into the queue of every output.
    pub(super) fn message(&mut self, message: &mut Message) {
        let key = Key::of(message);
        if self.posts.has(message.connection) {
            return;
        }
        message.redact(&self.redact);
        let mut line = Bytes::new();
        if self.outputs.iter().any(|output| !output.wants_message) {
            self.line.push(message);
            line = Bytes::copy_from_slice(self.line.as_bytes());
            self.line.clear(LINE);
        }
        for (output, full) in self.outputs.iter().zip(&mut self.full) {
            let envelope = match output.wants_message {
                true => Envelope { key, line: Bytes::new(), message: Some(Box::new(message.clone())) },
                false => Envelope { key, line: line.clone(), message: None },
            };
            if output.queue.offer(envelope) == Err(Reason::QueueFull)
                && let Some(held_back) = full.pass(Instant::now())
            {
                let dropped = output.queue.tally().dropped(Reason::QueueFull);
                warn!(output = output.name, dropped, notLogged = held_back, "message dropped: the output is too slow");
            }
        }
    }

    /// Forgets connections that are gone.
    pub(super) fn forget(&mut self, closed: impl Iterator<Item = FlowId>) {
        for id in closed {
            self.posts.forget(id);
        }
    }
}
