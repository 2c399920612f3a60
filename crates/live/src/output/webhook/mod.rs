//! The webhook: one POST per message, several in flight, in order within each connection.
//!
//! It runs in a thread of its own with its own runtime, so the program around it needs none. Next:
//! [`delivery`], order and tries; [`post`], the request; [`own`], which keeps our own posts out of
//! the capture.

pub(crate) mod delivery;
pub(crate) mod own;
pub(crate) mod post;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::queue::Queue;
use post::Client;

/// Delivers until the queue ends. `longest_pause` bounds the pause that a receiver may ask for.
pub(crate) fn run(queue: &Arc<Queue>, client: &Client, longest_pause: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(delivery::deliver_all(queue, client, longest_pause));
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}
