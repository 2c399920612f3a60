//! A part of the connections, with the messages in them: what several threads share the work by.
//!
//! Which part a connection is in depends on its endpoints alone ([`shard_of`]). Nothing that is said of one connection
//! depends on another, but for the memory budget: [`shed`] looks at all parts together, between frames. So the number of parts
//! never shows. Next: [`crate::extract`], which is an intake with one part behind it.

use std::cmp::Reverse;

use crate::collect::Collector;
use crate::config::Config;
use crate::decode::Segment;
use crate::defrag::Carriers;
use crate::engine::Tracker;
use crate::event::{Event, Sink};
use crate::intake::{Moment, Step};
use crate::key::{BUCKETS, Endpoint, FlowKey};
use crate::ledger::Ledger;
use crate::message::Message;

/// Which of `shards` parts a segment is for.
#[inline]
pub fn shard_of(segment: &Segment<'_>, shards: usize) -> usize {
    bucket_of(segment.src, segment.dst) % shards
}

fn bucket_of(one: Endpoint, other: Endpoint) -> usize {
    FlowKey::of(one, other).0.bucket()
}

/// Steps in, messages out. A watcher sees the events that the messages are made of.
#[derive(Debug)]
pub struct Shard<W = Unwatched> {
    tracker: Tracker,
    collector: Collector,
    watcher: W,
    /// By bucket; none unless frames are tracked.
    carriers: Vec<Carriers>,
}

/// No watcher.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Unwatched;

impl Sink for Unwatched {
    #[inline(always)]
    fn event(&mut self, _event: Event<'_>) {}
}

/// Collects, and lets the watcher see.
struct Both<'a, W>(&'a mut Collector, &'a mut W);

impl<W: Sink> Sink for Both<'_, W> {
    #[inline]
    fn event(&mut self, event: Event<'_>) {
        self.1.event(event);
        self.0.event(event);
    }
}

impl Shard {
    /// A part that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self::watched(config, Unwatched)
    }
}

impl<W: Sink> Shard<W> {
    /// A part that has seen nothing, with a watcher.
    pub fn watched(config: Config, watcher: W) -> Self {
        let buckets = if config.track_frames { BUCKETS } else { 0 };
        Self {
            collector: Collector::new(&config),
            carriers: (0..buckets).map(|_| Carriers::of_bucket(config.hash_key)).collect(),
            tracker: Tracker::new(config),
            watcher,
        }
    }

    /// Takes a step; what it completes is [`Self::give`]n after.
    #[inline]
    pub fn take(&mut self, step: Step<'_, '_>, moment: Moment) {
        if let Step::Segment { segment, stamp, carriers, .. } = step
            && !carriers.is_empty()
        {
            self.carriers[bucket_of(segment.src, segment.dst)].note(stamp.number, carriers.to_vec());
        }
        self.tracker.take(step, moment, &mut Both(&mut self.collector, &mut self.watcher));
    }

    /// Ends the capture: gives up what is open, flagged.
    pub fn finish(&mut self, moment: Moment) {
        self.tracker.finish(moment, &mut Both(&mut self.collector, &mut self.watcher));
    }

    /// Lends the messages that are complete, in the order of output.
    #[inline]
    pub fn give(&mut self, out: &mut dyn FnMut(&mut Message)) {
        if !self.collector.has_news() {
            return;
        }
        for anomaly in self.collector.drain_anomalies() {
            self.tracker.count_anomaly(anomaly);
        }
        self.collector.sort();
        self.collector.drain(|message| {
            if !self.carriers.is_empty() {
                self.carriers[bucket_of(message.receiver, message.destination)].add_to(&mut message.frames);
            }
            out(message);
        });
    }

    /// The watcher.
    pub const fn watcher(&mut self) -> &mut W {
        &mut self.watcher
    }

    /// Counts connections with this endpoint as our own traffic from here on.
    pub fn leave_out(&mut self, own: Endpoint) {
        self.tracker.leave_out(own);
    }

    /// The accounts so far.
    pub const fn ledger(&self) -> &Ledger {
        self.tracker.ledger()
    }

    /// Payload bytes that are held and have no fate yet.
    pub fn pending(&self) -> usize {
        self.tracker.pending()
    }

    /// Accounted bytes held.
    pub fn held(&self) -> usize {
        self.tracker.held() + self.collector.held()
    }
}

/// Gives memory back in the order of policy 21 until `target` accounted bytes are held by all parts, or nothing more can be
/// given: copies kept for comparing, bodies (the largest first), then connections.
pub fn shed<W: Sink>(shards: &mut [&mut Shard<W>], target: usize, moment: Moment) {
    let held = |shards: &[&mut Shard<W>]| shards.iter().map(|shard| shard.held()).sum::<usize>();
    shards.iter_mut().for_each(|shard| shard.tracker.forget_copies());
    if let Some(mut over) = held(shards).checked_sub(target) {
        let bodies = |(at, shard): (usize, &&mut Shard<W>)| {
            shard.collector.bodies().map(|(size, order, place)| (Reverse(size), order, at, place)).collect::<Vec<_>>()
        };
        let mut bodies: Vec<_> = shards.iter().enumerate().flat_map(bodies).collect();
        // Equal ones in the order of output, so that nothing depends on slots.
        bodies.sort_unstable();
        for (Reverse(size), _, at, place) in bodies {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(size);
            shards[at].collector.shed_body(place);
        }
    }
    while held(shards) > target {
        let activity = |shard: &Shard<W>| shard.tracker.least_missed(moment);
        let least = shards.iter_mut().filter(|shard| activity(shard).is_some()).min_by_key(|shard| activity(shard));
        let Some(Shard { tracker, collector, watcher, .. }) = least else { return };
        tracker.evict(moment, &mut Both(collector, watcher));
    }
}
