//! The connections being followed: found by key, kept in order of activity, ended when idle,
//! evicted when over a limit.
//!
//! Joins [`crate::tcp`] and [`crate::app`], which do not know each other. Next: [`crate::engine`].

mod ids;
mod slab;
mod table;
#[cfg(test)]
mod tests;
mod time_wait;

use std::cmp::Reverse;

use sniffer_packet::defrag::Overlap;
use sniffer_packet::frame::Stamp;
use sniffer_packet::intake::Now;
use sniffer_packet::key::{BUCKETS, Endpoint, FlowKey, Side};
use sniffer_packet::segment::{Flags, Segment};
use sniffer_packet::time::{Seconds, Timestamp};

use crate::anomaly::Anomaly;
use crate::app;
use crate::config::Config;
use crate::context::Context;
use crate::event::{Began, Event, Flow, Sink};
use crate::ledger::{Account, Fate, Ledger};
use crate::stream::{Delivery, EndCause, Retention, StreamSink};
use crate::tcp::{BufferPool, SegmentOutcome, TcpConnection, TcpContext};
use ids::Ids;
use table::{EvictionClass, FlowEntry, FlowTable};
use time_wait::TimeWait;

/// All connections of an engine.
#[derive(Debug)]
pub(crate) struct Flows {
    table: FlowTable,
    /// State that outlives connections, by [bucket](FlowKey::bucket).
    past: Box<[Past]>,
    /// Slots of connections that wait for an allowance to pass. Checked when time passes without
    /// their packets.
    stalled: Vec<u32>,
    common: Common,
}

/// State that all connections share.
#[derive(Debug)]
struct Common {
    config: Config,
    ledger: Ledger,
    /// Accounted bytes of all connections, those of touched ones as of their last summing up.
    held: usize,
    /// Slots of connections that may hold more or less by now; some may have ended since.
    touched: Vec<u32>,
    pool: BufferPool,
}

/// State that outlives connections.
#[derive(Debug)]
struct Past {
    time_wait: TimeWait,
    ids: Ids,
}

/// Eviction order: the least connection is evicted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Activity {
    class: EvictionClass,
    /// Number of segments since the connection's last.
    age: Reverse<u32>,
}

/// The segment that opens a connection.
struct Opening<'a> {
    key: FlowKey,
    /// Hash of the key.
    hash: u64,
    /// Sender of the segment.
    side: Side,
    segment: &'a Segment<'a>,
    stamp: Stamp,
}

