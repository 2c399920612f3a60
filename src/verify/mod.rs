//! `sniffer verify`: compares every capture of a folder with its golden file, `x.pcap` with
//! `x.pcap.jsonl`.
//!
//! It writes a golden file only with `--accept`, and never deletes one. It holds the messages of
//! one capture at a time. Next: `golden` for the content of a golden file, `diff` for the report of
//! differences.

mod diff;
mod golden;
mod junit;
mod masks;

use std::path::{Path, PathBuf};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::Args;
use sniffer_formats::text::{count, escape};

use crate::capture;
use crate::exit::{Exit, say};
use crate::output::OutputWriter;
use golden::Golden;
use masks::Masks;

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  sniffer verify captures/                   compare all captures below the folder
  sniffer verify captures/ --accept          show what differs, then take it as right
  sniffer verify captures/ --junit out.xml   and write what CI reads

The golden file of x.pcap is x.pcap.jsonl: the messages as `sniffer replay` prints them, and for a capture that is \
damaged a last line with the exit code and what was said. Fields that change from run to run are masked by a file \
verify.toml in the folder:
  mask = [\"timestamp\", \"connection\", \"headers.date\"]

Exit codes: 0 no difference, or all accepted; 3 a difference, a capture without golden file, or a golden file without \
capture; 2 something could not be read or written; 1 wrong arguments or masks";

/// Extensions of captures, before `.gz` or `.zst`.
const CAPTURES: [&str; 3] = ["pcap", "pcapng", "cap"];

/// Options of `sniffer verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// The folder; folders in it are looked into
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Write golden files that are missing or differ, after showing the difference
    #[arg(long)]
    accept: bool,

    /// Write the outcome as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Name the captures that are as they should be, too
    #[arg(short, long)]
    verbose: bool,
}

/// The outcome of one comparison.
enum Outcome {
    Same,
    /// The lines that describe the differences.
    Differs(Vec<String>),
    /// There is no golden file; the capture has this many messages.
    New(usize),
    /// A golden file whose capture is gone.
    Orphan,
    /// A file could not be read or written, with the reason.
    Failed(String),
}

/// Runs `sniffer verify`. All errors are on stderr when it returns.
pub(crate) fn run(options: &VerifyOptions) -> Exit {
    try_run(options).unwrap_or_else(|(exit, line)| {
        say(line);
        exit
    })
}

fn try_run(options: &VerifyOptions) -> Result<Exit, (Exit, String)> {
    let folder = &options.folder;
    let masks = Masks::read(&folder.join("verify.toml")).map_err(|line| (Exit::Usage, line))?;
    let files = files(folder).map_err(|error| (Exit::Failed, format!("cannot read {}: {error}", folder.display())))?;
    let captures: Vec<_> = files.iter().filter(|file| is_capture(file)).collect();
    if captures.is_empty() {
        return Err((Exit::Failed, format!("no captures in {} (*.pcap, *.pcapng, *.cap)", folder.display())));
    }
    let failed = |error: std::io::Error| (Exit::Failed, format!("cannot write to standard output: {error}"));
    let mut report = Report::new(OutputWriter::stdout().map_err(failed)?, options.verbose);
    for file in &files {
        let name = file.strip_prefix(folder).unwrap_or(file).display().to_string();
        let outcome = if is_capture(file) {
            compare(file, &masks, options.accept)
        } else if is_orphan(file) {
            Outcome::Orphan
        } else {
            continue;
        };
        report.add(name, outcome, options.accept);
    }
    if let Some(path) = &options.junit {
        let xml = junit::xml(folder, &report.outcomes).map_err(|line| (Exit::Failed, line))?;
        capture::put(xml.as_bytes(), Some(path))?;
    }
    report.finish(options.accept)
}

/// Compares a capture with its golden file. With `accept`, writes the golden file if they differ.
fn compare(capture: &Path, masks: &Masks, accept: bool) -> Outcome {
    let path = golden_of(capture);
    let found = match Golden::of_capture(capture, masks) {
        Ok(found) => found,
        Err(line) => return Outcome::Failed(line),
    };
    let outcome = match Golden::read(&path, masks) {
        Ok(None) => Outcome::New(found.messages.len()),
        Ok(Some(golden)) => match diff::lines(&golden, &found) {
            lines if lines.is_empty() => Outcome::Same,
            lines => Outcome::Differs(lines),
        },
        Err(line) if accept => Outcome::Differs(vec![line]),
        Err(line) => return Outcome::Failed(line),
    };
    if accept
        && !matches!(outcome, Outcome::Same)
        && let Err((_, line)) = capture::put(&found.lines(), Some(&path))
    {
        return Outcome::Failed(line);
    }
    outcome
}

