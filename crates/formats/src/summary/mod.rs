//! The summary of a capture: hosts, endpoints, statuses, latencies and sizes, and exchanges over
//! time.
//!
//! It keeps counts, not messages: at most [`HOSTS_MAX`] hosts and [`ENDPOINTS_MAX`] endpoints with
//! a histogram each; further ones are counted together as "other". Only requests that wait for
//! their response are held, within the limits of `exchange`. Next: `template` for how paths become
//! endpoints, `text` and `html` for the two pages.

mod charts;
mod html;
mod template;
mod text;
mod timeline;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use hdrhistogram::Histogram;
use sniffer_engine::ledger::Ledger;
use sniffer_engine::message::Message;
use sniffer_packet::key::FlowId;
use sniffer_packet::time::Timestamp;

use crate::exchange::{Exchanges, Whole};
use crate::target::host_of;
use timeline::StatusTimeline;

/// Maximum number of hosts. Arbitrary: a histogram of latencies up to five minutes takes 17 KiB, so
/// hosts and endpoints take at most about 26 MiB.
const HOSTS_MAX: usize = 500;
/// Maximum number of endpoints; see [`HOSTS_MAX`].
const ENDPOINTS_MAX: usize = 1000;
/// Maximum number of connections counted exactly; over it the page says "more than".
const CONNECTIONS_MAX: usize = 1 << 20;

/// The classes of status: 1xx to 5xx, any other status, and no response.
pub(super) const CLASSES: [&str; 7] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other", "no response"];
const NO_RESPONSE: usize = 6;

/// The counts of a capture.
pub(crate) struct SummaryReport {
    names: String,
    exchanges: Exchanges,
    total: Group,
    hosts: Groups<String>,
    endpoints: Groups<Endpoint>,
    statuses: BTreeMap<u16, u64>,
    incomplete: BTreeMap<&'static str, u64>,
    timeline: StatusTimeline,
    connections: BTreeSet<FlowId>,
    span: Option<(Timestamp, Timestamp)>,
    without_request: u64,
}

/// The counts of a host, of an endpoint, or of the whole capture.
#[derive(Clone)]
struct Group {
    exchanges: u64,
    classes: [u64; CLASSES.len()],
    latency: Histogram<u32>,
    request_bytes: u64,
    response_bytes: u64,
}

/// A method and a path of a host, with placeholders for ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Endpoint {
    method: String,
    host: String,
    path: String,
}

/// Groups by name, at most `max` of them.
struct Groups<K> {
    groups: BTreeMap<K, Group>,
    max: usize,
    other: Group,
}

impl SummaryReport {
    pub(super) fn new(names: String) -> Self {
        Self {
            names,
            exchanges: Exchanges::default(),
            total: Group::default(),
            hosts: Groups::new(HOSTS_MAX),
            endpoints: Groups::new(ENDPOINTS_MAX),
            statuses: BTreeMap::new(),
            incomplete: BTreeMap::new(),
            timeline: StatusTimeline::default(),
            connections: BTreeSet::new(),
            span: None,
            without_request: 0,
        }
    }

    pub(super) fn message(&mut self, message: &mut Message) {
        if self.connections.len() < CONNECTIONS_MAX {
            self.connections.insert(message.connection);
        }
        if let Some(why) = message.incomplete {
            *self.incomplete.entry(why.name()).or_default() += 1;
        }
        let time = message.started.time;
        let (from, to) = self.span.unwrap_or((time, time));
        self.span = Some((from.min(time), to.max(time)));
        let mut exchanges = std::mem::take(&mut self.exchanges);
        exchanges.push(message, &Whole, &mut |exchange| self.exchange(exchange));
        self.exchanges = exchanges;
    }

    pub(super) fn write_text(&mut self, ledger: &Ledger, damaged: bool, out: &mut Vec<u8>) {
        self.finish();
        text::write(self, ledger, damaged, out);
    }

    pub(super) fn write_html(&mut self, ledger: &Ledger, damaged: bool, out: &mut Vec<u8>) {
        self.finish();
        html::write(self, ledger, damaged, out);
    }

    fn finish(&mut self) {
        let mut exchanges = std::mem::take(&mut self.exchanges);
        exchanges.finish(&Whole, &mut |exchange| self.exchange(exchange));
    }

    fn exchange(&mut self, exchange: &[Message]) {
        let Some(first) = exchange.first() else { return };
        let request = exchange.iter().find(|message| message.method().is_some());
        let last = exchange.iter().rev().find(|message| message.status().is_some());
        let status = last.and_then(|message| message.status());
        let class = match status {
            None => NO_RESPONSE,
            Some(status @ 100..600) => usize::from(status / 100) - 1,
            Some(_) => 5,
        };
        if let Some(status) = status {
            *self.statuses.entry(status).or_default() += 1;
        }
        let bytes = |message: Option<&Message>| message.map_or(0, |message| message.body_size);
        let one = One {
            class,
            latency: last.and_then(|message| message.latency_nanos),
            request_bytes: bytes(request),
            response_bytes: bytes(last),
        };
        self.total.add(&one);
        self.timeline.add(first.started.time, class);
        let Some(request) = request else {
            self.without_request += 1;
            return;
        };
        let server = first.receiver.to_string();
        let host = host_of(request).filter(|host| !host.is_empty()).unwrap_or(&server);
        let host = template::short(&host.to_ascii_lowercase());
        let endpoint = Endpoint {
            method: template::short(request.method().unwrap_or_default()),
            path: template::of(request.target().unwrap_or_default()),
            host: host.clone(),
        };
        self.hosts.add(host, &one);
        self.endpoints.add(endpoint, &one);
    }
}

/// The counts that one exchange adds to each of its groups.
struct One {
    class: usize,
    latency: Option<u64>,
    request_bytes: u64,
    response_bytes: u64,
}

impl Default for Group {
    fn default() -> Self {
        Self { exchanges: 0, classes: [0; CLASSES.len()], latency: histogram(), request_bytes: 0, response_bytes: 0 }
    }
}

/// Two significant digits are enough for reading, and keep a histogram under 20 KiB.
fn histogram() -> Histogram<u32> {
    #[expect(clippy::expect_used, reason = "two digits are allowed, says the library")]
    Histogram::new(2).expect("0 to 5 digits")
}

impl Group {
    fn add(&mut self, one: &One) {
        self.exchanges += 1;
        self.classes[one.class] += 1;
        self.request_bytes += one.request_bytes;
        self.response_bytes += one.response_bytes;
        if let Some(nanos) = one.latency {
            // The histogram resizes itself, so no value is out of range.
            let _ = self.latency.record(nanos);
        }
    }

    /// Returns a percentile of the latency in nanoseconds, if there is any latency.
    fn percentile(&self, percent: f64) -> Option<u64> {
        (!self.latency.is_empty()).then(|| self.latency.value_at_quantile(percent / 100.0))
    }
}

impl<K: Ord + Clone> Groups<K> {
    fn new(max: usize) -> Self {
        Self { groups: BTreeMap::new(), max, other: Group::default() }
    }

    fn add(&mut self, key: K, one: &One) {
        if self.groups.len() < self.max || self.groups.contains_key(&key) {
            self.groups.entry(key).or_default().add(one);
        } else {
            self.other.add(one);
        }
    }

    /// Returns the groups by number of exchanges, most first, then by name.
    fn busiest(&self) -> Vec<(&K, &Group)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, group)| Reverse(group.exchanges));
        groups
    }
}
