//! Rounds: steps of a stretch of the capture, sent to all shards at once; their lines, collected and put in order.
//!
//! A round's lines lie wholly before the next one's. Next: [`super::worker`]; [`super::merge`], the order inside a round.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use sniffer_engine::intake::{Moment, Step};
use sniffer_engine::shard::shard_of;

use super::bound::Bound;
use super::merge::{self, Head};
use super::parcel::{Block, Parcel};
use super::worker::{Done, Job, Outcome, Output, Piece};

/// Bytes of a round: enough that waking threads does not show, and little in all caches.
const ROUND: usize = 512 << 10;

/// Blocks of the capture that a round keeps, though it needs little of each.
const BLOCKS: usize = 4;

/// Rounds on their way: enough that a thread that has little of one has more of the next.
const ON_THEIR_WAY: usize = 4;

/// The way to a worker, and back.
pub(super) struct Link {
    pub(super) to: Sender<Job>,
    pub(super) from: Receiver<Outcome>,
}

/// What is sent, what is on its way, and what came back.
pub(super) struct Rounds {
    links: Vec<Link>,
    /// The next round, by shard.
    filling: Vec<Parcel>,
    /// The block it shares last, and how many it shares.
    block: (Option<Block>, usize),
    /// Oldest first: the shards that have a part in each.
    on_their_way: VecDeque<Vec<usize>>,
    bounds: Vec<Bound>,
    parcels: Vec<Parcel>,
    outputs: Vec<Output>,
}

impl Rounds {
    pub(super) fn new(links: Vec<Link>) -> Self {
        let shards = links.len();
        Self {
            links,
            filling: (0..shards).map(|_| Parcel::default()).collect(),
            block: (None, 0),
            on_their_way: VecDeque::new(),
            bounds: vec![Bound::default(); shards],
            parcels: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Adds a step to the next round.
    #[inline]
    pub(super) fn add(&mut self, step: Step<'_, '_>, moment: &Moment, block: Option<&Block>) {
        match step {
            Step::Tick(passed) => self.filling.iter_mut().for_each(|parcel| parcel.tick(passed, moment)),
            Step::Segment { segment, stamp, odd, carriers } => {
                let shard = shard_of(segment, self.filling.len());
                if let Some(block) = block
                    && !self.block.0.as_ref().is_some_and(|last| Arc::ptr_eq(last, block))
                {
                    self.block = (Some(Arc::clone(block)), self.block.1 + 1);
                }
                self.filling[shard].segment(segment, (stamp, carriers), odd, moment, block);
            }
            _ => {}
        }
    }

    /// Whether the next round is large enough to be sent.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.block.1 > BLOCKS || self.filling.iter().map(Parcel::size).sum::<usize>() >= ROUND
    }

    /// What all shards hold at most, once they have had everything up to now.
    pub(super) fn held_at_most(&self) -> usize {
        let filling: usize = self.filling.iter().map(Parcel::cost).sum();
        filling + self.bounds.iter().map(|bound| bound.most()).sum::<usize>()
    }

    /// Sends the next round; hands on the lines of old ones. What the frame `hold` completes stays in the shards.
    pub(super) fn send(&mut self, hold: Option<u64>, to: &mut dyn FnMut(&mut [IoSlice<'_>])) {
        self.block = (None, 0);
        let mut round = Vec::new();
        for (shard, link) in self.links.iter().enumerate() {
            if self.filling[shard].is_empty() {
                continue;
            }
            let empty = self.parcels.pop().unwrap_or_default();
            let parcel = std::mem::replace(&mut self.filling[shard], empty);
            self.bounds[shard].sent += parcel.cost();
            // A worker ends before its jobs do only by a panic, which comes back in place of what it did.
            let _ = link.to.send(Job { parcel, hold, output: self.outputs.pop().unwrap_or_default() });
            round.push(shard);
        }
        self.on_their_way.push_back(round);
        while self.on_their_way.len() > ON_THEIR_WAY {
            self.finish_oldest(to);
        }
    }

    /// Waits for everything that was sent and hands on its lines.
    pub(super) fn drain(&mut self, to: &mut dyn FnMut(&mut [IoSlice<'_>])) {
        while !self.on_their_way.is_empty() {
            self.finish_oldest(to);
        }
    }

    /// What a shard holds after all that was sent, from who has just looked.
    pub(super) fn holds(&mut self, shard: usize, held: usize) {
        self.bounds[shard].held = held;
    }

    fn finish_oldest(&mut self, to: &mut dyn FnMut(&mut [IoSlice<'_>])) {
        let Some(round) = self.on_their_way.pop_front() else { return };
        let mut heads: Vec<_> = round.into_iter().filter_map(|shard| self.piece(shard)).collect();
        let mut lines = Vec::new();
        while let Some((first, limit)) = merge::next(&heads) {
            let (taken, used) = heads[first].take(limit);
            lines.push((first, taken));
            if used {
                let pieces = lines.drain(..).map(|(head, taken)| IoSlice::new(&heads[head].bytes()[taken]));
                to(&mut pieces.collect::<Vec<_>>());
                let Head { shard, output, last, .. } = heads.swap_remove(first);
                self.recycle(output);
                heads.extend(if last { None } else { self.piece(shard) });
            }
        }
    }

    /// The next lines of a shard, unless there are no more in the round.
    fn piece(&mut self, shard: usize) -> Option<Head> {
        loop {
            let outcome = self.links[shard].from.recv().expect("workers live until there are no more jobs");
            let Piece { output, done } = outcome.unwrap_or_else(|panic| resume_unwind(panic));
            let last = done.is_some();
            if let Some(Done { parcel, cost, held }) = done {
                self.parcels.push(parcel);
                let bound = &mut self.bounds[shard];
                bound.held = held;
                bound.sent -= cost;
            }
            match Head::new(shard, output, last) {
                Ok(head) => return Some(head),
                Err(empty) => self.recycle(empty),
            }
            if last {
                return None;
            }
        }
    }

    fn recycle(&mut self, mut output: Output) {
        // A round takes one of each shard, but can give many.
        if self.outputs.len() < 2 * self.links.len() {
            output.clear();
            self.outputs.push(output);
        }
    }
}
