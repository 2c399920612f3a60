//! `sniffer why`: every fate of a frame, and the same answer as `replay --frames` over the corpus.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{capture, captures, messages, replay, sniffer, text};

/// Runs `sniffer why`, which must succeed, and returns its output on one line.
#[track_caller]
fn why(path: &Path, arguments: &[&str]) -> String {
    let output = sniffer().arg("why").arg(path).args(arguments).output().unwrap();
    let said = text(&output.stdout);
    assert!(output.stderr.is_empty() && output.status.success(), "{}", text(&output.stderr));
    assert!(said.lines().all(|line| line.chars().count() <= 200), "{said}");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn explains(conversation: &str, frame: u64, words: &[&str]) {
    let file = common::talk(conversation);
    let said = why(file.path(), &["--frame", &frame.to_string()]);
    for word in words {
        assert!(said.contains(word), "{word:?} in\n{said}");
    }
}

/// A response in two segments, captured in the wrong order. Frames 1 to 3 are the handshake, frame
/// 4 is the request.
const REORDERED: &str = "\
# Out of order
>>>
| GET /a HTTP/1.1
| Host: a.test
|
<<< late=1
| HTTP/1.1 200 OK
| Content-Length: 10
|
| 01234\\
<<<
| 56789\\
";

#[test]
fn a_frame_with_a_whole_message_names_it() {
    explains(
        REORDERED,
        4,
        &[
            "Frame 4 came at 2026-01-01T00:00:00.003000Z: 87 bytes of Ethernet, all captured.",
            "a TCP segment from 10.0.0.1:40000 to 10.0.0.2:80 (PSH ACK, seq 1000001, ack 5000001) with 33 bytes of payload.",
            "which frame 1 opened and whose server is 10.0.0.2:80.",
            "Counted with it: 33 as head.",
            "It carried a part of the request GET /a (exchange 0), which began in frame 4 and was whole with frame 4.",
        ],
    );
}

#[test]
fn a_frame_that_waits_names_the_frame_that_releases_it() {
    explains(
        REORDERED,
        5,
        &[
            "Its bytes waited, and went on with frame 6.",
            "a part of the response 200 (exchange 0), which began in frame 6 and was whole with frame 6.",
        ],
    );
    explains(REORDERED, 6, &["It let 5 bytes go on that had waited.", "Counted with it: 39 as head, 10 as body."]);
}

#[test]
fn a_syn_without_payload_opens_its_connection() {
    explains(REORDERED, 1, &["(SYN, seq 1000000) without payload.", "which it opened"]);
}

#[test]
fn a_retransmission_is_named() {
    let twice = ">>>\n| GET /a HTTP/1.1\n| Host: a.test\n|\n>>> again\n<<<\n| HTTP/1.1 204 No\n|\n";
    explains(
        &format!("# Twice\n{twice}"),
        6,
        &["Counted with it: 33 as seen before.", "It became part of no message."],
    );
}

#[test]
fn a_frame_that_is_not_tcp_cut_or_malformed_says_where() {
    let udp = "frame\n| {hex 020000000002020000000001 0800 4500001c 00000000 4011 0000 0a000001 0a000002 0035 0035 0008 0000}\\\n";
    explains(&format!("# UDP\n{udp}"), 1, &["It is well-formed and holds neither TCP nor a tunnel that is opened."]);
    let short = "frame\n| {hex 020000000002020000000001 0800 4500}\\\n";
    explains(&format!("# Short\n{short}"), 1, &["It is cut or malformed in the IP header"]);
    let cut = "<<< cut=50\n| HTTP/1.1 200 OK\n| Content-Length: 100\n|\n| {100*x}\\\n";
    // The head has 40 bytes: 17 + 21 + 2.
    explains(
        &format!("# Cut\nconnection no-handshake\n{cut}"),
        1,
        &[
            "of which the last 90 were not captured",
            "50 bytes of payload captured and 90 cut off",
            "40 as head, 10 as body",
            "incomplete (snaplen)",
        ],
    );
}

#[test]
fn a_fragment_is_followed_to_its_datagram() {
    let file = "# Fragments\nconnection no-handshake\n>>> fragment=24\n| GET /a HTTP/1.1\n| Host: a.test\n|\n";
    // The TCP header (20 bytes) and the payload (33 bytes) in fragments of 24 bytes.
    for frame in [1, 2, 3] {
        explains(
            file,
            frame,
            &[
                "It is a fragment of an IP datagram, which frame 3 made whole.",
                "a part of the request GET /a",
                "33 as head",
            ],
        );
    }
    let lost = "# Lost\nconnection no-handshake\n>>> fragment=24\n| GET /a HTTP/1.1\n| Host: a.test\n|\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lost.pcap");
    // Cuts the last fragment (14 + 20 + 5 bytes) and its acknowledgement (14 + 40 bytes), each with
    // its record header.
    let whole = std::fs::read(common::talk(lost).path()).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 16 - 39 - 16 - 54]).unwrap();
    assert!(why(&path, &["--frame", "1"]).contains("never became whole"));
}

