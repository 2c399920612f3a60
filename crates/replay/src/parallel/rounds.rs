//! Rounds: a stretch of the capture, sent to all shards at once; its lines, collected and merged.
//!
//! All lines of a round come before those of the next. When enough rounds are in flight, the reader
//! works on them too instead of waiting: most packets of the jobs it does are still in its caches.
//! While the traffic is [bulk](super::load), the reader works [alone](super::alone). Next:
//! [`super::scheduler`], which hands out the jobs; [`super::merge`], the order inside a round.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::panic::resume_unwind;
use std::sync::Mutex;

use sniffer_engine::budget::growth_max;
use sniffer_engine::json::Lines;
use sniffer_engine::message::Message;
use sniffer_engine::shard::{Shard, shard_of};
use sniffer_packet::block::Block;
use sniffer_packet::decode::Peek;
use sniffer_packet::frame::Frame;
use sniffer_packet::intake::{Now, Step};
use sniffer_packet::key::bucket;

use super::alone::Alone;
use super::estimate::Estimate;
use super::load::Load;
use super::merge::{self, PieceCursor};
use super::scheduler::{Assignment, Scheduler};
use super::steps::StepBatch;
use super::worker::{Done, Job, JobOutcome, OutputPiece, PIECE, ShardOutput, work};
use super::{Write, lock};
use crate::replay::ReplaySink;

/// Bytes of a round: large enough to hide the cost of handing it over, small enough for all caches.
/// hot: see NOTES#round
const ROUND: usize = 512 << 10;

/// Input blocks that a round may keep alive, however little it needs of each.
const BLOCKS: usize = 3;

/// Rounds in flight while the reader fills the next: a thread with little to do in one round has
/// more in another.
const IN_FLIGHT: usize = 2;

/// The rounds of a replay: the one being filled, those in flight, and the lines that came back.
pub(super) struct Rounds<'a> {
    scheduler: &'a Scheduler,
    shards: &'a [Mutex<Shard>],
    write: Write<'a>,
    filling: Filling,
    in_flight: InFlight,
    accounts: Vec<ShardAccount>,
    load: Load,
    /// True while the reader does all the work.
    is_alone: bool,
    alone: Alone<'a>,
}

/// The next round.
struct Filling {
    /// Its steps, by shard.
    batches: Vec<StepBatch>,
    /// Bytes that cross to the shards.
    size: usize,
    frames: usize,
    /// Blocks that hold the bytes which were not copied.
    blocks: Vec<Block>,
}

/// The rounds that were sent and not yet handed on.
#[derive(Default)]
struct InFlight {
    /// Number of the round that was sent last.
    sent: u64,
    /// Oldest first: the shards of each round whose next piece is awaited.
    rounds: VecDeque<Vec<usize>>,
    /// Pieces of the oldest round.
    heads: Vec<PieceCursor>,
}

/// The reader's account of a shard.
#[derive(Default)]
struct ShardAccount {
    estimate: Estimate,
    /// Used batches and outputs. They stay with their shard, and so in the caches of its worker.
    batches: Vec<StepBatch>,
    outputs: Vec<ShardOutput>,
}

impl Filling {
    fn new(shards: usize) -> Self {
        let batches = (0..shards).map(|_| StepBatch::default()).collect();
        Self { batches, size: 0, frames: 0, blocks: Vec::new() }
    }

    /// Numbers the block for its batches, and keeps it alive until the round is sent.
    #[inline(always)]
    fn number<'b>(&mut self, block: Option<&'b Block>) -> Option<(usize, &'b Block)> {
        let block = block?;
        if !self.blocks.last().is_some_and(|last| last.is(block)) {
            self.blocks.push(block.clone());
        }
        Some((self.blocks.len() - 1, block))
    }
}

impl<'a> Rounds<'a> {
    pub(super) fn new(scheduler: &'a Scheduler, shards: &'a [Mutex<Shard>], write: Write<'a>, is_alone: bool) -> Self {
        scheduler.rest(is_alone);
        Self {
            scheduler,
            shards,
            write,
            filling: Filling::new(shards.len()),
            in_flight: InFlight::default(),
            accounts: shards.iter().map(|_| ShardAccount::default()).collect(),
            load: if is_alone { Load::first() } else { Load::next() },
            is_alone,
            alone: Alone::new(shards, write),
        }
    }

    /// Adds a step to the next round.
    #[inline(always)]
    pub(super) fn add(&mut self, step: Step<'_, '_>, moment: &Now) {
        let filling = &mut self.filling;
        match step {
            Step::Tick(passed) => {
                filling.size += filling.batches.iter_mut().map(|batch| batch.tick(passed, moment)).sum::<usize>();
            }
            Step::Segment { segment, stamp, overlap, fragment_frames, block } => {
                let shard = shard_of(bucket(&segment.src, &segment.dst), filling.batches.len());
                let block = filling.number(block);
                let fragments = (stamp, fragment_frames);
                filling.size += filling.batches[shard].segment(segment, fragments, overlap, moment, block);
                filling.frames += 1;
            }
            _ => {}
        }
    }

