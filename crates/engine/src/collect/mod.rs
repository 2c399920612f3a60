//! Whole messages, made only of events.
//!
//! Knows nothing of packets. **At most one message is open in each direction of an exchange**; any
//! number of exchanges of a connection may be open. Next: `open` for a message in the making,
//! `order` for those that ended.

mod open;
mod order;
#[cfg(test)]
mod tests;

use sniffer_packet::frame::Stamp;

use crate::anomaly::{Anomaly, AnomalySet};
use crate::config::Config;
use crate::event::{About, Completion, Event, Over, Sink};
use crate::http::Head;
use crate::message::{HeadText, Message, Order, Phase};
pub(crate) use open::{MessageBuilder, Place};

use open::OpenMessages;
use order::Ready;

/// Memory of messages that is kept for later ones, whether it is spare or in use again. Everything
/// that a message has beyond its [accounts](Collector::held) is of this. Arbitrary: more than all
/// that is open at once in most captures.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// Kept bytes of a body that are worth shedding; fewer are little beside what its connection costs.
const SHED_MIN: usize = 4096;

/// Turns events into [`Message`]s.
#[derive(Debug)]
pub struct Collector {
    body_bytes_max: usize,
    decode_content: bool,
    track_frames: bool,
    /// By slot of the connection, then direction.
    open: Vec<[OpenMessages; 2]>,
    held: usize,
    ready: Ready,
    spare: Spare,
    /// Anomalies of contents, which only show here.
    odd: Vec<Anomaly>,
}

/// Messages that were lent, for their memory.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "messages of 400 bytes move between being open, ready and spare as pointers")]
struct Spare {
    messages: Vec<Box<MessageBuilder>>,
    /// Bytes of `messages`, and of those that were taken from it.
    bytes: usize,
}

impl Spare {
    fn take(&mut self, head: &Head<'_>) -> Box<MessageBuilder> {
        match self.messages.pop() {
            Some(mut message) => {
                message.message.head.set(head);
                message
            }
            None => Box::new(MessageBuilder::new(HeadText::new(head))),
        }
    }

