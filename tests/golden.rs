//! Replays every capture of the corpus and compares the output with its snapshot.
//!
//! Check a snapshot against the page of its capture before you accept it. Long bodies are shown as
//! length and SHA-256, frame lists as ranges; nothing else is changed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fmt::Write;
use std::fs;

use serde_json::{Map, Value};

/// Maximum characters of a body in a snapshot.
const BODY: usize = 200;

#[test]
fn every_capture_gives_what_its_snapshot_says() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut wrong = Vec::new();
    for capture in common::captures() {
        // insta's `glob!` would name snapshots by the common folder of all matches, which changes
        // with the corpus.
        let name = capture.replace('/', "__");
        let compare = || settings.bind(|| insta::assert_snapshot!(name.as_str(), run(&capture)));
        let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(compare));
        if compared.is_err() {
            wrong.push(capture);
        }
    }
    assert!(wrong.is_empty(), "differ from their snapshots: {}", wrong.join(", "));
}

#[test]
fn every_snapshot_has_its_capture() {
    let captures = common::captures();
    for entry in fs::read_dir(common::top().join("snapshots")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(capture) = name.strip_suffix(".snap") else {
            panic!("snapshots/{name} was not accepted: read it, then accept or delete it");
        };
        assert!(captures.contains(&capture.replace("__", "/")), "snapshots/{name} has no capture: delete it");
    }
}

#[test]
fn every_capture_has_its_page() {
    for capture in common::captures() {
        let page = common::capture(&format!("{capture}.md"));
        let talk = common::capture(&capture).with_extension("talk");
        assert!(page.is_file() || talk.is_file(), "corpus/{capture} needs a page: corpus/{capture}.md");
    }
}

fn run(capture: &str) -> String {
    let path = common::capture(capture);
    let arguments = ["--format", "jsonl", "--frames", "--stats=json", path.to_str().unwrap()];
    let output = common::replay(arguments);
    let again = common::replay(arguments);
    assert_eq!((&output.stdout, &output.stderr), (&again.stdout, &again.stderr), "same frames in, same bytes out");
    let messages = common::messages(&output.stdout);
    let accounts = common::accounts(&output.stderr);
    assert_eq!(accounts["messages"], messages.len(), "the ledger counts every line");

    let mut shown = String::new();
    for message in messages {
        show(message, &mut shown);
    }
    shown.push_str("\naccounts\n");
    for (key, value) in accounts {
        let _ = writeln!(shown, "  {key}: {value}");
    }
    for line in common::text(&output.stderr).lines().filter(|line| !line.starts_with('{')) {
        // The path of the project depends on the machine.
        let _ = writeln!(shown, "stderr\n  {}", line.replace(path.to_str().unwrap(), capture));
    }
    let _ = writeln!(shown, "exit {}", output.status.code().unwrap());
    shown
}

/// Writes a message on a few lines: start line, headers, body, connection.
fn show(mut message: Map<String, Value>, shown: &mut String) {
    if let Some(Value::String(body)) = message.get("body")
        && body.chars().count() > BODY
    {
        let bytes = common::body(&message);
        message["body"] = format!("({} bytes, sha256 {})", bytes.len(), common::sha256(&bytes)).into();
    }
    if let Some(Value::Array(frames)) = message.get("frames") {
        let frames: Vec<u64> = frames.iter().map(|frame| frame.as_u64().unwrap()).collect();
        message["frames"] = ranges(&frames).into();
    }
    for (at, (key, value)) in message.iter().enumerate() {
        let starts_line = match key.as_str() {
            "headers" | "trailers" | "body" | "connection" => true,
            "bodySize" => !message.contains_key("body"),
            _ => false,
        };
        let before = match (at, starts_line) {
            (0, _) => "",
            (_, true) => "\n    ",
            (_, false) => "  ",
        };
        let _ = write!(shown, "{before}{key}: {value}");
    }
    shown.push('\n');
}

/// Formats `[4, 5, 6, 9]` as `4-6 9`.
fn ranges(numbers: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let texts = runs.iter().map(|&(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(" ")
}
