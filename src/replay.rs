//! `sniffer replay`: opens the captures, runs them through the engine, writes the messages and
//! reports errors.
//!
//! It never looks into a packet. Next: `pipeline` for the way of a message to the output, `output`
//! for where the bytes go.

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

/// An error that ends a run: its exit code, and the line for stderr.
type Failure = (Exit, String);

/// Runs `sniffer replay`. All errors are on stderr when it returns.
pub(crate) fn run(options: &Replay) -> Exit {
    match try_run(options) {
        Ok(exit) => exit,
        Err((exit, line)) => {
            say(line);
            exit
        }
    }
}

fn try_run(options: &Replay) -> Result<Exit, Failure> {
    let inputs: Vec<Input> = options.files.iter().cloned().map(Input::from).collect();
    let streams = inputs.contains(&Input::StandardInput);
    refuse_a_terminal(streams)?;
    refuse_to_replace_an_input(options.output.as_deref(), &inputs)?;
    refuse_to_replace_an_input(options.write_pcap.as_deref(), &inputs)?;
    let redaction =
        Redaction::new(&options.redact, options.redact_keyed.as_deref()).map_err(|line| (Exit::Usage, line))?;
    let interrupt =
        Interrupt::install().map_err(|error| (Exit::Failed, format!("cannot watch for signals: {error}")))?;
    refuse_to_slice_a_pipe(options, &inputs)?;
    let (mut source, pipe) = open(&inputs, &interrupt).map_err(|error| (exit_of(&error), error.to_string()))?;
    let output = open_output(options.output.as_deref())?;

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
        // A pipe's reader ends by itself after a signal, once it has delivered what is in flight.
        interrupt: (!pipe).then_some(&interrupt),
    };
    let summary = extract(options, config(options, format), &mut source, &mut writer);

    let Writer { mut output, mut pipeline, progress, .. } = writer;
    drop(progress);
    let mut evicted = 0;
    output.append_lines(|lines| evicted = pipeline.finish(&summary, !source.damages().is_empty(), lines));
    if !close(output)? {
        return Ok(Exit::Success);
    }
    if let Some(path) = &options.write_pcap {
        let passes = slice::Passes { interrupt: &interrupt, progress: !options.no_progress };
        write_slice(path, &inputs, pipeline, &summary, &passes)?;
    }
    if let Some(form) = options.stats {
        print_accounts(&summary.ledger, form, !source.damages().is_empty());
    }
    if evicted > 0 {
        say(format_args!("{} waited too long to be decided by the filters", text::count(evicted, "exchange")));
    }
    Ok(conclude(&summary, &source, pipe, interrupt.signal()))
}

fn refuse_a_terminal(streams: bool) -> Result<(), Failure> {
    if streams && io::stdin().is_terminal() {
        let line = "standard input is a terminal; pipe a capture in, as in `tcpdump -U -w - | sniffer replay -`";
        return Err((Exit::Usage, line.to_owned()));
    }
    Ok(())
}

fn refuse_to_slice_a_pipe(options: &Replay, inputs: &[Input]) -> Result<(), Failure> {
    let pipes = || inputs.iter().any(|input| !matches!(input, Input::File(path) if path.is_file()));
    if options.write_pcap.is_some() && pipes() {
        let line = "--write-pcap reads the input twice, which a pipe is not there for: save it to a file first";
        return Err((Exit::Usage, line.to_owned()));
    }
    Ok(())
}

fn open_output(path: Option<&Path>) -> Result<OutputWriter, Failure> {
    let output = match path {
        Some(path) if path.as_os_str() != "-" => OutputWriter::file(path),
        _ => OutputWriter::stdout(),
    };
    output.map_err(|error| (Exit::Failed, cannot_write(path, &error)))
}

/// Runs the source through the engine, on as many threads as the options and the output allow.
fn extract(options: &Replay, config: Config, source: &mut Source, writer: &mut Writer<'_>) -> Summary {
    match threads(options, &writer.pipeline) {
        NonZeroUsize::MIN => sniffer_replay::replay(source, config, writer),
        threads => {
            let redaction = writer.pipeline.redaction().clone();
            let write = |message: &mut Message, lines: &mut Lines| {
                redaction.apply(message);
                lines.push(message);
            };
            parallel::replay(source, &config, threads, &write, writer).unwrap_or_else(|error| {
                say(format_args!("cannot start {threads} threads, goes on with one: {error}"));
                sniffer_replay::replay(source, config, writer)
            })
        }
    }
}

/// Finishes the output. Returns false when its reader closed the pipe early, as `| head` does.
fn close(output: OutputWriter) -> Result<bool, Failure> {
    let name = output.name().to_owned();
    match output.finish() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err((Exit::Failed, cannot_write(Some(Path::new(&name)), &error))),
        Ok(()) => Ok(true),
    }
}

/// Writes the frames of the connections whose messages were written.
fn write_slice(
    path: &Path,
    inputs: &[Input],
    pipeline: Pipeline,
    summary: &Summary,
    passes: &slice::Passes<'_>,
) -> Result<(), Failure> {
    let fragmented = summary.ledger.frames_with(FrameFate::Fragment) > 0;
    match slice::write(inputs, &pipeline.into_chosen(), fragmented, path, passes) {
        // The signal decides the exit code.
        Err(line) if passes.interrupt.signal().is_some() => {
            say(line);
            Ok(())
        }
        written => written.map_err(|line| (Exit::Failed, line)),
    }
}

/// Prints the accounts on stderr. `damaged` says that an input ended early.
fn print_accounts(ledger: &Ledger, form: Stats, damaged: bool) {
    let text = match form {
        Stats::Table => accounts::table(ledger, damaged),
        Stats::Json => accounts::json(ledger),
    };
    // One write, so that other programs on the same terminal cannot interleave. Without a stderr
    // there is nowhere to report the error.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Reports unknown link types, damage and an empty result, and chooses the exit code.
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
    // After a signal we stop reading a pipe at any byte, so its damage is ours.
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

/// Opens the inputs. Also returns whether the input is a single pipe, whose reader a signal wakes.
///
/// Among several inputs, a pipe is read without that: a signal takes effect with the next frame.
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

/// Opens the input if it is neither a regular file nor a directory: a pipe, socket or device.
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

/// Refuses an output that is also an input: writing it would destroy the capture.
fn refuse_to_replace_an_input(output: Option<&Path>, inputs: &[Input]) -> Result<(), Failure> {
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
    // Random, so that nobody can choose addresses that collide. No output depends on it.
    let random = RandomState::new();
    config.hash_key = [0_u64, 1, 2, 3].map(|word| random.hash_one(word));
    config
}

/// The number of threads for connections: one if the text of a message depends on earlier ones.
fn threads(options: &Replay, pipeline: &Pipeline) -> NonZeroUsize {
    if !pipeline.is_by_message() {
        return NonZeroUsize::MIN;
    }
    options.threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// Sends each message through the pipeline to the output.
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
