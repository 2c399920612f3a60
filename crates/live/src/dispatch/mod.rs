//! The engine thread: takes batches of packets, puts messages into every output's queue, and logs.
//!
//! It never waits for an output. Next: [`emit`], from a message to the queues; [`notices`], what is
//! logged once per connection; [`report`], what is logged every minute and at the end.

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

/// How often the counters are logged.
const REPORT: Duration = Duration::from_secs(60);

/// Time without a packet after which a hint is logged, once per run.
const HINT: Duration = Duration::from_secs(30);

/// The state of the engine thread.
pub(crate) struct Dispatcher {
    extractor: Extractor<Notices>,
    emitter: Emitter,
    link: LinkType,
    frames: u64,
    own: OwnEndpoints,
    recording: Recording,
    reporting: Reporting,
}

/// The webhook's endpoints, which are excluded from the capture.
struct OwnEndpoints {
    traffic: Arc<SelfTraffic>,
    /// How many of them the engine knows.
    known: usize,
}

/// Where batches go after use.
struct Recording {
    /// To the recorder, if there is one.
    recorder: Option<Sender<PacketBatch>>,
    /// Packets that are missing from the recording.
    unrecorded: u64,
    full: Throttle,
    /// Back to the capture thread, which reuses their memory.
    spare: Sender<PacketBatch>,
}

/// When to log what.
struct Reporting {
    interface: String,
    counters: Arc<Counters>,
    /// None once the hint was logged.
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
        let Parts { config, link, outputs, counters, own, recorder, spare } = parts;
        let posts = OwnPosts::default();
        Self {
            extractor: Extractor::with_observer(engine_config(&config), Notices::new(posts.clone())),
            emitter: Emitter::new(outputs, config.redact_headers.clone(), posts),
            link,
            frames: 0,
            own: OwnEndpoints { traffic: own, known: 0 },
            recording: Recording { recorder, unrecorded: 0, full: Throttle::new(1), spare },
            reporting: Reporting::new(config.interface.clone(), counters, Instant::now()),
        }
    }

    /// Works until the capture thread has ended and the ring is empty, then flushes everything open.
    pub(crate) fn run(&mut self, ring: &Receiver<PacketBatch>) {
        loop {
            match ring.recv_deadline(self.reporting.next()) {
                Ok(batch) => self.batch(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.log(Instant::now());
        }
        let emitter = &mut self.emitter;
        self.extractor.finish(&mut |message| emitter.message(message));
        // The recorder ends when nobody can send to it.
        self.recording.recorder = None;
    }

    /// Returns the accounts so far.
    pub(crate) fn ledger(&self) -> &Ledger {
        self.extractor.ledger()
    }

    /// Returns how many connections are followed now.
    pub(crate) fn connections_open(&mut self) -> u64 {
        let opened = self.extractor.ledger().connections();
        opened.saturating_sub(self.extractor.observer().closed())
    }

    /// Returns how many packets are missing from the recording.
    pub(crate) const fn unrecorded(&self) -> u64 {
        self.recording.unrecorded
    }

    fn batch(&mut self, batch: PacketBatch) {
        self.exclude_own();
        let emitter = &mut self.emitter;
        for (packet, bytes) in batch.iter() {
            self.frames += 1;
            let frame = Frame::new(self.frames, packet.time, self.link, bytes).with_wire_len(packet.wire_len);
            let not_http = self.extractor.ledger().bytes(Fate::NotHttp);
            self.extractor.push(&frame, &mut |message| emitter.message(message));
            let grown = self.extractor.ledger().bytes(Fate::NotHttp) > not_http;
            let notices = self.extractor.observer();
            if grown {
                notices.not_http(&frame);
            }
            emitter.forget(notices.just_closed());
        }
        if let Some(now) = batch.quiet_until {
            self.extractor.advance(now, &mut |message| emitter.message(message));
            emitter.forget(self.extractor.observer().just_closed());
        }
        if !batch.is_empty() {
            self.reporting.saw_packets(Instant::now());
        }
        self.recording.take(batch);
    }

    /// Excludes the webhook's endpoints that became known since the last batch.
    fn exclude_own(&mut self) {
        for endpoint in self.own.traffic.after(self.own.known) {
            self.own.known += 1;
            info!(address = %endpoint, "the webhook's address is left out of the capture");
            self.extractor.exclude(endpoint);
        }
    }

    /// Logs what is due: the hint, the counters.
    fn log(&mut self, now: Instant) {
        self.reporting.hint(now);
        if self.reporting.is_due(now) {
            let open = self.connections_open();
            let captured = self.reporting.counters.read();
            report::counters(&captured, self.extractor.ledger(), open, self.emitter.outputs());
        }
    }
}

impl Recording {
    /// Hands the batch to the recorder, which passes it on to the capture thread; without a recorder,
    /// or with a full one, passes it on at once.
    fn take(&mut self, mut batch: PacketBatch) {
        if let Some(recorder) = self.recorder.as_ref().filter(|_| !batch.is_empty()) {
            batch = match recorder.try_send(batch) {
                Ok(()) => return,
                Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => batch,
            };
            self.unrecorded += batch.len() as u64;
            if let Some(held_back) = self.full.pass(Instant::now()) {
                warn!(
                    unrecorded = self.unrecorded,
                    notLogged = held_back,
                    "packets are missing from the recording: the disk is too slow"
                );
            }
        }
        batch.clear();
        // When the channel is full, the capture thread has enough batches.
        let _ = self.spare.try_send(batch);
    }
}

impl Reporting {
    fn new(interface: String, counters: Arc<Counters>, now: Instant) -> Self {
        Self { interface, counters, hint_at: Some(now + HINT), report_at: now + REPORT }
    }

    /// Returns when something may be due next.
    fn next(&self) -> Instant {
        self.hint_at.map_or(self.report_at, |hint| hint.min(self.report_at))
    }

    fn saw_packets(&mut self, now: Instant) {
        self.hint_at = self.hint_at.map(|_| now + HINT);
    }

    fn hint(&mut self, now: Instant) {
        if self.hint_at.is_some_and(|hint| now >= hint) {
            self.hint_at = None;
            info!(
                interface = self.interface,
                "no packet in 30 s: is this the interface that the traffic passes, are these its ports, and is it on this host?"
            );
        }
    }

    /// Returns whether the counters are due now; then they are due again after [`REPORT`].
    fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.report_at;
        if due {
            self.report_at = now + REPORT;
        }
        due
    }
}

fn engine_config(config: &LiveConfig) -> sniffer_engine::config::Config {
    let mut engine = sniffer_engine::config::Config::default();
    engine.ports = config.ports.clone();
    engine.sample_rate = config.sample_rate;
    engine.limits.body_bytes_max = config.max_body_size;
    engine.limits.connections_max = config.max_connections;
    engine.limits.idle_timeout = config.idle_timeout;
    // Random, so that no sender can choose addresses that collide. No output depends on it.
    let random = RandomState::new();
    engine.hash_key = [0_u64, 1, 2, 3].map(|word| random.hash_one(word));
    engine
}

#[cfg(test)]
mod tests;
