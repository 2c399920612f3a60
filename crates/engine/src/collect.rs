//! Whole messages, made only of events.
//!
//! Knows nothing of packets; at most one message is open in each direction of a connection.

use std::cmp::Reverse;

use crate::anomaly::{Anomaly, AnomalySet};
use crate::config::Config;
use crate::content;
use crate::event::{About, Completion, Direction, Event, Head, Sink};
use crate::frame::Stamp;
use crate::message::{Body, Fields, HeadText, Message};

/// Kept bytes of a body that are worth taking back: less than this is little beside what its connection costs.
const SHED_MIN: usize = 4096;

/// Turns events into [`Message`]s.
#[derive(Debug)]
pub struct Collector {
    body_bytes_max: usize,
    decode_content: bool,
    track_frames: bool,
    /// By slot of the connection, then direction.
    open: Vec<[Option<Box<Open>>; 2]>,
    held: usize,
    ready: Vec<Message>,
    /// What was odd about contents, which only shows here.
    odd: Vec<Anomaly>,
}

#[derive(Debug)]
struct Open {
    message: Message,
    body: Vec<u8>,
    /// Accounted bytes.
    held: usize,
}

impl Collector {
    /// A collector that keeps as much as `config` says.
    pub fn new(config: &Config) -> Self {
        Self {
            body_bytes_max: config.limits.body_bytes_max,
            decode_content: config.decode_content,
            track_frames: config.track_frames,
            open: Vec::new(),
            held: 0,
            ready: Vec::new(),
            odd: Vec::new(),
        }
    }

    /// Accounted bytes of messages that are not whole yet.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Anomalies of contents since the last call, for the accounts.
    pub(crate) fn drain_anomalies(&mut self) -> impl Iterator<Item = Anomaly> {
        self.odd.drain(..)
    }

    /// Messages that ended since the last call, in the order of their events.
    pub fn drain(&mut self) -> impl Iterator<Item = Message> {
        self.ready.drain(..)
    }

    /// Puts the messages that are ready in the order of output: connection's first frame, exchange, request first.
    pub(crate) fn sort(&mut self) {
        if self.ready.len() > 1 {
            self.ready.sort_by_key(Message::order);
        }
    }

    fn start(
        &mut self,
        about: &About<'_>,
        exchange: u32,
        head: &Head<'_>,
        frames: &[Stamp],
        latency_nanos: Option<u64>,
    ) {
        let message = Message {
            started: frames.first().copied().unwrap_or(about.stamp),
            direction: about.direction,
            receiver: about.flow.receiver(),
            destination: about.flow.destination(),
            head: HeadText::new(head),
            trailers: Fields::default(),
            body: Body::Empty,
            body_size: 0,
            content_decoded: false,
            body_truncated: false,
            incomplete: None,
            missing_bytes: 0,
            anomalies: Default::default(),
            connection: about.flow.id,
            connection_first: about.flow.first.number,
            exchange,
            latency_nanos,
            frames: if self.track_frames { frames.iter().map(|stamp| stamp.number).collect() } else { Vec::new() },
        };
        let slot = about.flow.slot as usize;
        if self.open.len() <= slot {
            self.open.resize_with(slot + 1, Default::default);
        }
        let mut open = Box::new(Open { message, body: Vec::new(), held: 0 });
        open.held = open.held();
        self.held += open.held;
        let place = &mut self.open[slot][about.direction.index()];
        debug_assert!(place.is_none(), "a head follows the end of the message before it");
        *place = Some(open);
    }

    fn open(&mut self, slot: u32, direction: Direction) -> Option<&mut Box<Open>> {
        self.open.get_mut(slot as usize)?[direction.index()].as_mut()
    }

    fn body(&mut self, about: &About<'_>, bytes: &[u8]) {
        let (max, track_frames) = (self.body_bytes_max, self.track_frames);
        let Some(open) = self.open(about.flow.slot, about.direction) else { return };
        open.carried_by(about.stamp, track_frames);
        open.keep(bytes, max);
        let held = open.held();
        let grown = held - std::mem::replace(&mut open.held, held);
        self.held += grown;
    }

