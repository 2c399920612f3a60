//! The `sniffer` binary: options in, exit code out; all else lives in the crates.
//!
//! Next: `cli` for what can be asked, `replay` and `live` for the subcommands, `exit` for how a run may end.
#![forbid(unsafe_code)]

mod cli;
mod exit;
mod interrupt;
#[cfg(feature = "live")]
mod live;
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
            exit::Exit::Wrong
        }
        Err(exit) => exit,
    };
    outcome.into()
}