#[test]
fn other_protocols_are_named() {
    explains(
        "# TLS\n>>>\n| {hex 16 0301 0005 01 000001 00}\\\n",
        4,
        &["it carries TLS", "10 as TLS", "part of no message"],
    );
}

#[test]
fn a_connection_lists_its_messages() {
    let path = capture("real/nginx-keepalive.pcap");
    let said = why(&path, &["--connection", "9fc96fb5c6ddc2fb"]);
    // The 20th frame acknowledges the last FIN, after which the connection was closed.
    for words in [
        "between the client 127.0.0.1:46386 and the server 127.0.0.1:18080. Frame 1 opened it; 19 frames of the capture are its own",
        "#0 request GET /hello.txt, from frame 4 to frame 4",
        "#0 response 200, from frame 6 to frame 6",
    ] {
        assert!(said.contains(words), "{words:?} in\n{said}");
    }
}

#[test]
fn every_frame_that_carried_a_message_says_so() {
    let mut asked = 0;
    for name in captures() {
        let path = capture(&name);
        let all = messages(&replay(["--frames".as_ref(), path.as_os_str()]).stdout);
        // The first, the middle and the last message; all of them would take minutes.
        let picked = [0, all.len() / 2, all.len().saturating_sub(1)];
        for message in picked.iter().filter_map(|&at| all.get(at)) {
            let what = match message.get("statusCode") {
                Some(status) => format!("the response {status} (exchange {})", message["exchange"]),
                None => format!("(exchange {})", message["exchange"]),
            };
            let frames = message["frames"].as_array().unwrap();
            for frame in [frames.first().unwrap(), frames.last().unwrap()] {
                let said = why(&path, &["--frame", &frame.to_string()]);
                assert!(said.contains(&what), "{name} frame {frame}: {what}\n{said}");
                assert!(said.contains(message["connection"].as_str().unwrap()), "{name} frame {frame}\n{said}");
                asked += 1;
            }
        }
    }
    assert!(asked > 300, "{asked}");
}

#[test]
fn an_unknown_frame_or_connection_is_one_line_and_exit_1() {
    let path = capture("real/nginx-keepalive.pcap");
    let path = path.to_str().unwrap();
    for (arguments, code, word) in [
        (&["why", path, "--frame", "999"][..], 1, "has 20"),
        (&["why", path, "--frame", "0"], 1, "0"),
        (&["why", path, "--connection", "abc"], 1, "abc"),
        (&["why", path], 1, "--frame"),
        (&["why", "-", "--frame", "1"], 1, "files"),
        (&["why", "/nowhere", "--frame", "1"], 2, "/nowhere"),
    ] {
        let output = sniffer().args(arguments).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(word) && said.lines().count() == 1 && output.stdout.is_empty(), "{said}");
    }
}

#[test]
fn every_subcommand_has_help_with_examples() {
    for command in ["replay", "talk", "perturb", "verify", "why"] {
        let output = sniffer().args([command, "--help"]).output().unwrap();
        let help = text(&output.stdout);
        assert!(
            output.status.success() && help.contains("Examples:") && help.contains("Exit codes:"),
            "{command}: {help}"
        );
        let output = sniffer().args([command, "--no-such-option"]).output().unwrap();
        let said = text(&output.stderr);
        assert!(said.contains(&format!("(see sniffer {command} --help)")) && said.lines().count() == 1, "{said}");
    }
}
