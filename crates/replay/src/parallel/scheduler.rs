//! What is to be done, what was done, and who does it: a queue for each shard.
//!
//! A shard's jobs are done one at a time, in order, by whoever is free: by the thread that reads the capture too, when it
//! would wait. Next: [`super::worker`], a job; [`super::rounds`], which sends and collects.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::lock;
use super::worker::{Job, JobOutcome, OutputPiece};

/// Pieces of unfinished jobs that wait to be handed on. Each queue has room for one besides, so that no shard waits for another.
const PIECES: usize = 8;

/// A thread, by number.
pub(super) type Worker = usize;

/// The thread that reads the capture, and hands on what comes of it.
pub(super) const READER: Worker = 0;

/// All queues.
pub(super) struct Scheduler {
    state: Mutex<State>,
    /// Threads that are to be at work. Those with this number and higher work in the place of some that wait for room.
    workers: usize,
    /// There are jobs.
    jobs: Condvar,
    /// Somebody waits for room.
    relief: Condvar,
    /// There is room.
    room: Condvar,
    /// There is a piece, and perhaps a job that follows.
    piece: Condvar,
}

struct State {
    queues: Vec<JobQueue>,
    /// Pieces of unfinished jobs, in all queues.
    unfinished: usize,
    /// Threads that wait for jobs.
    idle: usize,
    /// Threads that wait for room, and those that work in their place.
    blocked: usize,
    substitutes: usize,
    /// Whether the reader waits for a piece.
    awaited: bool,
    closed: bool,
}

struct JobQueue {
    jobs: VecDeque<Job>,
    pieces: VecDeque<JobOutcome>,
    busy: bool,
    /// In whose caches the shard is.
    worker: Worker,
}

/// What the reader is to do next.
pub(super) enum Assignment {
    HandOn(JobOutcome),
    Work(usize, Job),
}

impl State {
    /// The oldest job that can be done, of a shard that this thread had last if there is one.
    fn take(&mut self, worker: Worker) -> Option<(usize, Job)> {
        let free = self.queues.iter().enumerate().filter(|(_, queue)| !queue.busy);
        let jobs = free.filter_map(|(shard, queue)| Some((queue.worker != worker, queue.jobs.front()?.round, shard)));
        let (.., shard) = jobs.min()?;
        let queue = &mut self.queues[shard];
        (queue.busy, queue.worker) = (true, worker);
        Some((shard, queue.jobs.pop_front()?))
    }

    fn is_full(&self, shard: usize) -> bool {
        self.unfinished >= PIECES && !self.queues[shard].pieces.is_empty()
    }
}

impl Scheduler {
    /// For so many shards, and threads that are to be at work.
    pub(super) fn new(shards: usize, workers: usize) -> Self {
        let worker = |shard| shard * workers / shards;
        let queue =
            |shard| JobQueue { jobs: VecDeque::new(), pieces: VecDeque::new(), busy: false, worker: worker(shard) };
        let queues = (0..shards).map(queue).collect();
        let state = State { queues, unfinished: 0, idle: 0, blocked: 0, substitutes: 0, awaited: false, closed: false };
        let [jobs, relief, room, piece] = std::array::from_fn(|_| Condvar::new());
        Self { state: Mutex::new(state), workers, jobs, relief, room, piece }
    }

    /// Adds jobs of a round.
    pub(super) fn send(&self, jobs: impl Iterator<Item = (usize, Job)>) {
        let mut state = lock(&self.state);
        jobs.for_each(|(shard, job)| state.queues[shard].jobs.push_back(job));
        if state.idle > 0 {
            self.jobs.notify_all();
        }
        if state.blocked > state.substitutes {
            self.relief.notify_all();
        }
    }

