//! A part of the connections, with the messages in them: what several threads share the work by.
//!
//! Which part a connection is in depends on its endpoints alone ([`shard_of`]). Nothing that is said of one connection
//! depends on another, but for the memory budget: [`shed`] looks at all parts together, between frames. So the number of parts
//! never shows. Next: [`crate::extract`], which is an intake with one part behind it.

use std::cmp::Reverse;

use sniffer_packet::defrag::FragmentFrames;
use sniffer_packet::intake::{Now, Step};
use sniffer_packet::key::{BUCKETS, Endpoint, bucket};
use sniffer_packet::time::Seconds;

use crate::collect::Collector;
use crate::config::Config;
use crate::engine::Tracker;
use crate::event::{Event, Sink};
use crate::ledger::Ledger;
use crate::message::{Message, Phase};

/// Which of `shards` parts has a [bucket].
#[inline]
pub const fn shard_of(bucket: usize, shards: usize) -> usize {
    bucket * shards / BUCKETS
}

/// Steps in, messages out. An observer sees the events that the messages are made of.
#[derive(Debug)]
pub struct Shard<W = NoObserver> {
    tracker: Tracker,
    collector: Collector,
    observer: W,
    /// By bucket; none unless frames are tracked.
    fragment_frames: Vec<FragmentFrames>,
}

/// No observer.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct NoObserver;

impl Sink for NoObserver {
    #[inline(always)]
    fn event(&mut self, _event: Event<'_>) {}
}

/// Collects, lets the observer see, and gives early what is too much to wait.
struct ShardSink<'a, W> {
    collector: &'a mut Collector,
    observer: &'a mut W,
    fragment_frames: &'a [FragmentFrames],
    moment: &'a Now,
    out: &'a mut dyn FnMut(&mut Message),
}

impl<W: Sink> Sink for ShardSink<'_, W> {
    #[inline]
    fn event(&mut self, event: Event<'_>) {
        let Self { collector, observer, fragment_frames, moment, out } = self;
        observer.event(event);
        collector.event(event);
        collector.spill(
            moment.frame.number,
            moment.segment_number,
            |message| add_fragment_frames(fragment_frames, message),
            out,
        );
    }
}

impl Shard {
    /// A part that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self::with_observer(config, NoObserver)
    }
}

impl<W: Sink> Shard<W> {
    /// A part that has seen nothing, with an observer.
    pub fn with_observer(config: Config, observer: W) -> Self {
        let buckets = if config.track_frames { BUCKETS } else { 0 };
        Self {
            collector: Collector::new(&config),
            fragment_frames: (0..buckets).map(|_| FragmentFrames::of_bucket(config.hash_key)).collect(),
            tracker: Tracker::new(config),
            observer,
        }
    }

    /// Takes a step. What it completes is to be [sealed](Self::seal) after the last one of the frame; `out` gets what is too
    /// much to wait for that, and what ended as time passed.
    #[inline(always)]
    pub fn take(&mut self, step: Step<'_, '_>, moment: &Now, out: &mut dyn FnMut(&mut Message)) {
        match step {
            Step::Frame(fate) => self.tracker.count_frame(fate),
            Step::Tick(passed) => self.pass(passed, moment, out),
            Step::Datagram { datagram, .. } => self.tracker.count_datagram(datagram.payload.len()),
            Step::Segment { segment, stamp, overlap, fragment_frames, .. } => {
                if !fragment_frames.is_empty() {
                    self.fragment_frames[bucket(&segment.src, &segment.dst)]
                        .note(stamp.number, fragment_frames.to_vec());
                }
                let (tracker, mut sink) = self.parts(moment, out);
                tracker.segment(segment, stamp, overlap, moment, &mut sink);
            }
        }
    }

    /// Lets seconds pass, each with its own messages.
    fn pass(&mut self, mut passed: Seconds, moment: &Now, out: &mut dyn FnMut(&mut Message)) {
        self.seal(moment.frame.number, out);
        while let Some(second) = self.tracker.due(&mut passed) {
            self.collector.begin(Phase::Second(second));
            let (tracker, mut sink) = self.parts(moment, out);
            tracker.tick(second, moment, &mut sink);
            self.seal(moment.frame.number, out);
        }
        self.collector.begin(Phase::Frame);
    }