impl Flows {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            table: FlowTable::new(config.hash_key),
            past: (0..BUCKETS)
                .map(|_| Past { time_wait: TimeWait::new(&config.limits), ids: Ids::new(config.hash_key) })
                .collect(),
            stalled: Vec::new(),
            common: Common {
                config,
                ledger: Ledger::default(),
                held: 0,
                touched: Vec::new(),
                pool: BufferPool::default(),
            },
        }
    }

    /// Counts connections with this endpoint as our own traffic from here on.
    pub(crate) fn exclude(&mut self, own: Endpoint) {
        let own_traffic = &mut self.common.config.own_traffic;
        if !own_traffic.contains(&own) {
            own_traffic.push(own);
        }
    }

    /// Returns the accounts of everything that came to the connections.
    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.common.ledger
    }

    /// Returns the accounts, to count what only another stage can see.
    pub(crate) const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.common.ledger
    }

    /// Returns the accounted bytes.
    pub(crate) fn held(&mut self) -> usize {
        self.sum_up();
        self.common.held + self.past.iter().map(|past| past.time_wait.held()).sum::<usize>()
    }

    /// Brings the accounts up to date. Not done after every segment: see NOTES#held
    fn sum_up(&mut self) {
        let Self { table, common, .. } = self;
        for slot in common.touched.drain(..) {
            if let Some(entry) = table.get_mut(slot) {
                let holds = entry.tcp.held() + entry.stack.held();
                common.held = common.held + holds - std::mem::replace(&mut entry.held, holds);
                entry.touched = false;
            }
        }
    }

    /// Returns the number of payload bytes that have no fate yet.
    pub(crate) fn held_payload(&self) -> usize {
        self.table.iter().map(|entry| entry.tcp.held_payload() + entry.stack.held_payload()).sum()
    }

    /// Takes a segment, and how the fragments of its datagram overlapped. `now.frame` is the frame
    /// that carried its first byte.
    pub(crate) fn segment(&mut self, segment: &Segment<'_>, overlap: Overlap, now: &Now, sink: &mut dyn Sink) {
        self.common.ledger.tcp_mut().0.receive(segment.payload.len());
        let (key, side) = FlowKey::of(&segment.src, &segment.dst);
        if let Some(fate) = self.common.config.excludes(&key) {
            self.common.ledger.tcp_mut().0.count(fate, segment.payload.len());
            return;
        }
        let mut found = self.table.latest(&key).or_else(|| self.table.find(&key, self.table.hash(&key)));
        if let Some(slot) = found
            && now.now.is_after(self.table.lru_node(slot).last, self.common.config.limits.idle_timeout)
        {
            self.end(slot, EndCause::Idle, now, sink);
            found = None;
        }
        let slot = match found {
            Some(slot) => slot,
            None => match self.open(key, side, segment, now, sink) {
                Some(slot) => slot,
                None => return,
            },
        };
        if overlap == Overlap::Conflicting {
            self.with(slot, now, sink, |_, cx| cx.sink.flag_message(side, Anomaly::FragmentOverlap));
        }
        self.deliver(slot, segment, side, now, sink);
    }

    fn deliver(&mut self, slot: u32, segment: &Segment<'_>, side: Side, now: &Now, sink: &mut dyn Sink) {
        let entry = self.table.entry_mut(slot);
        let outcome = with(entry, &mut self.common, now, sink, |tcp, cx| tcp.segment(segment, side, cx));
        match outcome {
            SegmentOutcome::Open => {
                let class = if entry.tcp.is_half_open() { EvictionClass::HalfOpen } else { EvictionClass::Live };
                let is_stalled = entry.tcp.is_stalled();
                self.table.renew(slot, class, now.now, now.segment_number as u32);
                if is_stalled {
                    self.list(slot);
                }
            }
            SegmentOutcome::Closed => self.end(slot, EndCause::Fin, now, sink),
            SegmentOutcome::Reopen(syn) => {
                let key = self.table.entry(slot).flow.key;
                self.end(slot, EndCause::Reset, now, sink);
                // Its payload was counted as received when its own frame came.
                let first = syn.segment(segment, side);
                let hash = self.table.hash(&key);
                let opening = Opening { key, hash, side: syn.side, segment: &first, stamp: syn.stamp };
                let slot = self.insert(&opening, now);
                self.with(slot, now, sink, |tcp, cx| {
                    cx.now.frame = syn.stamp;
                    tcp.segment(&first, syn.side, cx)
                });
                self.deliver(slot, segment, side, now, sink);
            }
        }
    }

    /// Opens a connection for the first segment between its endpoints, if it gives a reason for
    /// one.
    fn open(&mut self, key: FlowKey, side: Side, segment: &Segment<'_>, now: &Now, sink: &mut dyn Sink) -> Option<u32> {
        let hash = self.table.hash(&key);
        // A SYN opens a connection in any case. hot: see NOTES#time-wait
        if !segment.flags.has(Flags::SYN) && self.past[key.bucket()].time_wait.explains(&key, hash, side, segment) {
            self.common.ledger.tcp_mut().0.count(Fate::Duplicate, segment.payload.len());
            return None;
        }
        if !TcpConnection::may_begin(segment) {
            self.common.ledger.tcp_mut().0.count(Fate::Ignored, segment.payload.len());
            if !segment.flags.has(Flags::RST) {
                self.common.ledger.counts_mut().anomaly(Anomaly::NoAck);
                sink.event(Event::Anomaly { flow: None, anomaly: Anomaly::NoAck });
            }
            return None;
        }
        while self.table.len() >= self.common.config.limits.connections_max.max(1) {
            self.evict(now, sink);
        }
        let opening = Opening { key, hash, side, segment, stamp: now.frame };
        Some(self.insert(&opening, now))
    }

    fn insert(&mut self, opening: &Opening<'_>, now: &Now) -> u32 {
        let Opening { key, hash, side, segment, stamp: first } = *opening;
        self.common.ledger.counts_mut().connection();
        let bucket = key.bucket();
        let id = self.past[bucket].ids.next(key.stable_hash(), &segment.seq.0.to_be_bytes(), first.time.as_micros());
        let server = first_guess(&key, side, segment, &self.common.config.ports);
        let flow = Flow { id, slot: 0, key, first, server, server_by_syn: segment.flags.has(Flags::SYN) };
        let slot = self.table.insert(flow, hash, bucket as u8, now.now, now.segment_number as u32);
        self.common.held += FlowTable::ENTRY_BYTES;
        // `held` may not be called for long while connections come and go.
        if self.common.touched.len() > 2 * self.table.len() + 64 {
            self.sum_up();
        }
        slot
    }

    fn with<T>(
        &mut self,
        slot: u32,
        now: &Now,
        sink: &mut dyn Sink,
        call: impl FnOnce(&mut TcpConnection, &mut TcpContext<'_, StackSink<'_>>) -> T,
    ) -> T {
        with(self.table.entry_mut(slot), &mut self.common, now, sink, call)
    }

    /// Adds a connection to those that wait for an allowance.
    #[cold]
    fn list(&mut self, slot: u32) {
        if std::mem::replace(&mut self.table.lru_node_mut(slot).listed, true) {
            return;
        }
        self.stalled.push(slot);
        // Slots of connections that ended stay in the list until the next tick, and in a capture
        // whose time stands still no tick comes.
        if self.stalled.len() > 2 * self.table.len() + 64 {
            self.stalled.sort_unstable();
            self.stalled.dedup();
            self.stalled.retain(|&slot| self.table.is_listed(slot));
        }
    }

    /// Returns the first of these seconds at which time-outs are due in any connection, and takes
    /// the seconds up to it from them.
    pub(crate) fn due(&self, left: &mut Seconds) -> Option<u64> {
        let due = self.first_due()?.max(left.first);
        left.first = due + 1;
        (due <= left.last).then_some(due)
    }

    /// Returns the first whole second at which a [tick](Self::tick) does anything, unless a
    /// connection begins to wait before.
    fn first_due(&self) -> Option<u64> {
        if !self.stalled.is_empty() {
            return Some(0);
        }
        let oldest =
            [EvictionClass::HalfOpen, EvictionClass::Live].into_iter().filter_map(|class| self.table.oldest(class));
        let last = oldest.map(|slot| self.table.lru_node(slot).last).min()?;
        Some(last.after(self.common.config.limits.idle_timeout).as_secs_up())
    }

    /// Lets time pass for connections without packets: allowances end, idle connections time out.
    pub(crate) fn tick(&mut self, second: u64, now: &Now, sink: &mut dyn Sink) {
        let now = &Now { now: Timestamp::new(second, 0), ..*now };
        let (time, idle_timeout) = (now.now, self.common.config.limits.idle_timeout);
        let is_idle = |table: &FlowTable, slot| time.is_after(table.lru_node(slot).last, idle_timeout);
        let mut due = std::mem::take(&mut self.stalled);
        due.retain(|&slot| self.table.is_listed(slot));
        for class in [EvictionClass::HalfOpen, EvictionClass::Live] {
            due.extend(self.table.least_active(class).take_while(|&slot| is_idle(&self.table, slot)));
        }
        // In the order of output, so that messages need not wait for each other and nothing depends
        // on slot numbers.
        due.sort_unstable_by_key(|&slot| self.table.entry(slot).flow.began());
        due.dedup();
        for slot in due {
            let idle = is_idle(&self.table, slot);
            let listed = std::mem::take(&mut self.table.lru_node_mut(slot).listed);
            if listed && let SegmentOutcome::Closed = self.with(slot, now, sink, |tcp, cx| tcp.advance(cx)) {
                self.end(slot, EndCause::Fin, now, sink);
            } else if idle {
                self.end(slot, EndCause::Idle, now, sink);
            } else if self.table.entry(slot).tcp.is_stalled() {
                self.table.lru_node_mut(slot).listed = true;
                self.stalled.push(slot);
            }
        }
    }

    fn eviction_slot(&self) -> Option<u32> {
        [EvictionClass::HalfOpen, EvictionClass::Live].into_iter().find_map(|class| self.table.oldest(class))
    }

    /// Returns the activity of the connection to evict next, after `segment_number` segments.
    pub(crate) fn eviction_candidate(&self, segment_number: u64) -> Option<Activity> {
        let lru_node = self.table.lru_node(self.eviction_slot()?);
        Some(Activity {
            class: lru_node.class,
            age: Reverse((segment_number as u32).wrapping_sub(lru_node.segment_number)),
        })
    }

    /// Evicts a connection for its memory: half-open ones first, then the least recently active
    /// (policy 21). Returns whether there was one.
    pub(crate) fn evict(&mut self, now: &Now, sink: &mut dyn Sink) -> bool {
        match self.eviction_slot() {
            Some(slot) => {
                self.common.ledger.counts_mut().evicted();
                self.end(slot, EndCause::Evicted, now, sink);
                true
            }
            None => false,
        }
    }

    /// Drops the copies of delivered bytes, which only serve to detect conflicts.
    pub(crate) fn drop_history(&mut self) {
        for entry in self.table.iter_mut() {
            entry.tcp.drop_history();
            self.common.touch(entry);
        }
    }

    /// Returns every connection in the order of output, with its slot.
    pub(crate) fn in_order(&self) -> Vec<(Began, u32)> {
        let mut open = Vec::with_capacity(self.table.len());
        open.extend(self.table.iter().map(|entry| (entry.flow.began(), entry.flow.slot)));
        open.sort_unstable();
        open
    }

    /// Ends a connection because the capture ends.
    pub(crate) fn end_with_capture(&mut self, slot: u32, now: &Now, sink: &mut dyn Sink) {
        self.end(slot, EndCause::EndOfCapture, now, sink);
    }

    fn end(&mut self, slot: u32, cause: EndCause, now: &Now, sink: &mut dyn Sink) {
        self.with(slot, now, sink, |tcp, cx| tcp.end(cause, cx));
        let entry = self.table.entry(slot);
        let hash = self.table.hash(&entry.flow.key);
        self.common.held -= entry.held + FlowTable::ENTRY_BYTES;
        let time_wait = &mut self.past[usize::from(self.table.lru_node(slot).bucket)].time_wait;
        match cause {
            EndCause::EndOfCapture => {}
            // Later segments of it open a connection of their own. A flood is not worth
            // remembering.
            EndCause::Evicted => time_wait.forget(&entry.flow.key, hash),
            _ => time_wait.remember(&entry.flow.key, hash, entry.tcp.next_seqs()),
        }
        sink.event(Event::Closed { flow: &entry.flow });
        self.table.remove(slot, hash);
    }
}

