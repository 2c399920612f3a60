//! The bounded queue in front of an output, and its accounts.
//!
//! **At every instant: emitted = delivered + dropped (by reason) + queued**, where queued counts the
//! messages that wait and those that the output has in hand. All counts change under one lock. A new
//! message that does not fit is dropped; offering never waits. Next: [`super`].

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::envelope::Envelope;

/// Messages that may be queued for an output (arbitrary: eight seconds at 2 000 a second).
const MESSAGES_MAX: usize = 16_384;

/// Bytes of messages that may be queued for an output: three outputs and the capture's buffers stay
/// within 256 MiB besides the engine's 128.
const BYTES_MAX: usize = 16 << 20;

/// Why a message was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The output was too slow for the messages.
    QueueFull,
    /// The receiver answered that it does not want the message.
    Refused,
    /// Every try failed.
    Failed,
    /// The output had ended: standard output was closed or its disk full.
    OutputEnded,
    /// The time for draining was over.
    DrainTimeout,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 5] = [Self::QueueFull, Self::Refused, Self::Failed, Self::OutputEnded, Self::DrainTimeout];

    /// Returns its name in logs.
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
    /// Messages offered to the output.
    pub emitted: u64,
    /// Messages that reached the receiver.
    pub delivered: u64,
    /// Messages that wait or are being delivered.
    pub queued: u64,
    /// Tries after the first of each message.
    pub retried: u64,
    dropped: [u64; Reason::ALL.len()],
}

impl Tally {
    /// Returns the messages dropped for this reason.
    pub const fn dropped(&self, reason: Reason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Returns the messages dropped for any reason.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

/// The queue, shared by the engine thread and the output.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// The same signal, for tasks.
    notify: Notify,
    messages_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Inner {
    waiting: VecDeque<Envelope>,
    in_hand: usize,
    /// Bytes of the messages that wait or are in hand.
    bytes: usize,
    state: State,
    /// Number of times the queue was ended. A ticket of an earlier round is void: its message was
    /// counted when the queue was ended.
    round: u64,
    tally: Tally,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// No new messages come; those in the queue may still be delivered.
    Closed,
    /// No message is delivered any more.
    Ended(Reason),
}

/// A message that an output has in hand. If it is dropped undelivered, it counts as failed.
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

    /// A panic elsewhere leaves consistent counts: each change is one step under the lock.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.changed.notify_all();
        self.notify.notify_one();
    }

    /// Queues a message, or returns why it was dropped.
    pub(crate) fn offer(&self, envelope: Envelope) -> Result<(), Reason> {
        let mut inner = self.lock();
        inner.tally.emitted += 1;
        let size = envelope.size();
        let full = inner.waiting.len() + inner.in_hand >= self.messages_max
            // A message that is larger than the limit passes when the queue is empty.
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

    /// Waits for the next message. Returns `None` once there will be no more.
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

    /// Returns the messages that wait, at most `most`.
    pub(crate) fn take_ready(self: &Arc<Self>, most: usize) -> Vec<Ticket> {
        let mut inner = self.lock();
        let count = inner.waiting.len().min(most);
        (0..count).filter_map(|_| inner.waiting.pop_front().map(|envelope| self.ticket(&mut inner, envelope))).collect()
    }

    /// Like [`Self::take`], for a task.
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
            // A message that came in the meantime has left a permit.
            self.notify.notified().await;
        }
    }

    /// Waits, as a task, until the queue is ended. No other task may wait for [`Self::next`] meanwhile.
    pub(crate) async fn ended(&self) {
        while !self.has_ended() {
            self.notify.notified().await;
        }
    }

    fn ticket(self: &Arc<Self>, inner: &mut Inner, envelope: Envelope) -> Ticket {
        inner.in_hand += 1;
        Ticket { queue: Arc::clone(self), envelope, round: inner.round, settled: false }
    }

    /// Closes the queue: no new messages come.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        if inner.state == State::Open {
            inner.state = State::Closed;
        }
        drop(inner);
        self.wake();
    }

    /// Ends the queue: drops all queued messages, and all that come, for this reason.
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

    /// Returns whether the queue was ended, so that an output may abandon the message it has in hand.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.lock().state, State::Ended(_))
    }

    /// Waits until nothing is queued, at most until `until`. Returns whether nothing is queued.
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

    /// Counts another try.
    pub(crate) fn count_retry(&self) {
        self.lock().tally.retried += 1;
    }

    /// Returns the accounts, all of the same instant.
    pub(crate) fn tally(&self) -> Tally {
        let inner = self.lock();
        Tally { queued: (inner.waiting.len() + inner.in_hand) as u64, ..inner.tally }
    }
}

impl Ticket {
    pub(crate) const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Returns whether the message is still to be delivered: not once the queue was ended.
    pub(crate) fn is_wanted(&self) -> bool {
        self.queue.lock().round == self.round
    }

    /// Counts the message as delivered.
    pub(crate) fn delivered(mut self) {
        self.settle(|tally| tally.delivered += 1);
    }

    /// Counts the message as dropped.
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