    fn give_back(&mut self, mut message: Box<MessageBuilder>) {
        self.bytes -= std::mem::take(&mut message.spare_bytes);
        message.reuse();
        let bytes = message.capacity();
        if self.bytes + bytes <= SPARE_BYTES_MAX {
            message.spare_bytes = bytes;
            self.bytes += bytes;
            self.messages.push(message);
        }
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
            ready: Ready::default(),
            spare: Spare::default(),
            odd: Vec::new(),
        }
    }

    /// Accounted bytes of messages that are not whole yet.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// True if anything ended or was odd since messages were sealed.
    #[inline]
    pub(crate) const fn has_news(&self) -> bool {
        self.ready.has_unsealed() || !self.odd.is_empty()
    }

    /// True if so many messages are sealed that they should be lent.
    pub(crate) const fn has_enough(&self) -> bool {
        self.ready.has_enough()
    }

    /// Anomalies of contents since the last call, for the accounts.
    pub(crate) fn drain_anomalies(&mut self) -> impl Iterator<Item = Anomaly> {
        self.odd.drain(..)
    }

    /// Lends the messages that ended since the last call, in the order of their events.
    pub fn drain(&mut self, mut out: impl FnMut(&mut Message)) {
        self.ready.seal_as_they_are();
        self.emit(&mut out);
    }

    /// Seals the messages that ended since the last call: see [`Ready::seal`].
    pub(crate) fn seal(&mut self, frame: u64, last: impl FnMut(&mut Message)) {
        self.ready.seal(frame, last);
    }

    /// Lends the messages that are sealed, in the order of output.
    pub(crate) fn emit(&mut self, out: &mut dyn FnMut(&mut Message)) {
        let Some((mut messages, sealed)) = self.ready.take_sealed() else { return };
        for open in messages.drain(..sealed) {
            self.lend(open, &mut *out);
        }
        self.ready.give_back(messages);
    }

    /// Lends messages early, when too many are ready and their order cannot change any more: see
    /// [`Ready::take_runs`].
    #[inline]
    pub(crate) fn spill(
        &mut self,
        frame: u64,
        segment_number: u64,
        last: impl FnMut(&mut Message),
        out: &mut dyn FnMut(&mut Message),
    ) {
        if self.ready.is_long() {
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
        for open in self.ready.take_runs(frame, segment_number, last) {
            self.lend(open, &mut *out);
        }
    }

    /// Begins a phase; the messages of the last one were lent.
    pub(crate) const fn begin(&mut self, phase: Phase) {
        self.ready.begin(phase);
    }

    /// Takes the messages that this frame ended, none being sealed; each is to be
    /// [lent](Self::lend).
    #[expect(clippy::vec_box, reason = "as in the struct")]
    pub(crate) fn take_ready(&mut self, frame: u64, last: impl FnMut(&mut Message)) -> Vec<Box<MessageBuilder>> {
        self.ready.take_all(frame, last)
    }

    /// Lends a message that was taken, and keeps its memory for another.
    ///
    /// Only here is content decoded, one message at a time: it can grow a thousandfold, and a frame
    /// can end as many messages as there are connections.
    pub(crate) fn lend(&mut self, mut open: Box<MessageBuilder>, out: impl FnOnce(&mut Message)) {
        let decode_up_to = self.decode_content.then_some(self.body_bytes_max);
        self.odd.extend(open.complete(decode_up_to));
        out(&mut open.message);
        self.spare.give_back(open);
    }

    fn start(&mut self, about: &About<'_>, head: &Head<'_>, frames: &[Stamp]) -> &mut Message {
        let mut open = self.spare.take(head);
        let message = &mut open.message;
        message.started = frames.first().copied().unwrap_or(about.stamp);
        message.direction = about.direction;
        message.receiver = about.flow.receiver();
        message.destination = about.flow.destination();
        message.connection = about.flow.id;
        message.connection_first = about.flow.first.number;
        message.exchange = about.exchange;
        if self.track_frames {
            message.frames.extend(frames.iter().map(|stamp| stamp.number));
        }
        let slot = about.flow.slot as usize;
        if self.open.len() <= slot {
            self.open.resize_with(slot + 1, Default::default);
        }
        open.held = open.held();
        self.held += open.held;
        self.open[slot][about.direction.index()].insert(open)
    }

    fn open(&mut self, place: Place) -> Option<&mut MessageBuilder> {
        self.open.get_mut(place.slot as usize)?[place.direction.index()].get_mut(place.exchange)
    }

    fn body(&mut self, about: &About<'_>, bytes: &[u8]) {
        let (max, track_frames) = (self.body_bytes_max, self.track_frames);
        let Some(open) = self.open(about.into()) else { return };
        open.carried_by(about.stamp, track_frames);
        open.keep(bytes, max);
        let held = open.held();
        let grown = held - std::mem::replace(&mut open.held, held);
        self.held += grown;
    }

    /// Bodies that are worth shedding: their kept bytes, the order of their messages, and where
    /// they are.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = (usize, Order, Place)> {
        (0..).zip(&self.open).flat_map(|(slot, pair)| {
            pair.iter().flat_map(OpenMessages::iter).filter(|open| open.body.len() >= SHED_MIN).map(move |open| {
                let Message { exchange, direction, .. } = open.message;
                (open.body.len(), open.order(), Place { slot, exchange, direction })
            })
        })
    }

    /// Sheds the kept bytes of a body (policy 21). Its message says so.
    pub(crate) fn shed_body(&mut self, place: Place) {
        let Some(open) = self.open(place) else { return };
        let freed = std::mem::take(&mut open.body).len();
        open.held -= freed;
        open.message.body_truncated = true;
        open.message.anomalies.insert(Anomaly::BodyShed);
        self.odd.push(Anomaly::BodyShed);
        self.held -= freed;
    }

    fn end(&mut self, about: &About<'_>, completion: Completion, anomalies: AnomalySet, over: Over) {
        let Some(pair) = self.open.get_mut(about.flow.slot as usize) else { return };
        let Some(mut open) = pair[about.direction.index()].remove(about.exchange) else { return };
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
        message.over = over;
        self.ready.push(open);
    }
}

impl From<&About<'_>> for Place {
    fn from(about: &About<'_>) -> Self {
        Self { slot: about.flow.slot, exchange: about.exchange, direction: about.direction }
    }
}

impl Sink for Collector {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head { about, head, frames, latency_nanos, interim } => {
                let message = self.start(&about, &head, frames);
                message.latency_nanos = latency_nanos;
                message.interim = interim;
            }
            Event::Body { about, bytes } => self.body(&about, bytes),
            Event::Missing { about, bytes } => {
                if let Some(open) = self.open((&about).into()) {
                    open.message.missing_bytes += bytes;
                }
            }
            Event::Trailers { about, fields } => {
                let track_frames = self.track_frames;
                if let Some(open) = self.open((&about).into()) {
                    open.carried_by(about.stamp, track_frames);
                    open.message.trailers.set(fields);
                }
            }
            Event::End { about, completion, anomalies, over } => self.end(&about, completion, anomalies, over),
            Event::Anomaly { .. } | Event::Recognised { .. } => {}
            Event::Closed { flow } => {
                if let Some(pair) = self.open.get_mut(flow.slot as usize) {
                    debug_assert!(pair.iter().all(OpenMessages::is_empty), "messages end before their connection does");
                    *pair = Default::default();
                }
            }
        }
    }
}
