//! The number of threads never shows: the lines and accounts are the same for every capture of the
//! corpus, for conversations over a bad network, and while nearly every frame exceeds the memory
//! budget.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::IoSlice;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sniffer_engine::config::Config;
use sniffer_engine::json::Lines;
use sniffer_engine::ledger::Ledger;
use sniffer_engine::message::Message;
use sniffer_packet::file::pcap;
use sniffer_packet::frame::OwnedFrame;
use sniffer_packet::time::Timestamp;
use sniffer_replay::source::{Input, Source};
use sniffer_replay::{Continue, ReplaySink, parallel, replay};
use sniffer_testkit::flood;
use sniffer_testkit::generate::{GenerateOptions, conversation};
use sniffer_testkit::net::{Perturbation, perturb};
use sniffer_testkit::talk::Talk;
use walkdir::{DirEntry, WalkDir};

/// The output: lines and accounts.
#[derive(Debug, PartialEq, Eq)]
struct Out {
    lines: String,
    ledger: Ledger,
    blocks: usize,
}

#[derive(Default)]
struct Keep {
    lines: Lines,
    blocks: usize,
}

impl ReplaySink for Keep {
    fn message(&mut self, message: &mut Message) {
        self.lines.push(message);
    }

    fn lines(&mut self, lines: &mut [IoSlice<'_>]) {
        self.lines.append(|all| lines.iter().for_each(|lines| all.extend_from_slice(lines)));
    }

    fn before_block(&mut self) {
        self.blocks += 1;
    }
}

fn out(keep: Keep, ledger: Ledger) -> Out {
    let lines = String::from_utf8(keep.lines.as_bytes().to_vec()).unwrap();
    Out { lines, ledger, blocks: keep.blocks }
}

fn on_one(mut source: Source, config: &Config) -> Out {
    let mut keep = Keep::default();
    let summary = replay(&mut source, config.clone(), &mut keep);
    out(keep, summary.ledger)
}

/// All threads work from the first frame on.
fn on(threads: usize, mut source: Source, config: &Config) -> Out {
    let mut keep = Keep::default();
    let write = |message: &mut Message, lines: &mut Lines| lines.push(message);
    let threads = NonZeroUsize::new(threads).unwrap();
    let summary = parallel::replay_spread(&mut source, config, threads, &write, &mut keep).unwrap();
    out(keep, summary.ledger)
}

/// The reader decides how many threads work, and takes the first frames alone.
fn on_as_many_as_pay(mut source: Source, config: &Config) -> Out {
    let mut keep = Keep::default();
    let write = |message: &mut Message, lines: &mut Lines| lines.push(message);
    let threads = NonZeroUsize::new(3).unwrap();
    let summary = parallel::replay(&mut source, config, threads, &write, &mut keep).unwrap();
    out(keep, summary.ledger)
}

/// The default configuration, and limits that are reached all the time.
fn configs() -> Vec<(&'static str, Config)> {
    let config = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        config
    };
    vec![
        ("default", Config::default()),
        ("budget", config(&|config| config.limits.held_bytes_max = 20_000)),
        ("smaller budget", config(&|config| config.limits.held_bytes_max = 3_000)),
        (
            "little patience",
            config(&|config| {
                config.track_frames = true;
                config.limits.idle_timeout = Duration::from_millis(1);
                config.limits.closed_max = 3;
                config.limits.waiting_bytes_max = 2_000;
            }),
        ),
    ]
}

fn check(name: &str, open: &dyn Fn() -> Source) {
    for (limits, config) in configs() {
        let expected = on_one(open(), &config);
        for threads in [1, 2, 3, 8] {
            let got = on(threads, open(), &config);
            assert!(got == expected, "{name}, {limits}, {threads} threads:\n{got:#?}\n{expected:#?}");
        }
        let got = on_as_many_as_pay(open(), &config);
        assert!(got == expected, "{name}, {limits}, alone:\n{got:#?}\n{expected:#?}");
    }
}

fn check_frames(name: &str, frames: &[OwnedFrame]) {
    let file = pcap::file(frames).unwrap();
    check(name, &|| Source::from_reader(name, std::io::Cursor::new(file.clone())).unwrap());
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let files = WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let is_capture = |name: &str| name.contains(".pcap") && !name.ends_with(".md");
    files.filter(|entry| is_capture(entry.file_name().to_str().unwrap())).map(DirEntry::into_path).collect()
}

