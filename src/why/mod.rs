//! `sniffer why`: what became of a frame, or of a connection, in words.
//!
//! It runs the capture through the engine as `replay` does. The answer comes from what the frame
//! decodes to, from the events that name it, and from what its push changed in the accounts.
//! Nothing is decided here. Next: `trace` for the notes on a frame, `describe` for the words.

mod accounts;
mod connection;
mod describe;
mod trace;

use std::ffi::OsString;

use clap::Args;
use sniffer_replay::source::{Input, Source};

use crate::exit::{Exit, say};

/// Shown below the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  sniffer why x.pcap --frame 44                        what became of frame 44 (Wireshark's number)
  sniffer why x.pcap --connection 9fc96fb5c6ddc2fb     what became of a connection (a message's \"connection\")

Exit codes: 0 told, 1 wrong arguments, or no such frame or connection, 2 cannot open, or damaged";

/// Options of `sniffer why`.
#[derive(Debug, Args)]
pub(crate) struct WhyOptions {
    /// Captures, read as one timeline
    #[arg(value_name = "FILE", required = true)]
    files: Vec<OsString>,

    /// The frame, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), required_unless_present = "connection", conflicts_with = "connection")]
    frame: Option<u64>,

    /// The connection, as messages name it
    #[arg(long, value_name = "ID")]
    connection: Option<String>,
}

/// Runs the command; it has printed every message when it returns.
pub(crate) fn run(options: &WhyOptions) -> Exit {
    try_run(options).unwrap_or_else(|(exit, line)| {
        say(line);
        exit
    })
}

fn try_run(options: &WhyOptions) -> Result<Exit, (Exit, String)> {
    let inputs: Vec<_> = options.files.iter().cloned().map(Input::from).collect();
    let mut source = open(&inputs)?;
    let text = match (options.frame, &options.connection) {
        (Some(number), _) => match trace::frame(&mut source, number) {
            Ok(trace) => describe::frame(&trace),
            Err(frames) => return Err((Exit::Usage, format!("there is no frame {number}: the capture has {frames}"))),
        },
        (None, Some(id)) => {
            let found = connection::find(&mut source, id);
            let Some(found) = found else {
                return Err((Exit::Usage, format!("there is no connection {id:?}; a message's \"connection\" is one")));
            };
            // Again, now that the range of its frames is known.
            source = open(&inputs)?;
            connection::describe(&mut source, &found)
        }
        (None, None) => return Err((Exit::Usage, "say --frame or --connection".to_owned())),
    };
    let written = crate::capture::put(text.as_bytes(), None)?;
    let mut exit = written;
    for damage in source.damages() {
        say(damage);
        exit = Exit::Failed;
    }
    Ok(exit)
}

fn open(inputs: &[Input]) -> Result<Source, (Exit, String)> {
    if inputs.contains(&Input::StandardInput) {
        return Err((Exit::Usage, "why wants files: a frame is looked for in what is there".to_owned()));
    }
    Source::open(inputs).map_err(|error| (Exit::Failed, error.to_string()))
}
