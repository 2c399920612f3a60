//! Frames in, whole messages out: an [`Engine`] with a [`Collector`] behind it, in the order of output.

use crate::budget::Budget;
use crate::collect::Collector;
use crate::config::Config;
use crate::engine::Engine;
use crate::event::{Event, Sink};
use crate::frame::Frame;
use crate::key::Endpoint;
use crate::ledger::Ledger;
use crate::message::Message;
use crate::time::Timestamp;

/// The upper height of the API, made only of the lower. A watcher sees the events that the messages are made of.
#[derive(Debug)]
pub struct Extractor<W = Unwatched> {
    engine: Engine,
    collector: Collector,
    budget: Budget,
    watcher: W,
}

/// No watcher.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Unwatched;

impl Sink for Unwatched {
    #[inline(always)]
    fn event(&mut self, _event: Event<'_>) {}
}

/// Collects, and lets the watcher see.
struct Both<'a, W>(&'a mut Collector, &'a mut W);

impl<W: Sink> Sink for Both<'_, W> {
    fn event(&mut self, event: Event<'_>) {
        self.1.event(event);
        self.0.event(event);
    }
}

impl Extractor {
    /// An extractor that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self::watched(config, Unwatched)
    }
}

impl<W: Sink> Extractor<W> {
    /// An extractor that has seen nothing, with a watcher.
    pub fn watched(config: Config, watcher: W) -> Self {
        Self {
            watcher,
            collector: Collector::new(&config),
            budget: Budget::new(config.limits.held_bytes_max),
            engine: Engine::new(config),
        }
    }

    /// Takes the next frame and gives the messages it completes, in order.
    pub fn push(&mut self, frame: &Frame<'_>, out: &mut dyn FnMut(Message)) {
        let before = self.ledger().payload();
        self.engine.push(frame, &mut Both(&mut self.collector, &mut self.watcher));
        let payload = self.ledger().payload() - before;
        if self.budget.spend(payload as usize) && self.held() > self.budget.max() {
            self.shed();
        }
        self.give(out);
    }

    /// Lets time pass without a frame.
    pub fn advance(&mut self, now: Timestamp, out: &mut dyn FnMut(Message)) {
        self.engine.advance(now, &mut Both(&mut self.collector, &mut self.watcher));
        self.give(out);
    }

    /// Ends the capture: gives what is open, flagged. Nothing may be pushed after it.
    pub fn finish(&mut self, out: &mut dyn FnMut(Message)) {
        self.engine.finish(&mut Both(&mut self.collector, &mut self.watcher));
        self.give(out);
    }

    /// The watcher.
    pub const fn watcher(&mut self) -> &mut W {
        &mut self.watcher
    }

    /// Counts connections with this endpoint as our own traffic from here on.
    pub fn leave_out(&mut self, own: Endpoint) {
        self.engine.leave_out(own);
    }

    /// The accounts so far.
    pub const fn ledger(&self) -> &Ledger {
        self.engine.ledger()
    }

    /// Payload bytes that are held and have no fate yet.
    pub fn pending(&self) -> usize {
        self.engine.pending()
    }

    /// Accounted bytes held.
    pub fn held(&self) -> usize {
        self.engine.held() + self.collector.held()
    }

    /// Gives memory back in the order of policy 21: copies kept for comparing, bodies, then connections.
    fn shed(&mut self) {
        let target = self.budget.target();
        self.engine.forget_copies();
        if let Some(over) = self.held().checked_sub(target) {
            self.collector.shed_bodies(over);
        }
        while self.held() > target && self.engine.evict(&mut Both(&mut self.collector, &mut self.watcher)) {}
    }

    fn give(&mut self, out: &mut dyn FnMut(Message)) {
        for anomaly in self.collector.drain_anomalies() {
            self.engine.count_anomaly(anomaly);
        }
        self.collector.sort();
        self.collector.drain().for_each(|mut message| {
            self.engine.add_carriers(&mut message.frames);
            out(message);
        });
    }
}
