//! The `sniffer` binary: options in, exit code out; the rest is in the crates.
//!
//! Next: `cli` for the options, `replay` and `live` for the subcommands, `exit` for the exit codes.
#![forbid(unsafe_code)]

mod capture;
#[allow(rustdoc::broken_intra_doc_links, reason = "they are help texts, and clap shows brackets as they stand")]
mod cli;
mod exit;
#[allow(rustdoc::broken_intra_doc_links, reason = "as in `cli`")]
mod filter;
mod interrupt;
#[cfg(feature = "live")]
mod live;
mod output;
mod perturb;
mod pipeline;
mod progress;
mod redact;
mod replay;
mod slice;
mod talk;
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
        #[cfg(feature = "live")]
        Ok(cli::Command::Live(options)) => live::run(&options),
        #[cfg(feature = "live")]
        Ok(cli::Command::Interfaces) => live::interfaces(),
        #[cfg(not(feature = "live"))]
        Ok(cli::Command::Live(_) | cli::Command::Interfaces) => {
            exit::say(
                "this was built without live capture; `cargo install --path . --features live` has it (needs the headers of \
                 libpcap: libpcap-dev on Debian, libpcap-devel on Fedora)",
            );
            exit::Exit::Usage
        }
        Err(exit) => exit,
    };
    outcome.into()
}
