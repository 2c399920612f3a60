//! One frame through the engine, with notes: what it is, what its push changed in the accounts,
//! and which messages carry it.
//!
//! It runs the whole capture, because bytes may wait and messages may end long after the frame. It
//! keeps the open messages by name, and notes on the frame itself. Next: `describe`, which puts the
//! notes into words.

use std::collections::HashMap;

use sniffer_engine::anomaly::AnomalySet;
use sniffer_engine::config::Config;
use sniffer_engine::engine::Engine;
use sniffer_engine::event::{About, Completion, Event, Flow, Protocol, Sink};
use sniffer_engine::http::{Direction, StartLine};
use sniffer_packet::clock::Clock;
use sniffer_packet::decode::{Decoded, decode_each};
use sniffer_packet::defrag::Defrag;
use sniffer_packet::frame::{Frame, LinkType, Stamp};
use sniffer_packet::key::{Endpoint, FlowKey};
use sniffer_packet::segment::Segment;
use sniffer_replay::source::Source;

use super::accounts::AccountChange;
use crate::progress::Progress;

/// Everything that is known of a frame once the capture has been read.
#[derive(Debug)]
pub(super) struct FrameTrace {
    pub(super) stamp: Stamp,
    pub(super) link: LinkType,
    pub(super) captured: usize,
    pub(super) wire_len: u32,
    /// Change made by the push of the frame, or of the one that completed its datagram. The fate is
    /// always that of the frame.
    pub(super) change: AccountChange,
    pub(super) packet: Option<TracedPacket>,
    /// The frame that completed the datagram, if this one is a fragment.
    pub(super) whole_with: Option<u64>,
    pub(super) notes: Notes,
}

/// The TCP segment in a frame.
#[derive(Debug, Clone)]
pub(super) struct TracedPacket {
    pub(super) src: Endpoint,
    pub(super) dst: Endpoint,
    pub(super) flags: u8,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) payload: usize,
    pub(super) cut: u32,
}

impl TracedPacket {
    fn of(segment: &Segment<'_>) -> Self {
        Self {
            src: segment.src,
            dst: segment.dst,
            flags: segment.flags.0,
            seq: segment.seq.0,
            ack: segment.ack.0,
            payload: segment.payload.len(),
            cut: segment.cut,
        }
    }

    pub(super) fn key(&self) -> FlowKey {
        FlowKey::of(&self.src, &self.dst).0
    }
}

/// Facts about the frame from events.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Number by which events name the frame; for a fragment that of the datagram's first one.
    subject: u64,
    /// Endpoints of the segment in the frame.
    key: Option<FlowKey>,
    /// The frame being pushed; `None` at the end of the capture.
    current: Option<u64>,
    open: HashMap<MessageKey, OpenMessage>,
    /// Protocol of each open connection, by slot.
    protocols: HashMap<u32, Protocol>,
    /// The connection that the frame belongs to.
    pub(super) flow: Option<Flow>,
    pub(super) protocol: Option<Protocol>,
    /// The frame whose push first delivered bytes of this one; inside, `None` stands for the end of
    /// the capture.
    pub(super) delivered_with: Option<Option<u64>>,
    pub(super) messages: Vec<CarriedMessage>,
}

/// Names a message while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MessageKey {
    slot: u32,
    exchange: u32,
    direction: Direction,
}

impl MessageKey {
    pub(super) const fn of(about: &About<'_>) -> Self {
        Self { slot: about.flow.slot, exchange: about.exchange, direction: about.direction }
    }
}

/// A message that is open.
#[derive(Debug, Clone)]
struct OpenMessage {
    name: String,
    exchange: u32,
    began: u64,
    /// The frame carried a part of it.
    touched: bool,
}