impl Common {
    /// Records that a connection may hold more or less from here on.
    #[inline(always)] // hot: see NOTES#held
    fn touch(&mut self, entry: &mut FlowEntry) {
        if !std::mem::replace(&mut entry.touched, true) {
            self.touched.push(entry.flow.slot);
        }
    }
}

/// Calls into a connection's TCP, which delivers to the layers of the connection.
#[inline]
fn with<T>(
    entry: &mut FlowEntry,
    common: &mut Common,
    now: &Now,
    sink: &mut dyn Sink,
    call: impl FnOnce(&mut TcpConnection, &mut TcpContext<'_, StackSink<'_>>) -> T,
) -> T {
    common.touch(entry);
    let FlowEntry { flow, tcp, stack, .. } = entry;
    let Common { config, ledger, pool, .. } = common;
    let (account, counts) = ledger.tcp_mut();
    let cx = Context { flow, config, account, counts, sink, stamp: now.frame };
    call(tcp, &mut TcpContext { now: *now, limits: &config.limits, pool, sink: &mut StackSink { stack, cx } })
}

/// Guesses the server before any content was seen: the side that did not send the SYN, else the
/// side with one of `ports`, else the side with the lower port.
fn first_guess(key: &FlowKey, side: Side, segment: &Segment<'_>, ports: &[u16]) -> Side {
    if segment.flags.has(Flags::SYN) {
        return if segment.flags.has(Flags::ACK) { side } else { side.other() };
    }
    let [low, high] = [Side::Low, Side::High].map(|side| key.endpoint(side).port);
    match (ports.contains(&low), ports.contains(&high)) {
        (true, false) => Side::Low,
        (false, true) => Side::High,
        _ if high < low => Side::High,
        _ => Side::Low,
    }
}

/// Adapts the layers of a connection to what its TCP delivers to.
struct StackSink<'a> {
    stack: &'a mut app::Stack,
    cx: Context<'a>,
}

impl StreamSink for StackSink<'_> {
    fn deliver(&mut self, from: Side, delivery: Delivery<'_>) {
        self.stack.deliver(from, delivery, &mut self.cx);
    }

    fn flag_message(&mut self, from: Side, anomaly: Anomaly) {
        self.stack.flag_message(from, anomaly);
    }

    fn flag_connection(&mut self, anomaly: Anomaly) {
        self.cx.flag_connection(anomaly);
    }

    fn may_begin(&self, bytes: &[u8]) -> bool {
        app::may_begin(bytes)
    }

    fn retention(&self, from: Side) -> Retention {
        self.stack.retention(from)
    }

    fn account(&mut self) -> &mut Account {
        self.cx.account
    }
}
