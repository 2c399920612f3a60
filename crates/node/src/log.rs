//! What the face itself says, in the log of `sniffer-live`; nothing else is written anywhere.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use napi_derive::napi;
use sniffer_live::StartError;
use sniffer_live::log::{Logging, Throttle};
use tracing::error;

/// One for the process, however many sniffers and workers there are; it stays until the process ends.
static LOGGING: OnceLock<Logging> = OnceLock::new();

/// Callbacks that fail may do so with every message.
static FAILURES: Mutex<Throttle> = Mutex::new(Throttle::new(1));

/// From here on there is a log.
pub(crate) fn begin() {
    LOGGING.get_or_init(Logging::to_stderr);
}

/// Waits until everything said is written, for a moment at most.
pub(crate) fn flush() {
    if let Some(logging) = LOGGING.get() {
        logging.flush();
    }
}

/// A start that failed.
pub(crate) fn refused(problem: &StartError) {
    error!(code = problem.code(), remedy = problem.remedy(), "cannot start: {problem}");
    flush();
}

/// A configuration that is refused. It is about to be thrown, and may end the process.
#[napi]
pub fn log_refusal(field: String, message: String) {
    begin();
    error!(code = "INVALID_CONFIG", field, "{message}");
    flush();
}

/// A callback that threw, or whose promise was rejected; once a second at most, and how many were not told.
#[napi]
pub fn log_failure(message: String) {
    let passed = FAILURES.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now());
    if let Some(held_back) = passed {
        error!(output = "callback", notLogged = held_back, "{message}");
    }
}
