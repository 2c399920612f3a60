//! Several captures as one: the frame with the earliest time comes next; ties go in argument order.
//!
//! The rule is mergecap's: only the next frame of each file is compared, so a file keeps its own
//! order even if its time goes back. Ties differ: mergecap 4.0 gives them to the file named last. No
//! file is open before its turn: a rotation set of a thousand files needs one handle and one buffer
//! at a time. Next: [`super::Source`].
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

/// Buffer of each open file. Smaller than that of a single capture, because there can be many.
const BUFFER: usize = 64 * 1024;

/// Number of open files that keep their handle; further ones are opened for each read. Less than the
/// 256 handles that macOS grants a process.
const HANDLES_KEPT: usize = 128;

/// Captures in one order of time.
pub(super) struct Timeline {
    lanes: Vec<Lane>,
    /// Time of the next frame of every lane that has one, except `current`. The lane's number breaks
    /// ties.
    next: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The lane whose frame was lent last.
    current: Option<usize>,
    open: usize,
    damages: Vec<Damage>,
    /// Bytes of the files that are done.
    done_bytes: u64,
    /// Bytes of all files, if all sizes are known.
    total_bytes: Option<u64>,
}

enum Lane {
    /// A regular file whose first frame is not yet the earliest.
    Waiting(PathBuf),
    /// A file that is being read. The record is its next frame, in the reader's window.
    Open(Box<Reader>, Record),
    Done,
}

impl Timeline {
    /// Opens every input for the time of its first frame. A file that cannot be opened is an error. A
    /// file that is damaged from the start is reported with the other damage.
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
                // A pipe can be read only once, so it stays open.
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

    /// Returns the record of the next frame and the reader that has its bytes; `None` after the end of
    /// all inputs.
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
            // In most cases the same file has the earliest frame again.
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

    /// Reads the next frame of an open lane and returns its time.
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
        let ReadProgress { read, total } = reader.progress();
        self.done_bytes += total.unwrap_or(read);
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
            // It could be opened for its first frame, so it was moved or handles ran out.
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
            Lane::Open(reader, _) => reader.progress().read,
            Lane::Waiting(_) | Lane::Done => 0,
        });
        ReadProgress { read: self.done_bytes + open.sum::<u64>(), total: self.total_bytes }
    }
}