#[test]
fn every_capture_of_the_corpus() {
    let found = captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus"));
    assert!(found.len() > 100, "{} captures", found.len());
    let mut checked = 0;
    for path in found {
        let input = [Input::from(path.clone().into_os_string())];
        // A file that is not a capture is not replayed.
        if Source::open(&input).is_ok() {
            check(&path.display().to_string(), &|| Source::open(&input).unwrap());
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked} captures");
}

#[test]
fn conversations_over_a_bad_network() {
    for seed in 0..40 {
        let kinds = [
            Perturbation::Resegment,
            Perturbation::Reorder { window: 6 },
            Perturbation::Duplicate { share: 0.2, window: 4 },
            Perturbation::Fragment { share: 0.2 },
            Perturbation::Drop(0.05),
        ];
        let frames = conversation(seed, &GenerateOptions::default()).frames().unwrap();
        check_frames(&format!("seed {seed}"), &perturb(frames, seed, &kinds));
    }
}

/// On each of many connections, more messages than wait for each other
/// ([`sniffer_engine::message::Batch`]), which all end in one second; after them as many frames as
/// can be in flight to other threads.
fn many_runs_of_messages() -> Vec<u8> {
    let mut frames = flood::frames("pipelines-behind-holes", 3_000);
    let mut last = frames.last().unwrap().clone();
    last.time = Timestamp::from_nanos(last.time.as_nanos() + 400_000_000_000);
    frames.extend(std::iter::repeat_n(last, 8_000));
    pcap::file(&frames).unwrap()
}

/// Large bodies, then small messages, then large bodies: each long enough for the reader to decide.
fn bulk_and_small_messages() -> Vec<u8> {
    let mut frames = Vec::new();
    for (n, (bytes, count)) in
        [(3_000_000, 1), (300, 9_000), (3_000_000, 1), (3_000_000, 1), (3_000_000, 1)].into_iter().enumerate()
    {
        let body = "x".repeat(bytes);
        let mut talk = String::new();
        for _ in 0..count {
            talk += &format!(
                ">>>\n| GET / HTTP/1.1\n|\n\n<<< mss=1460\n| HTTP/1.1 200 OK\n| Content-Length: {bytes}\n|\n| {body}\\\n\n"
            );
        }
        let mut part = Talk::parse(&talk).unwrap().frames().unwrap();
        let start = n as u64 * 1_000_000_000_000;
        part.iter_mut().for_each(|frame| frame.time = Timestamp::from_nanos(frame.time.as_nanos() + start));
        frames.extend(part);
    }
    sniffer_packet::frame::renumber(&mut frames);
    pcap::file(&frames).unwrap()
}

#[test]
fn the_reader_alone_and_all_threads_take_turns() {
    let file = bulk_and_small_messages();
    let open = || Source::from_reader("", std::io::Cursor::new(file.clone())).unwrap();
    let expected = on_one(open(), &Config::default());
    assert_eq!(expected.ledger.messages(), 2 * 9_004);
    assert!(on_as_many_as_pay(open(), &Config::default()) == expected);
    assert!(on(3, open(), &Config::default()) == expected);
}

#[test]
fn more_than_a_run_of_messages() {
    let file = many_runs_of_messages();
    let open = || Source::from_reader("", std::io::Cursor::new(file.clone())).unwrap();
    let expected = on_one(open(), &Config::default());
    assert!(expected.lines.lines().count() > 25 * 4_096, "{}", expected.lines.lines().count());
    for threads in [1, 2, 3, 8] {
        assert!(on(threads, open(), &Config::default()) == expected, "{threads} threads");
    }
}

/// Abandons the replay while all threads have lines to hand on.
struct Abandons {
    frames: usize,
}

impl ReplaySink for Abandons {
    fn message(&mut self, _message: &mut Message) {}

    fn next(&mut self, _source: &Source) -> Continue {
        self.frames -= 1;
        if self.frames == 0 { Continue::Abandon } else { Continue::Frame }
    }
}

#[test]
fn an_abandoned_replay_waits_for_no_thread() {
    let file = many_runs_of_messages();
    let open = || Source::from_reader("", std::io::Cursor::new(file.clone())).unwrap();
    let all = on_one(open(), &Config::default()).ledger.frames();
    for threads in [1, 2, 3, 8] {
        for frames in [all - 1, all] {
            let mut receiver = Abandons { frames: frames as usize };
            let write = |message: &mut Message, lines: &mut Lines| lines.push(message);
            let threads = NonZeroUsize::new(threads).unwrap();
            let summary =
                parallel::replay_spread(&mut open(), &Config::default(), threads, &write, &mut receiver).unwrap();
            assert_eq!(summary.ledger.frames(), frames, "{threads} threads");
        }
    }
}

#[test]
fn a_panic_on_any_thread_is_the_callers() {
    let file = many_runs_of_messages();
    for threads in [1, 2, 3, 8] {
        for nth in [0, 4_000, 100_000] {
            let mut source = Source::from_reader("", std::io::Cursor::new(file.clone())).unwrap();
            let written = AtomicUsize::new(0);
            let write = |message: &mut Message, lines: &mut Lines| {
                assert!(written.fetch_add(1, Ordering::Relaxed) < nth, "message {nth} is too much");
                lines.push(message);
            };
            let threads = NonZeroUsize::new(threads).unwrap();
            let replay =
                || parallel::replay_spread(&mut source, &Config::default(), threads, &write, &mut Keep::default());
            let panic = catch_unwind(AssertUnwindSafe(replay)).unwrap_err();
            assert_eq!(*panic.downcast::<String>().unwrap(), format!("message {nth} is too much"), "{threads} threads");
        }
    }
}

/// Abandons the replay once another thread is at work.
struct AbandonsWork<'a> {
    frames: u64,
    at_work: &'a AtomicBool,
    over: &'a AtomicBool,
}

