//! `sniffer talk --from`: the conversation of a capture as text.
//!
//! It tries three texts, the most readable first. Each is parsed and played, and must give the same
//! messages as the capture, except for times, frame numbers and connection ids:
//!
//! 1. the payload in order, with what was lost, sent twice or cut, without link layers, tunnels and
//!    fragments;
//! 2. the same with marks for how packets looked and for what a third party may have forged;
//! 3. the frames one by one, which reads badly and loses nothing.
//!
//! Next: `transcribe` for the first two.

use std::collections::BTreeMap;
use std::path::Path;

use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_engine::message::Message;
use sniffer_formats::text::escape;
use sniffer_packet::frame::OwnedFrame;
use sniffer_testkit::talk::{Action, FRAMES_MAX, PAYLOAD_MAX, Talk, TalkStep};
use sniffer_testkit::wire::link_name;

use super::transcribe::{Detail, transcribe};
use crate::capture;
use crate::exit::{Exit, say};

pub(super) fn run(path: &Path, output: Option<&Path>) -> Result<Exit, (Exit, String)> {
    let capture = capture::read(path, FRAMES_MAX, PAYLOAD_MAX)?;
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    // The name becomes a line of the text.
    let name = escape(&name).into_owned();
    let messages = messages_of(&capture.frames);
    let wanted = essence(&messages);
    let mut talks = [Detail::Plain, Detail::Suspicious]
        .into_iter()
        .map(|detail| transcribe(&capture.frames, &messages, &name, detail));
    let text = if let Some(talk) = talks.find(|talk| gives(talk, &wanted)) {
        talk.to_string()
    } else {
        let verbatim = verbatim(&capture.frames, &name).filter(|talk| gives(talk, &wanted)).ok_or_else(|| {
            (Exit::Failed, format!("{name} cannot be told as a conversation that gives the same messages"))
        })?;
        say(format_args!("{name}: told frame by frame, for the conversation alone gives other messages"));
        verbatim.to_string()
    };
    let written = capture::put(text.as_bytes(), output)?;
    Ok(if written == Exit::Success { capture.exit } else { written })
}

/// Returns whether the text of a conversation, parsed and played, gives these messages.
fn gives(talk: &Talk, wanted: &BTreeMap<String, Vec<String>>) -> bool {
    // The text is what people keep, so the text is checked and not `talk` itself.
    let frames = Talk::parse(&talk.to_string()).and_then(|talk| talk.frames());
    frames.is_ok_and(|frames| essence(&messages_of(&frames)) == *wanted)
}

fn messages_of(frames: &[OwnedFrame]) -> Vec<Message> {
    let mut extractor = Extractor::new(Config::default());
    let mut messages = Vec::new();
    for frame in frames {
        extractor.push(&frame.as_frame(), &mut |message| messages.push(message.clone()));
    }
    extractor.finish(&mut |message| messages.push(message.clone()));
    messages
}

/// The messages between each pair of endpoints, in order, without the fields that differ between
/// two captures of the same conversation.
fn essence(messages: &[Message]) -> BTreeMap<String, Vec<String>> {
    let mut between: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in messages {
        let mut value = serde_json::to_value(message).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            for key in ["timestamp", "latencyMs", "frames", "connection"] {
                fields.remove(key);
            }
        }
        let ends = format!("{} {}", message.destination, message.receiver);
        between.entry(ends).or_default().push(value.to_string());
    }
    between
}

/// Returns every frame as it is; `None` if the text has no name for the link type or a frame was
/// cut.
fn verbatim(frames: &[OwnedFrame], name: &str) -> Option<Talk> {
    let first = frames.first()?;
    link_name(first.link)?;
    if frames.iter().any(|frame| frame.link != first.link || frame.is_cut()) {
        return None;
    }
    let mut talk = Talk {
        title: format!("{name}, frame by frame"),
        link: first.link,
        start: first.time,
        step: 0,
        precision: first.precision,
        ..Talk::default()
    };
    let mut clock = first.time.as_nanos();
    for frame in frames {
        let pause = frame.time.as_nanos().wrapping_sub(clock).cast_signed();
        if pause != 0 {
            talk.steps.push(TalkStep { line: 0, action: Action::Pause(pause) });
            clock = frame.time.as_nanos();
        }
        talk.steps.push(TalkStep { line: 0, action: Action::Frame(frame.bytes.clone()) });
    }
    Some(talk)
}
