//! Connections that carry posts of a sniffer, recognised by the header that every post has.
//!
//! When a collector is watched, by us or by another sniffer, every post would be posted again. The
//! engine excludes the webhook's own address; this catches the same posts after a relay or an
//! address translation. A connection counts from the head of its first post, so that an answer
//! which comes before the post is complete is held back too.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sniffer_engine::event::Flow;
use sniffer_engine::http::Head;
use sniffer_packet::key::FlowId;
use tracing::info;

use crate::output::webhook::post::SCHEMA;

/// Shared by the notices, which see heads, and the emitter. Both run in the engine thread, so the
/// lock is never contended.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnPosts(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// An entry goes with its connection.
    connections: HashSet<FlowId>,
    logged: bool,
}

impl OwnPosts {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a sniffer's header in the head of a request.
    pub(super) fn look(&self, flow: &Flow, head: &Head<'_>) {
        if !head.fields.iter().any(|field| field.name.eq_ignore_ascii_case(SCHEMA.as_bytes())) {
            return;
        }
        let mut known = self.lock();
        known.connections.insert(flow.id);
        if !std::mem::replace(&mut known.logged, true) {
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
