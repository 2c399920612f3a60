//! What is said once a connection: bytes missing, not HTTP, not readable. And which connections are gone.
//!
//! It sees the engine's events and keeps two bytes a connection. A flood is told ten times a second, then counted.

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

/// Lines a second, of each kind.
const LOGGED: u32 = 10;

/// Connections remembered as told not to be HTTP. They are not forgotten with the connection, but all at once when there are
/// more (arbitrary); a connection may then be told again.
const TOLD_MAX: usize = 65_536;

/// What makes a message or what follows it unreadable.
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
    /// What was told, by slot of the connection.
    told: Vec<Told>,
    closed: u64,
    just_closed: Vec<FlowId>,
    not_http: HashSet<FlowKey>,
    limits: Limits,
    posts: OwnPosts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Told {
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
    /// A watch that notes posts of a sniffer there.
    pub(super) fn new(posts: OwnPosts) -> Self {
        Self { posts, ..Self::default() }
    }

    /// Connections that ended.
    pub(super) const fn closed(&self) -> u64 {
        self.closed
    }

    /// Those that ended since the last call.
    pub(super) fn just_closed(&mut self) -> impl Iterator<Item = FlowId> {
        self.just_closed.drain(..)
    }

    /// A frame's payload was not HTTP. The event stream does not say so; which connection it was is read from the frame,
    /// and only when it will be told.
    pub(super) fn not_http(&mut self, frame: &Frame<'_>) {
        let Decoded::Segment(segment) = decode::decode(frame) else { return };
        let (key, _) = FlowKey::of(&segment.src, &segment.dst);
        if self.not_http.len() >= TOLD_MAX {
            self.not_http.clear();
        }
        if self.not_http.insert(key)
            && let Some(held_back) = self.limits.not_http.pass(Instant::now())
        {
            info!(from = %segment.src, to = %segment.dst, notLogged = held_back, "not HTTP on a watched port");
        }
    }

    fn told(&mut self, flow: &Flow) -> &mut Told {
        let slot = flow.slot as usize;
        if self.told.len() <= slot {
            self.told.resize(slot + 1, Told::default());
        }
        &mut self.told[slot]
    }

    fn gap(&mut self, flow: &Flow) {
        if !std::mem::replace(&mut self.told(flow).gap, true)
            && let Some(held_back) = self.limits.gap.pass(Instant::now())
        {
            let (receiver, destination) = (flow.receiver(), flow.destination());
            warn!(connection = %flow.id, %receiver, %destination, notLogged = held_back, "bytes are missing from the capture");
        }
    }

    fn unreadable(&mut self, flow: &Flow, anomalies: AnomalySet) {
        let Some(why) = UNREADABLE.into_iter().find(|&anomaly| anomalies.contains(anomaly)) else { return };
        if !std::mem::replace(&mut self.told(flow).unreadable, true)
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
                    // Its HTTP was reported, and what follows is what both sides agreed on.
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
                *self.told(flow) = Told::default();
            }
            _ => {}
        }
    }
}