    fn end(&mut self, slot: u32, moment: &Now, out: &mut dyn FnMut(&mut Message)) {
        self.collector.begin(Phase::End);
        let (tracker, mut sink) = self.parts(moment, out);
        tracker.end(slot, moment, &mut sink);
        self.seal(moment.frame.number, out);
        self.emit(out);
    }

    /// The connections, and what is behind them.
    #[inline]
    fn parts<'a>(
        &'a mut self,
        moment: &'a Now,
        out: &'a mut dyn FnMut(&mut Message),
    ) -> (&'a mut Tracker, ShardSink<'a, W>) {
        let Self { tracker, collector, observer, fragment_frames } = self;
        (tracker, ShardSink { collector, observer, fragment_frames, moment, out })
    }

    /// Says that this frame gives no more, nor what passed before it: what is complete is in order. Where enough is, it is
    /// lent.
    #[inline(always)]
    pub fn seal(&mut self, frame: u64, out: &mut dyn FnMut(&mut Message)) {
        if self.collector.has_news() {
            self.seal_news(frame, out);
        }
    }

    fn seal_news(&mut self, frame: u64, out: &mut dyn FnMut(&mut Message)) {
        let Self { collector, fragment_frames, .. } = self;
        collector.seal(frame, |message| add_fragment_frames(fragment_frames, message));
        self.count_anomalies();
        if self.collector.has_enough() {
            self.emit(out);
        }
    }

    /// Lends the messages that are sealed, in the order of output.
    pub fn emit(&mut self, out: &mut dyn FnMut(&mut Message)) {
        self.collector.emit(out);
        self.count_anomalies();
    }

    fn count_anomalies(&mut self) {
        for anomaly in self.collector.drain_anomalies() {
            self.tracker.count_anomaly(anomaly);
        }
    }

    /// The observer.
    pub const fn observer(&mut self) -> &mut W {
        &mut self.observer
    }

    /// EventCounts connections with this endpoint as our own traffic from here on.
    pub fn exclude(&mut self, own: Endpoint) {
        self.tracker.exclude(own);
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
pub fn emit_all<W: Sink>(shards: &mut [&mut Shard<W>], frame: u64, out: &mut dyn FnMut(&mut Message)) {
    let take = |(at, shard): (usize, &mut &mut Shard<W>)| {
        let Shard { collector, fragment_frames, .. } = &mut **shard;
        collector
            .take_ready(frame, |message| add_fragment_frames(fragment_frames, message))
            .into_iter()
            .map(move |open| (at, open))
    };
    let mut ready: Vec<_> = shards.iter_mut().enumerate().flat_map(take).collect();
    ready.sort_by_key(|(_, open)| open.order());
    for (at, open) in ready {
        shards[at].collector.lend(open, &mut *out);
    }
    shards.iter_mut().for_each(|shard| shard.count_anomalies());
}

/// Ends the capture: gives what is open in all parts, flagged, connection by connection, so that nothing waits for the rest.
pub fn finish<W: Sink>(shards: &mut [&mut Shard<W>], moment: &Now, out: &mut dyn FnMut(&mut Message)) {
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
fn add_fragment_frames(fragment_frames: &[FragmentFrames], message: &mut Message) {
    if !fragment_frames.is_empty() {
        fragment_frames[bucket(&message.receiver, &message.destination)].add_to(&mut message.frames);
    }
}

/// Gives memory back in the order of policy 21 until `target` accounted bytes are held by all parts, or nothing more can be
/// given: copies kept for comparing, bodies (the largest first), then connections.
pub fn shed<W: Sink>(shards: &mut [&mut Shard<W>], target: usize, moment: &Now, out: &mut dyn FnMut(&mut Message)) {
    let held = |shards: &mut [&mut Shard<W>]| shards.iter_mut().map(|shard| shard.held()).sum::<usize>();
    shards.iter_mut().for_each(|shard| shard.tracker.drop_history());
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
        let activity = |shard: &Shard<W>| shard.tracker.eviction_candidate(moment);
        let least = shards.iter_mut().filter(|shard| activity(shard).is_some()).min_by_key(|shard| activity(shard));
        let Some(shard) = least else { return };
        let (tracker, mut sink) = shard.parts(moment, out);
        tracker.evict(moment, &mut sink);
    }
}