impl ReplaySink for AbandonsWork<'_> {
    fn message(&mut self, _message: &mut Message) {}

    fn next(&mut self, _source: &Source) -> Continue {
        self.frames -= 1;
        if self.frames > 0 {
            return Continue::Frame;
        }
        while !self.at_work.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        self.over.store(true, Ordering::Relaxed);
        Continue::Abandon
    }
}

#[test]
fn a_panic_after_the_replay_was_abandoned_is_the_callers() {
    let one = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/real/nginx-wrk.pcap")).unwrap();
    // More than a round, but not enough that the reader waits for output. A file, because the
    // reader waits for all output before it reads from a pipe.
    let file = [&one[..24], &one[24..].repeat(1_000_000 / one.len())].concat();
    let frames = on_one(Source::from_reader("", std::io::Cursor::new(file.clone())).unwrap(), &Config::default());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("more-than-a-round.pcap");
    fs::write(&path, file).unwrap();
    let mut source = Source::open(&[Input::File(path)]).unwrap();

    let [at_work, over, gave_up] = [const { AtomicBool::new(false) }; 3];
    let reader = thread::current().id();
    let write = |_: &mut Message, _: &mut Lines| {
        assert_ne!(thread::current().id(), reader, "the reader had to wait for nothing");
        at_work.store(true, Ordering::Relaxed);
        let is_over = |_| {
            thread::yield_now();
            over.load(Ordering::Relaxed)
        };
        gave_up.store(!(0..10_000_000).any(is_over), Ordering::Relaxed);
        panic!("a message is too much");
    };
    let mut receiver = AbandonsWork { frames: frames.ledger.frames(), at_work: &at_work, over: &over };
    let threads = NonZeroUsize::new(2).unwrap();
    let replay = || parallel::replay_spread(&mut source, &Config::default(), threads, &write, &mut receiver);
    assert!(catch_unwind(AssertUnwindSafe(replay)).is_err());
    assert!(!gave_up.load(Ordering::Relaxed), "the reader waited for a round, and so did the round for the reader");
}

/// Several conversations at the same time, so that each frame finds other connections to evict.
#[test]
fn many_connections_under_one_budget() {
    for seed in 0..6 {
        let mut frames = Vec::new();
        for n in 0..12 {
            frames.extend(conversation(1_000 * seed + n, &GenerateOptions::default()).frames().unwrap());
        }
        frames.sort_by_key(|frame| frame.time);
        sniffer_packet::frame::renumber(&mut frames);
        check_frames(&format!("seed {seed}"), &frames);
        let source = Source::from_reader("", std::io::Cursor::new(pcap::file(&frames).unwrap())).unwrap();
        let (_, budget) = configs().swap_remove(2);
        assert!(on(3, source, &budget).ledger.evicted() > 10, "seed {seed}: the budget never bites");
    }
}