/// A message of which the frame carried a part.
#[derive(Debug)]
pub(super) struct CarriedMessage {
    pub(super) name: String,
    pub(super) exchange: u32,
    pub(super) began: u64,
    /// The frame that ended it; `None` at the end of the capture.
    pub(super) ended_with: Option<u64>,
    pub(super) completion: Completion,
    pub(super) anomalies: AnomalySet,
}

/// Follows frame `number`; the error is the number of frames in a capture without that one.
pub(super) fn frame(source: &mut Source, number: u64) -> Result<FrameTrace, u64> {
    let mut engine = Engine::new(Config::default());
    let mut notes = Notes { subject: number, ..Notes::default() };
    let mut fragments = Fragments::new(number);
    let mut trace = None;
    let mut count = 0;
    let mut progress = Progress::new(source, true);
    while let Some(frame) = source.next(&mut |_| {}) {
        count = frame.number;
        let completed = fragments.push(&frame);
        if let Some((first, packet)) = &completed {
            // From here on events name the datagram by its first frame.
            notes.subject = *first;
            notes.key = packet.as_ref().map(TracedPacket::key);
        }
        let is_subject = frame.number == number;
        let packet = is_subject.then(|| packet_in(&frame)).flatten();
        if let Some(packet) = &packet {
            notes.key = Some(packet.key());
        }
        notes.current = Some(frame.number);
        if is_subject || completed.is_some() {
            let before = engine.ledger().clone();
            engine.push(&frame, &mut notes);
            let change = AccountChange::between(&before, engine.ledger());
            if is_subject {
                trace = Some(FrameTrace::new(&frame, packet, change));
            } else if let Some(trace) = &mut trace {
                trace.change = AccountChange { frame_fate: trace.change.frame_fate, ..change };
            }
            if let (Some((_, packet)), Some(trace)) = (completed, &mut trace) {
                trace.whole_with = Some(frame.number);
                trace.packet = packet;
            }
        } else {
            engine.push(&frame, &mut notes);
        }
        progress.frame(source);
    }
    notes.current = None;
    engine.finish(&mut notes);
    let mut trace = trace.ok_or(count)?;
    trace.notes = notes;
    Ok(trace)
}

impl FrameTrace {
    fn new(frame: &Frame<'_>, packet: Option<TracedPacket>, change: AccountChange) -> Self {
        Self {
            stamp: frame.stamp(),
            link: frame.link,
            captured: frame.bytes.len(),
            wire_len: frame.wire_len,
            change,
            packet,
            whole_with: None,
            notes: Notes::default(),
        }
    }
}

/// The first segment in a frame.
fn packet_in(frame: &Frame<'_>) -> Option<TracedPacket> {
    let mut packet = None;
    decode_each(frame, |decoded| {
        if let (None, Decoded::Segment(segment)) = (&packet, decoded) {
            packet = Some(TracedPacket::of(segment));
        }
    });
    packet
}

/// Finds the frame that completes the datagram of a fragment.
struct Fragments {
    /// The frame with the fragment.
    number: u64,
    defrag: Defrag,
    clock: Clock,
}

impl Fragments {
    fn new(number: u64) -> Self {
        let config = Config::default();
        Self { number, defrag: Defrag::new(config.limits.defrag, config.hash_key), clock: Clock::default() }
    }

    /// Returns the first frame of the datagram and the segment in it, if `frame` completes the
    /// datagram that frame `number` is a part of.
    fn push(&mut self, frame: &Frame<'_>) -> Option<(u64, Option<TracedPacket>)> {
        let now = self.clock.read(frame.time).now;
        let mut completed = None;
        let mut ours = false;
        self.defrag.packets(frame, now, |packet| {
            let Some(datagram) = packet.datagram else {
                ours = false;
                return;
            };
            ours |= datagram.frames.contains(&self.number);
            if ours {
                let first = datagram.first.number;
                match packet.decoded {
                    Decoded::Segment(segment) => completed = Some((first, Some(TracedPacket::of(segment)))),
                    // A datagram that holds a fragment counts by the one that this completes.
                    Decoded::Fragment(_) => {}
                    _ => completed = Some((first, None)),
                }
            }
        });
        completed
    }
}

