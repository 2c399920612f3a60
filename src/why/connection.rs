//! Describes a connection: its frames, its messages, and the fates of its bytes.
//!
//! Two passes: the first finds its endpoints and the range of its frames by its id, the second
//! counts. It keeps the names of at most [`MESSAGES_MAX`] messages. Next: `trace` for a single
//! frame.

use std::collections::BTreeMap;

use sniffer_engine::config::Config;
use sniffer_engine::engine::Engine;
use sniffer_engine::event::{Completion, Event, Flow, Protocol, sink_fn};
use sniffer_engine::ledger::Fate;
use sniffer_formats::text::{count, cut, escape};
use sniffer_packet::decode::{Decoded, decode_each};
use sniffer_packet::frame::Frame;
use sniffer_packet::key::FlowKey;
use sniffer_replay::source::Source;

use super::accounts::AccountChange;
use super::describe::wrapped;
use super::trace::{MessageKey, name};
use crate::progress::Progress;

/// Most messages that are named.
const MESSAGES_MAX: usize = 40;

/// A connection and the frame that closed it.
pub(super) struct FoundConnection {
    flow: Flow,
    /// The frame being pushed when it was closed; `None` at the end of the capture.
    closed_with: Option<u64>,
}

/// Finds a connection by its id.
pub(super) fn find(source: &mut Source, id: &str) -> Option<FoundConnection> {
    let mut engine = Engine::new(Config::default());
    let mut found = None;
    let mut progress = Progress::new(source, true);
    while let Some(frame) = source.next(&mut |_| {}) {
        engine.push(&frame, &mut sink_fn(|event| closed(event, id, Some(frame.number), &mut found)));
        progress.frame(source);
    }
    engine.finish(&mut sink_fn(|event| closed(event, id, None, &mut found)));
    found
}

/// Remembers the connection when it is closed. Every connection is closed in the end, and only then
/// are its client and server certain.
fn closed(event: Event<'_>, id: &str, current: Option<u64>, found: &mut Option<FoundConnection>) {
    if let Event::Closed { flow } = event
        && flow.id.to_string() == id
    {
        *found = Some(FoundConnection { flow: flow.clone(), closed_with: current });
    }
}

/// The counts of the second pass.
#[derive(Default)]
struct Counts {
    frames: u64,
    /// Number of its last frame.
    last: u64,
    payload: u64,
    fates: BTreeMap<Fate, u64>,
    missing: u64,
    messages: Vec<String>,
    /// Messages after the last that is named.
    more: u64,
    protocol: Option<Protocol>,
    /// The frame being pushed; `None` at the end of the capture.
    current: Option<u64>,
}

/// Returns the text on a connection.
pub(super) fn describe(source: &mut Source, found: &FoundConnection) -> String {
    let FoundConnection { flow, closed_with } = found;
    let mut engine = Engine::new(Config::default());
    let mut counts = Counts::default();
    let mut names = BTreeMap::new();
    let mut progress = Progress::new(source, true);
    while let Some(frame) = source.next(&mut |_| {}) {
        let within = frame.number >= flow.first.number && closed_with.is_none_or(|closed| frame.number <= closed);
        let payload = within.then(|| payload_of(&frame, flow.key)).flatten();
        counts.current = Some(frame.number);
        let before = payload.is_some().then(|| engine.ledger().clone());
        engine.push(&frame, &mut sink_fn(|event| counts.note(event, flow, &mut names)));
        if let (Some(payload), Some(before)) = (payload, before) {
            counts.frames += 1;
            counts.last = frame.number;
            counts.payload += payload;
            counts.add(AccountChange::between(&before, engine.ledger()));
        }
        progress.frame(source);
    }
    counts.current = None;
    engine.finish(&mut sink_fn(|event| counts.note(event, flow, &mut names)));
    words(found, &counts)
}

/// Payload bytes of the last segment in a frame that belongs to a connection between these
/// endpoints.
fn payload_of(frame: &Frame<'_>, key: FlowKey) -> Option<u64> {
    let mut payload = None;
    decode_each(frame, |decoded| {
        if let Decoded::Segment(segment) = decoded
            && FlowKey::of(&segment.src, &segment.dst).0 == key
        {
            payload = Some(segment.payload.len() as u64);
        }
    });
    payload
}

impl Counts {
    fn add(&mut self, change: AccountChange) {
        for (fate, bytes) in change.fates {
            *self.fates.entry(fate).or_default() += bytes;
        }
        self.missing += change.missing;
    }

    /// Takes an event; `names` are the messages that are open.
    fn note(&mut self, event: Event<'_>, ours: &Flow, names: &mut BTreeMap<MessageKey, String>) {
        match event {
            Event::Head { about, head, frames, .. } if about.flow.id == ours.id => {
                let began = frames.first().map_or(about.stamp.number, |stamp| stamp.number);
                let name = name(&head.start);
                let name = format!("#{} {}, from frame {began}", about.exchange, &name["the ".len()..]);
                names.insert(MessageKey::of(&about), name);
            }
            Event::End { about, completion, anomalies, .. } if about.flow.id == ours.id => {
                let Some(name) = names.remove(&MessageKey::of(&about)) else { return };
                if self.messages.len() == MESSAGES_MAX {
                    self.more += 1;
                    return;
                }
                let with = self.current.map_or_else(|| "the end".to_owned(), |frame| format!("frame {frame}"));
                let end = match completion {
                    Completion::Incomplete(why) => format!(" to {with}, incomplete: {}", why.name()),
                    _ => format!(" to {with}"),
                };
                let odd: String = anomalies.iter().map(|anomaly| format!("  {}", anomaly.name())).collect();
                self.messages.push(format!("{name}{end}{odd}"));
            }
            Event::Recognised { flow, protocol } if flow.id == ours.id => self.protocol = Some(protocol),
            _ => {}
        }
    }
}

fn words(found: &FoundConnection, counts: &Counts) -> String {
    let FoundConnection { flow, closed_with } = found;
    let mut said = format!(
        "Connection {} is between the client {} and the server {}. Frame {} opened it; {} of the capture are its own, the last is \
         frame {}, with {} of payload in all.",
        flow.id,
        flow.destination(),
        flow.receiver(),
        flow.first.number,
        count(counts.frames, "frame"),
        counts.last,
        count(counts.payload, "byte")
    );
    said += &match closed_with {
        Some(frame) => format!(" It was over with frame {frame}."),
        None => " It was open when the capture ended.".to_owned(),
    };
    said += match counts.protocol {
        Some(Protocol::Tls) => " It carries TLS, which is not read.",
        Some(Protocol::Http2) => " It carries HTTP/2, which is not read.",
        Some(Protocol::Tunnel) => " It became a tunnel, which is not read.",
        _ => "",
    };
    let fates: Vec<_> = counts.fates.iter().map(|(fate, bytes)| format!("{bytes} {}", fate.name())).collect();
    if !fates.is_empty() {
        said += &format!(" Counted while its frames came: {}.", fates.join(", "));
    }
    if counts.missing > 0 {
        said += &format!(" {} were missing from the capture.", count(counts.missing, "byte"));
    }
    let mut text = wrapped(&said);
    if counts.messages.is_empty() {
        text.push_str("No message was found on it.\n");
    }
    for line in &counts.messages {
        let line = escape(line);
        text += &format!("  {}\n", cut(&line, 140));
    }
    if counts.more > 0 {
        text += &format!("  … and {}\n", count(counts.more, "more message"));
    }
    text
}
