//! Log notices, at most one of each kind per connection: bytes missing, not HTTP, not readable. It
//! also keeps which connections have closed.
//!
//! It observes the engine's events and keeps two bytes per connection. More than ten notices of a
//! kind in a second are only counted.

use std::collections::HashSet;
use std::time::Instant;

use sniffer_engine::anomaly::{Anomaly, AnomalySet};
use sniffer_engine::event::{Event, Flow, Protocol, Sink};
use sniffer_engine::http::Direction;
use sniffer_packet::decode::{self, Decoded};
use sniffer_packet::frame::Frame;
use sniffer_packet::key::{FlowId, FlowKey};
use tracing::{info, warn};

use super::own_posts::OwnPosts;
use crate::log::Throttle;

/// Lines per second, of each kind.
const LOGGED: u32 = 10;

/// Connections remembered as logged not to be HTTP (arbitrary). They are not forgotten when they
/// close, but all at once when there are more; a connection may then be logged again.
const NOT_HTTP_MAX: usize = 65_536;

/// Anomalies that make a message, or what follows it, unreadable.
const UNREADABLE: [Anomaly; 8] = [
    Anomaly::BadStartLine,
    Anomaly::BadChunkSize,
    Anomaly::BadChunkEnd,
    Anomaly::ConflictingContentLength,
    Anomaly::InvalidContentLength,
    Anomaly::TeNotChunked,
    Anomaly::HeadTooLarge,
    Anomaly::TooManyFields,
];

#[derive(Debug, Default)]
pub(super) struct Notices {
    /// The notices that were logged, by slot of the connection.
    logged: Vec<Logged>,
    closed: u64,
    just_closed: Vec<FlowId>,
    not_http: HashSet<FlowKey>,
    limits: Limits,
    posts: OwnPosts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Logged {
    gap: bool,
    unreadable: bool,
}

#[derive(Debug)]
struct Limits {
    gap: Throttle,
    unreadable: Throttle,
    not_http: Throttle,
}

impl Default for Limits {
    fn default() -> Self {
        Self { gap: Throttle::new(LOGGED), unreadable: Throttle::new(LOGGED), not_http: Throttle::new(LOGGED) }
    }
}

impl Notices {
    /// Notices that also note a sniffer's posts in `posts`.
    pub(super) fn new(posts: OwnPosts) -> Self {
        Self { posts, ..Self::default() }
    }

    /// Returns how many connections have closed.
    pub(super) const fn closed(&self) -> u64 {
        self.closed
    }

    /// Returns the connections that closed since the last call.
    pub(super) fn just_closed(&mut self) -> impl Iterator<Item = FlowId> {
        self.just_closed.drain(..)
    }

    /// Logs that a frame's payload was not HTTP. No event says so, so the connection is read from the
    /// frame.
    pub(super) fn not_http(&mut self, frame: &Frame<'_>) {
        let Decoded::Segment(segment) = decode::decode(frame) else { return };
        let (key, _) = FlowKey::of(&segment.src, &segment.dst);
        if self.not_http.len() >= NOT_HTTP_MAX {
            self.not_http.clear();
        }
        if self.not_http.insert(key)
            && let Some(held_back) = self.limits.not_http.pass(Instant::now())
        {
            info!(from = %segment.src, to = %segment.dst, notLogged = held_back, "not HTTP on a watched port");
        }
    }

    fn logged(&mut self, flow: &Flow) -> &mut Logged {
        let slot = flow.slot as usize;
        if self.logged.len() <= slot {
            self.logged.resize(slot + 1, Logged::default());
        }
        &mut self.logged[slot]
    }

    fn gap(&mut self, flow: &Flow) {
        if !std::mem::replace(&mut self.logged(flow).gap, true)
            && let Some(held_back) = self.limits.gap.pass(Instant::now())
        {
            let (receiver, destination) = (flow.receiver(), flow.destination());
            warn!(connection = %flow.id, %receiver, %destination, notLogged = held_back, "bytes are missing from the capture");
        }
    }

    fn unreadable(&mut self, flow: &Flow, anomalies: AnomalySet) {
        let Some(why) = UNREADABLE.into_iter().find(|&anomaly| anomalies.contains(anomaly)) else { return };
        if !std::mem::replace(&mut self.logged(flow).unreadable, true)
            && let Some(held_back) = self.limits.unreadable.pass(Instant::now())
        {
            let (receiver, destination) = (flow.receiver(), flow.destination());
            warn!(connection = %flow.id, %receiver, %destination, why = why.name(), notLogged = held_back, "could not be read as HTTP");
        }
    }
}

impl Sink for Notices {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head { about, head, .. } if about.direction == Direction::Request => {
                self.posts.look(about.flow, &head)
            }
            Event::Missing { about, .. } => self.gap(about.flow),
            Event::End { about, anomalies, .. } if !anomalies.is_empty() => self.unreadable(about.flow, anomalies),
            Event::Anomaly { flow: Some(flow), anomaly } => {
                let mut anomalies = AnomalySet::default();
                anomalies.insert(anomaly);
                self.unreadable(flow, anomalies);
            }
            Event::Recognised { flow, protocol } => {
                let what = match protocol {
                    Protocol::Tls => "TLS",
                    Protocol::Http2 => "HTTP/2",
                    // Its HTTP was reported. What follows is a protocol that both sides agreed on.
                    _ => return,
                };
                if let Some(held_back) = self.limits.not_http.pass(Instant::now()) {
                    let (receiver, destination) = (flow.receiver(), flow.destination());
                    info!(connection = %flow.id, %receiver, %destination, what, notLogged = held_back, "not HTTP/1 on a watched port");
                }
            }
            Event::Closed { flow } => {
                self.closed += 1;
                self.just_closed.push(flow.id);
                *self.logged(flow) = Logged::default();
            }
            _ => {}
        }
    }
}
