//! Whole messages, made only of events.
//!
//! Knows nothing of packets; at most one message is open in each direction of a connection.

use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::{Endpoint, FlowId};

use crate::anomaly::{Anomaly, AnomalySet};
use crate::config::Config;
use crate::content;
use crate::event::{About, Completion, Direction, Event, Head, Sink};
use crate::message::{Body, Fields, HeadText, Message, Order, Phase};

/// Memory of messages that is kept for later ones, whether it lies there or was taken: what a message has beyond its
/// [accounts](Collector::held) is of this. Arbitrary: more than all that is open at once in most captures.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// Memory of one body in that, at most: larger ones are rare.
const SPARE_BODY_MAX: usize = 64 << 10;

/// Messages that wait for each other to be put in order, of one connection or of several that end together: see [`Phase`].
const RUN: usize = 4096;

/// Messages that wait to be lent together, and their bytes: enough that most find the code that writes them where the last one left
/// it, and little beside the second-level cache. The code for a packet and that for a line are together more than the 32 KiB a core has
/// for instructions; with a line written as each message ended, replays took a fifteenth longer.
const WAITING_MAX: usize = 16;
const WAITING_BYTES_MAX: usize = 64 << 10;

/// Kept bytes of a body that are worth taking back: less than this is little beside what its connection costs.
const SHED_MIN: usize = 4096;

/// Turns events into [`Message`]s.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "messages of 400 bytes move between being open, ready and spare as pointers")]
pub struct Collector {
    body_bytes_max: usize,
    decode_content: bool,
    track_frames: bool,
    /// By slot of the connection, then direction.
    open: Vec<[Option<Box<MessageBuilder>>; 2]>,
    held: usize,
    /// Messages that ended. The first of them are sealed: in the order of output, whatever comes.
    ready: Vec<Box<MessageBuilder>>,
    sealed: usize,
    /// Bytes of those that are sealed.
    sealed_bytes: usize,
    /// What the messages that end now are of.
    phase: Phase,
    /// The connection of the last of the ready messages, and where its own begin among them.
    run: (FlowId, usize),
    /// Messages that were given out, for their memory.
    spare: Vec<Box<MessageBuilder>>,
    /// Bytes of `spare`, and of what was taken from it.
    spare_bytes: usize,
    /// What was odd about contents, which only shows here.
    odd: Vec<Anomaly>,
}

/// Where an open message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    slot: u32,
    direction: Direction,
}

/// A message in the making, or made.
#[derive(Debug)]
pub(crate) struct MessageBuilder {
    message: Message,
    body: Vec<u8>,
    /// Accounted bytes.
    held: usize,
    /// Bytes it had when it was spare.
    spare_bytes: usize,
}

