//! The bounds, the end, and the balance of the accounts at every instant.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::output::envelope::tests::envelope;

#[track_caller]
fn balances(tally: &Tally) {
    assert_eq!(tally.emitted, tally.delivered + tally.dropped_in_all() + tally.queued, "{tally:?}");
}

#[test]
fn a_full_queue_drops_the_newest() {
    let queue = Queue::bounded(2, usize::MAX);
    assert_eq!([1, 2, 3].map(|n| queue.offer(envelope(n, 10))), [Ok(()), Ok(()), Err(Reason::QueueFull)]);
    let first = queue.take().unwrap();
    assert_eq!(first.envelope().key.exchange, 1);
    assert_eq!(
        queue.offer(envelope(4, 10)),
        Err(Reason::QueueFull),
        "what is in hand takes its place until it is settled"
    );
    first.delivered();
    assert_eq!(queue.offer(envelope(5, 10)), Ok(()));
    let tally = queue.tally();
    assert_eq!((tally.delivered, tally.queued, tally.dropped(Reason::QueueFull)), (1, 2, 2));
    balances(&tally);
}

#[test]
fn bytes_are_bounded_too_but_a_huge_message_passes_alone() {
    let queue = Queue::bounded(100, 1000);
    assert_eq!(queue.offer(envelope(1, 5000)), Ok(()));
    assert_eq!(queue.offer(envelope(2, 1)), Err(Reason::QueueFull));
    queue.take().unwrap().delivered();
    assert_eq!(queue.offer(envelope(3, 400)), Ok(()));
    balances(&queue.tally());
}

#[test]
fn a_dropped_ticket_counts_as_failed() {
    let queue = Queue::bounded(9, usize::MAX);
    queue.offer(envelope(1, 1)).unwrap();
    drop(queue.take());
    assert_eq!(queue.tally().dropped(Reason::Failed), 1);
    balances(&queue.tally());
}

#[test]
fn the_end_counts_what_waits_and_what_is_in_hand_once() {
    let queue = Queue::bounded(9, usize::MAX);
    (0..3).for_each(|n| queue.offer(envelope(n, 1)).unwrap());
    let in_hand = queue.take().unwrap();
    queue.close();
    assert!(!queue.drained(Instant::now()));
    queue.end(Reason::DrainTimeout);
    in_hand.delivered();
    assert!(queue.offer(envelope(9, 1)).is_err());
    assert!(queue.take().is_none() && queue.drained(Instant::now()));
    let tally = queue.tally();
    assert_eq!((tally.dropped(Reason::DrainTimeout), tally.delivered), (4, 0));
    balances(&tally);
}

#[test]
fn a_closed_queue_is_emptied_before_it_ends() {
    let queue = Queue::bounded(9, usize::MAX);
    queue.offer(envelope(1, 1)).unwrap();
    queue.close();
    assert_eq!(queue.offer(envelope(2, 1)), Err(Reason::OutputEnded));
    queue.take().unwrap().delivered();
    assert!(queue.take().is_none());
    balances(&queue.tally());
}

#[test]
fn the_accounts_balance_at_every_instant() {
    let queue = Queue::bounded(50, 2000);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let takers: Vec<_> = (0..3)
            .map(|which| {
                let queue = &queue;
                scope.spawn(move || {
                    let mut took = 0;
                    while let Some(ticket) = queue.take() {
                        took += 1;
                        match (took + which) % 5 {
                            0 => ticket.dropped(Reason::Refused),
                            1 => drop(ticket),
                            _ => ticket.delivered(),
                        }
                    }
                    took
                })
            })
            .collect();
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                balances(&queue.tally());
            }
        });
        let accepted = (0..20_000).filter(|&n| queue.offer(envelope(n, n as usize % 97)).is_ok()).count();
        queue.close();
        let taken: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        over.store(true, Ordering::Relaxed);
        let tally = queue.tally();
        assert_eq!((tally.emitted, tally.queued), (20_000, 0));
        assert_eq!(tally.emitted - tally.dropped(Reason::QueueFull), accepted as u64);
        assert_eq!(accepted, taken);
    });
}
