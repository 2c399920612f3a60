//! The bounded queue in front of an output, and its accounts.
//!
//! **At every instant: emitted = delivered + dropped (by reason) + queued**, where queued counts what waits and what an
//! output has in its hands. All of it changes under one lock. What does not fit is dropped, the newest first; offering
//! never waits. Next: [`super`].

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::envelope::Envelope;

/// Messages that may be queued for an output (arbitrary: eight seconds at 2 000 a second).
const MESSAGES_MAX: usize = 16_384;

/// Their bytes: three outputs and the capture's buffers stay within 256 MiB beside the engine's 128.
const BYTES_MAX: usize = 16 << 20;

/// Why a message was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The output was slower than the messages.
    QueueFull,
    /// The receiver said that it does not want it.
    Refused,
    /// It failed on every try.
    Failed,
    /// The output had ended: a closed or full standard output.
    OutputEnded,
    /// The time for draining was over.
    DrainTimeout,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::QueueFull, Self::Refused, Self::Failed, Self::OutputEnded, Self::DrainTimeout];

    /// As it stands in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queueFull",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::OutputEnded => "outputEnded",
            Self::DrainTimeout => "drainTimeout",
        }
    }
}

/// The accounts of an output, in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Tally {
    /// Offered to the output.
    pub emitted: u64,
    /// Taken by its receiver.
    pub delivered: u64,
    /// Waiting, or being delivered.
    pub queued: u64,
    /// Tries beyond the first.
    pub retried: u64,
    dropped: [u64; Reason::ALL.len()],
}

impl Tally {
    /// Dropped for this reason.
    pub const fn dropped(&self, reason: Reason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Dropped for any reason.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

/// The queue; shared by who offers and the output.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// The same for who waits without a thread.
    notify: Notify,
    messages_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Inner {
    waiting: VecDeque<Envelope>,
    in_hand: usize,
    /// Bytes of both.
    bytes: usize,
    state: State,
    /// Tickets of an earlier round are void: what they were for is counted already.
    round: u64,
    tally: Tally,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing new comes; what there is may still be delivered.
    Closed,
    /// Nothing is delivered any more.
    Ended(Reason),
}

/// A message in an output's hands. Dropped undelivered, it counts as failed.
#[derive(Debug)]
pub(crate) struct Ticket {
    queue: Arc<Queue>,
    envelope: Envelope,
    round: u64,
    settled: bool,
}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Self::bounded(MESSAGES_MAX, BYTES_MAX)
    }

    fn bounded(messages_max: usize, bytes_max: usize) -> Arc<Self> {
        let inner = Inner {
            waiting: VecDeque::new(),
            in_hand: 0,
            bytes: 0,
            state: State::Open,
            round: 0,
            tally: Tally::default(),
        };
        let (changed, notify) = (Condvar::new(), Notify::new());
        Arc::new(Self { inner: Mutex::new(inner), changed, notify, messages_max, bytes_max })
    }

