//! The life of a sniffer: start, run, stop; again, if wanted.
//!
//! ```text
//!          start                  stop, or it ends by itself          everything is told
//! idle ───────────▶ running ───────────────────────────────▶ draining ─────────────────▶ idle
//! ```
//!
//! `stop` is safe from any thread, at any time, any number of times. Next: [`run`], which puts the threads together.

mod run;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::capture;
use crate::config::LiveConfig;
use crate::error::StartError;
use crate::output::{Callback, Tally};
use crate::report::RunReport;
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
    config: Arc<LiveConfig>,
    extras: Extras,
    run: Mutex<Option<Arc<Run>>>,
}

impl Sniffer {
    /// A sniffer that does not run yet.
    pub fn new(config: LiveConfig, extras: Extras) -> Self {
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
    pub fn wait(&self) -> Option<RunReport> {
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
