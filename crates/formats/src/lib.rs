//! Messages in, bytes out: JSON lines, one line for people, HAR, a summary, commands for curl.
//!
//! It never decides which messages come and never writes to a file itself. HAR and `pretty` hold a request until its
//! response has come, within the bounds of [`exchange`]; a summary keeps counts alone. Next: the file of each format.
#![forbid(unsafe_code)]

pub mod accounts;
mod curl;
pub mod exchange;
mod har;
mod json;
mod pretty;
mod summary;
pub mod target;
pub mod text;

use sniffer_engine::json::Lines;
use sniffer_engine::ledger::Ledger;
use sniffer_engine::message::Message;

use har::Har;
pub use pretty::Pretty;
use summary::SummaryReport;

/// A format at work.
#[expect(missing_debug_implementations, reason = "it holds what is half written")]
pub struct FormatWriter(Kind);

enum Kind {
    Jsonl,
    Pretty(Pretty),
    Har(Box<Har>),
    Summary(Box<SummaryReport>),
    Html(Box<SummaryReport>),
    Curl,
}

impl FormatWriter {
    /// One JSON object a line.
    pub const fn jsonl() -> Self {
        Self(Kind::Jsonl)
    }

    /// For people: a line a message.
    pub const fn pretty(pretty: Pretty) -> Self {
        Self(Kind::Pretty(pretty))
    }

    /// HTTP Archive 1.2.
    pub fn har() -> Self {
        Self(Kind::Har(Box::default()))
    }

    /// Counts for a terminal; `names` are the inputs.
    pub fn summary(names: String) -> Self {
        Self(Kind::Summary(Box::new(SummaryReport::new(names))))
    }

    /// The same as a page with charts.
    pub fn html(names: String) -> Self {
        Self(Kind::Html(Box::new(SummaryReport::new(names))))
    }

    /// Each request as a command that can be run.
    pub const fn curl() -> Self {
        Self(Kind::Curl)
    }

    /// Whether each message is one line of JSON, whatever others there are.
    pub const fn is_jsonl(&self) -> bool {
        matches!(self.0, Kind::Jsonl)
    }

    /// Appends a message, or keeps it for later.
    #[inline]
    pub fn message(&mut self, message: &mut Message, out: &mut Lines) {
        match &mut self.0 {
            Kind::Jsonl => out.push(message),
            Kind::Pretty(pretty) => out.append(|out| pretty.message(message, out)),
            Kind::Har(har) => out.append(|out| har.message(message, out)),
            Kind::Summary(report) | Kind::Html(report) => report.message(message),
            Kind::Curl => out.append(|out| curl::write(message, out)),
        }
    }

    /// Appends the rest, after the last message.
    pub fn finish(&mut self, ledger: &Ledger, damaged: bool, out: &mut Lines) {
        out.append(|out| match &mut self.0 {
            Kind::Jsonl | Kind::Curl => {}
            Kind::Pretty(pretty) => pretty.finish(out),
            Kind::Har(har) => har.finish(out),
            Kind::Summary(report) => report.write_text(ledger, damaged, out),
            Kind::Html(report) => report.write_html(ledger, damaged, out),
        });
    }
}
