//! The command line: options, exit codes, error messages.
//!
//! No test waits for time to pass. Broken files are in `tests/files.rs`, pipes and signals in
//! `tests/streams.rs`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::{capture, messages, replay, text};
use serde_json::{Map, Value};

/// Replays one capture of the corpus, which must succeed without a word on stderr.
#[track_caller]
fn on(name: &str, options: &[&str]) -> Vec<Map<String, Value>> {
    let path = capture(name);
    let output = replay(options.iter().copied().chain([path.to_str().unwrap()]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "all well is said by saying nothing");
    messages(&output.stdout)
}

/// Checks that a wrong call prints one line on stderr with these words, and nothing else.
#[track_caller]
fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let output = common::sniffer().args(arguments).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(text(&output.stdout), "");
    assert!(said.starts_with("sniffer: ") && said.trim_end().lines().count() == 1, "one line of ours: {said}");
    for word in words {
        assert!(said.contains(word), "{word:?} in {said}");
    }
}

const KEEPALIVE: &str = "real/nginx-keepalive.pcap";

#[test]
fn help_shows_every_option_and_examples() {
    for flag in ["-h", "--help"] {
        let output = replay([flag]);
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        for word in [
            "--port",
            "--format",
            "--output",
            "--max-body-size",
            "--no-decode",
            "--redact",
            "--frames",
            "--stats",
            "--verbose",
            "--no-progress",
            "Examples:",
            "tcpdump",
            "Exit codes:",
        ] {
            assert!(help.contains(word), "{word} in {help}");
        }
    }
}

