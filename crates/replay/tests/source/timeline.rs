//! Several captures as one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use sniffer_replay::source::{Input, Source};

use crate::bytes::{Pcap, Pcapng, gzip};
use crate::check::Outcome;

/// Returns a folder for the files of one test, emptied at the start.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Input {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        Input::File(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns a capture whose frames are named after it and have these seconds.
fn capture(name: &str, secs: &[u32]) -> Vec<u8> {
    let file = secs.iter().fold(Pcap::new(), |file, secs| file.packet(*secs, 0, format!("{name}{secs}").as_bytes()));
    file.done()
}

fn read(inputs: &[Input]) -> Outcome {
    let outcome = Outcome::of(Source::open(inputs));
    for (at, frame) in outcome.frames.iter().enumerate() {
        assert_eq!(frame.number, at as u64 + 1, "numbers count the merged order");
    }
    outcome
}

#[test]
fn frames_come_in_order_of_time_and_ties_in_order_of_arguments() {
    for (claim, files, merged) in [
        ("one behind the other", [&[1, 2][..], &[3, 4], &[5]], "a1 a2 b3 b4 c5"),
        ("given backwards", [&[5], &[3, 4], &[1, 2]], "c1 c2 b3 b4 a5"),
        ("in turns", [&[1, 4, 7], &[2, 5], &[3, 6]], "a1 b2 c3 a4 b5 c6 a7"),
        ("all equal", [&[1, 1], &[1], &[1, 1]], "a1 a1 b1 c1 c1"),
        // mergecap's rule: only the next frame of each file is compared.
        ("time goes back within a file", [&[5, 1, 6], &[2, 7], &[]], "b2 a5 a1 a6 b7"),
        ("nothing in two of them", [&[], &[1], &[]], "b1"),
    ] {
        let folder = Folder::new("order");
        let inputs: Vec<Input> =
            ["a", "b", "c"].iter().zip(files).map(|(name, secs)| folder.file(name, &capture(name, secs))).collect();
        let outcome = read(&inputs);
        assert_eq!((outcome.texts().join(" "), outcome.damages.len()), (merged.to_owned(), 0), "{claim}");
    }
}

#[test]
fn formats_and_packings_mix() {
    let folder = Folder::new("mix");
    let inputs = [
        folder.file("a.pcap", &capture("a", &[1, 3])),
        folder.file("b.pcapng", &Pcapng::new(true).ethernet().enhanced(0, 2_000_000, 2, b"b2").done()),
        folder.file("c", &gzip(&capture("c", &[2, 4]))),
    ];
    assert_eq!(read(&inputs).texts().join(" "), "a1 b2 c2 a3 c4");
}

#[test]
fn a_damaged_file_ends_and_the_others_go_on() {
    let folder = Folder::new("damaged");
    let cut = capture("b", &[2, 5]);
    let inputs = [
        folder.file("a", &capture("a", &[1, 4, 6])),
        folder.file("b", &cut[..cut.len() - 1]),
        folder.file("empty", b""),
        folder.file("text", b"not a capture"),
        folder.file("c", &capture("c", &[3])),
    ];
    let outcome = read(&inputs);
    assert_eq!(outcome.texts().join(" "), "a1 b2 c3 a4 a6");
    let damages: Vec<_> = outcome.damages.iter().map(|line| line.rsplit_once('/').unwrap().1).collect();
    assert_eq!(
        damages,
        [
            "empty: the file is empty: not even a file header",
            "text: not a capture: it starts with 6e 6f 74 20 61 20 63 61 (\"not a ca\"), which looks like text; pcap and \
             pcapng can be read, also packed with gzip or zstd",
            "b: damaged in record 2 at byte 42: cut short: 18 bytes wanted, 17 found; 1 frame before it",
        ]
    );
}

