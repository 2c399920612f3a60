//! From captures to frames: pcap and pcapng, plain or packed with gzip or zstd, from files, pipes and standard input,
//! several of them as one timeline.
//!
//! It never decodes a packet and never decides what damage means for the exit code. Memory: one buffer of 256 KiB (64
//! KiB for each file open in a timeline), at most 32 MiB where a single record is that large, and what unpacking needs
//! (gzip 96 KiB, zstd its window, at most 128 MiB).
//!
//! ```text
//! raw ──▶ (packed ──▶ gzip | zstd) ──▶ window ──▶ pcap | pcapng ──▶ reader ──▶ (timeline) ──▶ Source ──▶ Frame
//! bytes   one layer, by content        lent from  records          one file   many files    numbered
//! ```
//!
//! Next: [`fault`](Damage) for what can be wrong, `reader` for one capture, `timeline` for several.

mod clock;
mod fault;
mod gzip;
mod packed;
mod pcap;
mod pcapng;
mod raw;
mod reader;
mod record;
mod timeline;
mod window;
mod zstd;

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;

use sniffer_packet::frame::Frame;

pub use fault::{Damage, Fault, Packing, SourceError};
use raw::{Handle, Raw};
use reader::Reader;
use record::Record;
use timeline::Timeline;

/// Buffer of a single capture: 256 KiB to 1 MiB stay in the second-level cache and measured fastest.
const BUFFER: usize = 256 * 1024;

/// Where a capture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// Standard input, read as it comes.
    StandardInput,
    /// A file, a named pipe or a device.
    File(PathBuf),
}

impl From<OsString> for Input {
    /// `-` is standard input, as everywhere; a file of that name is `./-`.
    fn from(argument: OsString) -> Self {
        if argument == "-" { Self::StandardInput } else { Self::File(argument.into()) }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StandardInput => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Input {
    fn raw(&self, handle: Handle) -> Result<Raw, SourceError> {
        let opened = match self {
            Self::StandardInput => Raw::standard_input(),
            Self::File(path) => Raw::open(path, handle),
        };
        opened.map_err(|source| SourceError::Open { input: self.to_string(), source })
    }
}

/// How far the reading is, in bytes of the files as they lie on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadProgress {
    /// Bytes read so far; runs ahead of the frames by one buffer.
    pub read: u64,
    /// Bytes in all, when every input is a regular file.
    pub total: Option<u64>,
}

/// What a source is about to do, for who can prepare for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadEvent {
    /// To fill the block that its frames lie in anew; or another, when somebody else still has it.
    Refill,
    /// To read what somebody else may still have to write, as from a pipe: what the frames so far have led to should be handed on.
    Wait,
}

/// The frames of one or more captures, in order of time.
///
/// **A frame is lent until the next call; damage ends a file, never the others, and is told after the last frame.**
pub struct Source {
    plan: Plan,
    frames: u64,
}

enum Plan {
    /// One input, in the order of the file. None behind its end.
    Single {
        reader: Option<Box<Reader>>,
        progress: ReadProgress,
        damages: Vec<Damage>,
    },
    Timeline(Timeline),
}

impl Source {
    /// Opens captures and reads their file headers, of several also their first frames.
    ///
    /// # Errors
    /// No inputs, `-` twice, a file that cannot be opened; with a single input also one that is not a capture. Of several
    /// inputs, one that is not a capture counts as damage ([`Self::damages`]): a rotation set may end with an empty file.
    pub fn open(inputs: &[Input]) -> Result<Self, SourceError> {
        if inputs.iter().filter(|input| **input == Input::StandardInput).count() > 1 {
            return Err(SourceError::StandardInputTwice);
        }
        match inputs {
            [] => Err(SourceError::NoInput),
            [input] => Self::single(input.to_string(), input.raw(Handle::Kept)?),
            inputs => Ok(Self { plan: Plan::Timeline(Timeline::open(inputs)?), frames: 0 }),
        }
    }

    /// Reads one capture from anything that can be read; it is taken for a pipe. `input` names it in messages.
    ///
    /// # Errors
    /// It is not a capture, or breaks off inside its file header.
    pub fn from_reader(input: &str, reader: impl Read + Send + 'static) -> Result<Self, SourceError> {
        Self::single(input.to_owned(), Raw::from_reader(reader))
    }

    fn single(input: String, raw: Raw) -> Result<Self, SourceError> {
        let reader = Box::new(Reader::open(input, raw, BUFFER, &mut |_| {})?);
        let progress = ReadProgress { read: 0, total: None };
        Ok(Self { plan: Plan::Single { reader: Some(reader), progress, damages: Vec::new() }, frames: 0 })
    }

    /// The next frame, lent until the next call; none at the end of all inputs, and for ever after.
    ///
    /// A frame is given as soon as its last byte is there; of one capture it lies in a block. `before_read` is called before every
    /// read that makes the caller wait or its frames' block another.
    #[inline(always)]
    pub fn next(&mut self, before_read: &mut dyn FnMut(ReadEvent)) -> Option<Frame<'_>> {
        let (record, reader, block) = match &mut self.plan {
            Plan::Single { reader: place, progress, damages } => {
                let next = place.as_mut()?.next(before_read);
                let record = match next {
                    Ok(Some(record)) => record,
                    ended => {
                        damages.extend(ended.err().map(|damage| *damage));
                        let reader = place.take()?;
                        let (read, total) = reader.position();
                        *progress = ReadProgress { read, total };
                        return None;
                    }
                };
                let reader = &**place.as_ref()?;
                (record, reader, reader.block())
            }
            Plan::Timeline(timeline) => {
                let (record, reader) = timeline.next(before_read)?;
                // Each has blocks of its own, and the next frame is likely another's.
                (*record, reader, None)
            }
        };
        self.frames += 1;
        let Record { time, precision, link, wire_len, .. } = record;
        let frame = Frame::new(self.frames, time, link, reader.bytes(&record));
        Some(frame.with_wire_len(wire_len).with_precision(precision).within(block))
    }

    /// What was wrong with which input, in the order it was met; complete once [`Self::next`] has given none.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        match &self.plan {
            Plan::Single { damages, .. } => damages,
            Plan::Timeline(timeline) => timeline.damages(),
        }
    }

    /// How far the reading is. Cheap, but not free: for a progress bar, not for every frame.
    #[must_use]
    pub fn progress(&self) -> ReadProgress {
        match &self.plan {
            Plan::Single { reader: Some(reader), .. } => {
                let (read, total) = reader.position();
                ReadProgress { read, total }
            }
            Plan::Single { progress, .. } => *progress,
            Plan::Timeline(timeline) => timeline.progress(),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("frames", &self.frames).field("damages", &self.damages()).finish_non_exhaustive()
    }
}
