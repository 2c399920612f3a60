//! The conversations of the corpus keep their promises: each claims something, says what must come out, and is what
//! its capture was made from.
//!
//! That a capture gives what its conversation expects is the golden corpus's test, not this one's.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its corpus has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use sniffer_engine::testkit::pcap;
use sniffer_engine::testkit::talk::{Expectation, Talk};

fn conversations() -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus");
    let folders = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut found: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "talk")).collect();
    found.sort();
    assert!(found.len() >= 100, "only {} conversations found", found.len());
    found
}

fn parse(path: &Path) -> Talk {
    Talk::parse(&fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_conversation_claims_something_and_says_what_must_come_out() {
    for path in conversations() {
        let talk = parse(&path);
        assert!(!talk.title.is_empty() && !talk.prose.is_empty(), "{}: no title or no prose", path.display());
        let messages = |e: &Expectation| matches!(e, Expectation::Message(_) | Expectation::NoMessages);
        assert!(talk.expectations.iter().any(messages), "{}: no expectation", path.display());
    }
}

#[test]
fn every_capture_is_what_its_conversation_gives() {
    for path in conversations() {
        let bytes = pcap::file(&parse(&path).frames().unwrap()).unwrap();
        let committed = fs::read(path.with_extension("pcap")).unwrap_or_default();
        assert!(bytes == committed, "{}: its .pcap is another one; corpus/TALK.md says how it is made", path.display());
    }
}

#[test]
fn a_conversation_written_and_read_again_is_the_same() {
    for path in conversations() {
        let talk = parse(&path);
        let again =
            Talk::parse(&talk.to_string()).unwrap_or_else(|error| panic!("{}: {error}\n{talk}", path.display()));
        assert_eq!(again.frames().unwrap(), talk.frames().unwrap(), "{}", path.display());
        let shown = |talk: &Talk| talk.expectations.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&again), shown(&talk), "{}", path.display());
    }
}
