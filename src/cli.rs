//! The command line: subcommands, the options of `replay`, and the message for a usage error.
//!
//! It never opens a file. Next: `replay`, which runs these options.

use std::ffi::OsString;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use sniffer_engine::http::is_token;
use sniffer_formats::{FormatWriter, Pretty};

use crate::exit::{Exit, say};
use crate::filter::ExchangeFilter;
use crate::{perturb, talk, verify, why};

pub(crate) mod live;

const ABOUT: &str = "A passive HTTP sniffer: captures in, HTTP messages out";

const REPLAY_EXAMPLES: &str = "\
Examples:
  sniffer replay capture.pcap                       what was said, a line a message
  sniffer replay -v capture.pcapng.gz               with headers and bodies
  sniffer replay -f jsonl capture.pcap | jq .path   as JSON lines, which is what a pipe gets anyway
  sniffer replay day.pcap.0 day.pcap.1 -o day.jsonl several files as one timeline
  sniffer replay --stats -o /dev/null capture.pcap  where every byte went, and nothing else
  sniffer replay --host api.test --status 5xx x.pcap exchanges that failed there, requests and responses
  sniffer replay -f html -o x.html x.pcap           what is in it, as a page for a browser (summary: for a terminal)
  sniffer replay --status 5xx --write-pcap only.pcapng x.pcap
                                                    and the frames of their connections, for Wireshark
  tcpdump -i any -U -w - tcp | sniffer replay -     as it happens

Exit codes:
  0      all well
  1      wrong arguments
  2      cannot open, cannot write, or damaged: what came before is still output
  128+n  ended by signal n";

#[derive(Debug, Parser)]
#[command(name = "sniffer", version, about = ABOUT, max_term_width = 120, disable_help_subcommand = true)]
#[command(after_help = "Try `sniffer replay capture.pcap`; `sniffer replay --help` has examples.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read captures (pcap, pcapng; plain, gzip or zstd) and print the HTTP messages in them
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Box<Replay>),

    /// Say what became of a frame or a connection
    #[command(after_help = why::EXAMPLES)]
    Why(why::WhyOptions),

    /// Compare every capture in a folder with its golden file
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::VerifyOptions),

    /// Turn a conversation written as text into a capture, or a capture into such text
    #[command(after_help = talk::EXAMPLES)]
    Talk(talk::TalkOptions),

    /// Put a capture through a worse network: reordered, doubled, cut anew, fragmented, tunnelled,
    /// lossy
    #[command(after_help = perturb::EXAMPLES)]
    Perturb(perturb::PerturbOptions),

    /// Capture from an interface until Ctrl-C or SIGTERM, and print or post the HTTP messages
    #[command(after_help = live::EXAMPLES)]
    Live(live::LiveOptions),

    /// List what can be captured on, and why not
    Interfaces,
}

/// Options of `sniffer replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Captures, read as one timeline; `-` is standard input, read as it comes
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<OsString>,

    /// Only connections with a side on this port; repeat it, or separate several by commas
    /// [default: any port]
    #[arg(short, long = "port", value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ports: Vec<u16>,

    /// How to print messages [default: pretty on a terminal, else jsonl]
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    /// Write here instead of to standard output; a regular file appears under its name once it is
    /// complete
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Bytes of each body to keep; the rest is counted only
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub(crate) max_body_size: u64,

    /// Leave content-encodings (gzip, deflate, br, zstd) as they are
    #[arg(long)]
    pub(crate) no_decode: bool,

    /// Header and trailer whose values become "[REDACTED]"; repeat it, or separate several by
    /// commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = field_name)]
    pub(crate) redact: Vec<String>,

    /// Redact with tokens that are equal for equal secrets, made with the key in this file
    /// (HMAC-SHA256)
    #[arg(long, value_name = "KEYFILE", requires = "redact")]
    pub(crate) redact_keyed: Option<PathBuf>,

    /// Add the numbers of the frames that carried each message, counted from 1
    #[arg(long)]
    pub(crate) frames: bool,

    /// Print where every byte went, on stderr: as a table, or with --stats=json as JSON
    #[arg(long, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "table")]
    pub(crate) stats: Option<Stats>,

    /// With the pretty format: headers and bodies too
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Cores to work on connections with; the output is the same for any number [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// No progress bar
    #[arg(long)]
    pub(crate) no_progress: bool,

    /// Write the frames of the connections whose messages were given to this file, as pcapng
    #[arg(long, value_name = "FILE")]
    pub(crate) write_pcap: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) filter: ExchangeFilter,
}

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
    /// Returns whether the format shows bodies. If not, none are kept.
    pub(crate) const fn wants_bodies(self) -> bool {
        !matches!(self, Self::Summary | Self::Html)
    }

    /// Returns whether the format shows content without its codings. A request to repeat keeps
    /// them.
    pub(crate) const fn wants_decoded(self) -> bool {
        !matches!(self, Self::Curl)
    }

    /// Makes the writer. The caller makes `pretty`, since it knows the terminal; `names` are the
    /// inputs.
    pub(crate) fn writer(self, names: String, pretty: impl FnOnce() -> Pretty) -> FormatWriter {
        match self {
            Self::Jsonl => FormatWriter::jsonl(),
            Self::Pretty => FormatWriter::pretty(pretty()),
            Self::Har => FormatWriter::har(),
            Self::Summary => FormatWriter::summary(names),
            Self::Html => FormatWriter::html(names),
            Self::Curl => FormatWriter::curl(),
        }
    }
}

/// The form of the accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stats {
    /// For people
    Table,
    /// One line of JSON
    Json,
}

/// Parses the arguments. An error has already been printed when this returns.
pub(crate) fn parse() -> Result<Command, Exit> {
    Cli::try_parse().map(|cli| cli.command).map_err(|error| {
        if !error.use_stderr() {
            // Help or version. A reader that closes the pipe early (`--help | head`) is no error.
            let _ = error.print();
            return Exit::Success;
        }
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            let _ = write!(io::stderr(), "{}", error.render());
        } else {
            say(one_line(&error));
        }
        Exit::Usage
    })
}

/// Puts clap's error and its tips on one line, without the usage.
fn one_line(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let what = rendered
        .split("\n\n")
        .map(str::trim)
        .filter(|part| !part.starts_with("Usage:") && !part.starts_with("For more information"))
        .flat_map(str::lines)
        .map(|line| line.trim().trim_start_matches("error: "))
        .filter(|line| !line.is_empty());
    let mut text = String::new();
    for part in what {
        if !text.is_empty() {
            text.push_str(if text.ends_with([':', ',']) { " " } else { "; " });
        }
        text.push_str(part);
    }
    let first = std::env::args_os().nth(1).and_then(|argument| argument.into_string().ok()).unwrap_or_default();
    match Cli::command().find_subcommand(&first) {
        Some(_) => format!("{text} (see sniffer {first} --help)"),
        None => format!("{text} (see sniffer --help)"),
    }
}

/// Parses a field name (a token, RFC 9110 §5.6.2). Any other name would silently redact nothing.
fn field_name(name: &str) -> Result<String, String> {
    match is_token(name.as_bytes()) {
        true => Ok(name.to_ascii_lowercase()),
        false => Err("not the name of a header; give the name alone, such as authorization".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }
}
