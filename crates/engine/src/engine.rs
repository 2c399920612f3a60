//! The engine: frames in, events out. The only file but [`crate::shard`] and [`crate::extract`] that sees all layers.
//!
//! ```text
//! Frame ──intake──▶ Segment ──flow──▶ tcp ──▶ Delivery ──http──▶ Event
//! ```

use sniffer_packet::defrag::Overlap;
use sniffer_packet::fate::FrameFate;
use sniffer_packet::frame::{Frame, Stamp};
use sniffer_packet::intake::{Intake, Now, Step};
use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::Segment;
use sniffer_packet::time::{Seconds, Timestamp};

use crate::anomaly::Anomaly;
use crate::config::Config;
use crate::event::{Began, Sink};
use crate::flow::{Activity, Flows, Surroundings};
use crate::ledger::Ledger;

/// Frames in, events out.
///
/// Time comes in with every call and never goes back; an event borrows the frame and dies with the call; `finish`
/// comes last.
#[derive(Debug)]
pub struct Engine {
    intake: Intake,
    tracker: Tracker,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self { intake: Intake::new(&config.packet()), tracker: Tracker::new(config) }
    }

    /// Takes the next frame and gives the events it causes. Bad traffic is data: there is no error.
    pub fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) {
        let Self { intake, tracker } = self;
        intake.push(frame, |step, moment| tracker.take(step, moment, sink));
    }

    /// Lets time pass without a frame: what waited long enough is given up.
    pub fn advance(&mut self, now: Timestamp, sink: &mut dyn Sink) {
        let Self { intake, tracker } = self;
        intake.advance(now, |step, moment| tracker.take(step, moment, sink));
    }

    /// Ends the capture: everything open is delivered, flagged. Nothing may be pushed after it.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        let moment = self.intake.finish();
        for (_, slot) in self.tracker.in_order() {
            self.tracker.end(slot, &moment, sink);
        }
    }

    /// Gives up the connection that is missed least: the oldest half-open one, else the least recently active. Whether there
    /// was one.
    pub fn evict(&mut self, sink: &mut dyn Sink) -> bool {
        self.tracker.evict(&self.intake.moment(), sink)
    }

    /// Gives up the copies of delivered bytes that are kept to tell conflicting ones: they cost no message.
    pub fn drop_history(&mut self) {
        self.tracker.drop_history();
    }

    /// EventCounts connections with this endpoint as our own traffic from here on.
    pub fn exclude(&mut self, own: Endpoint) {
        self.tracker.exclude(own);
    }

    /// The accounts so far.
    pub const fn ledger(&self) -> &Ledger {
        self.tracker.ledger()
    }

    /// Accounted bytes held for connections.
    pub fn held(&mut self) -> usize {
        self.tracker.held() + self.intake.held()
    }

    /// Payload bytes that are held and have no fate yet; equals [`Ledger::balance`] at any time. Walks all connections.
    pub fn pending(&self) -> usize {
        self.tracker.pending()
    }
}

/// The second half of an engine: the connections, and the accounts of what came to them.
#[derive(Debug)]
pub(crate) struct Tracker {
    config: Config,
    flows: Flows,
    ledger: Ledger,
}

impl Tracker {
    pub(crate) fn new(config: Config) -> Self {
        Self { flows: Flows::new(&config), ledger: Ledger::default(), config }
    }

    pub(crate) fn exclude(&mut self, own: Endpoint) {
        if !self.config.own_traffic.contains(&own) {
            self.config.own_traffic.push(own);
        }
    }

    fn take(&mut self, step: Step<'_, '_>, moment: &Now, sink: &mut dyn Sink) {
        match step {
            Step::Frame(fate) => self.count_frame(fate),
            Step::Tick(mut passed) => {
                while let Some(second) = self.due(&mut passed) {
                    self.tick(second, moment, sink);
                }
            }
            Step::Segment { segment, stamp, overlap, .. } => self.segment(segment, stamp, overlap, moment, sink),
            Step::Datagram { datagram, .. } => self.count_datagram(datagram.payload.len()),
        }
    }

    #[inline]
    pub(crate) const fn count_frame(&mut self, fate: FrameFate) {
        self.ledger.count_frame(fate);
    }

    #[inline]
    pub(crate) const fn count_datagram(&mut self, payload: usize) {
        self.ledger.count_datagram(payload);
    }

    #[inline]
    pub(crate) fn segment(
        &mut self,
        segment: &Segment<'_>,
        stamp: Stamp,
        overlap: Overlap,
        moment: &Now,
        sink: &mut dyn Sink,
    ) {
        self.ledger.tcp_mut().0.receive(segment.payload.len());
        let Self { config, ledger, flows } = self;
        let Now { now, segment_number, .. } = *moment;
        flows.segment(segment, overlap, &mut Surroundings { config, ledger, sink, stamp, now, segment_number });
    }

    /// The first of these seconds at which time-outs are due in any connection; those up to it are taken from them.
    pub(crate) fn due(&self, left: &mut Seconds) -> Option<u64> {
        let due = self.flows.due(self.config.limits.idle_timeout)?.max(left.first);
        left.first = due + 1;
        (due <= left.last).then_some(due)
    }

    /// Lets a second pass.
    pub(crate) fn tick(&mut self, second: u64, moment: &Now, sink: &mut dyn Sink) {
        let moment = &Now { now: Timestamp::new(second, 0), ..*moment };
        let mut around = surroundings(&self.config, &mut self.ledger, sink, moment);
        self.flows.tick(&mut around);
    }

    /// Connections that are open, as they are to end with the capture; their slots.
    pub(crate) fn in_order(&self) -> Vec<(Began, u32)> {
        self.flows.in_order()
    }

    /// Ends a connection with the capture.
    pub(crate) fn end(&mut self, slot: u32, moment: &Now, sink: &mut dyn Sink) {
        let mut around = surroundings(&self.config, &mut self.ledger, sink, moment);
        self.flows.end_with_capture(slot, &mut around);
    }

    /// What [`Self::evict`] would take next; the least of several trackers is the one to go.
    pub(crate) fn eviction_candidate(&self, moment: &Now) -> Option<Activity> {
        self.flows.eviction_candidate(moment.segment_number)
    }

    pub(crate) fn evict(&mut self, moment: &Now, sink: &mut dyn Sink) -> bool {
        let mut around = surroundings(&self.config, &mut self.ledger, sink, moment);
        self.flows.evict(&mut around)
    }

    pub(crate) fn drop_history(&mut self) {
        self.flows.drop_history();
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// EventCounts what only a later stage can see.
    pub(crate) const fn count_anomaly(&mut self, anomaly: Anomaly) {
        self.ledger.counts_mut().anomaly(anomaly);
    }

    pub(crate) fn held(&mut self) -> usize {
        self.flows.held()
    }

    pub(crate) fn pending(&self) -> usize {
        self.flows.held_payload()
    }
}

/// Of what is done without a segment.
fn surroundings<'a>(
    config: &'a Config,
    ledger: &'a mut Ledger,
    sink: &'a mut dyn Sink,
    moment: &Now,
) -> Surroundings<'a> {
    let Now { frame: stamp, now, segment_number } = *moment;
    Surroundings { config, ledger, sink, stamp, now, segment_number }
}
