//! A shard: the connections one thread owns, and the messages being built on them.
//!
//! The shard of a connection depends on its endpoints alone ([`shard_of`]). Connections are
//! independent except for the memory budget, and [`shed`] applies that to all shards together,
//! between frames. So the number of shards never shows. Next: [`crate::extract`], an intake with
//! one shard.

use std::cmp::Reverse;

use sniffer_packet::defrag::FragmentFrames;
use sniffer_packet::intake::{Now, Step};
use sniffer_packet::key::{BUCKETS, bucket};
use sniffer_packet::time::Seconds;

use crate::collect::Collector;
use crate::config::Config;
use crate::event::{Event, Sink};
use crate::flow::Flows;
use crate::ledger::Ledger;
use crate::message::{Message, Phase};

/// Returns which of `shards` shards a [bucket] belongs to.
#[inline]
pub const fn shard_of(bucket: usize, shards: usize) -> usize {
    bucket * shards / BUCKETS
}

/// Steps in, messages out. An observer sees the events that the messages are made of.
#[derive(Debug)]
pub struct Shard<W = NoObserver> {
    pub(crate) flows: Flows,
    collector: Collector,
    observer: W,
    /// By bucket; empty unless frames are tracked.
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

/// Passes events to the observer and the collector, and spills messages when too many are ready.
struct ShardSink<'a, W> {
    collector: &'a mut Collector,
    observer: &'a mut W,
    fragment_frames: &'a [FragmentFrames],
    now: &'a Now,
    out: &'a mut dyn FnMut(&mut Message),
}

impl<W: Sink> Sink for ShardSink<'_, W> {
    #[inline]
    fn event(&mut self, event: Event<'_>) {
        let Self { collector, observer, fragment_frames, now, out } = self;
        observer.event(event);
        collector.event(event);
        collector.spill(
            now.frame.number,
            now.segment_number,
            |message| add_fragment_frames(fragment_frames, message),
            out,
        );
    }
}

impl Shard {
    /// Returns a shard that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self::with_observer(config, NoObserver)
    }
}

impl<W: Sink> Shard<W> {
    /// Returns a shard that has seen nothing, with an observer.
    pub fn with_observer(config: Config, observer: W) -> Self {
        let buckets = if config.track_frames { BUCKETS } else { 0 };
        Self {
            collector: Collector::new(&config),
            fragment_frames: (0..buckets).map(|_| FragmentFrames::of_bucket(config.hash_key)).collect(),
            flows: Flows::new(config),
            observer,
        }
    }

    /// Takes a step. The messages it completes are to be [sealed](Self::seal) after the frame's
    /// last step; `out` gets those that cannot wait for that, and those that ended as time passed.
    #[inline(always)]
    pub fn take(&mut self, step: Step<'_, '_>, now: &Now, out: &mut dyn FnMut(&mut Message)) {
        match step {
            Step::Frame(fate) => self.flows.ledger_mut().count_frame(fate),
            Step::Tick(passed) => self.pass(passed, now, out),
            Step::Datagram { datagram, .. } => self.flows.ledger_mut().count_datagram(datagram.payload.len()),
            Step::Segment { segment, stamp, overlap, fragment_frames, .. } => {
                if !fragment_frames.is_empty() {
                    self.fragment_frames[bucket(&segment.src, &segment.dst)]
                        .note(stamp.number, fragment_frames.to_vec());
                }
                let (flows, mut sink) = self.parts(now, out);
                flows.segment(segment, overlap, &Now { frame: stamp, ..*now }, &mut sink);
            }
        }
    }

    /// Lets seconds pass, each a phase of its own.
    fn pass(&mut self, mut passed: Seconds, now: &Now, out: &mut dyn FnMut(&mut Message)) {
        self.seal(now.frame.number, out);
        while let Some(second) = self.flows.due(&mut passed) {
            self.collector.begin(Phase::Second(second));
            let (flows, mut sink) = self.parts(now, out);
            flows.tick(second, now, &mut sink);
            self.seal(now.frame.number, out);
        }
        self.collector.begin(Phase::Frame);
    }

    fn end(&mut self, slot: u32, now: &Now, out: &mut dyn FnMut(&mut Message)) {
        self.collector.begin(Phase::End);
        let (flows, mut sink) = self.parts(now, out);
        flows.end_with_capture(slot, now, &mut sink);
        self.seal(now.frame.number, out);
        self.emit(out);
    }

    /// Splits the shard into its connections and the sink of their events.
    #[inline]
    fn parts<'a>(
        &'a mut self,
        now: &'a Now,
        out: &'a mut dyn FnMut(&mut Message),
    ) -> (&'a mut Flows, ShardSink<'a, W>) {
        let Self { flows, collector, observer, fragment_frames } = self;
        (flows, ShardSink { collector, observer, fragment_frames, now, out })
    }

    /// Ends a frame: what it completed is now in output order. Lends it once enough has
    /// accumulated.
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
            self.flows.ledger_mut().counts_mut().anomaly(anomaly);
        }
    }

    /// Returns the observer.
    pub const fn observer(&mut self) -> &mut W {
        &mut self.observer
    }

    /// Returns the accounts so far.
    pub const fn ledger(&self) -> &Ledger {
        self.flows.ledger()
    }

    /// Returns the accounted bytes held.
    pub fn held(&mut self) -> usize {
        self.flows.held() + self.collector.held()
    }
}

/// Lends the messages that this frame completed in all shards, in output order. All earlier ones
/// were lent.
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

/// Ends the capture: gives what is open in all shards, flagged, connection by connection, so that
/// nothing waits for the rest.
pub fn finish<W: Sink>(shards: &mut [&mut Shard<W>], now: &Now, out: &mut dyn FnMut(&mut Message)) {
    let mut open: Vec<_> = shards.iter().map(|shard| shard.flows.in_order().into_iter().peekable()).collect();
    let mut next = || {
        let first = open.iter_mut().enumerate().filter_map(|(at, open)| Some((open.peek()?.0, at)));
        let (_, at) = first.min()?;
        open[at].next().map(|(_, slot)| (at, slot))
    };
    while let Some((at, slot)) = next() {
        shards[at].end(slot, now, out);
    }
}

/// Adds the frames that carried a message's fragments, if frames are tracked.
fn add_fragment_frames(fragment_frames: &[FragmentFrames], message: &mut Message) {
    if !fragment_frames.is_empty() {
        fragment_frames[bucket(&message.receiver, &message.destination)].add_to(&mut message.frames);
    }
}

/// Sheds memory until all shards together hold `target` accounted bytes or nothing more can be
/// shed, in the order of policy 21: copies kept for comparing, bodies (the largest first), then
/// connections.
pub fn shed<W: Sink>(shards: &mut [&mut Shard<W>], target: usize, now: &Now, out: &mut dyn FnMut(&mut Message)) {
    let held = |shards: &mut [&mut Shard<W>]| shards.iter_mut().map(|shard| shard.held()).sum::<usize>();
    shards.iter_mut().for_each(|shard| shard.flows.drop_history());
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
        let activity = |shard: &Shard<W>| shard.flows.eviction_candidate(now.segment_number);
        let least = shards.iter_mut().filter(|shard| activity(shard).is_some()).min_by_key(|shard| activity(shard));
        let Some(shard) = least else { return };
        let (flows, mut sink) = shard.parts(now, out);
        flows.evict(now, &mut sink);
    }
}
