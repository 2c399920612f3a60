//! Rounds: steps of a stretch of the capture, sent to all shards at once; their lines, collected and put in order.
//!
//! A round's lines lie wholly before the next one's. When more rounds are on their way than others can work on, the reader
//! works on them too, rather than wait: on two cores a third of the jobs are its own, and their packets never leave its
//! caches. Next: [`super::scheduler`], who works on what; [`super::merge`], the order inside a round.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::panic::resume_unwind;
use std::sync::Mutex;

use sniffer_engine::json::Lines;
use sniffer_engine::message::Message;
use sniffer_engine::shard::{Shard, shard_of};
use sniffer_packet::block::Block;
use sniffer_packet::decode::Peek;
use sniffer_packet::frame::Frame;
use sniffer_packet::intake::{Now, Step};
use sniffer_packet::key::bucket;

use super::estimate::Estimate;
use super::merge::{self, PieceCursor};
use super::scheduler::{Assignment, Scheduler};
use super::steps::StepBatch;
use super::worker::{Done, Job, JobOutcome, OutputPiece, PIECE, ShardOutput, work};
use super::{Write, lock};
use crate::replay::ReplaySink;

/// Bytes of a round: enough that handing it over does not show, and little in all caches. Two threads took 2 to 4 % longer with twice
/// as much, up to 4 % with half as much, and 14 to 50 % with eight times as much.
const ROUND: usize = 512 << 10;

/// Blocks of the capture that a round keeps, though it needs little of each.
const BLOCKS: usize = 3;

/// Rounds on their way, while the reader fills the next: enough that a thread that has little of one has more of another.
const ON_THEIR_WAY: usize = 2;

