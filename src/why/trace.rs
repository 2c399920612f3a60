//! One frame through the engine, with notes: what it is, what moved when it was pushed, which messages name it later.
//!
//! The whole capture is run, because bytes may wait and messages may end long after. Kept are the messages that are open,
//! by name, and notes on the frame itself. Next: `tell`, which puts the notes into words.

use std::collections::HashMap;

use sniffer_engine::anomaly::{Anomaly, AnomalySet};
use sniffer_engine::config::Config;
use sniffer_engine::engine::Engine;
use sniffer_engine::event::{About, Completion, Direction, Event, Flow, Protocol, Sink, StartLine};
use sniffer_engine::ledger::{Fate, Ledger};
use sniffer_packet::clock::Clock;
use sniffer_packet::decode::{Decoded, decode_each};
use sniffer_packet::defrag::Defrag;
use sniffer_packet::fate::FrameFate;
use sniffer_packet::frame::{Frame, LinkType, Stamp};
use sniffer_packet::key::{Endpoint, FlowKey};
use sniffer_packet::segment::Segment;
use sniffer_replay::source::Source;

use crate::progress::Progress;

/// Everything that is known of a frame in the end.
#[derive(Debug)]
pub(super) struct Fates {
    pub(super) stamp: Stamp,
    pub(super) link: LinkType,
    pub(super) captured: usize,
    pub(super) wire_len: u32,
    pub(super) frame_fate: Option<FrameFate>,
    pub(super) packet: Option<TracedPacket>,
    /// Of a fragment: the frame that made its datagram whole.
    pub(super) whole_with: Option<u64>,
    /// Bytes by fate, as the push of the frame (or of the one that made it whole) moved them.
    pub(super) moved: Vec<(Fate, u64)>,
    /// Bytes given up as missing with it.
    pub(super) missing: u64,
    pub(super) anomalies: Vec<Anomaly>,
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

/// What events said of the frame.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Number that events name it by; that of the first fragment for a fragment.
    subject: u64,
    key: Option<FlowKey>,
    /// The frame being pushed; none at the end of the capture.
    current: Option<u64>,
    open: HashMap<(u32, Direction), Open>,
    protocols: HashMap<u32, Protocol>,
    /// The connection it belongs to.
    pub(super) flow: Option<Flow>,
    pub(super) protocol: Option<Protocol>,
    /// The frame with which its bytes went on first; within, none at the end of the capture.
    pub(super) delivered_with: Option<Option<u64>>,
    pub(super) messages: Vec<Touched>,
}

/// A message that is open.
#[derive(Debug, Clone)]
struct Open {
    name: String,
    exchange: u32,
    began: u64,
    touched: bool,
}

/// A message that the frame carried a part of.
#[derive(Debug)]
pub(super) struct Touched {
    pub(super) name: String,
    pub(super) exchange: u32,
    pub(super) began: u64,
    /// None at the end of the capture.
    pub(super) ended_with: Option<u64>,
    pub(super) completion: Completion,
    pub(super) anomalies: AnomalySet,
}

/// Follows frame `number`; the number of frames when there is none.
pub(super) fn frame(source: &mut Source, number: u64) -> Result<Fates, u64> {
    let mut engine = Engine::new(Config::default());
    let mut notes = Notes { subject: number, ..Notes::default() };
    let mut fragments = Fragments::new(number);
    let mut fates = None;
    let mut count = 0;
    let mut progress = Progress::new(source, true);
    while let Some(frame) = source.next(&mut |_| {}) {
        count = frame.number;
        let whole = fragments.push(&frame);
        if let Some((first, packet)) = &whole {
            // From here on events name the datagram by its first frame.
            notes.subject = *first;
            notes.key = packet.as_ref().map(TracedPacket::key);
        }
        let packet = (frame.number == number).then(|| packet_in(&frame)).flatten();
        if let Some(packet) = &packet {
            notes.key = Some(packet.key());
        }
        let before = engine.ledger().clone();
        notes.current = Some(frame.number);
        engine.push(&frame, &mut notes);
        let after = engine.ledger();
        if frame.number == number {
            fates = Some(Fates {
                stamp: frame.stamp(),
                link: frame.link,
                captured: frame.bytes.len(),
                wire_len: frame.wire_len,
                frame_fate: FrameFate::ALL.iter().copied().find(|&f| after.frames_with(f) > before.frames_with(f)),
                packet,
                whole_with: None,
                moved: Vec::new(),
                missing: 0,
                anomalies: Vec::new(),
                notes: Notes::default(),
            });
        }
        if let Some(fates) = fates.as_mut().filter(|_| frame.number == number || whole.is_some()) {
            if let Some((_, packet)) = whole {
                fates.whole_with = Some(frame.number);
                fates.packet = packet;
            }
            fates.moved(&before, after);
        }
        progress.frame(source);
    }
    notes.current = None;
    engine.finish(&mut notes);
    let mut fates = fates.ok_or(count)?;
    fates.notes = notes;
    Ok(fates)
}

