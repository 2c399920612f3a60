//! The outputs of messages: webhook, standard output, callback. And the recorder, which takes packets.
//!
//! Each output has a thread and a bounded [`queue`], so that none slows the capture, the engine or
//! another output. Next: the file of one output.

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
    /// True if it wants the message itself, not its line.
    pub(crate) wants_message: bool,
}
