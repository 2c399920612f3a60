//! The callback: passes messages, in batches, to a function of the program that embeds this crate.
//!
//! The function runs in a thread of ours and may pass a batch on to another thread (Node's event
//! loop). The messages of a batch count as queued until it is settled, so the bound of the queue
//! holds however slow the receiver is. It needs no async runtime.

use std::fmt;
use std::sync::Arc;

use sniffer_engine::message::Message;

use super::queue::{Queue, Reason, Ticket};

/// Messages in a batch, at most: enough to share the cost of crossing into another language.
const BATCH: usize = 256;

/// The function that takes the messages.
pub type Callback = Arc<dyn Fn(MessageBatch) + Send + Sync>;

/// Messages in order. If it is dropped before [`MessageBatch::delivered`], they count as failed.
pub struct MessageBatch {
    tickets: Vec<Ticket>,
}

impl MessageBatch {
    /// Returns the messages.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = &Message> {
        self.tickets
            .iter()
            .map(|ticket| ticket.envelope().message.as_deref().expect("an envelope for the callback holds its message"))
    }

    /// Counts all messages as delivered.
    pub fn delivered(self) {
        self.tickets.into_iter().for_each(Ticket::delivered);
    }

    /// Counts the first `count` messages as delivered and removes them from the batch. Returns
    /// whether the others are still wanted: not once the time for draining is over.
    pub fn delivered_first(&mut self, count: usize) -> bool {
        self.tickets.drain(..count.min(self.tickets.len())).for_each(Ticket::delivered);
        self.tickets.first().is_none_or(Ticket::is_wanted)
    }

    /// Counts all messages as failed.
    pub fn dropped(self) {
        self.tickets.into_iter().for_each(|ticket| ticket.dropped(Reason::Failed));
    }
}

impl fmt::Debug for MessageBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBatch").field("messages", &self.tickets.len()).finish()
    }
}

/// Calls the function until the queue ends.
pub(crate) fn run(queue: &Arc<Queue>, callback: &Callback) {
    while let Some(first) = queue.take() {
        let mut tickets = vec![first];
        tickets.extend(queue.take_ready(BATCH - 1));
        callback(MessageBatch { tickets });
    }
}

/// Puts copies of a message through a queue of its own into a callback, each once there is room.
/// Returns when all are delivered. For measuring the callback.
#[cfg(feature = "bench")]
pub fn feed(message: &Message, copies: u64, callback: Callback) -> super::Tally {
    use std::{thread, time::Duration};

    use super::envelope::{Envelope, Key};

    let queue = Queue::new();
    let taker = {
        let queue = Arc::clone(&queue);
        thread::spawn(move || run(&queue, &callback))
    };
    let Message { connection, exchange, direction, .. } = *message;
    let key = Key { connection, exchange, direction, interim: 0 };
    for _ in 0..copies {
        while queue.tally().queued >= 8192 {
            thread::sleep(Duration::from_micros(100));
        }
        let _ = queue.offer(Envelope { key, line: bytes::Bytes::new(), message: Some(Box::new(message.clone())) });
    }
    queue.close();
    let _ = taker.join();
    while queue.tally().queued > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    queue.tally()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::output::envelope::tests::envelope;

    #[test]
    fn batches_are_bounded_and_keep_the_order() {
        let queue = Queue::new();
        (0..600).for_each(|n| queue.offer(envelope(n, 1)).unwrap());
        queue.close();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let callback: Callback = {
            let seen = Arc::clone(&seen);
            Arc::new(move |batch: MessageBatch| {
                let exchanges: Vec<_> = batch.tickets.iter().map(|ticket| ticket.envelope().key.exchange).collect();
                seen.lock().unwrap().push(exchanges);
                batch.delivered();
            })
        };
        run(&queue, &callback);
        let batches = seen.lock().unwrap();
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [256, 256, 88]);
        assert!(batches.concat().into_iter().eq(0..600));
        assert_eq!(queue.tally().delivered, 600);
    }

    #[test]
    fn a_batch_that_is_kept_is_still_queued() {
        let queue = Queue::new();
        queue.offer(envelope(1, 1)).unwrap();
        queue.close();
        let kept = Arc::new(Mutex::new(None));
        let callback: Callback = {
            let kept = Arc::clone(&kept);
            Arc::new(move |batch| *kept.lock().unwrap() = Some(batch))
        };
        run(&queue, &callback);
        assert_eq!(queue.tally().queued, 1);
        kept.lock().unwrap().take().unwrap().delivered();
        assert_eq!((queue.tally().queued, queue.tally().delivered), (0, 1));
    }

    #[test]
    fn a_batch_is_delivered_in_parts_while_it_is_wanted() {
        let queue = Queue::new();
        (0..5).for_each(|n| queue.offer(envelope(n, 1)).unwrap());
        let mut batch = MessageBatch { tickets: queue.take_ready(5) };
        assert!(batch.delivered_first(0) && batch.delivered_first(2));
        assert_eq!((queue.tally().delivered, queue.tally().queued), (2, 3));
        queue.end(Reason::DrainTimeout);
        assert!(!batch.delivered_first(1));
        drop(batch);
        let tally = queue.tally();
        assert_eq!((tally.delivered, tally.dropped(Reason::DrainTimeout), tally.queued), (2, 3, 0));
        let mut rest = MessageBatch { tickets: Vec::new() };
        assert!(rest.delivered_first(9), "nothing is left to be unwanted");
    }
}
