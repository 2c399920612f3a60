//! The scheduler: one in-order job queue per shard, served by a pool of workers.
//!
//! A shard's jobs are done one at a time, by whichever thread is free. The thread that reads the
//! capture does jobs too when it would otherwise wait. Next: [`super::worker`], a job;
//! [`super::rounds`], which sends jobs and collects their output.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::lock;
use super::worker::{Job, JobOutcome, OutputPiece};

/// Pieces of unfinished jobs that may wait to be handed on. Each queue has room for one more, so
/// that no shard waits for another.
const PIECES: usize = 8;

/// Number of a thread.
pub(super) type Worker = usize;

/// The thread that reads the capture and hands on the lines.
pub(super) const READER: Worker = 0;

/// The job queues, and the threads that wait at them.
pub(super) struct Scheduler {
    state: Mutex<State>,
    /// Signalled when there are jobs.
    jobs: Condvar,
    /// Signalled when a thread is blocked, so that a substitute can work instead.
    relief: Condvar,
    /// Signalled when there is room for a piece.
    room: Condvar,
    /// Signalled when there is a piece, and perhaps a job that can follow.
    piece: Condvar,
}

struct State {
    queues: Vec<JobQueue>,
    threads: Threads,
    /// Pieces of unfinished jobs, in all queues.
    unfinished: usize,
    /// True while the reader waits for a piece.
    awaited: bool,
    closed: bool,
}

/// The number of threads of each kind.
struct Threads {
    /// Target number of running threads. Threads numbered from here on are substitutes: one of them
    /// works for each thread that is blocked.
    workers: usize,
    /// Its value unless threads rest.
    workers_max: usize,
    /// Workers that wait for jobs.
    idle: usize,
    /// Threads that wait for room.
    blocked: usize,
    /// Substitutes at work.
    substitutes: usize,
}

struct JobQueue {
    jobs: VecDeque<Job>,
    pieces: VecDeque<JobOutcome>,
    busy: bool,
    /// The thread that has the shard in its caches.
    worker: Worker,
}

/// The reader's next action.
pub(super) enum Assignment {
    HandOn(JobOutcome),
    Work(usize, Job),
}

impl Threads {
    const fn is_substitute(&self, worker: Worker) -> bool {
        worker >= self.workers
    }

    const fn need_relief(&self) -> bool {
        self.blocked > self.substitutes
    }
}

impl State {
    /// Takes the oldest job that can be done, preferring shards that this thread had last.
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
    /// A scheduler for this many shards, with this many threads running at a time.
    pub(super) fn new(shards: usize, workers: usize) -> Self {
        let worker = |shard| shard * workers / shards;
        let queue =
            |shard| JobQueue { jobs: VecDeque::new(), pieces: VecDeque::new(), busy: false, worker: worker(shard) };
        let queues = (0..shards).map(queue).collect();
        let threads = Threads { workers, workers_max: workers, idle: 0, blocked: 0, substitutes: 0 };
        let state = State { queues, threads, unfinished: 0, awaited: false, closed: false };
        let [jobs, relief, room, piece] = std::array::from_fn(|_| Condvar::new());
        Self { state: Mutex::new(state), jobs, relief, room, piece }
    }

    /// Adds the jobs of a round.
    pub(super) fn send(&self, jobs: impl Iterator<Item = (usize, Job)>) {
        let mut state = lock(&self.state);
        jobs.for_each(|(shard, job)| state.queues[shard].jobs.push_back(job));
        if state.threads.idle > 0 {
            self.jobs.notify_all();
        }
        if state.threads.need_relief() {
            self.relief.notify_all();
        }
    }

    /// Lets all threads but the reader rest, or wakes them again. Resting threads still substitute
    /// for a blocked reader.
    pub(super) fn rest(&self, rest: bool) {
        let mut state = lock(&self.state);
        let threads = &mut state.threads;
        threads.workers = if rest { 1 } else { threads.workers_max };
        // A worker that became a substitute waits elsewhere, and the reverse.
        [&self.jobs, &self.relief].into_iter().for_each(Condvar::notify_all);
    }

    /// Ends the work: threads that wait return.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        [&self.jobs, &self.relief, &self.room].into_iter().for_each(Condvar::notify_all);
    }

    /// Does jobs with `run` until the scheduler is closed. `run` gets a function that hands on
    /// output of more than a piece; its panics are passed to the reader.
    pub(super) fn work(&self, worker: Worker, run: impl Fn(usize, Job, &mut dyn FnMut(OutputPiece)) -> OutputPiece) {
        let mut state = lock(&self.state);
        while !state.closed {
            let is_substitute = state.threads.is_substitute(worker);
            let wanted = !is_substitute || state.threads.need_relief();
            if wanted && let Some((shard, job)) = state.take(worker) {
                state.threads.substitutes += usize::from(is_substitute);
                drop(state);
                let mut hand_on = |piece| self.hand_on(shard, piece);
                let outcome = catch_unwind(AssertUnwindSafe(|| run(shard, job, &mut hand_on)));
                state = lock(&self.state);
                state.threads.substitutes -= usize::from(is_substitute);
                self.end(&mut state, shard, outcome);
            } else if is_substitute {
                state = wait(&self.relief, state);
            } else {
                state.threads.idle += 1;
                state = wait(&self.jobs, state);
                state.threads.idle -= 1;
            }
        }
    }

    /// Ends a job. Its last piece is put without waiting for room.
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
            state.threads.blocked += 1;
            self.relief.notify_all();
            while state.is_full(shard) && !state.closed {
                state = wait(&self.room, state);
            }
            state.threads.blocked -= 1;
        }
    }

    /// Returns the reader's next assignment while it needs a piece of `shard`. Returns none when
    /// the reader has to write that piece itself, because it is at work on that shard (`own`).
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
                    state.threads.blocked += 1;
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
            state.threads.blocked -= usize::from(own.is_some());
        }
    }

    /// Ends a job of the reader.
    pub(super) fn end_own(&self, shard: usize, last: OutputPiece) {
        self.end(&mut lock(&self.state), shard, Ok(last));
    }

    /// Puts a piece of the reader's unfinished job. The reader never waits for room: it makes room.
    pub(super) fn put_own(&self, shard: usize, piece: OutputPiece) {
        self.put(&mut lock(&self.state), shard, Ok(piece));
    }

    /// Returns whether there is no room for another piece of an unfinished job.
    pub(super) fn is_full(&self, shard: usize) -> bool {
        lock(&self.state).is_full(shard)
    }
}

/// Returns whether more pieces of the same job follow.
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
    fn a_worker_prefers_its_own_shards_then_the_oldest_job() {
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
        assert_eq!(take(READER), Some((0, 2)), "any free thread may take it");
    }

    /// The one helper waits for room. The reader, in the middle of a job, waits for a piece of a
    /// shard that no thread works on.
    #[test]
    fn substitutes_work_while_others_are_blocked() {
        for rest in [false, true] {
            substitutes_work(rest);
        }
    }

    fn substitutes_work(rest: bool) {
        let queues = Arc::new(Scheduler::new(3, 2));
        queues.rest(rest);
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
        assert!(lock(&queues.state).unfinished <= PIECES, "a blocked thread writes no more");
        queues.close();
    }
}
