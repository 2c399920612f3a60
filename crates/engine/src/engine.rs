//! The engine: the only file that sees all layers.
//!
//! ```text
//! Frame ──decode──▶ Segment ──flow──▶ tcp ──▶ Delivery ──http──▶ Event
//! ```

use crate::anomaly::Anomaly;
use crate::clock::Clock;
use crate::config::Config;
use crate::decode::{self, Decoded, Layer, Segment, Skipped};
use crate::defrag::{self, Datagram, Defrag};
use crate::event::Sink;
use crate::flow::{Flows, Surroundings};
use crate::frame::{Frame, Stamp};
use crate::key::Endpoint;
use crate::ledger::{FrameFate, Ledger};
use crate::time::Timestamp;

/// Frames in, events out.
///
/// Time comes in with every call and never goes back; an event borrows the frame and dies with the call; `finish`
/// comes last.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    clock: Clock,
    defrag: Defrag,
    /// Only when frames are tracked.
    carriers: Option<defrag::Carriers>,
    flows: Flows,
    ledger: Ledger,
    /// The last frame pushed.
    stamp: Stamp,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self {
            clock: Clock::default(),
            defrag: Defrag::new(config.limits.defrag, config.hash_key),
            carriers: config.track_frames.then(|| defrag::Carriers::new(config.hash_key)),
            flows: Flows::new(&config),
            ledger: Ledger::default(),
            stamp: Stamp::default(),
            config,
        }
    }

    /// Takes the next frame and gives the events it causes. Bad traffic is data: there is no error.
    pub fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) {
        self.stamp = frame.stamp();
        let reading = self.clock.read(frame.time);
        if reading.tick {
            self.tick(sink);
        }
        let mut counted = false;
        decode::decode_each(frame, |decoded| {
            // A frame is counted once, by the first packet in it.
            if !std::mem::replace(&mut counted, true) {
                self.ledger.count_frame(frame_fate(&decoded));
            }
            match decoded {
                Decoded::Segment(segment) => self.segment(&segment, frame.stamp(), None, sink),
                Decoded::Fragment(fragment) => {
                    if let defrag::Outcome::Whole(datagram) = self.defrag.push(&fragment, reading.now, frame.stamp()) {
                        self.datagram(datagram, sink);
                    }
                }
                Decoded::Skipped(_) => {}
            }
        });
    }

    /// Takes a datagram that was put together; it may hold a fragment of another, one tunnel further in.
    fn datagram(&mut self, mut datagram: Datagram, sink: &mut dyn Sink) {
        loop {
            if let Some(carriers) = &mut self.carriers {
                carriers.remember(&datagram);
            }
            let conflict = (datagram.overlap == defrag::Overlap::Conflicting).then_some(Anomaly::FragmentOverlap);
            let next = match decode::decode_datagram(&datagram.facts, &datagram.bytes) {
                Decoded::Segment(segment) => return self.segment(&segment, datagram.first, conflict, sink),
                Decoded::Fragment(fragment) => self.defrag.push(&fragment, self.clock.now(), datagram.first),
                Decoded::Skipped(_) => return,
            };
            match next {
                defrag::Outcome::Whole(inner) => datagram = inner,
                defrag::Outcome::Waiting | defrag::Outcome::Discarded(_) => return,
            }
        }
    }

    /// Lets time pass without a frame: what waited long enough is given up.
    pub fn advance(&mut self, now: Timestamp, sink: &mut dyn Sink) {
        if self.clock.read(now).tick {
            self.tick(sink);
        }
    }

    /// Ends the capture: everything open is delivered, flagged. Nothing may be pushed after it.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        self.defrag.finish();
        let mut around = surroundings(&self.config, &mut self.ledger, sink, self.stamp, self.clock.now());
        self.flows.finish(&mut around);
    }

    /// Gives up the connection that is missed least: the oldest half-open one, else the least recently active. Whether there
    /// was one.
    pub fn evict(&mut self, sink: &mut dyn Sink) -> bool {
        let mut around = surroundings(&self.config, &mut self.ledger, sink, self.stamp, self.clock.now());
        self.flows.evict(&mut around)
    }

    /// Gives up the copies of delivered bytes that are kept to tell conflicting ones: they cost no message.
    pub fn forget_copies(&mut self) {
        self.flows.forget_copies();
    }

    /// Counts connections with this endpoint as our own traffic from here on.
    pub fn leave_out(&mut self, own: Endpoint) {
        if !self.config.own_traffic.contains(&own) {
            self.config.own_traffic.push(own);
        }
    }

    /// The accounts so far.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Adds to the numbers of frames those of the other fragments of datagrams whose first byte they carried.
    pub(crate) fn add_carriers(&self, frames: &mut Vec<u64>) {
        if let Some(carriers) = &self.carriers {
            carriers.add_to(frames);
        }
    }

    /// Counts what only a later stage can see.
    pub(crate) const fn count_anomaly(&mut self, anomaly: Anomaly) {
        self.ledger.count_anomaly(anomaly);
    }

    /// Accounted bytes held for connections.
    pub fn held(&self) -> usize {
        self.flows.held() + self.defrag.held_bytes()
    }

    /// Payload bytes that are held and have no fate yet; equals [`Ledger::balance`] at any time. Walks all connections.
    pub fn pending(&self) -> usize {
        self.flows.held_payload()
    }

    fn tick(&mut self, sink: &mut dyn Sink) {
        self.defrag.clear_expired(self.clock.now());
        let mut around = surroundings(&self.config, &mut self.ledger, sink, self.stamp, self.clock.now());
        self.flows.tick(&mut around);
    }

    fn segment(&mut self, segment: &Segment<'_>, stamp: Stamp, odd: Option<Anomaly>, sink: &mut dyn Sink) {
        self.ledger.received(segment.payload.len());
        let mut around = surroundings(&self.config, &mut self.ledger, sink, stamp, self.clock.now());
        self.flows.segment(segment, odd, &mut around);
    }
}

fn surroundings<'a>(
    config: &'a Config,
    ledger: &'a mut Ledger,
    sink: &'a mut dyn Sink,
    stamp: Stamp,
    now: Timestamp,
) -> Surroundings<'a> {
    Surroundings { config, ledger, sink, stamp, now }
}

const fn frame_fate(decoded: &Decoded<'_>) -> FrameFate {
    match decoded {
        Decoded::Segment(_) => FrameFate::Tcp,
        Decoded::Fragment(_) => FrameFate::Fragment,
        Decoded::Skipped(why) => match why {
            Skipped::NotTcp => FrameFate::NotTcp,
            Skipped::UnknownLinkType => FrameFate::UnknownLinkType,
            Skipped::TooDeep => FrameFate::TooDeep,
            Skipped::Malformed(layer) => match layer {
                Layer::Link => FrameFate::MalformedLink,
                Layer::Tunnel => FrameFate::MalformedTunnel,
                Layer::Ip => FrameFate::MalformedIp,
                Layer::Tcp => FrameFate::MalformedTcp,
            },
        },
    }
}