fn golden_of(capture: &Path) -> PathBuf {
    let mut name = capture.as_os_str().to_owned();
    name.push(".jsonl");
    name.into()
}

fn is_capture(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    name.rsplit_once('.').is_some_and(|(_, end)| CAPTURES.contains(&end))
}

/// Returns whether a file is named as a golden file but has no capture.
fn is_orphan(path: &Path) -> bool {
    let capture = path.to_str().and_then(|path| path.strip_suffix(".jsonl")).map(Path::new);
    capture.is_some_and(|capture| is_capture(capture) && !capture.exists())
}

/// Returns all files under a folder, sorted by path. Skips hidden files and does not follow links.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            match () {
                () if kind.is_dir() => folders.push(entry.path()),
                () if kind.is_file() => found.push(entry.path()),
                () => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The report: prints each outcome at once, and a summary at the end.
struct Report {
    output: OutputWriter,
    colours: bool,
    verbose: bool,
    outcomes: Vec<(String, Outcome)>,
}

impl Report {
    fn new(output: OutputWriter, verbose: bool) -> Self {
        let colours = output.is_terminal() && AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        Self { output, colours, verbose, outcomes: Vec::new() }
    }

    fn add(&mut self, name: String, outcome: Outcome, accept: bool) {
        let accepted = if accept { ", accepted" } else { "" };
        let (word, colour, remark, lines) = match &outcome {
            Outcome::Same if !self.verbose => {
                self.outcomes.push((name, outcome));
                return;
            }
            Outcome::Same => ("PASS", AnsiColor::Green, String::new(), &[][..]),
            Outcome::Differs(lines) => ("DIFF", AnsiColor::Red, accepted.to_owned(), &lines[..]),
            Outcome::New(messages) => {
                let hint = if accept { accepted } else { "; --accept writes its golden file" };
                ("NEW ", AnsiColor::Yellow, format!(": {}{hint}", count(*messages as u64, "message")), &[][..])
            }
            Outcome::Orphan => ("GONE", AnsiColor::Yellow, ": the capture of this golden file".to_owned(), &[][..]),
            Outcome::Failed(line) => ("FAIL", AnsiColor::Red, format!(": {line}"), &[][..]),
        };
        let style = if self.colours { colour.on_default().bold() } else { Style::new() };
        let mut text = format!("{style}{word}{style:#}  {}{}\n", escape(&name), escape(&remark));
        lines.iter().for_each(|line| text += &format!("      {}\n", escape(line)));
        self.output.append(|buffer| buffer.extend_from_slice(text.as_bytes()));
        self.output.flush();
        self.outcomes.push((name, outcome));
    }

    fn finish(mut self, accept: bool) -> Result<Exit, (Exit, String)> {
        let number = |is: fn(&Outcome) -> bool| self.outcomes.iter().filter(|(_, outcome)| is(outcome)).count() as u64;
        let passed = number(|outcome| matches!(outcome, Outcome::Same));
        let differ = number(|outcome| matches!(outcome, Outcome::Differs(_)));
        let new = number(|outcome| matches!(outcome, Outcome::New(_)));
        let gone = number(|outcome| matches!(outcome, Outcome::Orphan));
        let failed = number(|outcome| matches!(outcome, Outcome::Failed(_)));
        let mut summary = format!("{}: {passed} passed", count(self.outcomes.len() as u64 - gone, "capture"));
        for (number, words) in [
            (differ, if accept { "differed and accepted" } else { "differ" }),
            (new, if accept { "new and accepted" } else { "new" }),
            (gone, "gone"),
            (failed, "could not be read or written"),
        ] {
            if number > 0 {
                summary += &format!(", {number} {words}");
            }
        }
        self.output.append(|buffer| buffer.extend_from_slice(format!("{summary}\n").as_bytes()));
        match self.output.finish() {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                return Err((Exit::Failed, format!("cannot write to standard output: {error}")));
            }
            _ => {}
        }
        Ok(match () {
            () if failed > 0 => Exit::Failed,
            () if gone > 0 || (!accept && differ + new > 0) => Exit::Differs,
            () => Exit::Success,
        })
    }
}
