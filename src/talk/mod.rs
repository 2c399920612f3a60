//! `sniffer talk`: conversations as text into captures, and captures into conversations as text.
//!
//! The test kit defines the format, and `corpus/TALK.md` describes it with its bounds. A capture is
//! read into memory up to the same bounds. Next: `from` for the way back.

mod from;
mod transcribe;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use sniffer_testkit::talk::{TEXT_MAX, Talk};

use crate::capture;
use crate::exit::{Exit, say};

/// Shown below the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  sniffer talk lost.talk -o lost.pcap       a capture of the conversation, for any tool that reads captures
  sniffer talk lost.talk | sniffer replay - and what it gives
  sniffer talk --from x.pcap -o x.talk      the conversation of a capture: to read, to cut down, to send with a report

The format is described in corpus/TALK.md. The shortest conversation:
  >>>
  | GET / HTTP/1.1
  | Host: a.test
  |
  <<<
  | HTTP/1.1 204 No Content
  |

Exit codes: 0 all well, 1 wrong arguments or text, 2 cannot open or write, or damaged";

/// Options of `sniffer talk`.
#[derive(Debug, Args)]
pub(crate) struct TalkOptions {
    /// The conversation; `-` is standard input
    #[arg(value_name = "FILE.talk", required_unless_present = "from", conflicts_with = "from")]
    file: Option<PathBuf>,

    /// Write the conversation of this capture instead
    #[arg(long, value_name = "CAPTURE")]
    from: Option<PathBuf>,

    /// Write here instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command; it has printed every message when it returns.
pub(crate) fn run(options: &TalkOptions) -> Exit {
    let done = match (&options.file, &options.from) {
        (_, Some(capture)) => from::run(capture, options.output.as_deref()),
        (Some(file), None) => to_capture(file, options.output.as_deref()),
        (None, None) => Err((Exit::Usage, "give a conversation or --from".to_owned())),
    };
    done.unwrap_or_else(|(exit, line)| {
        say(line);
        exit
    })
}

fn to_capture(file: &Path, output: Option<&Path>) -> Result<Exit, (Exit, String)> {
    let name = file.display();
    let text = read(file).map_err(|error| (Exit::Failed, format!("cannot read {name}: {error}")))?;
    let frames = Talk::parse(&text).and_then(|talk| talk.frames());
    let frames = frames.map_err(|error| (Exit::Usage, format!("{name}: {error}")))?;
    capture::write(&frames, output)
}

/// Reads the text up to one byte over the limit, so that the parser notices a text that is too
/// long.
fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let limit = TEXT_MAX as u64 + 1;
    match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(limit).read_to_string(&mut text)?,
        false => std::fs::File::open(file)?.take(limit).read_to_string(&mut text)?,
    };
    Ok(text)
}
