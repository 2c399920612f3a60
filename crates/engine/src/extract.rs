//! Frames in, whole messages out: an [`Intake`] and one [`Shard`], under the memory budget.
//!
//! The upper level of the API.

use sniffer_packet::frame::Frame;
use sniffer_packet::intake::{Intake, Step};
use sniffer_packet::key::Endpoint;
use sniffer_packet::time::Timestamp;

use crate::budget::Budget;
use crate::config::Config;
use crate::event::Sink;
use crate::ledger::Ledger;
use crate::message::Message;
use crate::shard::{NoObserver, Shard, finish, shed};

/// Frames in, whole messages out. An observer sees the events that the messages are made of.
#[derive(Debug)]
pub struct Extractor<W = NoObserver> {
    intake: Intake,
    shard: Shard<W>,
    budget: Budget,
}

impl Extractor {
    /// Returns an extractor that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self::with_observer(config, NoObserver)
    }
}

impl<W: Sink> Extractor<W> {
    /// Returns an extractor that has seen nothing, with an observer.
    pub fn with_observer(config: Config, observer: W) -> Self {
        Self {
            intake: Intake::new(&config.packet()),
            budget: Budget::new(config.limits.held_bytes_max),
            shard: Shard::with_observer(config, observer),
        }
    }

    /// Takes the next frame and lends the messages it completes, in order. Clone a message to keep
    /// it; its buffers are reused.
    pub fn push(&mut self, frame: &Frame<'_>, out: &mut dyn FnMut(&mut Message)) {
        self.take(frame, out);
        self.flush(out);
    }

    /// Like [`Self::push`], for callers with many frames: lends messages in batches, which is
    /// faster. Call [`Self::flush`] after the last frame.
    pub fn take(&mut self, frame: &Frame<'_>, out: &mut dyn FnMut(&mut Message)) {
        let Self { intake, shard, budget } = self;
        let mut payload = 0;
        intake.push(
            frame,
            #[inline(always)]
            |step, moment| {
                if let Step::Segment { segment, .. } = step {
                    payload += segment.payload.len();
                }
                shard.take(step, moment, out);
            },
        );
        if budget.spend(payload) && self.held() > self.budget.max() {
            let target = self.budget.target().saturating_sub(self.intake.held());
            shed(&mut [&mut self.shard], target, &self.intake.moment(), out);
        }
        self.shard.seal(frame.number, out);
    }

    /// Lends the messages that frames which were [taken](Self::take) completed and that were not
    /// lent yet.
    pub fn flush(&mut self, out: &mut dyn FnMut(&mut Message)) {
        self.shard.emit(out);
    }

    /// Lets time pass without a frame.
    pub fn advance(&mut self, now: Timestamp, out: &mut dyn FnMut(&mut Message)) {
        let Self { intake, shard, .. } = self;
        intake.advance(now, |step, moment| shard.take(step, moment, out));
        self.flush(out);
    }

    /// Ends the capture: lends what is open, flagged. Nothing may be pushed after it.
    pub fn finish(&mut self, out: &mut dyn FnMut(&mut Message)) {
        self.flush(out);
        let moment = self.intake.finish();
        finish(&mut [&mut self.shard], &moment, out);
    }

    /// Returns the observer.
    pub const fn observer(&mut self) -> &mut W {
        self.shard.observer()
    }

    /// Counts connections with this endpoint as our own traffic from here on.
    pub fn exclude(&mut self, own: Endpoint) {
        self.shard.flows.exclude(own);
    }

    /// Returns the accounts so far.
    pub const fn ledger(&self) -> &Ledger {
        self.shard.flows.ledger()
    }

    /// Returns the payload bytes that are held and have no fate yet.
    pub fn pending(&self) -> usize {
        self.shard.flows.held_payload()
    }

    /// Returns the accounted bytes held.
    pub fn held(&mut self) -> usize {
        self.intake.held() + self.shard.held()
    }
}
