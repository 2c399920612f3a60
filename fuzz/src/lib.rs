//! The check of the fuzz target for capture files, and the seeds of all targets.
//!
//! Next: `sniffer_engine::fuzzing` for the other targets, `fuzz/README.md` for how to run them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};

use sniffer_engine::fuzzing as fuzz;
use sniffer_packet::frame::OwnedFrame;
use sniffer_testkit::talk::{Action, Talk};

use sniffer_replay::source::Source;

/// Most frames that are read: a packed input can hold millions.
const FRAMES_MAX: u64 = 20_000;

/// A target: its name and its check.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, named like the files in `fuzz/fuzz_targets`.
pub const TARGETS: [Target; 8] = [
    ("capture", capture),
    ("content", fuzz::content),
    ("conversation", fuzz::conversation),
    ("http1", fuzz::http1),
    ("json", fuzz::json),
    ("packets", fuzz::packets),
    ("talk", fuzz::talk),
    ("tcp", fuzz::tcp),
];

/// Reads any bytes as a capture, at once and in small pieces.
///
/// # Panics
/// If the two readings differ, if frames are not numbered from 1, or if a plain file gives more
/// bytes than it has.
pub fn capture(data: &[u8]) {
    let whole = read(data, usize::MAX);
    let pieces = read(data, 1 + data.len() / 16);
    assert_eq!(whole, pieces, "at once, and in pieces");
    let packed = data.starts_with(&[0x1f, 0x8b])
        || data.get(1..3) == Some(&[0xb5, 0x2f])
        || data.get(1..3) == Some(&[0x2a, 0x4d]);
    assert!(packed || whole.bytes <= data.len() as u64, "{} bytes of frames in {}", whole.bytes, data.len());
}

/// Makes seeds for the targets from a file of the corpus with this name.
pub fn seeds(name: &str, bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    if !name.ends_with(".talk") {
        let mut seeds = vec![("capture", bytes.to_vec())];
        seeds.extend(frame_seeds(&frames(bytes)));
        return seeds;
    }
    let mut seeds = vec![("talk", bytes.to_vec())];
    let Some(talk) = std::str::from_utf8(bytes).ok().and_then(|text| Talk::parse(text).ok()) else { return seeds };
    let streams = fuzz::talk_as_streams(&talk);
    seeds.extend([("http1", streams.clone()), ("json", streams.clone()), ("tcp", streams)]);
    for step in &talk.steps {
        if let Action::Send(block) = &step.action
            && let Some(head) = block.payload.windows(4).position(|window| window == b"\r\n\r\n")
        {
            // Every coding with a cap of 4 KiB; all but the right one are refused at once.
            let body = &block.payload[head + 4..];
            seeds.extend((0..8).map(|coding| ("content", [&[coding, 0, 16], body].concat())));
        }
    }
    seeds
}

fn frame_seeds(frames: &[OwnedFrame]) -> Vec<(&'static str, Vec<u8>)> {
    let input = fuzz::frames_as_input(frames);
    vec![("conversation", [&[0, 0, 0], &input[..]].concat()), ("packets", input)]
}

fn frames(bytes: &[u8]) -> Vec<OwnedFrame> {
    let mut frames = Vec::new();
    if let Ok(mut source) = Source::from_reader("seed", io::Cursor::new(bytes.to_vec())) {
        while let Some(frame) = source.next(&mut |_| {}) {
            frames.push(OwnedFrame::from(&frame));
        }
    }
    frames
}

/// The result of a reading.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    frames: u64,
    bytes: u64,
    hash: u64,
    /// Empty if there were more frames than are read.
    damages: Vec<String>,
}

fn read(data: &[u8], size: usize) -> Outcome {
    let mut outcome = Outcome { frames: 0, bytes: 0, hash: 0, damages: Vec::new() };
    let mut source = match Source::from_reader("input", Pieces { bytes: data.to_vec(), at: 0, size }) {
        Ok(source) => source,
        Err(error) => return Outcome { damages: vec![error.to_string()], ..outcome },
    };
    let mut hasher = DefaultHasher::new();
    while let Some(frame) = source.next(&mut |_| {}) {
        outcome.frames += 1;
        outcome.bytes += frame.bytes.len() as u64;
        assert_eq!(frame.number, outcome.frames, "frames are numbered from 1");
        (frame.time.as_nanos(), frame.link, frame.wire_len, frame.bytes).hash(&mut hasher);
        if outcome.frames == FRAMES_MAX {
            return Outcome { hash: hasher.finish(), ..outcome };
        }
    }
    assert!(source.next(&mut |_| {}).is_none(), "the end is the end");
    let damages = source.damages().iter().map(ToString::to_string).collect();
    Outcome { hash: hasher.finish(), damages, ..outcome }
}

/// A reader that gives at most `size` bytes at a time.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    size: usize,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.size.min(into.len()).min(self.bytes.len() - self.at);
        into[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