impl Fates {
    fn moved(&mut self, before: &Ledger, after: &Ledger) {
        let moved = |&fate: &Fate| (fate, after.bytes(fate).saturating_sub(before.bytes(fate)));
        self.moved = Fate::ALL.iter().map(moved).filter(|&(_, bytes)| bytes > 0).collect();
        self.missing = after.missing().saturating_sub(before.missing());
        let seen = |anomaly: &Anomaly| after.anomalies(*anomaly) > before.anomalies(*anomaly);
        self.anomalies = Anomaly::ALL.iter().copied().filter(seen).collect();
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

/// Finds out when the datagram of a fragment is whole.
struct Fragments {
    number: u64,
    defrag: Defrag,
    clock: Clock,
}

impl Fragments {
    fn new(number: u64) -> Self {
        let config = Config::default();
        Self { number, defrag: Defrag::new(config.limits.defrag, config.hash_key), clock: Clock::default() }
    }

    /// The first frame of the datagram that the frame in question is a part of, and what is in it, when this one makes it
    /// whole.
    fn push(&mut self, frame: &Frame<'_>) -> Option<(u64, Option<TracedPacket>)> {
        let now = self.clock.read(frame.time).now;
        let mut whole = None;
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
                    Decoded::Segment(segment) => whole = Some((first, Some(TracedPacket::of(segment)))),
                    // The datagram of this fragment counts, once it is whole.
                    Decoded::Fragment(_) => {}
                    _ => whole = Some((first, None)),
                }
            }
        });
        whole
    }
}

impl Notes {
    fn deliver(&mut self) {
        self.delivered_with.get_or_insert(self.current);
    }

    fn touch(&mut self, about: &About<'_>) {
        if about.stamp.number == self.subject
            && self.is_ours(about.flow)
            && let Some(open) = self.open.get_mut(&(about.flow.slot, about.direction))
        {
            open.touched = true;
            self.deliver();
        }
    }

    fn is_ours(&self, flow: &Flow) -> bool {
        self.key == Some(flow.key)
    }

    /// Remembers the connection of the frame: the last one between its endpoints that did not begin behind it.
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
            Event::Head { about, exchange, head, frames, .. } => {
                self.meet(about.flow);
                let touched = self.is_ours(about.flow) && frames.iter().any(|stamp| stamp.number == self.subject);
                let began = frames.first().map_or(about.stamp.number, |stamp| stamp.number);
                let open = Open { name: name(&head.start), exchange, began, touched };
                self.open.insert((about.flow.slot, about.direction), open);
                if touched {
                    self.deliver();
                }
            }
            Event::Body { about, .. } | Event::Trailers { about, .. } => self.touch(&about),
            Event::Missing { .. } => {}
            Event::End { about, completion, anomalies } => {
                if completion == Completion::Complete {
                    self.touch(&about);
                }
                self.meet(about.flow);
                if let Some(open) = self.open.remove(&(about.flow.slot, about.direction)).filter(|open| open.touched) {
                    let Open { name, exchange, began, .. } = open;
                    self.messages.push(Touched {
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

/// `the request GET /a`, `the response 200`.
pub(super) fn name(start: &StartLine<'_>) -> String {
    match start {
        StartLine::Request { method, target } => {
            format!("the request {} {}", String::from_utf8_lossy(method), String::from_utf8_lossy(target))
        }
        StartLine::Response { status, .. } => format!("the response {status}"),
    }
}
