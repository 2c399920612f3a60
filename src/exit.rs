//! How a run may end, and the one way anything is said about it: a line on stderr.
//!
//! It never exits by itself: every exit code is returned from `main`, so that everything is dropped in order.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use sniffer_formats::text::escape;

/// The end of a run. README.md lists the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All well, or the reader of our output had enough.
    Success,
    /// What was asked for is wrong: arguments, configuration.
    Usage,
    /// It failed while running: cannot open, cannot write, damaged.
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

/// One line on stderr. File names and operating system messages pass through here, so control characters are escaped.
pub(crate) fn say(line: impl Display) {
    // Nobody is left to be told when stderr itself fails; `eprintln!` would panic.
    let _ = writeln!(io::stderr(), "sniffer: {}", escape(&line.to_string()));
}
