//! From captures to frames: pcap and pcapng, plain or packed with gzip or zstd, from files, pipes
//! and standard input, one or several as one timeline.
//!
//! It never decodes a packet and never decides what damage means for the exit code. Memory: one
//! buffer of 256 KiB (64 KiB for each open file of a timeline), up to 32 MiB for a single record of
//! that size, and the memory of the decompressor (gzip 96 KiB, zstd its window of at most 128 MiB).
//!
//! ```text
//! raw ─▶ (packed ─▶ gzip | zstd) ─▶ window ─▶ pcap | pcapng ─▶ reader ─▶ (timeline) ─▶ Source
//! bytes  one layer, by content      lent from records          one file  many files    frames
//! ```
//!
//! Next: [`fault`](Damage), the damage that is reported; `reader`, one capture; `timeline`,
//! several.

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

/// Buffer of a single capture. It stays in the second-level cache. hot: see NOTES#buffer
const BUFFER: usize = 256 * 1024;

/// The place that a capture is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// Standard input, read as it comes.
    StandardInput,
    /// A file, a named pipe or a device.
    File(PathBuf),
}

impl From<OsString> for Input {
    /// `-` is standard input. A file of that name is `./-`.
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

/// The progress of reading, in bytes of the files on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadProgress {
    /// Bytes read so far, up to one buffer ahead of the frames.
    pub read: u64,
    /// Bytes of all inputs, if every input is a regular file.
    pub total: Option<u64>,
}

/// The next step of a source, reported before it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadEvent {
    /// The next read refills the block (or a fresh one if it is still shared).
    Refill,
    /// The next read may block, as from a pipe. The caller should flush its output.
    Wait,
}

/// The frames of one or more captures, in order of time.
///
/// **A frame is lent until the next call. Damage ends its file, never the others, and is reported
/// after the last frame.**
pub struct Source {
    plan: Plan,
    frames: u64,
}

enum Plan {
    /// One input, in file order. The reader is `None` after the end.
    Single {
        reader: Option<Box<Reader>>,
        progress: ReadProgress,
        damages: Vec<Damage>,
    },
    Timeline(Timeline),
}

impl Source {
    /// Opens captures and reads their file headers. With several inputs, also reads their first
    /// frames.
    ///
    /// # Errors
    /// There is no input, `-` is given twice, a file cannot be opened, or the only input is not a
    /// capture. With several inputs, one that is not a capture counts as damage
    /// ([`Self::damages`]): a rotation set may end with an empty file.
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

    /// Reads one capture from a reader, which is treated as a pipe. `input` names it in messages.
    ///
    /// # Errors
    /// The input is not a capture, or ends inside its file header.
    pub fn from_reader(input: &str, reader: impl Read + Send + 'static) -> Result<Self, SourceError> {
        Self::single(input.to_owned(), Raw::from_reader(reader))
    }

    fn single(input: String, raw: Raw) -> Result<Self, SourceError> {
        let reader = Box::new(Reader::open(input, raw, BUFFER, &mut |_| {})?);
        let progress = ReadProgress { read: 0, total: None };
        Ok(Self { plan: Plan::Single { reader: Some(reader), progress, damages: Vec::new() }, frames: 0 })
    }

    /// Lends the next frame until the next call. Returns `None` after the end of all inputs.
    ///
    /// A frame is lent as soon as its last byte was read. A frame of a single capture lies in a
    /// block. `before_read` is called before every read that may block or that refills the block.
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
                        *progress = reader.progress();
                        return None;
                    }
                };
                let reader = &**place.as_ref()?;
                (record, reader, reader.block())
            }
            Plan::Timeline(timeline) => {
                let (record, reader) = timeline.next(before_read)?;
                // No block: each file has its own, and the next frame is likely in another.
                (*record, reader, None)
            }
        };
        self.frames += 1;
        let Record { time, precision, link, wire_len, .. } = record;
        let frame = Frame::new(self.frames, time, link, reader.bytes(&record));
        Some(frame.with_wire_len(wire_len).with_precision(precision).within(block))
    }

    /// Returns the damage found so far, in order. Complete once [`Self::next`] has returned `None`.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        match &self.plan {
            Plan::Single { damages, .. } => damages,
            Plan::Timeline(timeline) => timeline.damages(),
        }
    }

    /// Returns the progress of reading. Cheap enough for a progress bar, not for every frame.
    #[must_use]
    pub fn progress(&self) -> ReadProgress {
        match &self.plan {
            Plan::Single { reader: Some(reader), .. } => reader.progress(),
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
