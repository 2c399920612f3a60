//! The filters: `--host`, `--method`, `--path`, `--status`, `--client`, `--server`, `--since`,
//! `--until`.
//!
//! A filter chooses whole exchanges, a request with all its responses: a 503 without its request
//! helps nobody. Host, method and path look at the request, status at any of the responses, client
//! and server at the connection, the times at the exchange's first message. All given options must
//! match, each with one of its values. An exchange without the message an option looks at is not
//! chosen.
//!
//! It never changes a message. Next: `terms` for the syntax of values, `exchange` in
//! `sniffer-formats` for which messages wait.

mod terms;

use clap::Args;
use sniffer_engine::message::Message;
use sniffer_packet::time::Timestamp;

use sniffer_formats::exchange::{Exchanges, Judge, Verdict};
use sniffer_formats::target::host_of;
use terms::{Ends, Host, Path, Statuses, moment};

/// Options that choose exchanges.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filters (a request with all its responses; all must match)")]
pub(crate) struct ExchangeFilter {
    /// Request's host, port left out or given: api.test, *.test, api.test:8080
    #[arg(long = "host", value_name = "NAME", value_delimiter = ',')]
    hosts: Vec<Host>,

    /// Request's method, in either case
    #[arg(long = "method", value_name = "METHOD", value_delimiter = ',')]
    methods: Vec<String>,

    /// Request's path, `*` for anything: /api/*; with a `?` in it, the query counts too
    #[arg(long = "path", value_name = "GLOB")]
    paths: Vec<Path>,

    /// A response's status: 404, 5xx, 400-499
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',')]
    statuses: Vec<Statuses>,

    /// Exchanges that began at this time or later: 2026-02-21T12:00:00Z, 2026-02-21
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,

    /// Exchanges that began before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,

    /// The client: 10.0.0.1, 10.0.0.0/8, 10.0.0.1:40000, [::1]:40000, :40000
    #[arg(long = "client", value_name = "ADDRESS", value_delimiter = ',')]
    clients: Vec<Ends>,

    /// The server, written alike
    #[arg(long = "server", value_name = "ADDRESS", value_delimiter = ',')]
    servers: Vec<Ends>,
}

impl ExchangeFilter {
    /// Returns whether no option is given.
    pub(crate) fn is_empty(&self) -> bool {
        !self.looks_at_requests()
            && self.statuses.is_empty()
            && self.since.is_none()
            && self.until.is_none()
            && self.clients.is_empty()
            && self.servers.is_empty()
    }

    fn looks_at_requests(&self) -> bool {
        !(self.hosts.is_empty() && self.methods.is_empty() && self.paths.is_empty())
    }

    fn wants_request(&self, request: &Message) -> bool {
        let method = request.method().unwrap_or_default();
        let target = request.target().unwrap_or_default();
        any(&self.methods, |wanted| wanted.eq_ignore_ascii_case(method))
            && any(&self.paths, |wanted| wanted.matches(target))
            && any(&self.hosts, |wanted| host_of(request).is_some_and(|host| wanted.matches(host)))
    }
}

impl Judge for ExchangeFilter {
    fn judge(&self, exchange: &[Message], _whole: bool) -> Verdict {
        let Some(first) = exchange.first() else { return Verdict::Wait };
        let time = first.started.time;
        let wanted = self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
            && any(&self.clients, |ends| ends.matches(first.destination))
            && any(&self.servers, |ends| ends.matches(first.receiver));
        if !wanted {
            return Verdict::Drop;
        }
        let mut verdict = Verdict::Pass;
        if self.looks_at_requests() {
            match exchange.iter().find(|message| message.method().is_some()) {
                Some(request) if !self.wants_request(request) => return Verdict::Drop,
                Some(_) => {}
                None => verdict = Verdict::Wait,
            }
        }
        let mut statuses = exchange.iter().filter_map(|message| message.status());
        if !any(&self.statuses, |wanted| statuses.clone().any(|status| wanted.matches(status))) {
            verdict = if statuses.any(|status| status >= 200) { Verdict::Drop } else { Verdict::Wait };
        }
        verdict
    }
}

/// Returns whether one of the values matches, or there are none.
fn any<T>(values: &[T], matches: impl Fn(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(matches)
}

/// A filter with the exchanges it has not yet decided about.
pub(crate) struct Filtering {
    filter: ExchangeFilter,
    exchanges: Exchanges,
}

impl Filtering {
    pub(crate) fn new(filter: ExchangeFilter) -> Self {
        Self { filter, exchanges: Exchanges::default() }
    }

    /// Takes a message and hands out the messages that are now chosen.
    pub(crate) fn push(&mut self, message: &mut Message, out: &mut dyn FnMut(&mut Message)) {
        self.exchanges.push(message, &self.filter, &mut |chosen| chosen.iter_mut().for_each(&mut *out));
    }

    /// Ends the capture: decides about the remaining exchanges.
    pub(crate) fn finish(&mut self, out: &mut dyn FnMut(&mut Message)) {
        self.exchanges.finish(&self.filter, &mut |chosen| chosen.iter_mut().for_each(&mut *out));
    }

    /// The number of exchanges that were evicted before they were whole.
    pub(crate) const fn evicted(&self) -> u64 {
        self.exchanges.evicted()
    }
}
