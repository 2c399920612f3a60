//! A thread that works on one shard: steps in, lines out, labelled with what orders them.
//!
//! Next: [`super::rounds`], which sends and collects.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use sniffer_engine::intake::Moment;
use sniffer_engine::json::Lines;
use sniffer_engine::message::{Message, Order};
use sniffer_engine::shard::Shard;

use super::Write;
use super::parcel::Parcel;

/// Memory that an output keeps for the next lines.
const KEPT: usize = 1 << 20;

/// What to do.
pub(super) enum Job {
    Steps(Parcel),
    Finish(Moment),
}

/// What came of a job.
pub(super) struct Done {
    pub(super) shard: usize,
    pub(super) round: u64,
    /// To be filled again.
    pub(super) parcel: Parcel,
    pub(super) output: Output,
    /// What its steps [cost](Parcel::cost).
    pub(super) cost: usize,
    /// What the shard holds now.
    pub(super) held: usize,
}

/// Lines, and what orders them among those of other shards.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) lines: Lines,
    pub(super) labels: Vec<Label>,
}

/// Of one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    /// The frame that completed it.
    pub(super) frame: u64,
    pub(super) order: Order,
    /// Where its lines end.
    pub(super) end: usize,
}

impl Output {
    /// Writes what the shard has complete.
    #[inline]
    pub(super) fn take_from(&mut self, shard: &mut Shard, frame: u64, write: Write<'_>) {
        shard.give(&mut |message: &mut Message| {
            let order = message.order();
            write(message, &mut self.lines);
            self.labels.push(Label { frame, order, end: self.lines.len() });
        });
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear(KEPT);
        self.labels.clear();
    }
}

/// A worker that panicked says so, and it is the caller's panic then.
pub(super) type Outcome = thread::Result<Done>;

/// Works until there are no more jobs.
pub(super) fn work(
    number: usize,
    shard: &Mutex<Shard>,
    jobs: Receiver<(u64, Job, Output)>,
    done: Sender<Outcome>,
    write: Write<'_>,
) {
    for (round, job, mut output) in jobs {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut shard = lock(shard);
            let (parcel, cost) = match job {
                Job::Steps(mut parcel) => {
                    parcel.each(|step, moment| {
                        shard.take(step, moment);
                        output.take_from(&mut shard, moment.frame.number, write);
                    });
                    let cost = parcel.cost();
                    parcel.clear();
                    (parcel, cost)
                }
                Job::Finish(moment) => {
                    shard.finish(moment);
                    output.take_from(&mut shard, u64::MAX, write);
                    (Parcel::default(), 0)
                }
            };
            Done { shard: number, round, parcel, output, cost, held: shard.held() }
        }));
        if done.send(outcome).is_err() {
            return;
        }
    }
}

/// A shard is poisoned only when its worker panicked, and then the whole replay does.
pub(super) fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
