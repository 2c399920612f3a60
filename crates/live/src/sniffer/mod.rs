//! The life of a sniffer: start, run, stop, and start again.
//!
//! ```text
//!          start                  stop, or it ends by itself          all is reported
//! idle ───────────▶ running ───────────────────────────────▶ draining ─────────────────▶ idle
//! ```
//!
//! `stop` may be called from any thread, at any time, any number of times. Next: [`run`], which
//! connects the threads.

mod run;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::capture;
use crate::config::LiveConfig;
use crate::error::StartError;
use crate::output::{Callback, Tally};
use crate::report::RunReport;
use run::Run;

/// Outputs besides those of the configuration.
#[derive(Default, Clone)]
#[non_exhaustive]
pub struct Extras {
    /// A function that takes every message.
    pub callback: Option<Callback>,
    /// A file that takes the captured packets, as pcapng.
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
    config: Arc<LiveConfig>,
    extras: Extras,
    run: Mutex<Option<Arc<Run>>>,
}

impl Sniffer {
    /// A sniffer that is not running yet.
    pub fn new(config: LiveConfig, extras: Extras) -> Self {
        Self { config: Arc::new(config), extras, run: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Run>>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<Arc<Run>> {
        self.lock().clone()
    }

    /// Opens the capture and the outputs, and starts the threads. A `stop` that is called meanwhile
    /// waits, and then stops the run.
    ///
    /// # Errors
    /// The capture or an output cannot be opened. Nothing runs then.
    pub fn start(&self) -> Result<(), StartError> {
        let mut place = self.lock();
        if place.as_ref().is_some_and(|run| !run.is_over()) {
            return Err(StartError::AlreadyRunning);
        }
        let opened = capture::open(&self.config)?;
        *place = Some(Run::start(&self.config, &self.extras, opened)?);
        Ok(())
    }

    /// Stops the capture, drains every output for as long as the configuration allows, and returns when
    /// the run is over.
    pub fn stop(&self) {
        if let Some(run) = self.current() {
            run.request_stop();
            run.wait();
        }
    }

    /// Requests a stop without waiting, for a thread that must not wait.
    pub fn request_stop(&self) {
        if let Some(run) = self.current() {
            run.request_stop();
        }
    }

    /// Waits until the run has ended, by `stop` or by itself. Returns `None` if there never was a run.
    pub fn wait(&self) -> Option<RunReport> {
        self.current().map(|run| run.wait())
    }

    /// Returns whether it captures.
    pub fn is_running(&self) -> bool {
        self.current().is_some_and(|run| run.is_capturing())
    }

    /// Returns the accounts of the outputs of the current or last run.
    pub fn outputs(&self) -> Vec<(&'static str, Tally)> {
        self.current().map(|run| run.tallies()).unwrap_or_default()
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.stop();
    }
}
