//! A replay on several threads. The output is the same for any number of them.
//!
//! ```text
//!                   ┌─ rounds ─▶ shard 0: flow, tcp, http, lines ─┐
//! source ─▶ intake ─┼─ rounds ─▶ shard 1                          ├─▶ merge by output key ─▶ sink
//!  the reader       └─ rounds ─▶ …     by any free thread         ┘        the reader
//! ```
//!
//! A fixed hash of its endpoints decides which shard a connection is in. The intake reassembles
//! fragments and keeps the clock before that, so time-outs end at the same frame everywhere. The
//! memory budget covers all shards. It is checked at the points where one thread checks it, and all
//! shards wait there, but only when it can have been reached at all ([`estimate`]). Large bodies
//! are not worth other threads: there the reader works alone ([`load`], [`alone`]). Next:
//! [`rounds`], which sends and collects; [`scheduler`], which hands out jobs; [`worker`], a job.

mod alone;
mod estimate;
mod load;
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
use sniffer_packet::frame::{Frame, LinkType};
use sniffer_packet::intake::{Intake, Step};
use sniffer_packet::key::BUCKETS;

use crate::replay::{Continue, ReplaySink, Summary, count};
use crate::source::{ReadEvent, Source};
use rounds::Rounds;
use scheduler::Scheduler;
use worker::work;

/// Formats a message into lines in memory. Called on any thread; only the calling thread of
/// [`replay()`] hands lines on to the [`ReplaySink`].
pub type Write<'a> = &'a (dyn Fn(&mut Message, &mut Lines) + Sync);

/// Runs all frames of `source` through the engine on up to `threads` threads. The lines that
/// `write` writes go to [`ReplaySink::lines`], in output order.
///
/// # Errors
/// The threads cannot be started. Nothing was read yet: [`crate::replay()`] can replay the source
/// on one thread.
///
/// # Panics
/// If one of the threads panics.
pub fn replay(
    source: &mut Source,
    config: &Config,
    threads: NonZeroUsize,
    write: Write<'_>,
    sink: &mut dyn ReplaySink,
) -> io::Result<Summary> {
    run(source, config, threads, write, sink, true)
}

/// Like [`replay`], but all threads work from the first frame on. For tests with small captures,
/// which the reader would take alone.
///
/// # Errors
/// The threads cannot be started.
#[doc(hidden)]
pub fn replay_spread(
    source: &mut Source,
    config: &Config,
    threads: NonZeroUsize,
    write: Write<'_>,
    sink: &mut dyn ReplaySink,
) -> io::Result<Summary> {
    run(source, config, threads, write, sink, false)
}

/// Replays the source. The reader `starts_alone`, or with all threads.
fn run(
    source: &mut Source,
    config: &Config,
    threads: NonZeroUsize,
    write: Write<'_>,
    sink: &mut dyn ReplaySink,
    starts_alone: bool,
) -> io::Result<Summary> {
    let workers = threads.get().min(BUCKETS);
    let shards: Vec<_> = (0..shards_for(workers)).map(|_| Mutex::new(Shard::new(config.clone()))).collect();
    let scheduler = Scheduler::new(shards.len(), workers);
    let (mut ledger, unknown_links) = thread::scope(|scope| {
        let (scheduler, shards) = (&scheduler, &shards);
        let _closing = Closing(scheduler);
        // A thread for each shard: then one is free for every job even while others wait for room.
        for worker in 1..=shards.len() {
            thread::Builder::new().spawn_scoped(scope, move || {
                scheduler.work(worker, |shard, job, hand_on| work(&shards[shard], job, write, hand_on));
            })?;
        }
        let driver = Driver::new(config, Rounds::new(scheduler, shards, write, starts_alone));
        io::Result::Ok(driver.run(source, Budget::new(config.limits.held_bytes_max), sink))
    })?;
    for shard in &shards {
        // After an abandoned replay, no one else reports a worker's panic.
        ledger.merge(shard.lock().expect("no thread panicked at work on a shard").ledger());
    }
    Ok(Summary { ledger, unknown_links })
}

/// Returns the number of shards. More than workers, so that a thread that is early finds something
/// to take over. Only few more: each shard brings memory of its own into the caches, and takes it
/// along when it changes threads. hot: see NOTES#shards
const fn shards_for(workers: usize) -> usize {
    let shards = workers + (workers - 1) / 2;
    if shards < BUCKETS { shards } else { BUCKETS }
}

/// Closes the scheduler when the reader returns or panics.
struct Closing<'a>(&'a Scheduler);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A mutex is poisoned only by a worker's panic, which becomes the panic of the whole replay.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reader: it takes frames through the intake and spreads their steps over the shards.
struct Driver<'a> {
    rounds: Rounds<'a>,
    intake: Intake,
    /// Counts the frames that no shard sees.
    ledger: Ledger,
    unknown_links: Vec<(LinkType, u64)>,
}

impl<'a> Driver<'a> {
    fn new(config: &Config, rounds: Rounds<'a>) -> Self {
        Self { rounds, intake: Intake::new(&config.packet()), ledger: Ledger::default(), unknown_links: Vec::new() }
    }

    fn run(
        mut self,
        source: &mut Source,
        mut budget: Budget,
        sink: &mut dyn ReplaySink,
    ) -> (Ledger, Vec<(LinkType, u64)>) {
        let mut next = Continue::Frame;
        while next == Continue::Frame {
            let rounds = &mut self.rounds;
            let frame = source.next(&mut |event| match event {
                ReadEvent::Refill => rounds.before_refill(sink),
                ReadEvent::Wait => {
                    rounds.drain(None, sink);
                    sink.before_block();
                }
            });
            let Some(frame) = frame else {
                next = Continue::Finish;
                break;
            };
            let payload = self.frame(&frame, sink);
            // The same points in the same order as with one thread: see the engine's `Extractor`.
            if budget.spend(payload) && self.intake.held() + self.rounds.held_at_most() > budget.max() {
                self.look(&budget, sink);
            } else if self.rounds.is_full() {
                self.rounds.send(None, sink);
            }
            next = sink.next(source);
        }
        if next == Continue::Finish {
            self.rounds.drain(None, sink);
            let moment = self.intake.finish();
            self.rounds.here(sink, |shards, out| finish(shards, &moment, out));
        }
        (self.ledger, self.unknown_links)
    }

    /// Adds the steps of a frame to the next round. Returns the bytes of their payload.
    #[inline(always)]
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut dyn ReplaySink) -> usize {
        let (mut payload, mut unknown) = (0, false);
        let peek = self.intake.share(
            frame,
            // hot: see NOTES#steps
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
            self.rounds.add_frame(frame, peek, moment, sink);
        }
        if unknown {
            count(&mut self.unknown_links, frame.link);
        }
        payload
    }

    /// Checks the memory budget: waits for all shards, and sheds what they hold over the limit.
    fn look(&mut self, budget: &Budget, sink: &mut dyn ReplaySink) {
        let moment = self.intake.moment();
        let (fragments, most) = (self.intake.held(), self.rounds.held_at_most());
        // What the frame completes and what is shed share one place in the output order.
        self.rounds.drain(Some(moment.frame.number), sink);
        let held: Vec<_> = self.rounds.here(sink, |shards, out| {
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
