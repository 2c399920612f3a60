//! The engine thread: batches in, messages out to every output's queue, and what there is to say about it.
//!
//! It never waits for an output. Next: [`emit`], from a message to the queues; [`notices`], what is said once a connection;
//! [`report`], what is said every minute and at the end.

mod emit;
mod notices;
mod own_posts;
pub(crate) mod report;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use sniffer_engine::extract::Extractor;
use sniffer_engine::ledger::{Fate, Ledger};
use sniffer_packet::frame::{Frame, LinkType};
use tracing::{info, warn};

use crate::capture::batch::PacketBatch;
use crate::capture::counters::Counters;
use crate::config::LiveConfig;
use crate::log::Throttle;
use crate::output::Output;
use crate::output::webhook::own::SelfTraffic;
use emit::Emitter;
use notices::Notices;
use own_posts::OwnPosts;

/// How often the counters are told.
const REPORT: Duration = Duration::from_secs(60);

/// Without a packet for so long there is a hint, once in a run.
const HINT: Duration = Duration::from_secs(30);

/// The thread's state.
pub(crate) struct Dispatcher {
    extractor: Extractor<Notices>,
    emitter: Emitter,
    link: LinkType,
    frames: u64,
    counters: Arc<Counters>,
    own: Arc<SelfTraffic>,
    own_known: usize,
    recorder: Option<Sender<PacketBatch>>,
    unrecorded: u64,
    recorder_full: Throttle,
    /// Used-up batches go back to the capture thread for their memory.
    spare: Sender<PacketBatch>,
    interface: String,
    /// None once it was given.
    hint_at: Option<Instant>,
    report_at: Instant,
}

/// What a dispatcher is made of.
pub(crate) struct Parts {
    pub(crate) config: Arc<LiveConfig>,
    pub(crate) link: LinkType,
    pub(crate) outputs: Arc<[Output]>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) own: Arc<SelfTraffic>,
    pub(crate) recorder: Option<Sender<PacketBatch>>,
    pub(crate) spare: Sender<PacketBatch>,
}

impl Dispatcher {
    pub(crate) fn new(parts: Parts) -> Self {
        let now = Instant::now();
        let posts = OwnPosts::default();
        Self {
            extractor: Extractor::with_observer(engine_config(&parts.config), Notices::new(posts.clone())),
            emitter: Emitter::new(parts.outputs, parts.config.redact_headers.clone(), posts),
            link: parts.link,
            frames: 0,
            counters: parts.counters,
            own: parts.own,
            own_known: 0,
            recorder: parts.recorder,
            unrecorded: 0,
            recorder_full: Throttle::new(1),
            spare: parts.spare,
            interface: parts.config.interface.clone(),
            hint_at: Some(now + HINT),
            report_at: now + REPORT,
        }
    }

    /// Works until the capture thread has gone and the ring is empty; then everything open is flushed.
    pub(crate) fn run(&mut self, ring: &Receiver<PacketBatch>) {
        loop {
            let next = self.hint_at.map_or(self.report_at, |hint| hint.min(self.report_at));
            match ring.recv_deadline(next) {
                Ok(batch) => self.batch(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.tell(Instant::now());
        }
        let emitter = &mut self.emitter;
        self.extractor.finish(&mut |message| emitter.message(message));
        // The recorder ends when nobody can send to it.
        self.recorder = None;
    }

    /// The accounts so far.
    pub(crate) fn ledger(&self) -> &Ledger {
        self.extractor.ledger()
    }

    /// Connections that are followed now.
    pub(crate) fn connections_open(&mut self) -> u64 {
        let opened = self.extractor.ledger().connections();
        opened.saturating_sub(self.extractor.observer().closed())
    }

    /// Packets that are not in the recording.
    pub(crate) const fn unrecorded(&self) -> u64 {
        self.unrecorded
    }

    fn batch(&mut self, batch: PacketBatch) {
        for own in self.own.beyond(self.own_known) {
            self.own_known += 1;
            info!(address = %own, "the webhook's address is left out of the capture");
            self.extractor.exclude(own);
        }
        let emitter = &mut self.emitter;
        for (packet, bytes) in batch.iter() {
            self.frames += 1;
            let frame = Frame::new(self.frames, packet.time, self.link, bytes).with_wire_len(packet.wire_len);
            let not_http = self.extractor.ledger().bytes(Fate::NotHttp);
            self.extractor.push(&frame, &mut |message| emitter.message(message));
            let grown = self.extractor.ledger().bytes(Fate::NotHttp) > not_http;
            let watch = self.extractor.observer();
            if grown {
                watch.not_http(&frame);
            }
            emitter.forget(watch.just_closed());
        }
        if let Some(now) = batch.quiet_until {
            self.extractor.advance(now, &mut |message| emitter.message(message));
            emitter.forget(self.extractor.observer().just_closed());
        }
        if !batch.is_empty() {
            self.hint_at = self.hint_at.map(|_| Instant::now() + HINT);
        }
        self.record(batch);
    }

    /// Hands the batch to the recorder, which hands it back; or back at once.
    fn record(&mut self, mut batch: PacketBatch) {
        if let Some(recorder) = self.recorder.as_ref().filter(|_| !batch.is_empty()) {
            batch = match recorder.try_send(batch) {
                Ok(()) => return,
                Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => batch,
            };
            self.unrecorded += batch.len() as u64;
            if let Some(held_back) = self.recorder_full.pass(Instant::now()) {
                warn!(
                    unrecorded = self.unrecorded,
                    notLogged = held_back,
                    "packets are missing from the recording: the disk is too slow"
                );
            }
        }
        batch.clear();
        // Full means that there are enough.
        let _ = self.spare.try_send(batch);
    }

    fn tell(&mut self, now: Instant) {
        if self.hint_at.is_some_and(|hint| now >= hint) {
            self.hint_at = None;
            info!(
                interface = self.interface,
                "no packet in 30 s: is this the interface that the traffic passes, are these its ports, and is it on this host?"
            );
        }
        if now >= self.report_at {
            self.report_at = now + REPORT;
            let open = self.connections_open();
            report::counters(&self.counters.read(), self.extractor.ledger(), open, self.emitter.outputs());
        }
    }
}

fn engine_config(config: &LiveConfig) -> sniffer_engine::config::Config {
    let mut engine = sniffer_engine::config::Config::default();
    engine.ports = config.ports.clone();
    engine.sample_rate = config.sample_rate;
    engine.limits.body_bytes_max = config.max_body_size;
    engine.limits.connections_max = config.max_connections;
    engine.limits.idle_timeout = config.idle_timeout;
    // Random, so that nobody can choose addresses that collide; nothing that is output depends on it.
    let random = RandomState::new();
    engine.hash_key = [0_u64, 1, 2, 3].map(|word| random.hash_one(word));
    engine
}

#[cfg(test)]
mod tests;
