//! The webhook: one POST a message, several in flight, in order on each connection.
//!
//! It runs in a thread of its own with its own runtime, so the program around it needs none. Next: [`delivery`] for order
//! and tries, [`post`] for the request, [`own`] for how our own posts are kept out of the capture.

pub(crate) mod delivery;
pub(crate) mod own;
pub(crate) mod post;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::queue::Queue;
use post::Client;

/// Delivers until the queue ends. `longest_pause` bounds what a receiver may ask for between tries.
pub(crate) fn run(queue: &Arc<Queue>, client: &Client, longest_pause: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(delivery::deliver_all(queue, client, longest_pause));
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}
