//! Messages in, bytes out: JSON lines, a readable line per message, HAR, a summary, curl commands.
//!
//! It never chooses messages and never writes to a file. HAR and `pretty` hold a request until its
//! response has come, within the limits of [`exchange`]; a summary keeps only counts. Next: the
//! file of each format.
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

/// A writer for one of the formats.
#[expect(missing_debug_implementations, reason = "it holds half-written output")]
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
    /// Writes one JSON object per line.
    pub const fn jsonl() -> Self {
        Self(Kind::Jsonl)
    }

    /// Writes a readable line per message.
    pub const fn pretty(pretty: Pretty) -> Self {
        Self(Kind::Pretty(pretty))
    }

    /// Writes an HTTP Archive 1.2.
    pub fn har() -> Self {
        Self(Kind::Har(Box::default()))
    }

    /// Writes the summary for a terminal. `names` are the inputs.
    pub fn summary(names: String) -> Self {
        Self(Kind::Summary(Box::new(SummaryReport::new(names))))
    }

    /// Writes the summary as an HTML page with charts. `names` are the inputs.
    pub fn html(names: String) -> Self {
        Self(Kind::Html(Box::new(SummaryReport::new(names))))
    }

    /// Writes each request as a `curl` command.
    pub const fn curl() -> Self {
        Self(Kind::Curl)
    }

    /// Returns whether each message is written as one line, independently of other messages.
    pub const fn is_jsonl(&self) -> bool {
        matches!(self.0, Kind::Jsonl)
    }

    /// Appends a message, or holds it for later.
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

    /// Appends the rest, after the last message. `damaged` says that an input ended early.
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
