//! One run: its threads, how they are connected, and how they end.
//!
//! ```text
//! capture thread ends ──▶ engine thread flushes, closes the queues, waits for the outputs, reports
//! ```
//!
//! The engine thread is the last to end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use tracing::{error, info, warn};

use super::Extras;
use crate::capture::batch::PacketBatch;
use crate::capture::counters::Counters;
use crate::capture::reader::{CaptureReader, RING};
use crate::capture::{Opened, TIMEOUT};
use crate::config::LiveConfig;
use crate::dispatch::{Dispatcher, Parts, report};
use crate::error::StartError;
use crate::output::queue::{Queue, Reason};
use crate::output::recorder::{self, Recording};
use crate::output::webhook::own::{Resolver, SelfTraffic};
use crate::output::webhook::post::Client;
use crate::output::{Callback, Output, Tally, callback, stdout, webhook};
use crate::report::{RunEnd, RunReport};
use crate::stop::Stop;

/// A run, shared by its threads and by callers that wait for it.
#[derive(Debug)]
pub(super) struct Run {
    stop: Arc<Stop>,
    outputs: Arc<[Output]>,
    /// Number of outputs that have not ended, with the recorder.
    alive: AtomicUsize,
    /// Why the run ends, unless a stop was requested.
    cause: OnceLock<RunEnd>,
    over: Mutex<Option<RunReport>>,
    changed: Condvar,
}

/// The kind of an output, with what it needs to run.
enum OutputKind {
    Webhook(Client),
    Stdout(std::fs::File),
    Callback(Callback),
}

impl Run {
    /// Opens the outputs and starts the threads.
    pub(super) fn start(config: &Arc<LiveConfig>, extras: &Extras, opened: Opened) -> Result<Arc<Self>, StartError> {
        let failed = |what: &str, error: &dyn std::fmt::Display| StartError::OutputFailed {
            message: format!("{what}: {error}"),
        };
        let own = Arc::new(SelfTraffic::default());
        let mut kinds = Vec::new();
        if let Some(url) = &config.output_url {
            let watched = url.port_or_known_default().is_some_and(|port| config.ports.contains(&port));
            let resolver = Resolver::new(url, watched.then(|| Arc::clone(&own)));
            let client = Client::new(url, config.token.as_ref(), resolver);
            kinds.push((
                "webhook",
                OutputKind::Webhook(client.map_err(|error| failed("cannot open the webhook", &error))?),
            ));
        }
        if config.output_stdout {
            let file = stdout::open().map_err(|error| failed("cannot open standard output", &error))?;
            kinds.push(("stdout", OutputKind::Stdout(file)));
        }
        if let Some(callback) = &extras.callback {
            kinds.push(("callback", OutputKind::Callback(Arc::clone(callback))));
        }
        let recording = match &extras.record {
            Some(path) => {
                let snaplen = config.snaplen.unsigned_abs();
                let recording = Recording::create(path, opened.link, snaplen, &config.interface);
                Some(recording.map_err(|error| failed(&format!("cannot write to {}", path.display()), &error))?)
            }
            None => None,
        };
        let stop = Stop::new().map_err(|error| failed("cannot watch for a stop", &error))?;
        let outputs: Arc<[Output]> = kinds
            .iter()
            .map(|(name, kind)| Output {
                name,
                queue: Queue::new(),
                wants_message: matches!(kind, OutputKind::Callback(_)),
            })
            .collect();
        let run = Arc::new(Self {
            stop: Arc::new(stop),
            alive: AtomicUsize::new(outputs.len() + usize::from(recording.is_some())),
            outputs,
            cause: OnceLock::new(),
            over: Mutex::new(None),
            changed: Condvar::new(),
        });
        log_start(config, &opened, &run.outputs, recording.is_some());
        run.spawn(config, opened, &own, kinds, recording).map_err(|error| {
            run.request_stop();
            run.outputs.iter().for_each(|output| output.queue.end(Reason::OutputEnded));
            failed("cannot start a thread", &error)
        })?;
        Ok(run)
    }