#[test]
fn what_cannot_be_opened_is_an_error_before_the_first_frame() {
    let folder = Folder::new("missing");
    let file = folder.file("a", &capture("a", &[1]));
    let missing = Input::File(folder.0.join("missing"));
    let directory = Input::File(folder.0.clone());
    let stdin = Input::StandardInput;
    for (inputs, words) in [
        (vec![], "no capture given"),
        (vec![stdin.clone(), file.clone(), stdin], "standard input (`-`) was given more than once"),
        (vec![missing.clone()], "missing: No such file"),
        (vec![file.clone(), missing], "missing: No such file"),
        (vec![directory.clone()], "it is a directory, not a capture"),
        (vec![file, directory], "it is a directory, not a capture"),
    ] {
        let line = Source::open(&inputs).unwrap_err().to_string();
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn a_file_that_is_gone_when_its_turn_comes_is_damage() {
    let folder = Folder::new("gone");
    let inputs = [folder.file("a", &capture("a", &[1, 3])), folder.file("b", &capture("b", &[2]))];
    let mut source = Source::open(&inputs).unwrap();
    fs::remove_file(folder.0.join("b")).unwrap();
    let mut frames = 0;
    while source.next(&mut |_| {}).is_some() {
        frames += 1;
    }
    assert_eq!((frames, source.damages().len()), (2, 1));
    let line = source.damages()[0].to_string();
    assert!(line.contains("b: it could be opened at first, but not when its turn came: No such file"), "{line}");
}

#[test]
fn progress_ends_at_the_size_of_the_files() {
    let folder = Folder::new("progress");
    let (a, b) = (capture("a", &[1, 3]), gzip(&capture("b", &[2])));
    let total = (a.len() + b.len()) as u64;
    let inputs = [folder.file("a", &a), folder.file("b", &b)];
    for (inputs, total) in [(&inputs[..], total), (&inputs[..1], a.len() as u64)] {
        let mut source = Source::open(inputs).unwrap();
        let mut before = 0;
        while source.next(&mut |_| {}).is_some() {
            assert!((before..=total).contains(&source.progress().read));
            before = source.progress().read;
        }
        assert_eq!((source.progress().read, source.progress().total), (total, Some(total)));
    }
}

#[test]
#[cfg(unix)]
fn a_named_pipe_is_one_of_the_files() {
    let folder = Folder::new("pipe");
    let pipe = folder.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::write(pipe, capture("p", &[2, 4])))
    };
    let inputs = [folder.file("a", &capture("a", &[1, 3, 5])), Input::File(pipe)];
    let outcome = read(&inputs);
    assert_eq!((outcome.texts().join(" "), outcome.damages.len()), ("a1 p2 a3 p4 a5".to_owned(), 0));
    writer.join().unwrap().unwrap();
}

#[test]
#[cfg(unix)]
fn hundreds_of_files_need_few_handles() {
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 160 && exec \"$0\" --ignored --exact timeline::hundreds_of_files_under_a_limit"])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

#[test]
#[ignore = "run by hundreds_of_files_need_few_handles under a limit of 160 open files"]
fn hundreds_of_files_under_a_limit() {
    let folder = Folder::new("hundreds");
    // Too many frames for one buffer each, so that every file is read more than once.
    let many: Vec<u32> = (0..4_000).collect();
    for (claim, set) in [
        (
            "a rotation set",
            (0..300).map(|file| (0..3).map(|frame| file * 3 + frame).collect()).collect::<Vec<Vec<u32>>>(),
        ),
        ("recorded side by side", vec![many; 200]),
    ] {
        let inputs: Vec<Input> =
            set.iter().enumerate().map(|(at, secs)| folder.file(&at.to_string(), &capture("x", secs))).collect();
        let outcome = read(&inputs);
        assert_eq!(outcome.damages, Vec::<String>::new(), "{claim}");
        assert_eq!(outcome.frames.len(), set.iter().map(Vec::len).sum::<usize>(), "{claim}");
        assert!(outcome.frames.is_sorted_by_key(|frame| frame.nanos), "{claim}");
    }
}

/// The rule, implemented slowly and simply.
fn model(files: &[Vec<u32>]) -> Vec<(usize, u32)> {
    let mut left: Vec<_> = files.iter().map(|secs| secs.iter().copied().peekable()).collect();
    let mut merged = Vec::new();
    loop {
        let mut earliest: Option<(u32, usize)> = None;
        for (file, secs) in left.iter_mut().enumerate() {
            if let Some(secs) = secs.peek()
                && earliest.is_none_or(|(found, _)| *secs < found)
            {
                earliest = Some((*secs, file));
            }
        }
        let Some((secs, file)) = earliest else { return merged };
        left[file].next();
        merged.push((file, secs));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_timeline_is_the_model(files in prop::collection::vec(prop::collection::vec(0u32..8, 0..8), 2..6)) {
        let folder = Folder::new("model");
        let inputs: Vec<Input> = files
            .iter()
            .enumerate()
            .map(|(at, secs)| folder.file(&at.to_string(), &capture(&format!("{at}:"), secs)))
            .collect();
        let wanted: Vec<String> = model(&files).iter().map(|(file, secs)| format!("{file}:{secs}")).collect();
        prop_assert_eq!(read(&inputs).texts(), wanted);
    }
}