    /// No more jobs: who waits, stops.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        [&self.jobs, &self.relief, &self.room].into_iter().for_each(Condvar::notify_all);
    }

    /// Does jobs with `run` until there are no more. It gets a way for what is more than a piece, and its panic is the reader's.
    pub(super) fn work(&self, worker: Worker, run: impl Fn(usize, Job, &mut dyn FnMut(OutputPiece)) -> OutputPiece) {
        let substitutes = usize::from(worker >= self.workers);
        let mut state = lock(&self.state);
        while !state.closed {
            let wanted = substitutes == 0 || state.blocked > state.substitutes;
            if wanted && let Some((shard, job)) = state.take(worker) {
                state.substitutes += substitutes;
                drop(state);
                let mut hand_on = |piece| self.hand_on(shard, piece);
                let outcome = catch_unwind(AssertUnwindSafe(|| run(shard, job, &mut hand_on)));
                state = lock(&self.state);
                state.substitutes -= substitutes;
                self.end(&mut state, shard, outcome);
            } else if substitutes == 0 {
                state.idle += 1;
                state = wait(&self.jobs, state);
                state.idle -= 1;
            } else {
                state = wait(&self.relief, state);
            }
        }
    }

    /// Ends a job; its last piece waits for no room.
    fn end(&self, state: &mut State, shard: usize, outcome: JobOutcome) {
        state.queues[shard].busy = false;
        self.put(state, shard, outcome);
    }

    fn put(&self, state: &mut State, shard: usize, outcome: JobOutcome) {
        if state.closed {
            return;
        }
        state.unfinished += usize::from(is_unfinished(&outcome));
        state.queues[shard].pieces.push_back(outcome);
        if state.awaited {
            self.piece.notify_one();
        }
    }

    /// Hands on a piece of an unfinished job, and waits until there is room for the next.
    fn hand_on(&self, shard: usize, piece: OutputPiece) {
        let mut state = lock(&self.state);
        self.put(&mut state, shard, Ok(piece));
        if state.is_full(shard) {
            state.blocked += 1;
            self.relief.notify_all();
            while state.is_full(shard) && !state.closed {
                state = wait(&self.room, state);
            }
            state.blocked -= 1;
        }
    }

    /// What the reader does to have the next piece of a shard. Nothing, when it has to write that itself: it is at work on `own`.
    pub(super) fn next(&self, shard: usize, own: Option<usize>) -> Option<Assignment> {
        let mut state = lock(&self.state);
        loop {
            if let Some(outcome) = state.queues[shard].pieces.pop_front() {
                if is_unfinished(&outcome) {
                    state.unfinished -= 1;
                    self.room.notify_all();
                }
                return Some(Assignment::HandOn(outcome));
            }
            match own {
                Some(own) if own == shard => return None,
                Some(_) => {
                    state.blocked += 1;
                    self.relief.notify_all();
                }
                None => {
                    if let Some((shard, job)) = state.take(READER) {
                        return Some(Assignment::Work(shard, job));
                    }
                }
            }
            state.awaited = true;
            state = wait(&self.piece, state);
            state.awaited = false;
            state.blocked -= usize::from(own.is_some());
        }
    }

    /// Ends a job of the reader.
    pub(super) fn end_own(&self, shard: usize, last: OutputPiece) {
        self.end(&mut lock(&self.state), shard, Ok(last));
    }

    /// Puts a piece of the reader's unfinished job, which cannot wait for room: it has to make it.
    pub(super) fn put_own(&self, shard: usize, piece: OutputPiece) {
        self.put(&mut lock(&self.state), shard, Ok(piece));
    }

    /// Whether there is no room for a piece of an unfinished job.
    pub(super) fn is_full(&self, shard: usize) -> bool {
        lock(&self.state).is_full(shard)
    }
}

fn is_unfinished(outcome: &JobOutcome) -> bool {
    matches!(outcome, Ok(piece) if piece.done.is_none())
}

fn wait<'a>(bell: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    bell.wait(state).unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use super::super::steps::StepBatch;
    use super::super::worker::{Done, ShardOutput};
    use super::*;

    fn job(round: u64) -> Job {
        Job { round, batch: StepBatch::default(), hold: None, output: ShardOutput::default() }
    }

    fn piece(is_last: bool) -> OutputPiece {
        let done = is_last.then(|| Done { batch: StepBatch::default(), cost: 0, held: 0 });
        OutputPiece { output: ShardOutput::default(), done }
    }

    #[test]
    fn a_job_of_an_own_shard_is_next_else_the_oldest() {
        let queues = Scheduler::new(3, 2);
        queues.send([(0, job(1)), (2, job(1))].into_iter());
        queues.send([(0, job(2)), (1, job(2)), (2, job(2))].into_iter());
        let take = |worker| lock(&queues.state).take(worker).map(|(shard, job)| (shard, job.round));
        // The first two are the reader's to begin with.
        assert_eq!(take(1), Some((2, 1)));
        queues.end_own(2, piece(true));
        assert_eq!([take(1), take(1), take(1)], [Some((2, 2)), Some((0, 1)), Some((1, 2))]);
        assert_eq!(take(READER), None, "a shard's jobs are done one at a time");
        queues.end_own(0, piece(true));
        assert_eq!(take(READER), Some((0, 2)), "by whoever is free");
    }

    /// The one helper waits for room, and the reader for a piece of a shard on which nobody works, in the middle of a job of
    /// its own.
    #[test]
    fn somebody_works_in_the_place_of_those_who_wait() {
        let queues = Arc::new(Scheduler::new(3, 2));
        queues.send([(0, job(1)), (1, job(1))].into_iter());
        for worker in 1..=3 {
            let queues = Arc::clone(&queues);
            thread::spawn(move || {
                queues.work(worker, |shard, _, hand_on| {
                    let pieces = if shard == 0 { 2 * PIECES } else { 0 };
                    (0..pieces).for_each(|_| hand_on(piece(false)));
                    piece(true)
                });
            });
        }
        let (to, from) = mpsc::channel();
        let reader = Arc::clone(&queues);
        thread::spawn(move || to.send(matches!(reader.next(1, Some(2)), Some(Assignment::HandOn(Ok(_))))));
        assert_eq!(from.recv_timeout(Duration::from_secs(60)), Ok(true));
        assert!(lock(&queues.state).unfinished <= PIECES, "and who waits writes no more");
        queues.close();
    }
}
