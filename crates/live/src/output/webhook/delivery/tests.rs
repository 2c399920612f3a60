//! Order and tries, with tokio's paused clock: no test waits.

use std::cell::RefCell;
use std::collections::HashMap;

use sniffer_engine::http::Direction;
use sniffer_packet::key::{Endpoint, FlowKey};
use tokio::time::Instant as Now;

use super::*;
use crate::output::envelope::Envelope;

const SECOND: Duration = Duration::from_secs(1);

/// A receiver that gives the answers of a function, and notes when it got which message.
struct Script<F> {
    answer: F,
    takes: Duration,
    start: Now,
    /// Connection, exchange, and milliseconds since the start, when each try began.
    tries: RefCell<Vec<(u16, u32, u128)>>,
    in_flight: RefCell<(usize, usize)>,
}

impl<F: Fn(u16, u32, usize) -> Attempt> Script<F> {
    /// `answer(connection, exchange, tries before)`.
    fn new(takes: Duration, answer: F) -> Self {
        Self { answer, takes, start: Now::now(), tries: RefCell::default(), in_flight: RefCell::default() }
    }
}

thread_local! {
    /// Returns the connection that an id was made for.
    static CONNECTIONS: RefCell<HashMap<FlowId, u16>> = RefCell::default();
}

impl<F: Fn(u16, u32, usize) -> Attempt> Post for Script<F> {
    async fn post(&self, key: Key, _body: Bytes) -> Attempt {
        let connection = CONNECTIONS.with_borrow(|known| known[&key.connection]);
        let before = self.tries.borrow().iter().filter(|&&(c, e, _)| (c, e) == (connection, key.exchange)).count();
        self.tries.borrow_mut().push((connection, key.exchange, self.start.elapsed().as_millis()));
        {
            let (now, most) = &mut *self.in_flight.borrow_mut();
            *now += 1;
            *most = (*most).max(*now);
        }
        tokio::time::sleep(self.takes).await;
        self.in_flight.borrow_mut().0 -= 1;
        (self.answer)(connection, key.exchange, before)
    }
}

fn envelope(connection: u16, exchange: u32) -> Envelope {
    let end = |port| Endpoint::new([10, 0, 0, 1].into(), port);
    let id = FlowId::new(&FlowKey::of(&end(connection), &end(80)).0, &[0; 4], 0, 0);
    CONNECTIONS.with_borrow_mut(|known| known.insert(id, connection));
    let key = Key { connection: id, exchange, direction: Direction::Request, interim: 0 };
    Envelope { key, line: Bytes::from_static(b"{}\n"), message: None }
}

/// Returns a closed queue with these messages.
fn queue(messages: impl IntoIterator<Item = (u16, u32)>) -> Arc<Queue> {
    let queue = Queue::new();
    messages.into_iter().for_each(|(connection, exchange)| queue.offer(envelope(connection, exchange)).unwrap());
    queue.close();
    queue
}

fn retry() -> Attempt {
    Attempt::Retry { why: "status 503".to_owned(), after: None }
}

