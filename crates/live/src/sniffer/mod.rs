//! The life of a sniffer: start, run, stop; again, if wanted.
//!
//! ```text
//!          start                  stop, or it ends by itself          everything is told
//! idle ───────────▶ running ───────────────────────────────▶ draining ─────────────────▶ idle
//! ```
//!
//! `stop` is safe from any thread, at any time, any number of times. Next: [`run`], which puts the threads together.

mod run;
pub(crate) mod stop;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sniffer_engine::ledger::Ledger;

use crate::capture;
use crate::capture::counters::Captured;
use crate::config::Config;
use crate::output::{Callback, Tally};
use run::Run;

/// Where messages and packets go beside what the configuration says.
#[derive(Default, Clone)]
#[non_exhaustive]
pub struct Extras {
    /// Takes every message.
    pub callback: Option<Callback>,
    /// The packets that were captured, as pcapng.
    pub record: Option<PathBuf>,
}

impl std::fmt::Debug for Extras {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extras").field("callback", &self.callback.is_some()).field("record", &self.record).finish()
    }
}

/// A live sniffer.
#[derive(Debug)]
pub struct Sniffer {
    config: Arc<Config>,
    extras: Extras,
    run: Mutex<Option<Arc<Run>>>,
}

/// Why a start failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It runs already.
    #[error("the sniffer is running already")]
    AlreadyRunning,
    /// No interface has this name.
    #[error("there is no interface {name}; there are: {}", known.join(", "))]
    InterfaceNotFound {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The capture cannot be opened: libpcap's exact words.
    #[error("{message}")]
    CaptureOpenFailed {
        /// libpcap's words.
        message: String,
    },
    /// An output cannot be opened.
    #[error("{message}")]
    OutputFailed {
        /// Which, and why.
        message: String,
    },
}

impl StartError {
    /// A name for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRunning => "ALREADY_RUNNING",
            Self::InterfaceNotFound { .. } => "INTERFACE_NOT_FOUND",
            Self::CaptureOpenFailed { .. } => "CAPTURE_OPEN_FAILED",
            Self::OutputFailed { .. } => "OUTPUT_FAILED",
        }
    }

    /// What helps, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        let Self::CaptureOpenFailed { message } = self else { return None };
        let rights = ["permission", "not permitted", "CAP_NET_RAW"].iter().any(|word| message.contains(word));
        rights.then_some("give the program the capability, `setcap cap_net_raw+ep FILE`, or the container NET_RAW; or run it as root")
    }
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It was asked to.
    Stopped,
    /// The last output was closed by its reader.
    OutputClosed,
    /// The last output failed.
    OutputFailed(String),
    /// The capture failed: libpcap's words.
    CaptureFailed(String),
}

/// Everything about a run that ended: every message and every packet is in it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// Why it ended.
    pub end: End,
    /// Packets.
    pub captured: Captured,
    /// Packets that are missing from the recording.
    pub unrecorded: u64,
    /// Messages, by output; nothing is queued any more.
    pub outputs: Vec<(&'static str, Tally)>,
    /// Bytes.
    pub ledger: Ledger,
}

impl Sniffer {
    /// A sniffer that does not run yet.
    pub fn new(config: Config, extras: Extras) -> Self {
        Self { config: Arc::new(config), extras, run: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Run>>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<Arc<Run>> {
        self.lock().clone()
    }

    /// Opens the capture and the outputs, and runs. Whoever calls `stop` meanwhile waits and then stops it.
    ///
    /// # Errors
    /// What cannot be opened; nothing runs then.
    pub fn start(&self) -> Result<(), StartError> {
        let mut place = self.lock();
        if place.as_ref().is_some_and(|run| !run.is_over()) {
            return Err(StartError::AlreadyRunning);
        }
        let opened = capture::open(&self.config)?;
        *place = Some(Run::start(&self.config, &self.extras, opened)?);
        Ok(())
    }

    /// Stops the capture, drains every output for as long as the configuration allows, and returns when all is over.
    pub fn stop(&self) {
        if let Some(run) = self.current() {
            run.request_stop();
            run.wait();
        }
    }

    /// Asks it to stop, and does not wait: for a thread that must not.
    pub fn request_stop(&self) {
        if let Some(run) = self.current() {
            run.request_stop();
        }
    }

    /// Waits until it has ended, by `stop` or by itself; `None` when it was never started.
    pub fn wait(&self) -> Option<Report> {
        self.current().map(|run| run.wait())
    }

    /// Whether it captures.
    pub fn is_running(&self) -> bool {
        self.current().is_some_and(|run| run.is_capturing())
    }

    /// The accounts of the outputs of the current or last run.
    pub fn outputs(&self) -> Vec<(&'static str, Tally)> {
        self.current().map(|run| run.tallies()).unwrap_or_default()
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.stop();
    }
}
