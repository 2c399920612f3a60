//! A replay on several threads, with the same bytes out for any number of them.
//!
//! ```text
//!                     ┌─ rounds ─▶ shard 0: flow, tcp, http, lines ─┐
//! source ──▶ intake ──┼─ rounds ─▶ shard 1                          ├──▶ merge by output key ──▶ receiver
//!  the reader         └─ rounds ─▶ …     by whoever is free         ┘        the reader
//! ```
//!
//! Connections are shared out by a fixed hash of their endpoints. Fragments are put together before, by the intake, and the
//! clock is the intake's too, so time-outs end at the same frame everywhere. The memory budget is over all shards: it is
//! looked at where one thread looks at it, and all shards wait there, but only when it can have been reached at all ([`estimate`]).
//! Next: [`rounds`], which sends and collects; [`queues`], who works on what; [`worker`], how.

mod estimate;
mod merge;
mod rounds;
mod scheduler;
mod steps;
mod worker;

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use sniffer_engine::budget::Budget;
use sniffer_engine::config::Config;
use sniffer_engine::json::Lines;
use sniffer_engine::ledger::Ledger;
use sniffer_engine::message::Message;
use sniffer_engine::shard::{Shard, emit_all, finish, shed};
use sniffer_packet::fate::FrameFate;
use sniffer_packet::intake::{Intake, Step};
use sniffer_packet::key::BUCKETS;

use crate::replay::{Continue, ReplaySink, Summary, count};
use crate::source::{ReadEvent, Source};
use rounds::Rounds;
use scheduler::Scheduler;
use worker::work;

/// Writes a message, on any thread.
pub type Write<'a> = &'a (dyn Fn(&mut Message, &mut Lines) + Sync);

/// Runs all frames of `source` through the engine, with work for `threads` cores, and hands the lines that `write` writes to
/// [`ReplaySink::lines`], in the order of output.
///
/// # Errors
/// The threads cannot be started. Nothing was read then: [`crate::replay()`] on one thread can do the same.
///
/// # Panics
/// When one of the threads does.
pub fn replay(
    source: &mut Source,
    config: &Config,
    threads: NonZeroUsize,
    write: Write<'_>,
    receiver: &mut dyn ReplaySink,
) -> io::Result<Summary> {
    let workers = threads.get().min(BUCKETS);
    // More than threads, so that who is early has something to take over; few, because each brings memory of its own into the
    // caches, and one that changes hands takes its own along. Of one thread's time, two took 0.61, 0.63 and 0.64 on small messages
    // with 2, 3 and 4 shards, and, measured before, 0.07 and 0.15 more with 8 and 16.
    let shards = (workers + (workers - 1) / 2).min(BUCKETS);
    let shards: Vec<_> = (0..shards).map(|_| Mutex::new(Shard::new(config.clone()))).collect();
    let queues = Scheduler::new(shards.len(), workers);
    let (mut ledger, unknown_links) = thread::scope(|scope| {
        let (queues, shards) = (&queues, &shards);
        let _closing = Closing(queues);
        // As many as there are shards, so that one is free for every job though others wait for room.
        for worker in 1..=shards.len() {
            thread::Builder::new().spawn_scoped(scope, move || {
                queues.work(worker, |shard, job, hand_on| work(&shards[shard], job, write, hand_on));
            })?;
        }
        let rounds = Rounds::new(queues, shards, write);
        io::Result::Ok(Driver { rounds, intake: Intake::new(&config.packet()), ledger: Ledger::default() }.run(
            source,
            Budget::new(config.limits.held_bytes_max),
            receiver,
        ))
    })?;
    for shard in &shards {
        // Of an abandoned replay nobody else hears of it.
        ledger.merge(shard.lock().expect("no thread panicked at work on a shard").ledger());
    }
    Ok(Summary { ledger, unknown_links })
}

/// Closes the queues when the reader is done with them, in whatever way.
struct Closing<'a>(&'a Scheduler);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Poisoned only when a worker panicked, and then the whole replay does.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Driver<'a> {
    rounds: Rounds<'a>,
    intake: Intake,
    /// Of what no shard sees.
    ledger: Ledger,
}

impl Driver<'_> {
    fn run(
        mut self,
        source: &mut Source,
        mut budget: Budget,
        receiver: &mut dyn ReplaySink,
    ) -> (Ledger, Vec<(sniffer_packet::frame::LinkType, u64)>) {
        let mut unknown_links = Vec::new();
        let mut next = Continue::Frame;
        while next == Continue::Frame {
            let rounds = &mut self.rounds;
            let frame = source.next(&mut |ahead| {
                // Jobs on their way have the block.
                if ahead == ReadEvent::Wait {
                    rounds.drain(None, receiver);
                    receiver.before_block();
                }
            });
            let Some(frame) = frame else {
                next = Continue::Finish;
                break;
            };
            let (mut payload, mut unknown) = (0, false);
            let peek = self.intake.share(
                &frame,
                // Called for every step, this and its like in `worker` took 2 to 3 % of a replay on two threads.
                #[inline(always)]
                |step, moment| match step {
                    Step::Frame(fate) => {
                        self.ledger.count_frame(fate);
                        unknown = fate == FrameFate::UnknownLinkType;
                    }
                    Step::Datagram { datagram, .. } => self.ledger.count_datagram(datagram.payload.len()),
                    step => {
                        if let Step::Segment { segment, .. } = step {
                            payload += segment.payload.len();
                        }
                        self.rounds.add(step, moment);
                    }
                },
            );
            if let Some((peek, moment)) = peek {
                payload = peek.payload;
                self.rounds.add_frame(&frame, peek, moment);
            }
            if unknown {
                count(&mut unknown_links, frame.link);
            }
            // The same points in the same order as with one thread: see the engine's `Extractor`.
            if budget.spend(payload) && self.intake.held() + self.rounds.held_at_most() > budget.max() {
                self.look(&budget, receiver);
            } else if self.rounds.is_full() {
                self.rounds.send(None, receiver);
            }
            next = receiver.next(source);
        }
        if next == Continue::Finish {
            self.rounds.drain(None, receiver);
            let moment = self.intake.finish();
            self.rounds.here(receiver, |shards, out| finish(shards, &moment, out));
        }
        (self.ledger, unknown_links)
    }

    /// Waits for all shards and gives memory back if they hold too much.
    fn look(&mut self, budget: &Budget, receiver: &mut dyn ReplaySink) {
        let moment = self.intake.moment();
        let (fragments, most) = (self.intake.held(), self.rounds.held_at_most());
        // What the frame completes and what is shed are one batch.
        self.rounds.drain(Some(moment.frame.number), receiver);
        let held: Vec<_> = self.rounds.here(receiver, |shards, out| {
            let sum: usize = shards.iter_mut().map(|shard| shard.held()).sum();
            debug_assert!(sum <= most, "{sum} bytes are held, at most {most} were expected");
            if fragments + sum > budget.max() {
                shed(shards, budget.target().saturating_sub(fragments), &moment, out);
            }
            emit_all(shards, moment.frame.number, out);
            shards.iter_mut().map(|shard| shard.held()).collect()
        });
        held.into_iter().enumerate().for_each(|(shard, held)| self.rounds.holds(shard, held));
    }
}
