//! A golden file: a message per line, and for a damaged capture a last line with the error.
//!
//! ```text
//! {"timestamp":…}
//! {"exit":2,"said":["cut.pcap: damaged in record 14 at byte 2056: …"]}
//! ```
//!
//! Masked fields always have the same value. Next: `diff`.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use sniffer_engine::config::Config;
use sniffer_engine::message::Message;
use sniffer_packet::fate::FrameFate;
use sniffer_replay::source::{Input, Source, SourceError};
use sniffer_replay::{ReplaySink, replay};

use super::masks::Masks;

/// The messages of a capture, and the error it ended with.
pub(super) struct Golden {
    /// The messages as JSON, without `frames`, masked.
    pub(super) messages: Vec<Value>,
    /// Frame numbers of each message, if known.
    pub(super) frames: Vec<Vec<u64>>,
    /// The exit code and the error lines, unless the exit code is 0.
    pub(super) end: Option<Value>,
}

impl Golden {
    /// Extracts the messages of a capture. Fails if the capture cannot be opened.
    pub(super) fn of_capture(path: &Path, masks: &Masks) -> Result<Self, String> {
        let input = Input::File(path.to_owned());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The path of the folder depends on the machine, so the file name alone is kept.
        let said = |line: String| line.replacen(&input.to_string(), &name, 1);
        let mut golden = Self { messages: Vec::new(), frames: Vec::new(), end: None };
        let mut source = match Source::open(std::slice::from_ref(&input)) {
            Ok(source) => source,
            Err(SourceError::Unreadable(damage)) => {
                golden.end = Some(json!({"exit": 2, "said": [said(damage.to_string())]}));
                return Ok(golden);
            }
            Err(error) => return Err(error.to_string()),
        };
        let mut config = Config::default();
        config.track_frames = true;
        let mut collected = Collected { golden: &mut golden, masks };
        let ledger = replay(&mut source, config, &mut collected).ledger;
        let damages: Vec<_> = source.damages().iter().map(|damage| said(damage.to_string())).collect();
        let unknown = ledger.frames_with(FrameFate::UnknownLinkType);
        if !damages.is_empty() {
            golden.end = Some(json!({"exit": 2, "said": damages}));
        } else if unknown > 0 && unknown == ledger.frames() {
            golden.end = Some(json!({"exit": 2, "said": ["no link type in it is supported"]}));
        }
        Ok(golden)
    }

    /// Reads a golden file, if there is one.
    pub(super) fn read(path: &Path, masks: &Masks) -> Result<Option<Self>, String> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let mut golden = Self { messages: Vec::new(), frames: Vec::new(), end: None };
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let value: Value =
                serde_json::from_str(line).map_err(|error| format!("{} line {number}: {error}", path.display()))?;
            match value.get("exit") {
                Some(_) => golden.end = Some(value),
                None => golden.add(value, masks),
            }
        }
        Ok(Some(golden))
    }

    fn add(&mut self, mut message: Value, masks: &Masks) {
        let frames = message.as_object_mut().and_then(|fields| fields.shift_remove("frames"));
        let frames = frames.and_then(|frames| serde_json::from_value(frames).ok()).unwrap_or_default();
        masks.apply(&mut message);
        self.messages.push(message);
        self.frames.push(frames);
    }

    /// Returns the content of the file.
    pub(super) fn lines(&self) -> Vec<u8> {
        let mut text = String::new();
        for value in self.messages.iter().chain(&self.end) {
            text += &value.to_string();
            text.push('\n');
        }
        text.into_bytes()
    }
}

/// Collects the messages of a replay.
struct Collected<'a> {
    golden: &'a mut Golden,
    masks: &'a Masks,
}

impl ReplaySink for Collected<'_> {
    fn message(&mut self, message: &mut Message) {
        self.golden.add(serde_json::to_value(message).unwrap_or_default(), self.masks);
    }
}