    /// Adds a plain frame that was only peeked at.
    #[inline(always)]
    pub(super) fn add_frame(&mut self, frame: &Frame<'_>, peek: Peek, moment: Now, sink: &mut dyn ReplaySink) {
        let filling = &mut self.filling;
        let shard = shard_of(peek.bucket, filling.batches.len());
        if self.is_alone && filling.size == 0 {
            return self.work_alone(shard, frame, peek, &moment, sink);
        }
        let block = filling.number(frame.block);
        filling.size += filling.batches[shard].frame(frame, peek.payload, moment, block);
        filling.frames += 1;
    }

    /// Takes a plain frame straight to its shard.
    fn work_alone(&mut self, shard: usize, frame: &Frame<'_>, peek: Peek, moment: &Now, sink: &mut dyn ReplaySink) {
        self.load.sent(1, frame.bytes.len());
        self.accounts[shard].estimate.sent += growth_max(peek.payload, 1);
        if !self.alone.is_begun() {
            self.alone.begin(self.accounts[0].outputs.pop().unwrap_or_default());
        }
        self.alone.frame(shard, frame, moment, sink);
    }

    /// Returns whether the next round is large enough to be sent. The reader alone sends every step
    /// that does not go straight to its shard.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        let full = if self.is_alone { 1 } else { ROUND };
        self.filling.blocks.len() > BLOCKS || self.filling.size >= full
    }

    /// Returns an upper bound of what all shards hold once they have taken every step so far.
    pub(super) fn held_at_most(&self) -> usize {
        let filling: usize = self.filling.batches.iter().map(StepBatch::cost).sum();
        filling + self.accounts.iter().map(|account| account.estimate.most()).sum::<usize>()
    }

    /// Prepares for the refill of the reader's buffer. Working alone, the reader lets go of it, so
    /// that one buffer stays in its cache.
    pub(super) fn before_refill(&mut self, sink: &mut dyn ReplaySink) {
        let accounts = &mut self.accounts;
        let messages = self.alone.hand_on(sink, |shard, held| accounts[shard].estimate = Estimate::of(held));
        self.load.completed(messages);
        if self.is_alone {
            self.decide(sink);
        }
    }

    /// Sends the next round, and hands on lines of earlier ones. Messages that the frame `hold`
    /// completes stay in their shards.
    pub(super) fn send(&mut self, hold: Option<u64>, sink: &mut dyn ReplaySink) {
        self.end_alone(hold, sink);
        self.send_jobs(hold);
        self.wait(if self.is_alone { 0 } else { IN_FLIGHT }, sink);
        self.decide(sink);
    }

    /// Hands on lines until so many rounds are in flight.
    fn wait(&mut self, in_flight: usize, sink: &mut dyn ReplaySink) {
        while self.in_flight.rounds.len() > in_flight {
            self.advance(None, sink);
        }
    }

    /// Unlocks the shards, so that jobs can work on them.
    fn end_alone(&mut self, hold: Option<u64>, sink: &mut dyn ReplaySink) {
        if !self.alone.is_begun() {
            return;
        }
        let accounts = &mut self.accounts;
        let held = |shard: usize, held| accounts[shard].estimate = Estimate::of(held);
        let (messages, output) = self.alone.end(hold, sink, held);
        self.load.completed(messages);
        self.recycle(0, output);
    }

    /// Goes on alone, or with all threads, if the load has changed.
    fn decide(&mut self, sink: &mut dyn ReplaySink) {
        let Some(is_bulk) = self.load.decide() else { return };
        if is_bulk && !self.is_alone {
            self.wait(0, sink);
        } else if !is_bulk {
            self.end_alone(None, sink);
        }
        if is_bulk != self.is_alone {
            self.is_alone = is_bulk;
            self.scheduler.rest(is_bulk);
        }
    }

    /// Sends the next round as [`Self::send`] does, waits for all rounds and hands on their lines.
    pub(super) fn drain(&mut self, hold: Option<u64>, sink: &mut dyn ReplaySink) {
        self.send(hold, sink);
        self.wait(0, sink);
    }

    /// Makes the next round the jobs of its shards.
    fn send_jobs(&mut self, hold: Option<u64>) {
        let Self { filling, in_flight, accounts, load, is_alone, .. } = self;
        let Filling { batches, size, frames, blocks } = filling;
        load.sent(std::mem::take(frames), std::mem::take(size));
        in_flight.sent += 1;
        let mut round = Vec::new();
        let jobs = batches.iter_mut().enumerate().filter(|(_, batch)| !batch.is_empty()).map(|(shard, batch)| {
            let account = &mut accounts[shard];
            let mut batch = std::mem::replace(batch, account.batches.pop().unwrap_or_default());
            batch.share(blocks);
            account.estimate.sent += batch.cost();
            round.push(shard);
            let output = accounts[pool(*is_alone, shard)].outputs.pop().unwrap_or_default();
            (shard, Job { round: in_flight.sent, batch, hold, output })
        });
        self.scheduler.send(jobs);
        blocks.clear();
        in_flight.rounds.push_back(round);
    }

    /// Works on all shards on this thread. No round may be in flight.
    pub(super) fn here<T>(
        &self,
        sink: &mut dyn ReplaySink,
        work: impl FnOnce(&mut [&mut Shard], &mut dyn FnMut(&mut Message)) -> T,
    ) -> T {
        let mut guards: Vec<_> = self.shards.iter().map(lock).collect();
        let mut shards: Vec<&mut Shard> = guards.iter_mut().map(|guard| &mut **guard).collect();
        let mut lines = Lines::default();
        let result = work(&mut shards, &mut |message| {
            (self.write)(message, &mut lines);
            if lines.len() >= PIECE {
                sink.lines(&mut [IoSlice::new(lines.as_bytes())]);
                lines.clear(PIECE);
            }
        });
        sink.lines(&mut [IoSlice::new(lines.as_bytes())]);
        result
    }

    /// Records what a shard holds. No round may be in flight.
    pub(super) fn holds(&mut self, shard: usize, held: usize) {
        self.accounts[shard].estimate.held = held;
    }

    /// Gets the next piece of every shard in the oldest round, and hands on lines until a piece is
    /// used up. Called in the middle of a job of the shard `own`, it stops where it needs more of
    /// that job.
    fn advance(&mut self, own: Option<usize>, sink: &mut dyn ReplaySink) {
        while let Some(&shard) = self.in_flight.rounds.front().and_then(|awaited| awaited.last()) {
            match self.scheduler.next(shard, own) {
                Some(Assignment::HandOn(outcome)) => self.took(shard, outcome),
                Some(Assignment::Work(shard, job)) => self.work(shard, job, sink),
                None => return,
            }
        }
        if self.hand_on(sink) {
            self.in_flight.rounds.pop_front();
        }
    }

    /// Hands on lines of the oldest round until the next piece of a shard is needed. Returns
    /// whether the round is over.
    fn hand_on(&mut self, sink: &mut dyn ReplaySink) -> bool {
        let mut lines = Vec::new();
        while let Some((first, limit)) = merge::next(&self.in_flight.heads) {
            let heads = &mut self.in_flight.heads;
            let (taken, used) = heads[first].take(limit);
            lines.push((first, taken));
            if used {
                let pieces = lines.drain(..).map(|(head, taken)| IoSlice::new(&heads[head].bytes()[taken]));
                sink.lines(&mut pieces.collect::<Vec<_>>());
                let PieceCursor { shard, output, last, .. } = heads.swap_remove(first);
                self.recycle(shard, output);
                if !last {
                    self.in_flight.rounds[0].push(shard);
                    return false;
                }
            }
        }
        true
    }

    /// Does a job on this thread. When there is no room for more of its pieces, the job hands on
    /// lines of others.
    fn work(&mut self, shard: usize, job: Job, sink: &mut dyn ReplaySink) {
        let (shards, write) = (self.shards, self.write);
        let piece = work(&shards[shard], job, write, &mut |piece| {
            self.scheduler.put_own(shard, piece);
            while self.scheduler.is_full(shard) {
                self.advance(Some(shard), sink);
            }
        });
        self.scheduler.end_own(shard, piece);
    }

    /// Takes a piece of a shard in the oldest round.
    fn took(&mut self, shard: usize, outcome: JobOutcome) {
        let OutputPiece { output, done } = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        let last = done.is_some();
        self.load.completed(output.labels.len());
        if let Some(Done { batch, cost, held }) = done {
            let account = &mut self.accounts[shard];
            account.batches.push(batch);
            account.estimate.held = held;
            account.estimate.sent -= cost;
        }
        let head = PieceCursor::new(shard, output, last);
        if head.is_ok() || last {
            self.in_flight.rounds[0].pop();
        }
        match head {
            Ok(head) => self.in_flight.heads.push(head),
            Err(empty) => self.recycle(shard, empty),
        }
    }

    /// Keeps a used output for the next jobs: two at most, for a round takes one and can give many.
    fn recycle(&mut self, shard: usize, mut output: ShardOutput) {
        let outputs = &mut self.accounts[pool(self.is_alone, shard)].outputs;
        if outputs.len() < 2 && output.has_memory() {
            output.clear();
            outputs.push(output);
        }
    }
}

/// Returns the shard that keeps the outputs of `shard`: its own, so that they stay in the caches of
/// its worker, or one for all while one thread does all jobs.
const fn pool(is_alone: bool, shard: usize) -> usize {
    if is_alone { 0 } else { shard }
}
