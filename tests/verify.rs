//! `sniffer verify` on a copy of the corpus: what passes, the report of a difference, `--accept`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;

use common::{capture, captures, replay, sniffer, text};

/// Copies some captures of the corpus to a new folder.
fn copy(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let to = folder.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(capture(name), to).unwrap();
    }
    folder
}

/// Runs `sniffer verify` and returns exit code and output. Nothing may be on stderr.
#[track_caller]
fn verify(folder: &Path, options: &[&str]) -> (i32, String) {
    let output = sniffer().arg("verify").arg(folder).args(options).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    (output.status.code().unwrap(), text(&output.stdout).to_owned())
}

const KEEPALIVE: &str = "real/nginx-keepalive.pcap";
const GAP: &str = "tcp/a-hole-in-a-body-is-a-gap-of-its-length.pcap";

#[test]
fn the_whole_corpus_is_new_then_accepted_then_the_same() {
    let all = captures();
    let names: Vec<_> = all.iter().map(String::as_str).collect();
    let folder = copy(&names);
    let (code, report) = verify(folder.path(), &[]);
    assert_eq!(code, 3);
    assert_eq!(report.lines().filter(|line| line.starts_with("NEW ")).count(), names.len());
    let (code, report) = verify(folder.path(), &["--accept"]);
    assert_eq!(code, 0, "{report}");
    let (code, report) = verify(folder.path(), &[]);
    assert_eq!((code, report), (0, format!("{0} captures: {0} passed\n", names.len())));
    for name in names {
        let golden = fs::read(folder.path().join(format!("{name}.jsonl"))).unwrap();
        let lines = replay([capture(name)]).stdout;
        let values = |bytes: &[u8]| -> Vec<serde_json::Value> {
            text(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        assert_eq!(values(&golden), values(&lines), "{name}: a golden file is what replay prints");
    }
}

#[test]
fn the_output_of_replay_is_a_golden_file() {
    let folder = copy(&[KEEPALIVE]);
    for options in [&[][..], &["--frames"]] {
        let lines = replay(options.iter().map(AsRef::as_ref).chain([capture(KEEPALIVE).as_os_str()])).stdout;
        fs::write(folder.path().join(format!("{KEEPALIVE}.jsonl")), lines).unwrap();
        assert_eq!(verify(folder.path(), &[]).0, 0, "{options:?}");
    }
}

/// Accepts a capture, changes its golden file, and returns the report of the next run.
#[track_caller]
fn after(name: &str, change: impl Fn(&str) -> String) -> (tempfile::TempDir, String) {
    let folder = copy(&[name]);
    verify(folder.path(), &["--accept"]);
    let path = folder.path().join(format!("{name}.jsonl"));
    let golden = fs::read_to_string(&path).unwrap();
    let changed = change(&golden);
    assert_ne!(golden, changed, "the test changes something");
    fs::write(&path, changed).unwrap();
    let (code, report) = verify(folder.path(), &[]);
    assert_eq!(code, 3, "{report}");
    (folder, report)
}

#[track_caller]
fn shows(report: &str, lines: &[&str]) {
    for line in lines {
        assert!(report.lines().any(|shown| shown.trim() == *line), "{line:?} in\n{report}");
    }
}

#[test]
fn a_difference_is_reported_by_message_and_field() {
    let (_folder, report) = after(KEEPALIVE, |golden| {
        golden
            .replacen("\"server\":\"nginx/1.22.1\",", "", 1)
            .replacen("\"accept\":\"*/*\"", "\"accept\":\"text/html\",\"x-gone\":\"1\"", 1)
            .replacen("\"body\":\"hello\\n\"", "\"body\":\"help\\n\"", 1)
    });
    shows(
        &report,
        &[
            "DIFF  real/nginx-keepalive.pcap",
            "message 1, request GET /hello.txt (frame 4):",
            "header accept: \"text/html\" → \"*/*\"",
            "header x-gone removed: \"1\"",
            "message 2, response 200 (frame 6):",
            "header server added: \"nginx/1.22.1\"",
            "body differs at byte 3 (was 5 bytes, is 6)",
            "-help",
            "+hello",
            "1 capture: 0 passed, 1 differ",
        ],
    );
}

#[test]
fn a_message_that_is_missing_or_new_does_not_make_the_others_differ() {
    let without_first = |golden: &str| golden.split_once('\n').unwrap().1.to_owned();
    let (_folder, report) = after(KEEPALIVE, without_first);
    shows(&report, &["message 1 is new: request GET /hello.txt (frame 4)"]);
    assert_eq!(report.lines().count(), 3, "{report}");
    let twice_first = |golden: &str| format!("{}\n{golden}", golden.split_once('\n').unwrap().0);
    let (_folder, report) = after(KEEPALIVE, twice_first);
    assert!(report.contains("is missing: request GET /hello.txt"), "{report}");
    assert_eq!(report.lines().count(), 3, "{report}");
}

#[test]
fn masks_hide_values_and_not_their_presence() {
    let folder = copy(&[KEEPALIVE]);
    fs::write(folder.path().join("verify.toml"), "mask = [\"timestamp\", \"headers.date\"]\n").unwrap();
    verify(folder.path(), &["--accept"]);
    let path = folder.path().join(format!("{KEEPALIVE}.jsonl"));
    let golden = fs::read_to_string(&path).unwrap();
    assert!(golden.contains("\"timestamp\":\"[MASKED]\"") && golden.contains("\"date\":\"[MASKED]\""));
    assert!(!golden.contains("Nov 2026 08:43"));
    // A golden file written without the mask still matches.
    fs::write(&path, golden.replacen("\"[MASKED]\"", "\"whenever\"", 1)).unwrap();
    assert_eq!(verify(folder.path(), &[]).0, 0);
    fs::write(&path, golden.replacen("\"date\":\"[MASKED]\",", "", 1)).unwrap();
    let (code, report) = verify(folder.path(), &[]);
    assert_eq!(code, 3);
    shows(&report, &["header date added: \"[MASKED]\""]);
}

#[test]
fn wrong_masks_are_one_line_and_exit_1() {
    let folder = copy(&[KEEPALIVE]);
    for (masks, word) in [("mask = [\"timestmap\"]", "timestmap"), ("masks = []", "masks"), ("mask = [", "line 1")] {
        fs::write(folder.path().join("verify.toml"), masks).unwrap();
        let output = sniffer().arg("verify").arg(folder.path()).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(word) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_damaged_capture_has_its_damage_in_its_golden_file() {
    let folder = copy(&[KEEPALIVE]);
    let path = folder.path().join(KEEPALIVE);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    fs::write(folder.path().join("empty.pcap"), "").unwrap();
    assert_eq!(verify(folder.path(), &["--accept"]).0, 0);
    assert_eq!(verify(folder.path(), &[]), (0, "2 captures: 2 passed\n".to_owned()));
    let golden = fs::read_to_string(folder.path().join(format!("{KEEPALIVE}.jsonl"))).unwrap();
    let last = golden.lines().last().unwrap();
    assert!(last.starts_with("{\"exit\":2,\"said\":[\"nginx-keepalive.pcap: damaged in record "), "{last}");
    fs::write(&path, whole).unwrap();
    let (code, report) = verify(folder.path(), &[]);
    assert!(code == 3 && report.contains("the end: {\"exit\":2") && report.contains("→ all well"), "{report}");
}

#[test]
fn accept_shows_what_it_accepts() {
    let (folder, before) = after(GAP, |golden| golden.replace("\"missingBytes\":10", "\"missingBytes\":11"));
    shows(&before, &["missingBytes: 11 → 10"]);
    let (code, report) = verify(folder.path(), &["--accept"]);
    assert_eq!(code, 0);
    shows(&report, &["missingBytes: 11 → 10", "1 capture: 0 passed, 1 differed and accepted"]);
    assert_eq!(verify(folder.path(), &["-v"]), (0, format!("PASS  {GAP}\n1 capture: 1 passed\n")));
}

#[test]
fn an_unreadable_file_is_exit_2_and_a_golden_file_without_capture_differs() {
    let folder = copy(&[KEEPALIVE]);
    verify(folder.path(), &["--accept"]);
    let golden = folder.path().join(format!("{KEEPALIVE}.jsonl"));
    fs::write(&golden, "not JSON\n").unwrap();
    let (code, report) = verify(folder.path(), &[]);
    assert!(code == 2 && report.contains("FAIL  real/nginx-keepalive.pcap: ") && report.contains("line 1"), "{report}");
    assert_eq!(verify(folder.path(), &["--accept"]).0, 0);
    fs::copy(&golden, folder.path().join("real/gone.pcap.jsonl")).unwrap();
    let (code, report) = verify(folder.path(), &[]);
    assert!(code == 3 && report.contains("GONE  real/gone.pcap.jsonl"), "{report}");
    for folder in ["/nowhere", tempfile::tempdir().unwrap().path().to_str().unwrap()] {
        let output = sniffer().args(["verify", folder]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
}

#[test]
fn junit_has_a_test_case_per_capture() {
    let (folder, _) = after(GAP, |golden| golden.replace("\"missingBytes\":10", "\"missingBytes\":11"));
    fs::copy(capture(KEEPALIVE), folder.path().join("new.pcap")).unwrap();
    let path = folder.path().join("out.xml");
    verify(folder.path(), &["--junit", path.to_str().unwrap()]);
    let xml = fs::read_to_string(&path).unwrap();
    assert!(xml.contains("tests=\"2\"") && xml.contains("failures=\"2\"") && xml.contains("errors=\"0\""), "{xml}");
    assert!(xml.contains(&format!("testcase name=\"{GAP}\"")) && xml.contains("missingBytes: 11 → 10"), "{xml}");
    assert!(xml.contains("message=\"no golden file\""), "{xml}");
}
