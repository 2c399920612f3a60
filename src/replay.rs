//! `sniffer replay`: opens what was named, runs it through the engine, writes the messages, says what went wrong.
//!
//! It never looks into a packet. Next: `output` for where data goes, `pretty` and `stats` for what people read.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, IoSlice, IsTerminal, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use sniffer_engine::config::Config;
use sniffer_engine::json::Lines;
use sniffer_engine::ledger::Ledger;
use sniffer_engine::message::Message;
use sniffer_formats::{Pretty, accounts, text};
use sniffer_packet::fate::FrameFate;
use sniffer_replay::source::{Input, Source, SourceError};
use sniffer_replay::{Continue, ReplaySink, Summary, parallel};

use crate::cli::{Format, Replay, Stats};
use crate::exit::{Exit, say};
use crate::filter::Filtering;
use crate::interrupt::Interrupt;
use crate::output::OutputWriter;
use crate::pipeline::Pipeline;
use crate::progress::Progress;
use crate::redact::Redaction;
use crate::slice;

/// Does what was asked; everything there is to say has been said when it returns.
pub(crate) fn run(options: &Replay) -> Exit {
    match try_run(options) {
        Ok(exit) => exit,
        Err((exit, line)) => {
            say(line);
            exit
        }
    }
}

fn try_run(options: &Replay) -> Result<Exit, (Exit, String)> {
    let inputs: Vec<Input> = options.files.iter().cloned().map(Input::from).collect();
    let streams = inputs.contains(&Input::StandardInput);
    if streams && io::stdin().is_terminal() {
        let line = "standard input is a terminal; pipe a capture in, as in `tcpdump -U -w - | sniffer replay -`";
        return Err((Exit::Usage, line.to_owned()));
    }
    refuse_to_replace_an_input(options.output.as_deref(), &inputs)?;
    refuse_to_replace_an_input(options.write_pcap.as_deref(), &inputs)?;
    let redaction =
        Redaction::new(&options.redact, options.redact_keyed.as_deref()).map_err(|line| (Exit::Usage, line))?;
    let interrupt =
        Interrupt::install().map_err(|error| (Exit::Failed, format!("cannot watch for signals: {error}")))?;
    let pipes = || inputs.iter().any(|input| !matches!(input, Input::File(path) if path.is_file()));
    if options.write_pcap.is_some() && pipes() {
        let line = "--write-pcap reads the input twice, which a pipe is not there for: save it to a file first";
        return Err((Exit::Usage, line.to_owned()));
    }
    let (mut source, pipe) = open(&inputs, &interrupt).map_err(|error| (exit_of(&error), error.to_string()))?;
    let output = match &options.output {
        Some(path) if path.as_os_str() != "-" => OutputWriter::file(path),
        _ => OutputWriter::stdout(),
    };
    let output = output.map_err(|error| (Exit::Failed, cannot_write(options.output.as_deref(), &error)))?;

    let format = options.format.unwrap_or(match options.output {
        None if output.is_terminal() => Format::Pretty,
        _ => Format::Jsonl,
    });
    let wanted = !options.no_progress && !streams && !output.is_terminal();
    let names = inputs.iter().map(Input::to_string).collect::<Vec<_>>().join(", ");
    let form = format.writer(names, || Pretty::new(output.is_terminal(), options.verbose, streams || pipe));
    let filtering = (!options.filter.is_empty()).then(|| Filtering::new(options.filter.clone()));
    let mut writer = Writer {
        pipeline: Pipeline::new(filtering, options.write_pcap.is_some(), redaction, form),
        progress: Progress::new(&source, wanted),
        output,
        // A pipe's reader ends by itself when a signal comes, after what is still on its way.
        interrupt: (!pipe).then_some(&interrupt),
    };
    let config = config(options, format);
    let summary = match threads(options, &writer.pipeline) {
        NonZeroUsize::MIN => sniffer_replay::replay(&mut source, config, &mut writer),
        threads => {
            let redaction = writer.pipeline.redaction().clone();
            let write = |message: &mut Message, lines: &mut Lines| {
                redaction.apply(message);
                lines.push(message);
            };
            parallel::replay(&mut source, &config, threads, &write, &mut writer).unwrap_or_else(|error| {
                say(format_args!("cannot start {threads} threads, goes on with one: {error}"));
                sniffer_replay::replay(&mut source, config, &mut writer)
            })
        }
    };
    let Writer { mut output, mut pipeline, progress, .. } = writer;
    drop(progress);
    let mut given_up = 0;
    output.append_lines(|lines| given_up = pipeline.finish(&summary, !source.damages().is_empty(), lines));

    let name = output.name().to_owned();
    match output.finish() {
        // `| head`: the reader has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Success),
        Err(error) => return Err((Exit::Failed, cannot_write(Some(Path::new(&name)), &error))),
        Ok(()) => {}
    }
    if let Some(path) = &options.write_pcap {
        let fragmented = summary.ledger.frames_with(FrameFate::Fragment) > 0;
        let passes = slice::Passes { interrupt: &interrupt, progress: !options.no_progress };
        let written = slice::write(&inputs, &pipeline.into_chosen(), fragmented, path, &passes);
        // After a signal its number is the exit code.
        match written {
            Err(line) if interrupt.signal().is_some() => say(line),
            written => written.map_err(|line| (Exit::Failed, line))?,
        }
    }
    if let Some(form) = options.stats {
        print_accounts(&summary.ledger, form, !source.damages().is_empty());
    }
    if given_up > 0 {
        say(format_args!("{} waited too long to be decided by the filters", text::count(given_up, "exchange")));
    }
    Ok(conclude(&summary, &source, pipe, interrupt.signal()))
}

