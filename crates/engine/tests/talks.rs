//! Checks every conversation of the corpus against its own `expect` lines.

use std::fs;
use std::path::{Path, PathBuf};

use sniffer_engine::config::Config;
use sniffer_engine::fuzzing::check;
use sniffer_packet::file::pcap;
use sniffer_testkit::talk::{Expectation, Talk};
use walkdir::WalkDir;

#[test]
fn every_conversation_gives_what_its_author_says() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus");
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in talks(&corpus) {
        count += 1;
        let name = path.strip_prefix(&corpus).unwrap().display().to_string();
        let talk = Talk::parse(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!talk.title.is_empty() && !talk.prose.is_empty(), "{name} has no title or no prose");
        let messages = |e: &Expectation| matches!(e, Expectation::Message(_) | Expectation::NoMessages);
        assert!(talk.expectations.iter().any(messages), "{name} expects nothing");
        let frames = talk.frames().unwrap_or_else(|error| panic!("{name}: {error}"));
        let committed = fs::read(path.with_extension("pcap")).unwrap_or_default();
        assert!(pcap::file(&frames).unwrap() == committed, "{name}: its .pcap is another; see CONTRIBUTING.md");
        let checked = check::run(&frames, Config::default());
        for difference in talk.differences(&checked.json(), &checked.columns()) {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    assert!(count >= 100, "only {count} conversations were found");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_conversation_written_and_read_again_is_the_same() {
    for path in talks(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus")) {
        let name = path.display();
        let talk = Talk::parse(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = Talk::parse(&talk.to_string()).unwrap_or_else(|error| panic!("{name}: {error}\n{talk}"));
        assert_eq!(again.frames().unwrap(), talk.frames().unwrap(), "{name}");
        let shown = |talk: &Talk| talk.expectations.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&again), shown(&talk), "{name}");
    }
}

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn talks(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let paths = WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "talk"))
}
