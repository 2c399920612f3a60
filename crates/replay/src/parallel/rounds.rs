//! Rounds: steps of a stretch of the capture, sent to all shards at once; their lines, collected and put in order.
//!
//! A round's lines lie wholly before the next one's, so order costs no more memory than the rounds on their way, and those
//! are few. Next: [`super::worker`].

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender};

use sniffer_engine::intake::{Moment, Step};
use sniffer_engine::shard::shard_of;

use super::bound::Bound;
use super::parcel::Parcel;
use super::worker::{Done, Job, Label, Outcome, Output};

/// Bytes of a round: enough that waking threads does not show, and little in all caches.
const ROUND: usize = 512 << 10;

/// Rounds on their way: enough that a thread that has little of one has more of the next.
const ON_THEIR_WAY: usize = 4;

pub(super) type To = Sender<(u64, Job, Output)>;

/// What is sent, what is on its way, and what came back.
pub(super) struct Rounds {
    to: Vec<To>,
    from: Receiver<Outcome>,
    /// The next round, by shard.
    filling: Vec<Parcel>,
    /// Oldest first; the last is number `sent - 1`.
    on_their_way: VecDeque<Round>,
    sent: u64,
    bounds: Vec<Bound>,
    parcels: Vec<Parcel>,
    outputs: Vec<Output>,
}

#[derive(Debug, Default)]
struct Round {
    /// Shards that have not answered.
    missing: usize,
    outputs: Vec<Output>,
}

impl Rounds {
    pub(super) fn new(to: Vec<To>, from: Receiver<Outcome>) -> Self {
        let shards = to.len();
        Self {
            to,
            from,
            filling: (0..shards).map(|_| Parcel::default()).collect(),
            on_their_way: VecDeque::new(),
            sent: 0,
            bounds: vec![Bound::default(); shards],
            parcels: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Adds a step to the next round.
    #[inline]
    pub(super) fn add(&mut self, step: Step<'_, '_>, moment: Moment) {
        match step {
            Step::Tick => self.filling.iter_mut().for_each(|parcel| parcel.tick(moment)),
            Step::Segment { segment, stamp, odd, carriers } => {
                let shard = shard_of(segment, self.filling.len());
                self.filling[shard].segment(segment, (stamp, carriers), odd, moment);
            }
            _ => {}
        }
    }

    /// Whether the next round is large enough to be sent.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.filling.iter().map(Parcel::size).sum::<usize>() >= ROUND
    }

    /// What all shards hold at most, once they have had everything up to now.
    pub(super) fn held_at_most(&self) -> usize {
        let filling: usize = self.filling.iter().map(Parcel::cost).sum();
        filling + self.bounds.iter().map(|bound| bound.most()).sum::<usize>()
    }

    /// Sends the next round; hands on the lines of old ones.
    pub(super) fn send(&mut self, to: &mut dyn FnMut(&[u8])) {
        let mut round = Round::default();
        for shard in 0..self.filling.len() {
            if self.filling[shard].is_empty() {
                continue;
            }
            let empty = self.parcels.pop().unwrap_or_default();
            let parcel = std::mem::replace(&mut self.filling[shard], empty);
            self.bounds[shard].sent += parcel.cost();
            self.give(shard, Job::Steps(parcel));
            round.missing += 1;
        }
        self.on_their_way.push_back(round);
        self.sent += 1;
        while self.on_their_way.len() > ON_THEIR_WAY {
            self.finish_oldest(to);
        }
    }

    /// Tells all shards that the capture ended.
    pub(super) fn send_finish(&mut self, moment: Moment) {
        for shard in 0..self.to.len() {
            self.give(shard, Job::Finish(moment));
        }
        self.on_their_way.push_back(Round { missing: self.to.len(), outputs: Vec::new() });
        self.sent += 1;
    }

    /// Waits for everything that was sent and hands on its lines.
    pub(super) fn drain(&mut self, to: &mut dyn FnMut(&[u8])) {
        while !self.on_their_way.is_empty() {
            self.finish_oldest(to);
        }
    }

    /// Waits for everything that was sent, lets `add` add to the last of it, and hands on the lines.
    pub(super) fn drain_with(&mut self, add: impl FnOnce(&mut Vec<Output>), to: &mut dyn FnMut(&[u8])) {
        while self.on_their_way.len() > 1 {
            self.finish_oldest(to);
        }
        if self.on_their_way.is_empty() {
            self.on_their_way.push_back(Round::default());
            self.sent += 1;
        }
        while self.on_their_way.front().is_some_and(|round| round.missing > 0) {
            self.receive();
        }
        if let Some(round) = self.on_their_way.front_mut() {
            add(&mut round.outputs);
        }
        self.finish_oldest(to);
    }

    /// What a shard holds after all that was sent, from who has just looked.
    pub(super) fn holds(&mut self, shard: usize, held: usize) {
        self.bounds[shard].held = held;
    }

    fn give(&mut self, shard: usize, job: Job) {
        let output = self.outputs.pop().unwrap_or_default();
        // A worker ends before its jobs do only by a panic, which comes back in place of what it did.
        let _ = self.to[shard].send((self.sent, job, output));
    }

    fn finish_oldest(&mut self, to: &mut dyn FnMut(&[u8])) {
        while self.on_their_way.front().is_some_and(|round| round.missing > 0) {
            self.receive();
        }
        let Some(round) = self.on_their_way.pop_front() else { return };
        merge(&round.outputs, to);
        for mut output in round.outputs {
            output.clear();
            self.outputs.push(output);
        }
    }

    fn receive(&mut self) {
        let outcome = self.from.recv().expect("workers live until there are no more jobs");
        let Done { shard, round, parcel, output, cost, held } = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        let oldest = self.sent - self.on_their_way.len() as u64;
        let round = &mut self.on_their_way[(round - oldest) as usize];
        round.missing -= 1;
        round.outputs.push(output);
        self.parcels.push(parcel);
        let bound = &mut self.bounds[shard];
        bound.held = held;
        bound.sent -= cost;
    }
}

/// Hands on the lines of several outputs in the order of their labels.
fn merge(outputs: &[Output], to: &mut dyn FnMut(&[u8])) {
    if let [output] = outputs
        && output.labels.is_sorted_by_key(order)
    {
        return to(output.lines.as_bytes());
    }
    let mut lines: Vec<_> = outputs.iter().flat_map(lines_of).collect();
    // Stable: what one frame completed of one connection stays in its order.
    lines.sort_by_key(|(label, _)| order(label));
    lines.into_iter().for_each(|(_, line)| to(line));
}

fn order(label: &Label) -> (u64, sniffer_engine::message::Order) {
    (label.frame, label.order)
}

fn lines_of(output: &Output) -> impl Iterator<Item = (&Label, &[u8])> {
    let mut start = 0;
    output.labels.iter().map(move |label| {
        let line = &output.lines.as_bytes()[start..label.end];
        start = label.end;
        (label, line)
    })
}
