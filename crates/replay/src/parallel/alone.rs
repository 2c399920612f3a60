//! Bulk traffic on the reader's thread: each plain frame goes straight to its shard.
//!
//! Nothing crosses to another thread, so nothing is copied or queued for it. Only plain frames are
//! taken this way; all other steps go through [`super::rounds`], which ends this first.

use std::io::IoSlice;
use std::sync::{Mutex, MutexGuard};

use sniffer_engine::message::Message;
use sniffer_engine::shard::Shard;
use sniffer_packet::decode::{Decoded, decode};
use sniffer_packet::defrag::Overlap;
use sniffer_packet::frame::Frame;
use sniffer_packet::intake::{Now, Step};

use super::worker::ShardOutput;
use super::{Write, lock};
use crate::replay::ReplaySink;

/// The reader while it works alone.
pub(super) struct Alone<'a> {
    shards: &'a [Mutex<Shard>],
    /// All shards, from the first frame to [`Self::end`].
    locked: Vec<MutexGuard<'a, Shard>>,
    /// The shard and number of the last frame, whose messages are not sealed yet.
    unsealed: Option<(usize, u64)>,
    output: Output<'a>,
}

/// Lines that were not handed on yet.
struct Output<'a> {
    lines: ShardOutput,
    /// Messages that were handed on and not counted yet.
    messages: usize,
    write: Write<'a>,
}

impl<'a> Alone<'a> {
    pub(super) fn new(shards: &'a [Mutex<Shard>], write: Write<'a>) -> Self {
        let output = Output { lines: ShardOutput::default(), messages: 0, write };
        Self { shards, locked: Vec::new(), unsealed: None, output }
    }

    /// Returns whether the shards are locked.
    pub(super) const fn is_begun(&self) -> bool {
        !self.locked.is_empty()
    }

    /// Locks the shards, and writes to `output`. No round may be in flight.
    pub(super) fn begin(&mut self, output: ShardOutput) {
        self.output.lines = output;
        self.locked.extend(self.shards.iter().map(lock));
    }

    /// Takes a plain frame to its shard, after writing what the frame before it completed.
    pub(super) fn frame(&mut self, shard: usize, frame: &Frame<'_>, moment: &Now, sink: &mut dyn ReplaySink) {
        self.seal(sink);
        let decoded = decode(frame);
        let Decoded::Segment(segment) = &decoded else { unreachable!("a peek at it saw a segment") };
        let (stamp, block) = (moment.frame, frame.block);
        let step = Step::Segment { segment, stamp, overlap: Overlap::None, fragment_frames: &[], block };
        let Self { locked, output, .. } = self;
        locked[shard].take(step, moment, &mut |message| output.message(message, sink));
        self.unsealed = Some((shard, frame.number));
    }

    /// Writes what the last frame completed. Frames come in output order, so the lines do too.
    fn seal(&mut self, sink: &mut dyn ReplaySink) {
        let Self { locked, output, unsealed, .. } = self;
        if let Some((shard, frame)) = unsealed.take() {
            locked[shard].seal(frame, &mut |message| output.message(message, sink));
            locked[shard].emit(&mut |message| output.message(message, sink));
        }
    }

    /// Hands on all lines but those of the last frame. Calls
    /// `held` with what each shard holds. Returns the number of messages since the last call.
    pub(super) fn hand_on(&mut self, sink: &mut dyn ReplaySink, mut held: impl FnMut(usize, usize)) -> usize {
        self.output.hand_on(sink);
        for (at, shard) in self.locked.iter_mut().enumerate() {
            held(at, shard.held());
        }
        std::mem::take(&mut self.output.messages)
    }

    /// Unlocks the shards, after what [`Self::hand_on`] does. What the last frame completed is
    /// written too, unless that is the frame `hold`. Returns the empty output as well.
    pub(super) fn end(
        &mut self,
        hold: Option<u64>,
        sink: &mut dyn ReplaySink,
        held: impl FnMut(usize, usize),
    ) -> (usize, ShardOutput) {
        if self.unsealed.is_some_and(|(_, frame)| hold != Some(frame)) {
            self.seal(sink);
        }
        self.unsealed = None;
        let messages = self.hand_on(sink, held);
        self.locked.clear();
        (messages, std::mem::take(&mut self.output.lines))
    }
}

impl Output<'_> {
    fn message(&mut self, message: &mut Message, sink: &mut dyn ReplaySink) {
        if self.lines.write(message, self.write) {
            self.hand_on(sink);
        }
    }

    fn hand_on(&mut self, sink: &mut dyn ReplaySink) {
        let ShardOutput { lines, labels } = &self.lines;
        if !labels.is_empty() {
            self.messages += labels.len();
            sink.lines(&mut [IoSlice::new(lines.as_bytes())]);
            self.lines.clear();
        }
    }
}
