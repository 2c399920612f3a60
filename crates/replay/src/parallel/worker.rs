//! A job: the steps of one round for one shard go in; lines come out, labelled with their order.
//!
//! Lines are handed on in pieces, because a few steps can complete everything that the memory budget
//! holds, which is then decoded and written. Next: [`super::steps`], the steps;
//! [`super::scheduler`], which keeps the pieces.

use std::sync::Mutex;
use std::thread;

use sniffer_engine::json::Lines;
use sniffer_engine::message::{Message, OutputKey};
use sniffer_engine::shard::Shard;

use super::steps::StepBatch;
use super::{Write, lock};

/// Bytes of a piece: more than the lines of a round in most captures.
pub(super) const PIECE: usize = 512 << 10;

/// Capacity that the lines of a piece keep for the next one: that of a buffer which grew by doubling
/// until a body of 1 MiB was its last line. hot: see NOTES#kept
const KEPT: usize = 4 * PIECE;

/// The steps of one round for a shard.
pub(super) struct Job {
    /// Number of the round. Older rounds are done first.
    pub(super) round: u64,
    pub(super) batch: StepBatch,
    /// Messages that this frame completes stay in the shard.
    pub(super) hold: Option<u64>,
    /// An empty output, to be filled.
    pub(super) output: ShardOutput,
}

/// Lines of a job, in order.
pub(super) struct OutputPiece {
    pub(super) output: ShardOutput,
    /// Set in the last piece of a job.
    pub(super) done: Option<Done>,
}

/// The result of a job, besides its lines.
pub(super) struct Done {
    /// The batch, empty, to be filled again.
    pub(super) batch: StepBatch,
    /// What the steps of the job [cost](StepBatch::cost).
    pub(super) cost: usize,
    /// Bytes that the shard holds now.
    pub(super) held: usize,
}

/// Lines, and the labels that order them among those of other shards.
#[derive(Debug, Default)]
pub(super) struct ShardOutput {
    pub(super) lines: Lines,
    pub(super) labels: Vec<Label>,
}

/// Label of one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub(super) output_key: OutputKey,
    /// End of its lines.
    pub(super) end: usize,
}

impl ShardOutput {
    /// Returns whether it was ever written to.
    pub(super) const fn has_memory(&self) -> bool {
        self.labels.capacity() > 0
    }

    /// Writes a message. Returns whether there is now enough for a piece.
    #[inline]
    pub(super) fn write(&mut self, message: &mut Message, write: Write<'_>) -> bool {
        let output_key = message.output_key();
        write(message, &mut self.lines);
        self.labels.push(Label { output_key, end: self.lines.len() });
        self.lines.len() >= PIECE
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear(KEPT);
        self.labels.clear();
    }
}

/// A piece, or the panic of the worker, which becomes the panic of the caller.
pub(super) type JobOutcome = thread::Result<OutputPiece>;

/// Does a job on its shard. `hand_on` takes all pieces but the last.
pub(super) fn work(
    shard: &Mutex<Shard>,
    job: Job,
    write: Write<'_>,
    hand_on: &mut dyn FnMut(OutputPiece),
) -> OutputPiece {
    let Job { mut batch, hold, output, .. } = job;
    let mut shard = lock(shard);
    let mut writer = Writer { output, write, hand_on };
    let mut frame = 0;
    batch.each(
        #[inline(always)]
        |step, moment| {
            if moment.frame.number != frame {
                shard.seal(frame, &mut |message| writer.message(message));
                frame = moment.frame.number;
            }
            shard.take(step, moment, &mut |message| writer.message(message));
        },
    );
    if hold != Some(frame) {
        shard.seal(frame, &mut |message| writer.message(message));
    }
    shard.emit(&mut |message| writer.message(message));
    let cost = batch.cost();
    batch.clear();
    OutputPiece { output: writer.output, done: Some(Done { batch, cost, held: shard.held() }) }
}

struct Writer<'a> {
    output: ShardOutput,
    write: Write<'a>,
    hand_on: &'a mut dyn FnMut(OutputPiece),
}

impl Writer<'_> {
    #[inline]
    fn message(&mut self, message: &mut Message) {
        if self.output.write(message, self.write) {
            (self.hand_on)(OutputPiece { output: std::mem::take(&mut self.output), done: None });
        }
    }
}
