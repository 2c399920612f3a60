//! The `sniffer` binary: options in, exit code out; all else lives in the crates.
//!
//! Next: `cli` for what can be asked, `replay` for the one subcommand, `exit` for how a run may end.
#![forbid(unsafe_code)]

mod capture;
mod cli;
mod exchange;
mod exit;
mod filter;
mod format;
mod interrupt;
mod json;
mod output;
mod pcapng;
mod perturb;
mod pipeline;
mod pretty;
mod progress;
mod redact;
mod replay;
mod slice;
mod stats;
mod talk;
mod text;
mod verify;
mod why;

use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match cli::parse() {
        Ok(cli::Command::Replay(options)) => replay::run(&options),
        Ok(cli::Command::Perturb(options)) => perturb::run(&options),
        Ok(cli::Command::Talk(options)) => talk::run(&options),
        Ok(cli::Command::Verify(options)) => verify::run(&options),
        Ok(cli::Command::Why(options)) => why::run(&options),
        Err(exit) => exit,
    };
    outcome.into()
}
