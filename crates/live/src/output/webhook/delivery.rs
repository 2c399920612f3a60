//! Who is posted when: messages of one connection in order, those of others at the same time, each with its tries.
//!
//! A message that waits for its next try holds up its own connection and nobody else. It opens no socket: [`Post`] does.

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

/// Failures in the log a second; the rest is counted.
const LOGGED: u32 = 10;

/// Makes one try.
pub(crate) trait Post {
    /// Posts a message's JSON.
    async fn post(&self, key: Key, body: Bytes) -> Attempt;
}

/// Delivers what the queue gives until it ends.
pub(crate) async fn deliver_all(queue: &Arc<Queue>, post: &impl Post, longest_pause: Duration) {
    let delivery = Delivery {
        queue,
        post,
        longest_pause,
        slots: Semaphore::new(IN_FLIGHT),
        failures: Throttle::new(LOGGED).into(),
    };
    // Messages behind the one of their connection that is being delivered.
    let mut lanes: HashMap<FlowId, VecDeque<Ticket>> = HashMap::new();
    let mut sending = FuturesUnordered::new();
    let mut open = true;
    while open || !sending.is_empty() {
        tokio::select! {
            Some(connection) = sending.next(), if !sending.is_empty() => {
                match lanes.get_mut(&connection).and_then(VecDeque::pop_front) {
                    Some(next) => sending.push(delivery.deliver(next)),
                    None => drop(lanes.remove(&connection)),
                }
            }
            ticket = queue.next(), if open => match ticket {
                Some(ticket) => match lanes.entry(ticket.envelope().key.connection) {
                    std::collections::hash_map::Entry::Occupied(mut lane) => lane.get_mut().push_back(ticket),
                    std::collections::hash_map::Entry::Vacant(lane) => {
                        lane.insert(VecDeque::new());
                        sending.push(delivery.deliver(ticket));
                    }
                },
                None => open = false,
            },
            // Once nothing new comes, only the end of the time for draining can come before the last answer.
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
    /// Delivers one message or gives it up; its connection.
    async fn deliver(&self, ticket: Ticket) -> FlowId {
        let key = ticket.envelope().key;
        // The line feed is for standard output.
        let line = &ticket.envelope().line;
        let body = line.slice(..line.len().saturating_sub(1));
        let mut failed = 0;
        loop {
            let outcome = {
                // Never closed; a pause between tries takes no slot.
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