/// Puts messages in the order of output, as this phase of this frame; `last` is done to each.
fn seal(ready: &mut [Box<MessageBuilder>], frame: u64, phase: Phase, mut last: impl FnMut(&mut Message)) {
    if ready.len() > 1 {
        ready.sort_by_key(|open| open.order());
    }
    for open in ready {
        (open.message.completed_by, open.message.phase) = (frame, phase);
        last(&mut open.message);
    }
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
            sealed: 0,
            sealed_bytes: 0,
            phase: Phase::Frame,
            run: (FlowId::default(), 0),
            spare: Vec::new(),
            spare_bytes: 0,
            odd: Vec::new(),
        }
    }

    /// Accounted bytes of messages that are not whole yet.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Whether anything ended or was odd since messages were sealed.
    #[inline]
    pub(crate) const fn has_news(&self) -> bool {
        self.ready.len() > self.sealed || !self.odd.is_empty()
    }

    /// Whether so many messages are sealed that they should be given.
    pub(crate) const fn has_enough(&self) -> bool {
        self.sealed >= WAITING_MAX || self.sealed_bytes >= WAITING_BYTES_MAX
    }

    /// Anomalies of contents since the last call, for the accounts.
    pub(crate) fn drain_anomalies(&mut self) -> impl Iterator<Item = Anomaly> {
        self.odd.drain(..)
    }

    /// Lends the messages that ended since the last call, in the order of their events.
    pub fn drain(&mut self, mut out: impl FnMut(&mut Message)) {
        self.sealed = self.ready.len();
        self.emit(&mut out);
    }

    /// Settles the messages that ended since the last call, all that this frame gives of the present phase. `last` is done to each
    /// now and not when it is given, which may be frames later.
    pub(crate) fn seal(&mut self, frame: u64, last: impl FnMut(&mut Message)) {
        let new = &mut self.ready[self.sealed..];
        seal(new, frame, self.phase, last);
        self.sealed_bytes += new.iter().map(|open| open.held).sum::<usize>();
        self.sealed = self.ready.len();
        self.run.1 = self.sealed;
    }

    /// Lends the messages that are sealed, in the order of output.
    pub(crate) fn emit(&mut self, out: &mut dyn FnMut(&mut Message)) {
        let sealed = std::mem::take(&mut self.sealed);
        if sealed == 0 {
            return;
        }
        let mut ready = std::mem::take(&mut self.ready);
        for open in ready.drain(..sealed) {
            self.lend(open, &mut *out);
        }
        self.ready = ready;
        self.sealed_bytes = 0;
        self.run.1 = self.run.1.saturating_sub(sealed);
    }

    /// Lends what more may come behind without a change of its order, where so many messages are ready that they should
    /// not wait for more: of a frame the run of one connection, by the number of the segment; of a second those of connections
    /// that are through, and the run of one that is not.
    #[inline]
    pub(crate) fn spill(
        &mut self,
        frame: u64,
        segment_number: u64,
        last: impl FnMut(&mut Message),
        out: &mut dyn FnMut(&mut Message),
    ) {
        if self.ready.len() >= RUN {
            self.spill_runs(frame, segment_number, last, out);
        }
    }

    #[cold]
    fn spill_runs(
        &mut self,
        frame: u64,
        segment_number: u64,
        last: impl FnMut(&mut Message),
        out: &mut dyn FnMut(&mut Message),
    ) {
        self.emit(out);
        let from = self.run.1;
        let is_run = self.ready.len() - from >= RUN;
        let (phase, range) = match self.phase {
            Phase::Frame if is_run => (Phase::Run(segment_number), from..self.ready.len()),
            Phase::Frame => return,
            phase if is_run => (phase, 0..self.ready.len()),
            phase => (phase, 0..from),
        };
        if phase == self.phase {
            self.run.1 = 0;
        }
        let mut ready: Vec<_> = self.ready.drain(range).collect();
        seal(&mut ready, frame, phase, last);
        for open in ready {
            self.lend(open, &mut *out);
        }
    }

    /// Says what the messages that end from here on are of; those before were given.
    pub(crate) const fn begin(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Takes the messages that this frame ended, none being sealed; each is to be [lent](Self::lend).
    #[expect(clippy::vec_box, reason = "as in the struct")]
    pub(crate) fn take_ready(&mut self, frame: u64, last: impl FnMut(&mut Message)) -> Vec<Box<MessageBuilder>> {
        debug_assert_eq!(self.sealed, 0, "what came before would be given behind");
        self.run.1 = 0;
        seal(&mut self.ready, frame, Phase::Frame, last);
        std::mem::take(&mut self.ready)
    }

    /// Lends a message that was taken; keeps its memory for another.
    ///
    /// Only here is content decoded, one message at a time: it can become a thousand times as much, and a frame can end
    /// as many messages as there are connections.
    pub(crate) fn lend(&mut self, mut open: Box<MessageBuilder>, out: impl FnOnce(&mut Message)) {
        let decode_up_to = self.decode_content.then_some(self.body_bytes_max);
        self.odd.extend(open.complete(decode_up_to));
        out(&mut open.message);
        self.spare_bytes -= std::mem::take(&mut open.spare_bytes);
        open.reuse();
        let bytes = open.capacity();
        if self.spare_bytes + bytes <= SPARE_BYTES_MAX {
            open.spare_bytes = bytes;
            self.spare_bytes += bytes;
            self.spare.push(open);
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
        let mut open = match self.spare.pop() {
            Some(mut open) => {
                open.message.head.set(head);
                open
            }
            None => Box::new(MessageBuilder::new(HeadText::new(head))),
        };
        let message = &mut open.message;
        message.started = frames.first().copied().unwrap_or(about.stamp);
        message.direction = about.direction;
        message.receiver = about.flow.receiver();
        message.destination = about.flow.destination();
        message.connection = about.flow.id;
        message.connection_first = about.flow.first.number;
        message.exchange = exchange;
        message.latency_nanos = latency_nanos;
        if self.track_frames {
            message.frames.extend(frames.iter().map(|stamp| stamp.number));
        }
        let slot = about.flow.slot as usize;
        if self.open.len() <= slot {
            self.open.resize_with(slot + 1, Default::default);
        }
        open.held = open.held();
        self.held += open.held;
        let place = &mut self.open[slot][about.direction.index()];
        debug_assert!(place.is_none(), "a head follows the end of the message before it");
        *place = Some(open);
    }

    fn open(&mut self, slot: u32, direction: Direction) -> Option<&mut Box<MessageBuilder>> {
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

    /// Bodies that are worth taking back: their kept bytes, the order of their messages, and where they are.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = (usize, Order, Place)> {
        self.open.iter().enumerate().flat_map(|(slot, pair)| {
            [Direction::Request, Direction::Response].into_iter().filter_map(move |direction| {
                let open = pair[direction.index()].as_ref()?;
                let place = Place { slot: slot as u32, direction };
                (open.body.len() >= SHED_MIN).then(|| (open.body.len(), open.message.order(), place))
            })
        })
    }

    /// Takes back the kept bytes of a body (policy 21). Its message says so.
    pub(crate) fn shed_body(&mut self, place: Place) {
        let Some(open) = self.open(place.slot, place.direction) else { return };
        let freed = std::mem::take(&mut open.body).len();
        open.held -= freed;
        open.message.body_truncated = true;
        open.message.anomalies.insert(Anomaly::BodyShed);
        self.odd.push(Anomaly::BodyShed);
        self.held -= freed;
    }

    fn end(&mut self, about: &About<'_>, completion: Completion, anomalies: AnomalySet) {
        let Some(place) = self.open.get_mut(about.flow.slot as usize) else { return };
        let Some(mut open) = place[about.direction.index()].take() else { return };
        self.held -= open.held;
        let message = &mut open.message;
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
        if self.run.0 != about.flow.id {
            self.run = (about.flow.id, self.ready.len());
        }
        self.ready.push(open);
    }
}

impl MessageBuilder {
    /// A message of which nothing but the head is known.
    fn new(head: HeadText) -> Self {
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
            latency_nanos: None,
            frames: Vec::new(),
            completed_by: 0,
            phase: Phase::Frame,
        };
        Self { message, body: Vec::new(), held: 0, spare_bytes: 0 }
    }

    /// Makes a message that was given out as good as new; its memory stays.
    fn reuse(&mut self) {
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

    /// Where it stands in the output.
    pub(crate) const fn order(&self) -> Order {
        self.message.order()
    }

    /// Gives the message its body, with its codings undone as far as that makes no more than `decode_up_to` bytes; what was
    /// odd about it.
    fn complete(&mut self, decode_up_to: Option<usize>) -> Option<Anomaly> {
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
        // Of a message without one its memory stays here.
        if !body.is_empty() {
            message.body = Body::new(std::mem::take(body), cut);
        }
        odd
    }

    /// Bytes that it takes, used or not.
    fn capacity(&self) -> usize {
        let Self { message, body, .. } = self;
        let frames = message.frames.capacity() * size_of::<u64>();
        size_of::<Self>() + message.head.capacity() + message.trailers.capacity() + frames + body.capacity()
    }

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
                    open.message.trailers.set(fields);
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
