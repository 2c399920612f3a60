//! How messages are written: JSON lines, for people, HAR, a summary, commands for curl.
//!
//! It never decides which messages come and never writes to a file itself. HAR and `pretty` hold a request until its
//! response has come, within the bounds of `exchange`; a summary keeps counts alone. Next: the file of each format.

mod curl;
mod har;
mod summary;

use clap::ValueEnum;
use sniffer_engine::json::Lines;
use sniffer_engine::message::Message;
use sniffer_replay::Summary;

use crate::pretty::Pretty;
use har::Har;
use summary::Report;

/// The formats by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line
    Jsonl,
    /// For people: a line a message
    Pretty,
    /// HTTP Archive 1.2, for the network panel of a browser
    Har,
    /// What is in the capture: hosts, endpoints, statuses, latencies, losses
    Summary,
    /// The summary as a page with charts, in one file
    Html,
    /// Each request as a command that can be run
    Curl,
}

impl Format {
    /// Whether it shows bodies; where it does not, none are kept.
    pub(crate) const fn wants_bodies(self) -> bool {
        !matches!(self, Self::Summary | Self::Html)
    }

    /// Whether it shows content without its codings; a request that is sent again must be as it was.
    pub(crate) const fn wants_decoded(self) -> bool {
        !matches!(self, Self::Curl)
    }
}

/// A format at work.
pub(crate) enum Form {
    Jsonl,
    Pretty(Pretty),
    Har(Box<Har>),
    Summary(Box<Report>),
    Html(Box<Report>),
    Curl,
}

impl Form {
    /// `pretty` is made by the caller, who knows the terminal; `names` are the inputs.
    pub(crate) fn new(format: Format, names: String, pretty: impl FnOnce() -> Pretty) -> Self {
        match format {
            Format::Jsonl => Self::Jsonl,
            Format::Pretty => Self::Pretty(pretty()),
            Format::Har => Self::Har(Box::default()),
            Format::Summary => Self::Summary(Box::new(Report::new(names))),
            Format::Html => Self::Html(Box::new(Report::new(names))),
            Format::Curl => Self::Curl,
        }
    }

    /// Appends a message, or keeps it for later.
    #[inline]
    pub(crate) fn message(&mut self, message: &mut Message, out: &mut Lines) {
        match self {
            Self::Jsonl => out.push(message),
            Self::Pretty(pretty) => out.append(|out| pretty.message(message, out)),
            Self::Har(har) => out.append(|out| har.message(message, out)),
            Self::Summary(report) | Self::Html(report) => report.message(message),
            Self::Curl => out.append(|out| curl::write(message, out)),
        }
    }

    /// Nothing more comes: appends the rest.
    pub(crate) fn finish(&mut self, summary: &Summary, damaged: bool, out: &mut Lines) {
        out.append(|out| match self {
            Self::Jsonl | Self::Curl => {}
            Self::Pretty(pretty) => pretty.finish(out),
            Self::Har(har) => har.finish(out),
            Self::Summary(report) => report.write_text(&summary.ledger, damaged, out),
            Self::Html(report) => report.write_html(&summary.ledger, damaged, out),
        });
    }
}