impl Notes {
    /// Notes that bytes of the frame were delivered.
    fn deliver(&mut self) {
        self.delivered_with.get_or_insert(self.current);
    }

    /// Marks the open message if the event comes from the frame.
    fn touch(&mut self, about: &About<'_>) {
        if about.stamp.number == self.subject
            && self.is_ours(about.flow)
            && let Some(open) = self.open.get_mut(&MessageKey::of(about))
        {
            open.touched = true;
            self.deliver();
        }
    }

    fn is_ours(&self, flow: &Flow) -> bool {
        self.key == Some(flow.key)
    }

    /// Remembers the connection of the frame: the last one between its endpoints that did not begin
    /// after it.
    fn meet(&mut self, flow: &Flow) {
        if !self.is_ours(flow) || flow.first.number > self.subject {
            return;
        }
        if self.flow.as_ref().is_none_or(|known| known.first.number <= flow.first.number) {
            self.flow = Some(flow.clone());
            self.protocol = self.protocols.get(&flow.slot).copied();
        }
    }
}

impl Sink for Notes {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head { about, head, frames, .. } => {
                self.meet(about.flow);
                let touched = self.is_ours(about.flow) && frames.iter().any(|stamp| stamp.number == self.subject);
                let began = frames.first().map_or(about.stamp.number, |stamp| stamp.number);
                let open = OpenMessage { name: name(&head.start), exchange: about.exchange, began, touched };
                self.open.insert(MessageKey::of(&about), open);
                if touched {
                    self.deliver();
                }
            }
            Event::Body { about, .. } | Event::Trailers { about, .. } => self.touch(&about),
            Event::Missing { .. } => {}
            Event::End { about, completion, anomalies, .. } => {
                if completion == Completion::Complete {
                    self.touch(&about);
                }
                self.meet(about.flow);
                if let Some(open) = self.open.remove(&MessageKey::of(&about)).filter(|open| open.touched) {
                    let OpenMessage { name, exchange, began, .. } = open;
                    self.messages.push(CarriedMessage {
                        name,
                        exchange,
                        began,
                        ended_with: self.current,
                        completion,
                        anomalies,
                    });
                }
            }
            Event::Anomaly { flow: Some(flow), .. } => self.meet(flow),
            Event::Recognised { flow, protocol } => {
                self.protocols.insert(flow.slot, protocol);
                self.meet(flow);
            }
            Event::Closed { flow } => {
                self.meet(flow);
                self.protocols.remove(&flow.slot);
            }
            _ => {}
        }
    }
}

/// Returns a name such as `the request GET /a` or `the response 200`.
pub(super) fn name(start: &StartLine<'_>) -> String {
    match start {
        StartLine::Request { method, target } => {
            format!("the request {} {}", String::from_utf8_lossy(method), String::from_utf8_lossy(target))
        }
        StartLine::Response { status, .. } => format!("the response {status}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sniffer_engine::event::sink_fn;
    use sniffer_testkit::talk::Talk;

    use super::*;

    /// Streams of HTTP/2 are open in one direction at once, so the exchange is part of a message's
    /// name.
    #[test]
    fn messages_of_two_exchanges_in_one_direction_have_different_keys() {
        let talk = ">>>\n| GET /a HTTP/1.1\n|\n| GET /b HTTP/1.1\n|\n";
        let mut engine = Engine::new(Config::default());
        let mut keys = BTreeSet::new();
        for frame in Talk::parse(talk).unwrap().frames().unwrap() {
            engine.push(
                &frame.as_frame(),
                &mut sink_fn(|event| {
                    if let Event::Head { about, .. } = event {
                        keys.insert(MessageKey::of(&about));
                    }
                }),
            );
        }
        assert_eq!(keys.len(), 2);
    }
}