    fn spawn(
        self: &Arc<Self>,
        config: &Arc<LiveConfig>,
        opened: Opened,
        own: &Arc<SelfTraffic>,
        kinds: Vec<(&'static str, OutputKind)>,
        recording: Option<Recording<std::fs::File>>,
    ) -> std::io::Result<()> {
        for (output, (name, kind)) in self.outputs.iter().zip(kinds) {
            let (run, queue) = (Arc::clone(self), Arc::clone(&output.queue));
            // A longer pause than the time for draining would never end.
            let longest_pause = config.drain_timeout;
            spawn(name, move || run.deliver(&queue, kind, longest_pause))?;
        }
        let (spare, spares) = bounded(RING);
        let recorder = match recording {
            Some(recording) => {
                let (batches, waiting) = bounded(recorder::WAITING);
                let (run, spare) = (Arc::clone(self), spare.clone());
                let done = spawn("recorder", move || run.record(recording, &waiting, &spare))?;
                Some((batches, done))
            }
            None => None,
        };
        let (ring, batches) = bounded(RING);
        let counters = Arc::new(Counters::default());
        let reader = CaptureReader {
            handle: opened.handle,
            ring,
            spare: spares,
            counters: Arc::clone(&counters),
            stop: Arc::clone(&self.stop),
        };
        let reader = spawn("capture", move || reader.run())?;
        let (recorder, recorded) = recorder.unzip();
        let dispatcher = Dispatcher::new(Parts {
            config: Arc::clone(config),
            link: opened.link,
            outputs: Arc::clone(&self.outputs),
            counters: Arc::clone(&counters),
            own: Arc::clone(own),
            recorder,
            spare,
        });
        let (run, config) = (Arc::clone(self), Arc::clone(config));
        spawn("engine", move || run.work(&config, dispatcher, &batches, reader, recorded, &counters))?;
        Ok(())
    }

    /// Runs the engine thread.
    fn work(
        &self,
        config: &LiveConfig,
        mut dispatcher: Dispatcher,
        batches: &Receiver<PacketBatch>,
        reader: JoinHandle<Result<(), String>>,
        recorded: Option<JoinHandle<()>>,
        counters: &Counters,
    ) {
        // A panic is our bug. The run must still end, and report it.
        let worked = catch_unwind(AssertUnwindSafe(|| dispatcher.run(batches)));
        self.stop.request();
        let end = match (worked, reader.join()) {
            (Ok(()), Ok(Ok(()))) => self.cause.get().cloned().unwrap_or(RunEnd::Stopped),
            (_, Ok(Err(words))) => RunEnd::CaptureFailed(words),
            (Err(_), _) => RunEnd::CaptureFailed("the engine failed: this is a bug, please report it".to_owned()),
            (_, Err(_)) => {
                RunEnd::CaptureFailed("the capture thread failed: this is a bug, please report it".to_owned())
            }
        };
        let drain = u64::try_from(config.drain_timeout.as_millis()).unwrap_or(u64::MAX);
        info!(drainTimeoutMs = drain, "stopping: the capture has ended, outputs are drained");
        let since = self.stop.requested().map_or_else(Instant::now, |request| request.at);
        let until = since.checked_add(config.drain_timeout).unwrap_or(since);
        self.outputs.iter().for_each(|output| output.queue.close());
        for Output { name, queue, .. } in self.outputs.iter() {
            if !queue.drained(until) {
                let undelivered = queue.tally().queued;
                queue.end(Reason::DrainTimeout);
                warn!(output = name, undelivered, "the time for draining is over");
            }
        }
        // The recorder has the same time as the outputs.
        while recorded.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < until {
            thread::sleep(TIMEOUT);
        }
        let report = RunReport {
            end,
            captured: counters.read(),
            unrecorded: dispatcher.unrecorded(),
            outputs: self.tallies(),
            ledger: dispatcher.ledger().clone(),
        };
        log_end(&report);
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        self.changed.notify_all();
    }

    fn deliver(&self, queue: &Arc<Queue>, kind: OutputKind, longest_pause: std::time::Duration) {
        let end = match kind {
            OutputKind::Webhook(client) => match webhook::run(queue, &client, longest_pause) {
                Ok(()) => return,
                Err(error) => RunEnd::OutputFailed(format!("the webhook ended: {error}")),
            },
            OutputKind::Stdout(file) => match stdout::run(queue, &file) {
                Ok(()) => return,
                Err(stdout::Ended::Closed) => {
                    info!("standard output was closed by its reader");
                    RunEnd::OutputClosed
                }
                Err(stdout::Ended::Failed(error)) => {
                    let message = format!("cannot write to standard output: {error}");
                    error!("{message}");
                    RunEnd::OutputFailed(message)
                }
            },
            OutputKind::Callback(callback) => return callback::run(queue, &callback),
        };
        queue.end(Reason::OutputEnded);
        self.output_ended(end);
    }

    /// Counts an output that ended. Without outputs there is nothing left to do, so the run stops.
    fn output_ended(&self, end: RunEnd) {
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 && self.stop.requested().is_none() {
            let _ = self.cause.set(end);
            self.stop.request();
        }
    }

    fn record(
        &self,
        mut recording: Recording<std::fs::File>,
        batches: &Receiver<PacketBatch>,
        spare: &Sender<PacketBatch>,
    ) {
        let result = batches.iter().try_for_each(|mut batch| {
            recording.write(&batch)?;
            batch.clear();
            let _ = spare.try_send(batch);
            if batches.is_empty() { recording.flush() } else { Ok(()) }
        });
        if let Err(error) = result.and_then(|()| recording.flush()) {
            let message = format!("cannot write the recording: {error}");
            error!("{message}");
            self.output_ended(RunEnd::OutputFailed(message));
        }
    }

    pub(super) fn request_stop(&self) {
        self.stop.request();
    }

    pub(super) fn is_capturing(&self) -> bool {
        self.stop.requested().is_none()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn wait(&self) -> RunReport {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(report) = &*over {
                return report.clone();
            }
            over = self.changed.wait(over).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn tallies(&self) -> Vec<(&'static str, Tally)> {
        self.outputs.iter().map(|output| (output.name, output.queue.tally())).collect()
    }
}

fn spawn<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> std::io::Result<JoinHandle<T>> {
    thread::Builder::new().name(format!("sniffer-{name}")).spawn(body)
}

fn log_start(config: &LiveConfig, opened: &Opened, outputs: &[Output], records: bool) {
    let names: Vec<_> = outputs.iter().map(|output| output.name).chain(records.then_some("recording")).collect();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        interface = config.interface,
        loopback = opened.loopback,
        ports = ?config.ports,
        filter = opened.filter.expression,
        snaplen = config.snaplen,
        bufferSizeBytes = config.buffer_size,
        linkType = opened.link.0,
        outputs = ?names,
        pod = config.placement.pod,
        namespace = config.placement.namespace,
        node = config.placement.node,
        "started"
    );
    info!(unseen = opened.filter.unseen, "what the filter cannot see");
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    if names.is_empty() {
        warn!("no output is configured: messages are counted and go nowhere");
    }
    if let Some(url) = config
        .output_url
        .as_ref()
        .filter(|url| url.port_or_known_default().is_some_and(|port| config.ports.contains(&port)))
    {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
        warn!(host, port, "the webhook's port is watched: its own traffic is left out of the capture");
    }
}

fn log_end(report: &RunReport) {
    let why = match &report.end {
        RunEnd::Stopped => "asked to",
        RunEnd::OutputClosed => "the last output was closed",
        RunEnd::OutputFailed(why) | RunEnd::CaptureFailed(why) => {
            error!("{why}");
            why
        }
    };
    report::stopped(why, report);
}
