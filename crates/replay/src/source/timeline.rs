//! Several captures as one: always the frame with the earliest time next, ties in the order of the arguments.
//!
//! The rule is mergecap's: of every file only its next frame is compared, so a file's own order is kept even where its
//! time goes back. Ties differ: mergecap 4.0 gives them to the file named last. It never holds a file open before its
//! turn: a rotation set of a thousand files needs one handle and one buffer at a time. Next: [`super::Source`].
//!
//! ```text
//! Waiting ──its first frame is the earliest──▶ Open ──no more frames, or a fault──▶ Done
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;

use sniffer_packet::time::Timestamp;

use super::fault::{Damage, SourceError};
use super::raw::{Handle, Raw};
use super::reader::Reader;
use super::record::Record;
use super::window::BeforeRead;
use super::{Input, ReadProgress};

/// Buffer of each open file: smaller than that of a single file, for there can be many.
const BUFFER: usize = 64 * 1024;

/// Files that are open at once and keep their handle; further ones are opened for each read. Below the 256 handles that
/// macOS grants a process.
const HANDLES_KEPT: usize = 128;

/// Captures in one order of time.
pub(super) struct Timeline {
    lanes: Vec<Lane>,
    /// Time of the next frame of every lane that has one, but for `current`; the lane's number breaks ties.
    next: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The lane whose frame was lent last.
    current: Option<usize>,
    open: usize,
    damages: Vec<Damage>,
    /// Bytes of the files that are done.
    done_bytes: u64,
    /// Bytes of all files, when all sizes are known.
    total_bytes: Option<u64>,
}

enum Lane {
    /// A regular file whose first frame is not yet the earliest.
    Waiting(PathBuf),
    /// Being read; the record is its next frame, in the reader's window.
    Open(Box<Reader>, Record),
    Done,
}

impl Timeline {
    /// Opens every input for its first frame's time. A file that cannot be opened is an error; one that is damaged from
    /// the start is a damage like any other.
    pub(super) fn open(inputs: &[Input]) -> Result<Self, SourceError> {
        let mut timeline = Self {
            lanes: Vec::with_capacity(inputs.len()),
            next: BinaryHeap::with_capacity(inputs.len()),
            current: None,
            open: 0,
            damages: Vec::new(),
            done_bytes: 0,
            total_bytes: Some(0),
        };
        for (number, input) in inputs.iter().enumerate() {
            let raw = input.raw(Handle::Kept)?;
            let size = raw.size;
            timeline.total_bytes = timeline.total_bytes.zip(size).map(|(sum, size)| sum.saturating_add(size));
            let lane = match (timeline.first(input, raw, &mut |_| {}), input) {
                (None, _) => {
                    timeline.done_bytes += size.unwrap_or(0);
                    Lane::Done
                }
                (Some((_, record)), Input::File(path)) if size.is_some() => {
                    timeline.next.push(Reverse((record.time, number)));
                    Lane::Waiting(path.clone())
                }
                // A pipe gives its bytes only once, so it stays open.
                (Some((reader, record)), _) => {
                    timeline.next.push(Reverse((record.time, number)));
                    timeline.open += 1;
                    Lane::Open(reader, record)
                }
            };
            timeline.lanes.push(lane);
        }
        Ok(timeline)
    }

    /// The next frame's record and the bytes it lies in; none at the end of all inputs.
    pub(super) fn next(&mut self, before_read: BeforeRead<'_>) -> Option<(&Record, &Reader)> {
        let number = self.step(before_read)?;
        match &self.lanes[number] {
            Lane::Open(reader, record) => Some((record, reader)),
            Lane::Waiting(_) | Lane::Done => None,
        }
    }

    /// Finds the lane with the earliest frame and opens it if need be.
    fn step(&mut self, before_read: BeforeRead<'_>) -> Option<usize> {
        if let Some(number) = self.current.take()
            && let Some(time) = self.advance(number, before_read)
        {
            // Most often the same file has the earliest frame again.
            if self.next.peek().is_none_or(|Reverse(other)| (time, number) < *other) {
                self.current = Some(number);
                return self.current;
            }
            self.next.push(Reverse((time, number)));
        }
        while let Some(Reverse((_, number))) = self.next.pop() {
            if let Lane::Waiting(path) = &self.lanes[number] {
                let input = Input::File(path.clone());
                self.lanes[number] = self.turn(&input, before_read);
            }
            if matches!(self.lanes[number], Lane::Open(..)) {
                self.current = Some(number);
                return self.current;
            }
        }
        None
    }

    /// Reads the next frame of an open lane and tells its time.
    fn advance(&mut self, number: usize, before_read: BeforeRead<'_>) -> Option<Timestamp> {
        let Lane::Open(reader, record) = &mut self.lanes[number] else { return None };
        let ended = match reader.next(before_read) {
            Ok(Some(next)) => {
                *record = next;
                return Some(next.time);
            }
            Ok(None) => None,
            Err(damage) => Some(*damage),
        };
        let (read, size) = reader.position();
        self.done_bytes += size.unwrap_or(read);
        self.damages.extend(ended);
        self.lanes[number] = Lane::Done;
        self.open -= 1;
        None
    }

    /// Opens a file whose turn has come.
    fn turn(&mut self, input: &Input, before_read: BeforeRead<'_>) -> Lane {
        let handle = if self.open < HANDLES_KEPT { Handle::Kept } else { Handle::Borrowed };
        let raw = match input.raw(handle) {
            Ok(raw) => raw,
            // It could be opened when we looked for its first frame: it was moved, or handles ran out.
            Err(error) => {
                self.damages.push(Damage::not_reopened(input.to_string(), error));
                return Lane::Done;
            }
        };
        match self.first(input, raw, before_read) {
            Some((reader, record)) => {
                self.open += 1;
                Lane::Open(reader, record)
            }
            None => Lane::Done,
        }
    }

    fn first(&mut self, input: &Input, raw: Raw, before_read: BeforeRead<'_>) -> Option<(Box<Reader>, Record)> {
        let opened = Reader::open(input.to_string(), raw, BUFFER, before_read)
            .and_then(|mut reader| Ok(reader.next(before_read)?.map(|record| (Box::new(reader), record))));
        opened.unwrap_or_else(|damage| {
            self.damages.push(*damage);
            None
        })
    }

    pub(super) fn damages(&self) -> &[Damage] {
        &self.damages
    }

    pub(super) fn progress(&self) -> ReadProgress {
        let open = self.lanes.iter().map(|lane| match lane {
            Lane::Open(reader, _) => reader.position().0,
            Lane::Waiting(_) | Lane::Done => 0,
        });
        ReadProgress { read: self.done_bytes + open.sum::<u64>(), total: self.total_bytes }
    }
}
