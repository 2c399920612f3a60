//! Where messages go: webhook, standard output, callback; and the recorder, which takes packets.
//!
//! Each output has a thread and a bounded [`queue`], so that none slows capture, the engine, or another. Next: the file of
//! the output you are after.

pub mod callback;
pub(crate) mod envelope;
pub(crate) mod queue;
pub(crate) mod recorder;
pub(crate) mod retry;
pub(crate) mod stdout;
pub(crate) mod webhook;

use std::sync::Arc;

pub use callback::{Callback, MessageBatch};
use queue::Queue;
pub use queue::{Reason, Tally};

/// A running output.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) name: &'static str,
    pub(crate) queue: Arc<Queue>,
    /// Whether it wants the message itself rather than its line.
    pub(crate) wants_message: bool,
}
