//! A part of the connections, with the messages in them: what several threads share the work by.
//!
//! Which part a connection is in depends on its endpoints alone ([`shard_of`]). Nothing that is said of one connection
//! depends on another, but for the memory budget: [`shed`] looks at all parts together, between frames. So the number of parts
//! never shows. Next: [`crate::extract`], which is an intake with one part behind it.

use std::cmp::Reverse;

use sniffer_packet::defrag::Carriers;
use sniffer_packet::intake::{Moment, Step};
use sniffer_packet::key::{BUCKETS, Endpoint, bucket};
use sniffer_packet::time::Seconds;

use crate::collect::Collector;
use crate::config::Config;
use crate::engine::Tracker;
use crate::event::{Event, Sink};
use crate::ledger::Ledger;
use crate::message::{Batch, Message};

/// Which of `shards` parts has a [bucket].
#[inline]
pub const fn shard_of(bucket: usize, shards: usize) -> usize {
    bucket * shards / BUCKETS
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

/// Collects, lets the watcher see, and gives early what is too much to wait.
struct Behind<'a, W> {
    collector: &'a mut Collector,
    watcher: &'a mut W,
    carriers: &'a [Carriers],
    moment: &'a Moment,
    out: &'a mut dyn FnMut(&mut Message),
}

impl<W: Sink> Sink for Behind<'_, W> {
    #[inline]
    fn event(&mut self, event: Event<'_>) {
        let Self { collector, watcher, carriers, moment, out } = self;
        watcher.event(event);
        collector.event(event);
        collector.relieve(moment.frame.number, moment.serial, |message| add_carriers(carriers, message), out);
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

    /// Takes a step. What it completes is to be [settled](Self::settle) after the last one of the frame; `out` gets what is too
    /// much to wait for that, and what ended as time passed.
    #[inline(always)]
    pub fn take(&mut self, step: Step<'_, '_>, moment: &Moment, out: &mut dyn FnMut(&mut Message)) {
        match step {
            Step::Frame(fate) => self.tracker.count_frame(fate),
            Step::Tick(passed) => self.pass(passed, moment, out),
            Step::Segment { segment, stamp, overlap, carriers, block } => {
                if !carriers.is_empty() {
                    self.carriers[bucket(&segment.src, &segment.dst)].note(stamp.number, carriers.to_vec());
                }
                let (tracker, mut behind) = self.parts(moment, out);
                tracker.segment(segment, stamp, overlap, block, moment, &mut behind);
            }
        }
    }

    /// Lets seconds pass, each with its own messages.
    fn pass(&mut self, mut passed: Seconds, moment: &Moment, out: &mut dyn FnMut(&mut Message)) {
        self.settle(moment.frame.number, out);
        while let Some(second) = self.tracker.due(&mut passed) {
            self.collector.begin(Batch::Second(second));
            let (tracker, mut behind) = self.parts(moment, out);
            tracker.tick(second, moment, &mut behind);
            self.settle(moment.frame.number, out);
        }
        self.collector.begin(Batch::Frame);
    }

    fn end(&mut self, slot: u32, moment: &Moment, out: &mut dyn FnMut(&mut Message)) {
        self.collector.begin(Batch::End);
        let (tracker, mut behind) = self.parts(moment, out);
        tracker.end(slot, moment, &mut behind);
        self.settle(moment.frame.number, out);
        self.give(out);
    }

    /// The connections, and what is behind them.
    #[inline]
    fn parts<'a>(
        &'a mut self,
        moment: &'a Moment,
        out: &'a mut dyn FnMut(&mut Message),
    ) -> (&'a mut Tracker, Behind<'a, W>) {
        let Self { tracker, collector, watcher, carriers } = self;
        (tracker, Behind { collector, watcher, carriers, moment, out })
    }

    /// Says that this frame gives no more, nor what passed before it: what is complete is in order. Where enough is, it is
    /// lent.
    #[inline(always)]
    pub fn settle(&mut self, frame: u64, out: &mut dyn FnMut(&mut Message)) {
        if self.collector.has_news() {
            self.settle_news(frame, out);
        }
    }

    fn settle_news(&mut self, frame: u64, out: &mut dyn FnMut(&mut Message)) {
        let Self { collector, carriers, .. } = self;
        collector.settle(frame, |message| add_carriers(carriers, message));
        self.count_anomalies();
        if self.collector.has_enough() {
            self.give(out);
        }
    }

    /// Lends the messages that are settled, in the order of output.
    pub fn give(&mut self, out: &mut dyn FnMut(&mut Message)) {
        self.collector.give(out);
        self.count_anomalies();
    }

    fn count_anomalies(&mut self) {
        for anomaly in self.collector.drain_anomalies() {
            self.tracker.count_anomaly(anomaly);
        }
    }

    /// Copies what is kept of the [block](sniffer_packet::block) that segments lay in, and lets that go. Of those that lie in another one,
    /// everything is copied until then.
    pub fn let_go(&mut self) {
        self.tracker.let_go();
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
    pub fn held(&mut self) -> usize {
        self.tracker.held() + self.collector.held()
    }
}

/// Lends the messages that this frame completed in all parts, in the order of output; all before it were given.
pub fn give_all<W: Sink>(shards: &mut [&mut Shard<W>], frame: u64, out: &mut dyn FnMut(&mut Message)) {
    let take = |(at, shard): (usize, &mut &mut Shard<W>)| {
        let Shard { collector, carriers, .. } = &mut **shard;
        collector.take_ready(frame, |message| add_carriers(carriers, message)).into_iter().map(move |open| (at, open))
    };
    let mut ready: Vec<_> = shards.iter_mut().enumerate().flat_map(take).collect();
    ready.sort_by_key(|(_, open)| open.order());
    for (at, open) in ready {
        shards[at].collector.lend(open, &mut *out);
    }
    shards.iter_mut().for_each(|shard| shard.count_anomalies());
}

/// Ends the capture: gives what is open in all parts, flagged, connection by connection, so that nothing waits for the rest.
pub fn finish<W: Sink>(shards: &mut [&mut Shard<W>], moment: &Moment, out: &mut dyn FnMut(&mut Message)) {
    let mut open: Vec<_> = shards.iter().map(|shard| shard.tracker.in_order().into_iter().peekable()).collect();
    let mut next = || {
        let first = open.iter_mut().enumerate().filter_map(|(at, open)| Some((open.peek()?.0, at)));
        let (_, at) = first.min()?;
        open[at].next().map(|(_, slot)| (at, slot))
    };
    while let Some((at, slot)) = next() {
        shards[at].end(slot, moment, out);
    }
}

/// Adds the frames that carried a message's fragments, where they are tracked.
fn add_carriers(carriers: &[Carriers], message: &mut Message) {
    if !carriers.is_empty() {
        carriers[bucket(&message.receiver, &message.destination)].add_to(&mut message.frames);
    }
}

/// Gives memory back in the order of policy 21 until `target` accounted bytes are held by all parts, or nothing more can be
/// given: copies kept for comparing, bodies (the largest first), then connections.
pub fn shed<W: Sink>(shards: &mut [&mut Shard<W>], target: usize, moment: &Moment, out: &mut dyn FnMut(&mut Message)) {
    let held = |shards: &mut [&mut Shard<W>]| shards.iter_mut().map(|shard| shard.held()).sum::<usize>();
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
        let Some(shard) = least else { return };
        let (tracker, mut behind) = shard.parts(moment, out);
        tracker.evict(moment, &mut behind);
    }
}
