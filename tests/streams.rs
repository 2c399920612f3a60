//! Pipes and signals: a message is written as soon as it is complete, whatever the other end does
//! next.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use common::{capture, message, messages, text};

const KEEPALIVE: &str = "real/nginx-keepalive.pcap";

/// Starts the binary with pipes for standard input, output and error.
fn start(arguments: &[&str]) -> Child {
    Command::new(common::binary())
        .arg("replay")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Writes part of a capture and leaves the pipe open.
fn feed(child: &mut Child, bytes: &[u8]) -> ChildStdin {
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(bytes).unwrap();
    stdin.flush().unwrap();
    stdin
}

#[test]
fn a_message_comes_out_before_the_pipe_is_closed() {
    let whole = fs::read(capture(KEEPALIVE)).unwrap();
    let mut child = start(&["-"]);
    let mut stdin = feed(&mut child, &whole[..whole.len() / 2]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(message(&line)["path"], "/hello.txt");
    stdin.write_all(&whole[whole.len() / 2..]).unwrap();
    drop(stdin);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    assert_eq!(messages(&rest).len(), 11);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_compressed_pipe_streams_too() {
    let mut child = start(&["-"]);
    drop(feed(&mut child, &fs::read(capture("real/nginx-gzip.pcap.gz")).unwrap()));
    let output = child.wait_with_output().unwrap();
    let file = common::replay([capture("real/nginx-gzip.pcap.gz")]);
    assert_eq!(output.stdout, file.stdout, "a pipe gives what the file gives");
}

#[test]
fn text_in_a_pipe_is_reported_as_standard_input() {
    let mut child = start(&["-"]);
    drop(feed(&mut child, b"hello, sniffer\n"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("sniffer: standard input: not a capture"), "{output:?}");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    // The write can fail at the end of the run or while it still reads.
    for streams in [false, true] {
        let path = capture("real/nginx-wrk.pcap");
        let mut child = start(&[if streams { "-" } else { path.to_str().unwrap() }]);
        drop(child.stdout.take());
        if streams {
            // The child may exit before it has read everything.
            let _ = child.stdin.take().unwrap().write_all(&fs::read(&path).unwrap());
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    }
}

#[test]
fn a_full_pipe_in_non_blocking_mode_is_waited_for() {
    let path = capture("real/nginx-gso.pcap");
    let want = common::replay([&path]).stdout;
    assert!(want.len() > 128 * 1024, "more than a pipe holds");
    let (mut reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let mut child = Command::new(common::binary()).arg("replay").arg(&path).stdout(writer).spawn().unwrap();
    let mut have = Vec::new();
    reader.read_to_end(&mut have).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(have == want);
}

#[test]
fn the_first_signal_stops_the_reading_and_finishes_the_output() {
    for (signal, code) in [(rustix::process::Signal::INT, 130), (rustix::process::Signal::TERM, 143)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap.jsonl");
        let whole = fs::read(capture(KEEPALIVE)).unwrap();
        let mut child = start(&["--stats=json", "-o", path.to_str().unwrap(), "-"]);
        let stdin = feed(&mut child, &whole[..whole.len() / 2]);
        wait_for_message(folder.path());
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, signal).unwrap();
        // The pipe stays open: the signal alone must end it.
        let status = child.wait().unwrap();
        drop(stdin);
        assert_eq!(status.code(), Some(code));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        common::accounts(said.as_bytes());
        assert_eq!(said.lines().count(), 1, "where we stopped is no damage: {said}");
        assert!(!messages(&fs::read(&path).unwrap()).is_empty(), "-o is finished");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
    }
}

#[test]
fn the_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    let whole = fs::read(capture(KEEPALIVE)).unwrap();
    let mut child = start(&["-o", path.to_str().unwrap(), "-"]);
    let _stdin = feed(&mut child, &whole[..whole.len() / 2]);
    wait_for_message(folder.path());
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    // Another signal, because two pending signals of the same number are delivered as one.
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
    assert!(!path.exists(), "the file was not finished");
}

/// Waits until the temporary file in this folder has content: by then the handlers are installed.
fn wait_for_message(folder: &std::path::Path) {
    let written = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().metadata().is_ok_and(|file| file.len() > 0);
    while !fs::read_dir(folder).unwrap().any(written) {
        std::thread::yield_now();
    }
}

/// Returns the offset after `count` records of a little-endian pcap.
fn records(bytes: &[u8], count: usize) -> usize {
    (0..count).fold(24, |at, _| {
        let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap());
        at + 16 + length as usize
    })
}

#[test]
fn neither_a_filter_nor_pretty_holds_a_decided_message() {
    let whole = fs::read(capture(KEEPALIVE)).unwrap();
    // The handshake and the first request: an unanswered request must show at once.
    let request = &whole[..records(&whole, 4)];
    for arguments in [&["--path", "/hello.txt", "-"][..], &["--client", "127.0.0.1", "-"], &["-f", "pretty", "-"]] {
        let mut child = start(arguments);
        let stdin = feed(&mut child, request);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("/hello.txt") {
            assert!(stdout.read_line(&mut line).unwrap() > 0, "{arguments:?}: {line}");
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_filter_on_statuses_waits_for_the_response_and_no_longer() {
    let whole = fs::read(capture(KEEPALIVE)).unwrap();
    let mut child = start(&["--status", "200", "-"]);
    // Six frames complete the first response.
    let stdin = feed(&mut child, &whole[..records(&whole, 6)]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let (mut first, mut second) = (String::new(), String::new());
    stdout.read_line(&mut first).unwrap();
    stdout.read_line(&mut second).unwrap();
    assert_eq!((&message(&first)["path"], &message(&second)["statusCode"]), (&"/hello.txt".into(), &200.into()));
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// A container may limit the number of processes. The limit counts all processes of a user and does
/// not apply to root, so this runs as a user without any.
#[test]
#[ignore = "needs capture rights and setpriv"]
fn if_no_thread_can_be_started_one_does_all_the_work() {
    let path = capture(KEEPALIVE);
    let replay = |command: &mut Command, threads: &str| {
        command.args(["replay", "--threads", threads]).arg(&path).stdin(Stdio::null()).output().unwrap()
    };
    let expected = replay(&mut Command::new(common::binary()), "1");
    let mut limited = Command::new("setpriv");
    limited.args(["--reuid=54321", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]);
    limited.args(["prlimit", "--nproc=3"]).arg(common::binary());
    let got = replay(&mut limited, "16");
    assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
    assert!(!expected.stdout.is_empty());
    assert_eq!(got.stdout, expected.stdout);
    let said = text(&got.stderr);
    assert!(said.starts_with("sniffer: cannot start 16 threads, goes on with one: "), "{said}");
}
