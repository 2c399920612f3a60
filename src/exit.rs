//! The exit codes, and the only way to report anything: a line on stderr.
//!
//! It never exits by itself: `main` returns every exit code, so that everything is dropped in
//! order.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use sniffer_formats::text::escape;

/// The outcome of a run. docs/use.md lists the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It succeeded, or the reader of the output closed the pipe.
    Success,
    /// The arguments or the configuration are wrong.
    Usage,
    /// It failed: cannot open, cannot write, or damaged.
    Failed,
    /// `verify` found a difference.
    Differs,
    /// A signal ended it.
    Signal(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Usage => 1,
            Exit::Failed => 2,
            Exit::Differs => 3,
            Exit::Signal(number) => 128_u8.saturating_add(number),
        })
    }
}

/// Prints a line on stderr. It may hold a file name or an operating system's message, so control
/// characters are escaped.
pub(crate) fn say(line: impl Display) {
    // If stderr fails there is nowhere to report it; `eprintln!` would panic.
    let _ = writeln!(io::stderr(), "sniffer: {}", escape(&line.to_string()));
}