/// Prints the accounts on stderr; `damaged` when a file broke off.
fn print_accounts(ledger: &Ledger, form: Stats, damaged: bool) {
    let text = match form {
        Stats::Table => accounts::table(ledger, damaged),
        Stats::Json => accounts::json(ledger),
    };
    // In one piece, so that other programs on the same terminal cannot come between. If stderr is gone, nobody asked.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// What is said at the end, and with which code.
fn conclude(summary: &Summary, source: &Source, pipe: bool, signal: Option<u8>) -> Exit {
    let mut exit = Exit::Success;
    let frames = summary.ledger.frames();
    for (link, count) in &summary.unknown_links {
        say(format_args!(
            "link type {} is not supported: {} of {frames} skipped",
            link.0,
            text::count(*count, "frame")
        ));
    }
    if frames > 0 && summary.ledger.frames_with(FrameFate::UnknownLinkType) == frames {
        exit = Exit::Failed;
    }
    // A pipe that we stopped reading is cut wherever it was.
    if !(pipe && signal.is_some()) {
        for damage in source.damages() {
            say(damage);
            exit = Exit::Failed;
        }
    }
    if let Some(number) = signal {
        return Exit::Signal(number);
    }
    if exit == Exit::Success && summary.ledger.messages() == 0 && io::stderr().is_terminal() {
        say(accounts::nothing(&summary.ledger));
    }
    exit
}

/// Opens the inputs; also tells whether it is a single pipe, which a signal can stop while it waits.
///
/// Pipes among several inputs are read by the timeline itself: there the first signal counts once a frame has come.
fn open(inputs: &[Input], interrupt: &Interrupt) -> Result<(Source, bool), SourceError> {
    let [input] = inputs else { return Ok((Source::open(inputs)?, false)) };
    let failed = |source| SourceError::Open { input: input.to_string(), source };
    match pipe(input).map_err(failed)? {
        Some(pipe) => {
            let reader = interrupt.reader(pipe).map_err(failed)?;
            Ok((Source::from_reader(&input.to_string(), reader)?, true))
        }
        None => Ok((Source::open(inputs)?, false)),
    }
}

/// The input when it is neither a regular file nor a directory.
fn pipe(input: &Input) -> io::Result<Option<File>> {
    let waits = |metadata: std::fs::Metadata| !metadata.is_file() && !metadata.is_dir();
    match input {
        #[cfg(unix)]
        Input::StandardInput => {
            use std::os::fd::AsFd;
            let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            Ok(waits(file.metadata()?).then_some(file))
        }
        Input::File(path) if std::fs::metadata(path).is_ok_and(waits) => File::open(path).map(Some),
        _ => Ok(None),
    }
}

/// `-o` naming an input would lose the capture.
fn refuse_to_replace_an_input(output: Option<&Path>, inputs: &[Input]) -> Result<(), (Exit, String)> {
    let Some(output) = output.and_then(|path| std::fs::canonicalize(path).ok()) else {
        return Ok(());
    };
    if !output.is_file() {
        return Ok(());
    }
    for input in inputs {
        if let Input::File(path) = input
            && std::fs::canonicalize(path).is_ok_and(|path| path == output)
        {
            return Err((
                Exit::Usage,
                format!("{input} is an input and cannot be the output too: choose another name"),
            ));
        }
    }
    Ok(())
}

const fn exit_of(error: &SourceError) -> Exit {
    match error {
        SourceError::NoInput | SourceError::StandardInputTwice => Exit::Usage,
        _ => Exit::Failed,
    }
}

fn cannot_write(path: Option<&Path>, error: &io::Error) -> String {
    let mut line = "cannot write to ".to_owned();
    let _ = match path {
        Some(path) => write!(line, "{}: {error}", path.display()),
        None => write!(line, "standard output: {error}"),
    };
    line
}

fn config(options: &Replay, format: Format) -> Config {
    let mut config = Config::default();
    config.ports = options.ports.clone();
    config.decode_content = !options.no_decode && format.wants_decoded();
    config.track_frames = options.frames;
    let body_bytes_max = usize::try_from(options.max_body_size).unwrap_or(usize::MAX);
    config.limits.body_bytes_max = if format.wants_bodies() { body_bytes_max } else { 0 };
    // Random, so that nobody can choose addresses that collide; nothing that is output depends on it.
    let random = RandomState::new();
    config.hash_key = [0_u64, 1, 2, 3].map(|word| random.hash_one(word));
    config
}

/// How many threads work on connections: one, where what is written of a message depends on those before it.
fn threads(options: &Replay, pipeline: &Pipeline) -> NonZeroUsize {
    if !pipeline.is_by_message() {
        return NonZeroUsize::MIN;
    }
    options.threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// Takes messages and writes them.
struct Writer<'a> {
    output: OutputWriter,
    pipeline: Pipeline,
    progress: Progress,
    interrupt: Option<&'a Interrupt>,
}

impl ReplaySink for Writer<'_> {
    fn message(&mut self, message: &mut Message) {
        let Self { output, pipeline, .. } = self;
        output.append_lines(|lines| pipeline.message(message, lines));
    }

    fn lines(&mut self, lines: &mut [IoSlice<'_>]) {
        self.output.write_pieces(lines);
    }

    fn before_block(&mut self) {
        self.output.flush();
    }

    #[inline]
    fn next(&mut self, source: &Source) -> Continue {
        self.progress.frame(source);
        if self.output.has_failed() {
            Continue::Abandon
        } else if self.interrupt.is_some_and(|interrupt| interrupt.signal().is_some()) {
            Continue::Finish
        } else {
            Continue::Frame
        }
    }
}