#[test]
fn version_names_the_program() {
    let output = common::sniffer().arg("--version").output().unwrap();
    assert_eq!(text(&output.stdout), format!("sniffer {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn no_subcommand_gives_help_on_stderr_and_exit_1() {
    let output = common::sniffer().output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
    assert!(text(&output.stderr).contains("replay"));
}

#[test]
fn wrong_arguments_are_one_line_and_exit_1() {
    refused(&["replay"], 1, &["<FILE>", "sniffer replay --help"]);
    refused(&["reply", "x"], 1, &["reply", "replay"]);
    refused(&["replay", "--prot", "80", "x"], 1, &["--prot", "--port"]);
    refused(&["replay", "-p", "0", "x"], 1, &["--port", "1..=65535"]);
    refused(&["replay", "-p", "80,65536", "x"], 1, &["65536"]);
    refused(&["replay", "-f", "yaml", "x"], 1, &["yaml", "jsonl", "pretty"]);
    refused(&["replay", "--stats=xml", "x"], 1, &["xml", "json"]);
    refused(&["replay", "--max-body-size", "1M", "x"], 1, &["1M"]);
    refused(&["replay", "--redact", "cookie: a", "x"], 1, &["cookie: a"]);
    refused(&["replay", "-", "-"], 1, &["standard input", "once"]);
}

#[test]
fn port_keeps_connections_with_a_side_on_it_and_counts_the_rest() {
    assert_eq!(on(KEEPALIVE, &["-p", "18080"]).len(), 12);
    assert_eq!(on(KEEPALIVE, &["-p", "80,18080"]).len(), 12);
    assert_eq!(on(KEEPALIVE, &["--port=80", "--port=18080"]).len(), 12);
    let path = capture(KEEPALIVE);
    let output = replay(["-p", "80", "--stats=json", path.to_str().unwrap()]);
    assert_eq!(text(&output.stdout), "");
    let accounts = common::accounts(&output.stderr);
    assert_eq!(accounts["bytes"]["filtered"], accounts["payload"]);
}

#[test]
fn frames_come_only_when_asked_for_and_count_from_1() {
    assert!(on(KEEPALIVE, &[]).iter().all(|message| !message.contains_key("frames")));
    let with = on(KEEPALIVE, &["--frames"]);
    assert_eq!(with[0]["frames"], serde_json::json!([4]), "the three frames of the handshake come first");
}

#[test]
fn max_body_size_cuts_only_the_kept_body() {
    let whole = on(KEEPALIVE, &[]);
    for (limit, kept) in [("0", 0), ("5", 5), ("48", 48), ("1000000", 4096)] {
        let cut = on(KEEPALIVE, &["--max-body-size", limit]);
        assert_eq!(cut.len(), whole.len());
        let limit: u64 = limit.parse().unwrap();
        for (cut, whole) in cut.iter().zip(&whole) {
            assert_eq!(cut["bodySize"], whole["bodySize"]);
            assert_eq!(cut.contains_key("bodyTruncated"), whole["bodySize"].as_u64().unwrap() > limit);
            assert!(common::body(whole).starts_with(&common::body(cut)));
        }
        assert_eq!(cut.iter().map(|message| common::body(message).len()).max(), Some(kept));
    }
}

#[test]
fn no_decode_leaves_content_codings_alone() {
    let (decoded, raw) = (on("real/nginx-gzip.pcap.gz", &[]), on("real/nginx-gzip.pcap.gz", &["--no-decode"]));
    let mut codings = 0;
    for (decoded, raw) in decoded.iter().zip(&raw) {
        assert_eq!(decoded["bodySize"], raw["bodySize"]);
        assert!(!raw.contains_key("contentDecoded"));
        if decoded.contains_key("contentDecoded") {
            codings += 1;
            assert!(common::body(raw).starts_with(&[0x1f, 0x8b]), "gzip as it was on the wire");
            assert_eq!(common::body(raw).len() as u64, raw["bodySize"].as_u64().unwrap());
        }
    }
    assert!(codings > 0);
}

#[test]
fn redact_covers_headers_and_trailers_without_case() {
    let whole = on("real/node-trailers.pcap", &[]);
    let redacted = on("real/node-trailers.pcap", &["--redact", "Host,X-Checksum", "--redact=x-count"]);
    assert_eq!(redacted[0]["headers"]["host"], "[REDACTED]");
    assert_eq!(redacted[0]["trailers"]["x-checksum"], "[REDACTED]");
    assert_eq!(redacted[1]["trailers"]["x-count"], "[REDACTED]");
    assert_eq!(redacted[1]["trailers"]["x-done"], whole[1]["trailers"]["x-done"]);
    assert_eq!(redacted[0]["body"], whole[0]["body"]);
}

#[test]
fn several_files_are_one_timeline() {
    let (first, second) = (capture(KEEPALIVE), capture("real/nginx-head.pcap"));
    let both = replay(["--frames", second.to_str().unwrap(), first.to_str().unwrap()]);
    let both = messages(&both.stdout);
    assert_eq!(both.len(), on(KEEPALIVE, &[]).len() + on("real/nginx-head.pcap", &[]).len());
    let times: Vec<_> = both.iter().map(|message| message["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "by time, whatever the order of arguments: {times:?}");
}

#[test]
fn pretty_is_a_line_per_message_without_colours_in_a_file() {
    let path = capture(KEEPALIVE);
    let output = replay(["-f", "pretty", path.to_str().unwrap()]);
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 13, "a date and twelve messages");
    assert!(lines[0].contains("2026-11-23 UTC"));
    assert!(lines[1].ends_with("127.0.0.1:46386 → 127.0.0.1:18080 #0  GET /hello.txt"), "{}", lines[1]);
    assert!(lines[2].ends_with("200 OK  6 B  103 µs"), "{}", lines[2]);
    assert!(!text(&output.stdout).contains('\x1b'));
}

#[test]
fn verbose_adds_headers_and_bodies() {
    let path = capture(KEEPALIVE);
    let output = replay(["-f", "pretty", "-v", path.to_str().unwrap()]);
    let shown = text(&output.stdout);
    assert!(shown.contains("    host: 127.0.0.1:18080\n") && shown.contains("\n    hello\n"), "{shown}");
    assert!(shown.contains("    000000  "), "what is not text comes in hexadecimal");
}

#[test]
fn pretty_escapes_what_a_terminal_would_interpret() {
    let request = b"GET /a\x1b[2J\xc2\x9b1m HTTP/1.1\r\nhost: x\r\nx-evil: \x1b]0;owned\x07\r\ncontent-length: 8\r\n\r\n\x1b[31m\tb\r";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evil.pcap");
    fs::write(&path, common::pcap(101, &[common::segment(request)])).unwrap();
    let output = replay(["-f", "pretty", "-v", path.to_str().unwrap()]);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("/a\\x1b[2J") && shown.contains("\\x1b]0;owned\\x07") && shown.contains("\\x1b[31m\tb"),
        "{shown}"
    );
    assert!(shown.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "{shown:?}");
}

#[test]
fn stats_say_what_was_lost_and_when_there_was_nothing_to_see() {
    let said = |name: &str, options: &[&str]| {
        let path = capture(name);
        let output =
            replay(["--stats", "-o", "/dev/null"].iter().chain(options).copied().chain([path.to_str().unwrap()]));
        assert_eq!(output.status.code(), Some(0));
        text(&output.stderr).to_owned()
    };
    let well = said(KEEPALIVE, &[]);
    assert!(well.contains("every byte is accounted for") && well.ends_with("Lost nothing.\n"), "{well}");
    let lost = said("real/nginx-snaplen-heads.pcap", &[]);
    assert!(lost.contains("\nLost something: 52,296 bytes were missing"), "{lost}");
    let nothing = said(KEEPALIVE, &["-p", "80"]);
    assert!(nothing.contains("\nSaw nothing: ") && nothing.contains("on other ports"), "{nothing}");
}

#[test]
#[cfg(not(feature = "live"))]
fn without_live_capture_it_says_how_to_get_it() {
    refused(&["live", "-p", "80"], 1, &["--features live", "libpcap-dev"]);
    refused(&["interfaces"], 1, &["--features live"]);
}
