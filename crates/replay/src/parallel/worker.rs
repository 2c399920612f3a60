//! Work on one shard: steps in, lines out, labelled with what orders them.
//!
//! What is written is handed on in pieces: what a few steps complete can be all that the budget holds, decoded and written
//! out. Next: [`super::steps`], the steps; [`super::scheduler`], which keeps the pieces.

use std::sync::Mutex;
use std::thread;

use sniffer_engine::json::Lines;
use sniffer_engine::message::{Message, OutputKey};
use sniffer_engine::shard::Shard;

use super::steps::StepBatch;
use super::{Write, lock};

/// Bytes of a piece: more than the lines of a round, on most captures.
pub(super) const PIECE: usize = 512 << 10;

/// Memory that a piece keeps for the next: what a buffer that doubles has when a body of 1 MiB is in its last line. With half as
/// much, which was asked for again and again, a replay of large bodies took a tenth longer.
const KEPT: usize = 4 * PIECE;

/// Steps of one round.
pub(super) struct Job {
    /// The older, the sooner it is to be done.
    pub(super) round: u64,
    pub(super) batch: StepBatch,
    /// What this frame completes is left in the shard.
    pub(super) hold: Option<u64>,
    /// To be filled.
    pub(super) output: ShardOutput,
}

/// Lines of a round, in order; the last piece says that it is.
pub(super) struct OutputPiece {
    pub(super) output: ShardOutput,
    pub(super) done: Option<Done>,
}

/// What came of a job.
pub(super) struct Done {
    /// To be filled again.
    pub(super) batch: StepBatch,
    /// What its steps [cost](StepBatch::cost).
    pub(super) cost: usize,
    /// What the shard holds now.
    pub(super) held: usize,
}

/// Lines, and what orders them among those of other shards.
#[derive(Debug, Default)]
pub(super) struct ShardOutput {
    pub(super) lines: Lines,
    pub(super) labels: Vec<Label>,
}

/// Of one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub(super) output_key: OutputKey,
    /// Where its lines end.
    pub(super) end: usize,
}

impl ShardOutput {
    pub(super) fn clear(&mut self) {
        self.lines.clear(KEPT);
        self.labels.clear();
    }
}

/// A worker that panicked says so, and it is the caller's panic then.
pub(super) type JobOutcome = thread::Result<OutputPiece>;

/// Does a job on its shard. `hand_on` gets what is more than a piece.
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
        let output_key = message.output_key();
        (self.write)(message, &mut self.output.lines);
        self.output.labels.push(Label { output_key, end: self.output.lines.len() });
        if self.output.lines.len() >= PIECE {
            (self.hand_on)(OutputPiece { output: std::mem::take(&mut self.output), done: None });
        }
    }
}