    /// Takes back the kept bytes of bodies, largest first, until this many accounted bytes are free or none are left
    /// (policy 21). The messages say so.
    pub(crate) fn shed_bodies(&mut self, bytes: usize) {
        let mut bodies: Vec<_> = self
            .open
            .iter_mut()
            .flatten()
            .flatten()
            .filter(|open| open.body.len() >= SHED_MIN)
            .map(|open| (Reverse(open.body.len()), open.message.order(), open))
            .collect();
        // Equal ones in the order of output, so that nothing depends on slots.
        bodies.sort_by_key(|&(size, order, _)| (size, order));
        let mut freed = 0;
        for (Reverse(size), _, open) in bodies {
            if freed >= bytes {
                break;
            }
            freed += size;
            open.body = Vec::new();
            open.held -= size;
            open.message.body_truncated = true;
            open.message.anomalies.insert(Anomaly::BodyShed);
            self.odd.push(Anomaly::BodyShed);
        }
        self.held -= freed;
    }

    fn end(&mut self, about: &About<'_>, completion: Completion, anomalies: AnomalySet) {
        let Some(place) = self.open.get_mut(about.flow.slot as usize) else { return };
        let Some(open) = place[about.direction.index()].take() else { return };
        self.held -= open.held;
        let Open { mut message, mut body, .. } = *open;
        if let Completion::Incomplete(why) = completion {
            message.incomplete = Some(why);
        }
        if self.track_frames && completion == Completion::Complete && message.frames.last() != Some(&about.stamp.number)
        {
            message.frames.push(about.stamp.number);
        }
        message.frames.sort_unstable();
        message.frames.dedup();
        message.anomalies.extend(anomalies);
        let mut cut = message.body_truncated || message.incomplete.is_some();
        if self.decode_content && !body.is_empty() {
            match content::decode(message.head.fields().values("content-encoding"), &body, !cut, self.body_bytes_max) {
                Ok(None) => {}
                Ok(Some(decoded)) => {
                    body = decoded.bytes;
                    message.content_decoded = true;
                    message.body_truncated |= decoded.truncated;
                    cut |= decoded.truncated;
                }
                Err(anomaly) => {
                    message.anomalies.insert(anomaly);
                    self.odd.push(anomaly);
                }
            }
        }
        message.body = Body::new(body, cut);
        self.ready.push(message);
    }
}

impl Open {
    /// Accounted bytes, by what is used.
    fn held(&self) -> usize {
        size_of::<Self>() + self.message.head.held() + self.message.frames.len() * size_of::<u64>() + self.body.len()
    }

    fn keep(&mut self, bytes: &[u8], max: usize) {
        self.message.body_size += bytes.len() as u64;
        // What stands behind a hole is never joined to what stands before it; nor behind what was given back.
        if self.message.missing_bytes > 0 || self.message.anomalies.contains(Anomaly::BodyShed) {
            return;
        }
        let keep = bytes.len().min(max - self.body.len());
        self.message.body_truncated |= keep < bytes.len();
        // Grows by a quarter, not twofold: many bodies that grow in step must not take twice what is accounted for them.
        if self.body.capacity() - self.body.len() < keep {
            self.body.reserve_exact(keep.max(self.body.len() / 4));
        }
        self.body.extend_from_slice(&bytes[..keep]);
    }

    fn carried_by(&mut self, stamp: Stamp, track_frames: bool) {
        if track_frames && self.message.frames.last() != Some(&stamp.number) {
            self.message.frames.push(stamp.number);
        }
    }
}

impl Sink for Collector {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head { about, exchange, head, frames, latency_nanos } => {
                self.start(&about, exchange, &head, frames, latency_nanos);
            }
            Event::Body { about, bytes } => self.body(&about, bytes),
            Event::Missing { about, bytes } => {
                if let Some(open) = self.open(about.flow.slot, about.direction) {
                    open.message.missing_bytes += bytes;
                }
            }
            Event::Trailers { about, fields } => {
                let track_frames = self.track_frames;
                if let Some(open) = self.open(about.flow.slot, about.direction) {
                    open.carried_by(about.stamp, track_frames);
                    open.message.trailers = Fields::new(fields);
                }
            }
            Event::End { about, completion, anomalies } => self.end(&about, completion, anomalies),
            Event::Anomaly { .. } | Event::Recognised { .. } => {}
            Event::Closed { flow } => {
                if let Some(place) = self.open.get_mut(flow.slot as usize) {
                    debug_assert!(place.iter().all(Option::is_none), "messages end before their connection does");
                    *place = [None, None];
                }
            }
        }
    }
}