    /// A panic elsewhere leaves numbers that are whole: each change is one step under the lock.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.changed.notify_all();
        self.notify.notify_one();
    }

    /// Puts a message in, or says why not.
    pub(crate) fn offer(&self, envelope: Envelope) -> Result<(), Reason> {
        let mut inner = self.lock();
        inner.tally.emitted += 1;
        let size = envelope.size();
        let full = inner.waiting.len() + inner.in_hand >= self.messages_max
            // One that is larger than all the room there is passes alone.
            || inner.bytes > 0 && inner.bytes + size > self.bytes_max;
        let refused = match inner.state {
            State::Ended(reason) => Some(reason),
            State::Closed => Some(Reason::OutputEnded),
            State::Open => full.then_some(Reason::QueueFull),
        };
        if let Some(reason) = refused {
            inner.tally.dropped[reason as usize] += 1;
            return Err(reason);
        }
        inner.bytes += size;
        inner.waiting.push_back(envelope);
        drop(inner);
        self.wake();
        Ok(())
    }

    /// The next message, waited for; `None` once there will be no more.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Ticket> {
        let mut inner = self.lock();
        loop {
            if let Some(envelope) = inner.waiting.pop_front() {
                return Some(self.ticket(&mut inner, envelope));
            }
            if inner.state != State::Open {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Those that are there, at most so many.
    pub(crate) fn take_ready(self: &Arc<Self>, most: usize) -> Vec<Ticket> {
        let mut inner = self.lock();
        let count = inner.waiting.len().min(most);
        (0..count).filter_map(|_| inner.waiting.pop_front().map(|envelope| self.ticket(&mut inner, envelope))).collect()
    }

    /// As [`Self::take`], for a task.
    pub(crate) async fn next(self: &Arc<Self>) -> Option<Ticket> {
        loop {
            {
                let mut inner = self.lock();
                if let Some(envelope) = inner.waiting.pop_front() {
                    return Some(self.ticket(&mut inner, envelope));
                }
                if inner.state != State::Open {
                    return None;
                }
            }
            // A message that came in between has left a permit.
            self.notify.notified().await;
        }
    }

    /// Until it is ended, for a task; not while another waits for [`Self::next`].
    pub(crate) async fn ended(&self) {
        while !self.has_ended() {
            self.notify.notified().await;
        }
    }

    fn ticket(self: &Arc<Self>, inner: &mut Inner, envelope: Envelope) -> Ticket {
        inner.in_hand += 1;
        Ticket { queue: Arc::clone(self), envelope, round: inner.round, settled: false }
    }

    /// Nothing new comes.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        if inner.state == State::Open {
            inner.state = State::Closed;
        }
        drop(inner);
        self.wake();
    }

    /// Ends it: what is queued is dropped for this reason, and so is what comes.
    pub(crate) fn end(&self, reason: Reason) {
        let mut inner = self.lock();
        let queued = inner.waiting.len() + inner.in_hand;
        inner.tally.dropped[reason as usize] += queued as u64;
        inner.waiting.clear();
        (inner.in_hand, inner.bytes) = (0, 0);
        inner.round += 1;
        if !matches!(inner.state, State::Ended(_)) {
            inner.state = State::Ended(reason);
        }
        drop(inner);
        self.wake();
    }

    /// Whether it was ended, so that who has a message in hand may let go of it.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.lock().state, State::Ended(_))
    }

    /// Waits until nothing is queued, or until then; whether nothing is.
    pub(crate) fn drained(&self, until: Instant) -> bool {
        let mut inner = self.lock();
        loop {
            if inner.waiting.is_empty() && inner.in_hand == 0 {
                return true;
            }
            let rest = until.saturating_duration_since(Instant::now());
            if rest == Duration::ZERO {
                return false;
            }
            inner = self.changed.wait_timeout(inner, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// One more try.
    pub(crate) fn count_retry(&self) {
        self.lock().tally.retried += 1;
    }

    /// The accounts, all of the same instant.
    pub(crate) fn tally(&self) -> Tally {
        let inner = self.lock();
        Tally { queued: (inner.waiting.len() + inner.in_hand) as u64, ..inner.tally }
    }
}

impl Ticket {
    pub(crate) const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Whether it still matters what becomes of it: not once the queue was ended.
    pub(crate) fn is_wanted(&self) -> bool {
        self.queue.lock().round == self.round
    }

    /// It reached its receiver.
    pub(crate) fn delivered(mut self) {
        self.settle(|tally| tally.delivered += 1);
    }

    /// It did not.
    pub(crate) fn dropped(mut self, reason: Reason) {
        self.settle(|tally| tally.dropped[reason as usize] += 1);
    }

    fn settle(&mut self, count: impl FnOnce(&mut Tally)) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let mut inner = self.queue.lock();
        if inner.round == self.round {
            inner.in_hand -= 1;
            inner.bytes -= self.envelope.size();
            count(&mut inner.tally);
        }
        drop(inner);
        self.queue.changed.notify_all();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle(|tally| tally.dropped[Reason::Failed as usize] += 1);
    }
}

#[cfg(test)]
mod tests;
