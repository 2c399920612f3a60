//! The log lines of this crate, which go into the log of `sniffer-live`. Nothing else is written
//! anywhere.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use napi_derive::napi;
use sniffer_live::StartError;
use sniffer_live::log::{Logging, Throttle};
use tracing::error;

/// The log of the process, however many sniffers and workers there are. It stays until the process
/// ends.
static LOGGING: OnceLock<Logging> = OnceLock::new();

/// Limits the log, because a failing callback may fail for every message.
static FAILURES: Mutex<Throttle> = Mutex::new(Throttle::new(1));

/// Starts the log, if it has not started yet.
pub(crate) fn begin() {
    LOGGING.get_or_init(Logging::to_stderr);
}

/// Waits, for a moment at most, until all lines are written.
pub(crate) fn flush() {
    if let Some(logging) = LOGGING.get() {
        logging.flush();
    }
}

/// Logs a start that failed.
pub(crate) fn refused(problem: &StartError) {
    error!(code = problem.code(), remedy = problem.remedy(), "cannot start: {problem}");
    flush();
}

/// Logs a refused configuration. Its error is about to be thrown and may end the process.
#[napi]
pub fn log_refusal(field: String, message: String) {
    begin();
    error!(code = "INVALID_CONFIG", field, "{message}");
    flush();
}

/// Logs a callback that threw, or whose promise was rejected: once a second at most, with the
/// number of failures that were not logged.
#[napi]
pub fn log_failure(message: String) {
    let passed = FAILURES.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now());
    if let Some(held_back) = passed {
        error!(output = "callback", notLogged = held_back, "{message}");
    }
}
