//! Connections that carry posts of a sniffer, told by the header that every post has.
//!
//! Where a collector is watched, by us or by another sniffer, every post would be posted again. The webhook's own address
//! is left out by the engine; this catches the same posts behind a relay or an address translation. A connection counts
//! from the head of its first post on, so that an answer which comes before the post is whole is held back too.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sniffer_engine::event::Flow;
use sniffer_engine::http::Head;
use sniffer_packet::key::FlowId;
use tracing::info;

use crate::output::webhook::post::SCHEMA;

/// Shared by who sees heads and who emits messages, both in the engine thread: the lock is never waited for.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnPosts(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Gone with the connection.
    connections: HashSet<FlowId>,
    said: bool,
}

impl OwnPosts {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the head of a request.
    pub(super) fn look(&self, flow: &Flow, head: &Head<'_>) {
        if !head.fields.iter().any(|field| field.name.eq_ignore_ascii_case(SCHEMA.as_bytes())) {
            return;
        }
        let mut known = self.lock();
        known.connections.insert(flow.id);
        if !std::mem::replace(&mut known.said, true) {
            info!(receiver = %flow.receiver(), "posts of a sniffer are not reported; their connections are left out");
        }
    }

    pub(super) fn has(&self, connection: FlowId) -> bool {
        self.lock().connections.contains(&connection)
    }

    pub(super) fn forget(&self, connection: FlowId) {
        self.lock().connections.remove(&connection);
    }
}