/// What is sent, what is on its way, and what came back.
pub(super) struct Rounds<'a> {
    queues: &'a Scheduler,
    shards: &'a [Mutex<Shard>],
    write: Write<'a>,
    /// How many were sent.
    sent: u64,
    /// The next round, by shard.
    filling: Vec<StepBatch>,
    /// Its bytes, and what they lie in that were not copied.
    size: usize,
    blocks: Vec<Block>,
    /// Oldest first: the shards of each whose next piece is awaited.
    on_their_way: VecDeque<Vec<usize>>,
    /// Of the oldest round.
    heads: Vec<PieceCursor>,
    bounds: Vec<Estimate>,
    /// By shard, so that they stay in the caches of who works on it.
    spare: Vec<(Vec<StepBatch>, Vec<ShardOutput>)>,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(queues: &'a Scheduler, shards: &'a [Mutex<Shard>], write: Write<'a>) -> Self {
        Self {
            queues,
            shards,
            write,
            sent: 0,
            filling: shards.iter().map(|_| StepBatch::default()).collect(),
            size: 0,
            blocks: Vec::new(),
            on_their_way: VecDeque::new(),
            heads: Vec::new(),
            bounds: vec![Estimate::default(); shards.len()],
            spare: shards.iter().map(|_| (Vec::new(), Vec::new())).collect(),
        }
    }

    /// Adds a step to the next round.
    #[inline(always)]
    pub(super) fn add(&mut self, step: Step<'_, '_>, moment: &Now) {
        match step {
            Step::Tick(passed) => self.filling.iter_mut().for_each(|batch| batch.tick(passed, moment)),
            Step::Segment { segment, stamp, overlap, fragment_frames, block } => {
                let shard = shard_of(bucket(&segment.src, &segment.dst), self.filling.len());
                let block = self.number(block);
                self.size += self.filling[shard].segment(segment, (stamp, fragment_frames), overlap, moment, block);
            }
            _ => {}
        }
    }

    /// Adds a plain frame, with what a peek at it tells.
    #[inline(always)]
    pub(super) fn add_frame(&mut self, frame: &Frame<'_>, peek: Peek, moment: Now) {
        let shard = shard_of(peek.bucket, self.filling.len());
        let block = self.number(frame.block);
        self.size += self.filling[shard].frame(frame, peek.payload, moment, block);
    }

    /// The number of a block, for which the round keeps it.
    #[inline(always)]
    fn number<'b>(&mut self, block: Option<&'b Block>) -> Option<(usize, &'b Block)> {
        let block = block?;
        if !self.blocks.last().is_some_and(|last| last.is(block)) {
            self.blocks.push(block.clone());
        }
        Some((self.blocks.len() - 1, block))
    }

    /// Whether the next round is large enough to be sent.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.blocks.len() > BLOCKS || self.size >= ROUND
    }

    /// What all shards hold at most, once they have had everything up to now.
    pub(super) fn held_at_most(&self) -> usize {
        let filling: usize = self.filling.iter().map(StepBatch::cost).sum();
        filling + self.bounds.iter().map(|estimate| estimate.most()).sum::<usize>()
    }

    /// Sends the next round; hands on the lines of old ones. What the frame `hold` completes stays in the shards.
    pub(super) fn send(&mut self, hold: Option<u64>, receiver: &mut dyn ReplaySink) {
        self.sent += 1;
        self.size = 0;
        let Self { filling, blocks, spare, bounds, sent, .. } = self;
        let mut round = Vec::new();
        let jobs = filling.iter_mut().enumerate().filter(|(_, batch)| !batch.is_empty()).map(|(shard, batch)| {
            let (batches, outputs) = &mut spare[shard];
            let mut batch = std::mem::replace(batch, batches.pop().unwrap_or_default());
            batch.share(blocks);
            bounds[shard].sent += batch.cost();
            round.push(shard);
            (shard, Job { round: *sent, batch, hold, output: outputs.pop().unwrap_or_default() })
        });
        self.queues.send(jobs);
        self.blocks.clear();
        self.on_their_way.push_back(round);
        while self.on_their_way.len() > ON_THEIR_WAY {
            self.advance(None, receiver);
        }
    }

    /// Sends the next round as [`Self::send`] does, waits for everything and hands on its lines.
    pub(super) fn drain(&mut self, hold: Option<u64>, receiver: &mut dyn ReplaySink) {
        self.send(hold, receiver);
        while !self.on_their_way.is_empty() {
            self.advance(None, receiver);
        }
    }

    /// Works on all shards on this thread, when there is nothing on its way.
    pub(super) fn here<T>(
        &self,
        receiver: &mut dyn ReplaySink,
        work: impl FnOnce(&mut [&mut Shard], &mut dyn FnMut(&mut Message)) -> T,
    ) -> T {
        let mut guards: Vec<_> = self.shards.iter().map(lock).collect();
        let mut shards: Vec<&mut Shard> = guards.iter_mut().map(|guard| &mut **guard).collect();
        let mut lines = Lines::default();
        let result = work(&mut shards, &mut |message| {
            (self.write)(message, &mut lines);
            if lines.len() >= PIECE {
                receiver.lines(&mut [IoSlice::new(lines.as_bytes())]);
                lines.clear(PIECE);
            }
        });
        receiver.lines(&mut [IoSlice::new(lines.as_bytes())]);
        result
    }

    /// What a shard holds after all that was sent, from who has just looked.
    pub(super) fn holds(&mut self, shard: usize, held: usize) {
        self.bounds[shard].held = held;
    }

    /// Has a next piece of every shard in the oldest round, and hands on the lines until one is used up. When it is asked in
    /// the middle of a job of `own`, only as far as that goes without more of it.
    fn advance(&mut self, own: Option<usize>, receiver: &mut dyn ReplaySink) {
        while let Some(&shard) = self.on_their_way.front().and_then(|awaited| awaited.last()) {
            match self.queues.next(shard, own) {
                Some(Assignment::HandOn(outcome)) => self.took(shard, outcome),
                Some(Assignment::Work(shard, job)) => self.work(shard, job, receiver),
                None => return,
            }
        }
        let mut lines = Vec::new();
        while let Some((first, limit)) = merge::next(&self.heads) {
            let (taken, used) = self.heads[first].take(limit);
            lines.push((first, taken));
            if used {
                let pieces = lines.drain(..).map(|(head, taken)| IoSlice::new(&self.heads[head].bytes()[taken]));
                receiver.lines(&mut pieces.collect::<Vec<_>>());
                let PieceCursor { shard, output, last, .. } = self.heads.swap_remove(first);
                self.recycle(shard, output);
                if !last {
                    self.on_their_way[0].push(shard);
                    return;
                }
            }
        }
        self.on_their_way.pop_front();
    }

    /// Does a job on this thread, which hands on lines of others when there is no room for more of its own.
    fn work(&mut self, shard: usize, job: Job, receiver: &mut dyn ReplaySink) {
        let (shards, write) = (self.shards, self.write);
        let piece = work(&shards[shard], job, write, &mut |piece| {
            self.queues.put_own(shard, piece);
            while self.queues.is_full(shard) {
                self.advance(Some(shard), receiver);
            }
        });
        self.queues.end_own(shard, piece);
    }

    /// Takes a piece of a shard in the oldest round.
    fn took(&mut self, shard: usize, outcome: JobOutcome) {
        let OutputPiece { output, done } = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        let last = done.is_some();
        if let Some(Done { batch, cost, held }) = done {
            self.spare[shard].0.push(batch);
            let estimate = &mut self.bounds[shard];
            estimate.held = held;
            estimate.sent -= cost;
        }
        let head = PieceCursor::new(shard, output, last);
        if head.is_ok() || last {
            self.on_their_way[0].pop();
        }
        match head {
            Ok(head) => self.heads.push(head),
            Err(empty) => self.recycle(shard, empty),
        }
    }

    fn recycle(&mut self, shard: usize, mut output: ShardOutput) {
        let (_, outputs) = &mut self.spare[shard];
        // A round takes one, but can give many.
        if outputs.len() < 2 {
            output.clear();
            outputs.push(output);
        }
    }
}