#[tokio::test(start_paused = true)]
async fn tries_come_after_1_2_and_4_seconds_and_then_no_more() {
    let queue = queue([(1, 0)]);
    let post = Script::new(Duration::ZERO, |_, _, _| retry());
    deliver_all(&queue, &post, 10 * SECOND).await;
    assert_eq!(*post.tries.borrow(), [(1, 0, 0), (1, 0, 1000), (1, 0, 3000), (1, 0, 7000)]);
    let tally = queue.tally();
    assert_eq!((tally.dropped(Reason::Failed), tally.retried, tally.queued), (1, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_recovers_gets_the_message() {
    let queue = queue([(1, 0)]);
    let post = Script::new(Duration::ZERO, |_, _, before| if before < 2 { retry() } else { Attempt::Delivered });
    deliver_all(&queue, &post, 10 * SECOND).await;
    assert_eq!(post.tries.borrow().len(), 3);
    assert_eq!((queue.tally().delivered, queue.tally().retried), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_tried_again() {
    let queue = queue([(1, 0), (1, 1)]);
    let post = Script::new(Duration::ZERO, |_, exchange, _| match exchange {
        0 => Attempt::Refused { why: "status 400".to_owned() },
        _ => Attempt::Delivered,
    });
    deliver_all(&queue, &post, 10 * SECOND).await;
    assert_eq!(*post.tries.borrow(), [(1, 0, 0), (1, 1, 0)]);
    assert_eq!((queue.tally().delivered, queue.tally().dropped(Reason::Refused)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn retry_after_lengthens_a_pause_within_the_drain_budget() {
    for (asked, paused) in [(7, 7000), (3600, 10_000)] {
        let queue = queue([(1, 0)]);
        let post = Script::new(Duration::ZERO, |_, _, before| match before {
            0 => Attempt::Retry { why: "status 429".to_owned(), after: Some(asked * SECOND) },
            _ => Attempt::Delivered,
        });
        deliver_all(&queue, &post, 10 * SECOND).await;
        assert_eq!(*post.tries.borrow(), [(1, 0, 0), (1, 0, paused)]);
    }
}

#[tokio::test(start_paused = true)]
async fn order_holds_on_a_connection_and_another_does_not_wait_for_it() {
    let queue = queue([(1, 0), (1, 1), (2, 0), (1, 2), (2, 1)]);
    // The first message of connection 1 fails twice; every answer takes 10 ms.
    let post = Script::new(Duration::from_millis(10), |connection, exchange, before| {
        if (connection, exchange) == (1, 0) && before < 2 { retry() } else { Attempt::Delivered }
    });
    deliver_all(&queue, &post, 10 * SECOND).await;
    let tries = post.tries.borrow();
    let of =
        |connection| tries.iter().filter(|try_| try_.0 == connection).map(|&(_, e, at)| (e, at)).collect::<Vec<_>>();
    assert_eq!(of(1), [(0, 0), (0, 1010), (0, 3020), (1, 3030), (2, 3040)]);
    assert_eq!(of(2), [(0, 0), (1, 10)]);
    assert_eq!(queue.tally().delivered, 5);
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_bounded_and_pauses_take_no_slot() {
    // Forty connections wait for retries, and a hundred others deliver.
    let queue = queue((0..140).map(|connection| (connection, 0)));
    let post = Script::new(SECOND / 10, |connection, _, _| if connection < 40 { retry() } else { Attempt::Delivered });
    deliver_all(&queue, &post, 10 * SECOND).await;
    assert_eq!(post.in_flight.borrow().1, IN_FLIGHT);
    let well = post.tries.borrow().iter().filter(|try_| try_.0 >= 40).map(|try_| try_.2).max().unwrap();
    assert!(well < 1000, "the last of the others was posted at {well} ms");
    assert_eq!((queue.tally().delivered, queue.tally().dropped(Reason::Failed)), (100, 40));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_draining_ends_deliveries_that_hang() {
    let queue = queue([(1, 0), (1, 1), (2, 0)]);
    let post = Script::new(1000 * SECOND, |_, _, _| Attempt::Delivered);
    let end = async {
        tokio::time::sleep(10 * SECOND).await;
        queue.end(Reason::DrainTimeout);
    };
    tokio::join!(deliver_all(&queue, &post, 10 * SECOND), end);
    assert_eq!(post.start.elapsed(), 10 * SECOND);
    assert_eq!((queue.tally().dropped(Reason::DrainTimeout), queue.tally().queued), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn an_open_queue_that_ends_ends_the_delivery() {
    let queue = Queue::new();
    queue.offer(envelope(1, 0)).unwrap();
    let post = Script::new(1000 * SECOND, |_, _, _| Attempt::Delivered);
    let end = async {
        tokio::time::sleep(SECOND).await;
        queue.close();
        tokio::time::sleep(SECOND).await;
        queue.end(Reason::DrainTimeout);
    };
    tokio::join!(deliver_all(&queue, &post, 10 * SECOND), end);
    assert_eq!(queue.tally().dropped(Reason::DrainTimeout), 1);
}
