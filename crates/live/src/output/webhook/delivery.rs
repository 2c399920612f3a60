//! The order of posts: messages of one connection one after the other, those of different
//! connections at the same time, each with its tries.
//!
//! A message that waits for its next try holds up only its own connection. This file opens no
//! socket: [`Post`] does.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sniffer_packet::key::FlowId;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::log::Throttle;
use crate::output::envelope::Key;
use crate::output::queue::{Queue, Reason, Ticket};
use crate::output::retry::{Attempt, pause};

/// Requests in flight at once. Arbitrary: with an answer in 10 ms, 3 200 messages a second.
pub(crate) const IN_FLIGHT: usize = 32;

/// Failures logged per second; the others are only counted.
const LOGGED: u32 = 10;

/// Makes one try.
pub(crate) trait Post {
    /// Posts a message's JSON.
    async fn post(&self, key: Key, body: Bytes) -> Attempt;
}

/// Delivers messages until the queue ends.
pub(crate) async fn deliver_all(queue: &Arc<Queue>, post: &impl Post, longest_pause: Duration) {
    let delivery = Delivery {
        queue,
        post,
        longest_pause,
        slots: Semaphore::new(IN_FLIGHT),
        failures: Throttle::new(LOGGED).into(),
    };
    // By connection: the messages that wait for the one being delivered.
    let mut waiting: HashMap<FlowId, VecDeque<Ticket>> = HashMap::new();
    let mut sending = FuturesUnordered::new();
    let mut open = true;
    while open || !sending.is_empty() {
        tokio::select! {
            Some(connection) = sending.next(), if !sending.is_empty() => {
                match waiting.get_mut(&connection).and_then(VecDeque::pop_front) {
                    Some(next) => sending.push(delivery.deliver(next)),
                    None => drop(waiting.remove(&connection)),
                }
            }
            ticket = queue.next(), if open => match ticket {
                Some(ticket) => match waiting.entry(ticket.envelope().key.connection) {
                    std::collections::hash_map::Entry::Occupied(mut queue) => queue.get_mut().push_back(ticket),
                    std::collections::hash_map::Entry::Vacant(entry) => {
                        entry.insert(VecDeque::new());
                        sending.push(delivery.deliver(ticket));
                    }
                },
                None => open = false,
            },
            // After the queue is closed, only the end of the time for draining can come before the
            // last response.
            () = queue.ended(), if !open => return,
        }
    }
}

struct Delivery<'a, P> {
    queue: &'a Queue,
    post: &'a P,
    longest_pause: Duration,
    slots: Semaphore,
    failures: std::cell::RefCell<Throttle>,
}

impl<P: Post> Delivery<'_, P> {
    /// Delivers one message or drops it. Returns its connection.
    async fn deliver(&self, ticket: Ticket) -> FlowId {
        let key = ticket.envelope().key;
        // The line feed is for standard output.
        let line = &ticket.envelope().line;
        let body = line.slice(..line.len().saturating_sub(1));
        let mut failed = 0;
        loop {
            let outcome = {
                // The semaphore is never closed. A pause between tries takes no slot.
                let _slot = self.slots.acquire().await;
                self.post.post(key, body.clone()).await
            };
            match outcome {
                Attempt::Delivered => {
                    ticket.delivered();
                    break;
                }
                Attempt::Refused { why } => {
                    self.log(key, &why, failed + 1);
                    ticket.dropped(Reason::Refused);
                    break;
                }
                Attempt::Retry { why, after } => {
                    failed += 1;
                    let Some(pause) = pause(failed, after, self.longest_pause) else {
                        self.log(key, &why, failed);
                        ticket.dropped(Reason::Failed);
                        break;
                    };
                    tokio::time::sleep(pause).await;
                    self.queue.count_retry();
                }
            }
        }
        key.connection
    }

    fn log(&self, key: Key, why: &str, tries: u32) {
        let Some(held_back) = self.failures.borrow_mut().pass(Instant::now()) else { return };
        warn!(output = "webhook", key = %key, why, tries, notLogged = held_back, "message dropped: the webhook did not take it");
    }
}

#[cfg(test)]
mod tests;
