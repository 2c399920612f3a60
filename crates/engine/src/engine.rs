//! The engine: frames in, events out.
//!
//! ```text
//! Frame ──intake──▶ Segment ──flow──▶ tcp ──▶ Delivery ──app──▶ http1 ──▶ Event
//! ```
//!
//! The lower level of the API. Next: [`crate::extract`], which gives whole messages.

use sniffer_packet::frame::Frame;
use sniffer_packet::intake::{Intake, Now, Step};
use sniffer_packet::key::Endpoint;
use sniffer_packet::time::Timestamp;

use crate::config::Config;
use crate::event::Sink;
use crate::flow::Flows;
use crate::ledger::Ledger;

/// Frames in, events out.
///
/// Time comes in with every call and never goes back; an event borrows the frame and dies with the
/// call; `finish` comes last.
#[derive(Debug)]
pub struct Engine {
    intake: Intake,
    flows: Flows,
}

impl Engine {
    /// Returns an engine that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self { intake: Intake::new(&config.packet()), flows: Flows::new(config) }
    }

    /// Takes the next frame and gives the events it causes. Bad traffic is data: there is no error.
    pub fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) {
        let Self { intake, flows } = self;
        intake.push(frame, |step, now| take(flows, step, now, sink));
    }

    /// Lets time pass without a frame: connections time out, and holes are declared.
    pub fn advance(&mut self, now: Timestamp, sink: &mut dyn Sink) {
        let Self { intake, flows } = self;
        intake.advance(now, |step, now| take(flows, step, now, sink));
    }

    /// Ends the capture: everything open is delivered, flagged. Nothing may be pushed after it.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        let now = self.intake.finish();
        for (_, slot) in self.flows.in_order() {
            self.flows.end_with_capture(slot, &now, sink);
        }
    }

    /// Evicts the connection that is cheapest to lose: the oldest half-open one, else the least
    /// recently active. Returns whether there was one.
    pub fn evict(&mut self, sink: &mut dyn Sink) -> bool {
        self.flows.evict(&self.intake.moment(), sink)
    }

    /// Drops the copies kept for conflict detection. No message is lost.
    pub fn drop_history(&mut self) {
        self.flows.drop_history();
    }

    /// Counts connections with this endpoint as our own traffic from here on.
    pub fn exclude(&mut self, own: Endpoint) {
        self.flows.exclude(own);
    }

    /// Returns the accounts so far.
    pub const fn ledger(&self) -> &Ledger {
        self.flows.ledger()
    }

    /// Returns the accounted bytes held for connections and fragments.
    pub fn held(&mut self) -> usize {
        self.flows.held() + self.intake.held()
    }

    /// Returns the payload bytes that are held and have no fate yet; equals [`Ledger::balance`] at
    /// any time. Walks all connections.
    pub fn pending(&self) -> usize {
        self.flows.held_payload()
    }
}

fn take(flows: &mut Flows, step: Step<'_, '_>, now: &Now, sink: &mut dyn Sink) {
    match step {
        Step::Frame(fate) => flows.ledger_mut().count_frame(fate),
        Step::Tick(mut passed) => {
            while let Some(second) = flows.due(&mut passed) {
                flows.tick(second, now, sink);
            }
        }
        Step::Segment { segment, stamp, overlap, .. } => {
            flows.segment(segment, overlap, &Now { frame: stamp, ..*now }, sink);
        }
        Step::Datagram { datagram, .. } => flows.ledger_mut().count_datagram(datagram.payload.len()),
    }
}
