//! The `sniffer` binary: options in, exit code out; all else lives in the crates.
//!
//! Next: `cli` for what can be asked, `replay` for the one subcommand, `exit` for how a run may end.
#![forbid(unsafe_code)]

mod cli;
mod exit;
mod interrupt;
mod output;
mod pretty;
mod progress;
mod replay;
mod stats;
mod text;

use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match cli::parse() {
        Ok(cli::Command::Replay(options)) => replay::run(&options),
        Err(exit) => exit,
    };
    outcome.into()
}
