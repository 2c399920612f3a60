//! `sniffer talk` and `sniffer perturb`: text to capture and back, and the same messages over a
//! worse network.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{capture, captures, messages, replay, sniffer, text};

/// Captures that `talk --from` can only write frame by frame. Their outcome depends on a TCP
/// timestamp, on the acknowledgement number of a segment, on data in a SYN that the server did not
/// accept, or on a single fragment.
const FRAME_BY_FRAME: [&str; 5] = [
    "ip/of-conflicting-ipv4-fragments-the-first-copy-wins.pcap",
    "tcp/a-joined-stream-starts-where-its-first-segment-stands.pcap",
    "tcp/an-ack-of-what-is-long-past-is-ignored.pcap",
    "tcp/an-old-timestamp-is-ignored.pcap",
    "tcp/data-in-the-syn-that-is-not-acknowledged-comes-again.pcap",
];

fn run(arguments: &[&str]) -> Output {
    sniffer().args(arguments).output().unwrap()
}

/// Returns the messages between each two endpoints in order, without the keys that depend on the
/// capture.
#[track_caller]
fn essence(path: &Path) -> BTreeMap<String, Vec<String>> {
    let mut between: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mut message in messages(&replay(["--no-progress".as_ref(), path.as_os_str()]).stdout) {
        for key in ["timestamp", "latencyMs", "frames", "connection"] {
            message.remove(key);
        }
        let ends = format!("{} {}", message["destination"], message["receiver"]);
        between.entry(ends).or_default().push(serde_json::to_string(&message).unwrap());
    }
    between
}

#[test]
fn a_conversation_becomes_the_capture_that_is_committed_beside_it() {
    for name in captures() {
        let path = capture(&name);
        let conversation = path.with_extension("talk");
        if conversation.exists() {
            let output = run(&["talk", conversation.to_str().unwrap()]);
            assert!(output.stdout == fs::read(&path).unwrap(), "{name}");
        }
    }
}

#[test]
fn every_capture_written_as_text_and_played_back_gives_the_same_messages() {
    let folder = tempfile::tempdir().unwrap();
    let (written, played) = (folder.path().join("written.talk"), folder.path().join("played.pcap"));
    let mut frame_by_frame = Vec::new();
    for name in captures() {
        let path = capture(&name);
        let output = run(&["talk", "--from", path.to_str().unwrap(), "-o", written.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output.stderr));
        if text(&output.stderr).contains("frame by frame") {
            frame_by_frame.push(name.clone());
        }
        let output = run(&["talk", written.to_str().unwrap(), "-o", played.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output.stderr));
        assert_eq!(essence(&path), essence(&played), "{name}\n{}", fs::read_to_string(&written).unwrap());
    }
    let unexpected: Vec<_> = frame_by_frame.iter().filter(|name| !FRAME_BY_FRAME.contains(&name.as_str())).collect();
    // Further captures may need it as the corpus grows, but at most 5 %.
    assert!(unexpected.len() * 20 <= captures().len(), "{unexpected:#?}");
}

#[test]
fn a_capture_becomes_the_conversation_it_was_made_from() {
    let path = capture("tcp/a-hole-in-a-body-is-a-gap-of-its-length.pcap");
    let output = run(&["talk", "--from", path.to_str().unwrap()]);
    // The conversation that the capture was made from, in its shortest form.
    let expected = "\
# The conversation of a-hole-in-a-body-is-a-gap-of-its-length.pcap


>>>
| GET /a HTTP/1.1
| Host: a.test
|

<<<
| HTTP/1.1 200 OK
| Content-Length: 30
|
| 0123456789\\

<<< lost
| ..........\\

>>> ack

<<<
| 0123456789\\

>>>
| GET /b HTTP/1.1
| Host: a.test
|

<<<
| HTTP/1.1 200 OK
| Content-Length: 1
|
| b\\
";
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn segments_of_a_third_party_are_marked_forged() {
    for (name, expected) in [
        ("tcp/a-blind-reset-ends-nothing.pcap", "<<< rst forged seq+1000\n"),
        ("tcp/a-syn-inside-a-connection-changes-nothing.pcap", ">>> syn forged no-ack seq+7000\n"),
        ("tcp/an-unsolicited-md5-option-is-ignored.pcap", " md5"),
        ("tcp/a-later-copy-with-a-wrong-checksum-is-named.pcap", " bad-checksum"),
    ] {
        // The words of the original conversation, in any order.
        let words = |text: &str| -> Vec<String> {
            let mut words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            words.sort();
            words
        };
        let output = run(&["talk", "--from", capture(name).to_str().unwrap()]);
        let text = text(&output.stdout);
        let found = text.lines().any(|line| {
            if expected.starts_with(' ') { line.contains(expected) } else { words(line) == words(expected) }
        });
        assert!(found, "{expected:?} in\n{text}");
    }
}

#[test]
fn a_wrong_conversation_is_one_line_and_exit_1() {
    let said = |conversation: &str| {
        let output = sniffer().args(["talk", "-", "-o", "/dev/null"]).write_stdin(conversation).output().unwrap();
        (output.status.code(), text(&output.stderr).to_owned())
    };
    let (code, line) = said(">>> lots\n| x\n");
    assert_eq!(code, Some(1));
    assert!(line.starts_with("sniffer: -: line 1: ") && line.contains("lots") && line.lines().count() == 1, "{line}");
    for (arguments, code, word) in [
        (&["talk", "/nowhere.talk"][..], 2, "cannot read /nowhere.talk"),
        (&["talk"], 1, "FILE.talk"),
        (&["talk", "a", "--from", "b"], 1, "--from"),
        (&["talk", "--from", "/nowhere.pcap"], 2, "/nowhere.pcap"),
        (&["perturb", "x.pcap"], 1, "--reorder"),
        (&["perturb", "x.pcap", "--drop", "2"], 1, "0 to 1"),
        (&["perturb", "x.pcap", "--tunnel", "carrier-pigeon"], 1, "vxlan"),
    ] {
        let output = run(arguments);
        let line = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {line}");
        assert!(line.contains(word) && line.lines().count() == 1, "{arguments:?}: {line}");
    }
}

/// Perturbations that must not change the messages of a whole connection.
const LOSSLESS: [&[&str]; 8] = [
    &["--wrap"],
    &["--resegment"],
    &["--reorder=5"],
    &["--reorder-acks"],
    &["--duplicate"],
    &["--fragment=0.5"],
    &["--tunnel", "vlan:7,vxlan"],
    &["--wrap", "--resegment", "--reorder", "--duplicate", "--tunnel", "qinq,vlan,geneve:9"],
];

#[test]
fn a_worse_network_that_loses_nothing_gives_the_same_messages() {
    let folder = tempfile::tempdir().unwrap();
    let worse = folder.path().join("worse.pcap");
    // In midstream captures and after gaps, the first segment and the segment boundaries decide
    // where reading starts.
    let not_whole = ["midstream", "midbody", "snaplen", "lossy"];
    for name in
        captures().iter().filter(|name| name.starts_with("real/") && !not_whole.iter().any(|n| name.contains(n)))
    {
        let path = capture(name);
        let wanted = essence(&path);
        for (seed, kinds) in (1..).zip(LOSSLESS) {
            let seed = seed.to_string();
            let arguments = ["perturb", path.to_str().unwrap(), "--seed", &seed, "-o", worse.to_str().unwrap()];
            let output = run(&[&arguments, kinds].concat());
            assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output.stderr));
            assert_eq!(essence(&worse), wanted, "{name} {kinds:?} --seed {seed}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_frames() {
    let path = capture("real/nginx-keepalive.pcap");
    let frames =
        |seed: &str| run(&["perturb", path.to_str().unwrap(), "--seed", seed, "--reorder", "--drop", "0.2"]).stdout;
    assert_eq!(frames("7"), frames("7"));
    assert_ne!(frames("7"), frames("8"));
    assert!(frames("7").len() < fs::metadata(&path).unwrap().len() as usize, "some were dropped");
}

#[test]
fn several_link_types_make_a_pcapng_of_the_same_messages() {
    let folder = tempfile::tempdir().unwrap();
    let worse = folder.path().join("worse.pcap");
    let path = capture("real/two-interfaces.pcapng");
    let output = run(&["perturb", path.to_str().unwrap(), "--duplicate", "-o", worse.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(essence(&worse), essence(&path));
    let named = folder.path().join("named.pcapng");
    let talk = capture("tcp/a-hole-in-a-body-is-a-gap-of-its-length.talk");
    assert!(run(&["talk", talk.to_str().unwrap(), "-o", named.to_str().unwrap()]).status.success());
    assert_eq!(fs::read(&named).unwrap()[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    assert_eq!(essence(&named), essence(&talk.with_extension("pcap")));
}

#[test]
#[ignore = "needs tshark"]
fn tshark_reads_what_is_written_without_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pcapng");
    let name = path.to_str().unwrap();
    let talk = capture("ip/tunnels-over-udp-are-opened.talk");
    let capture = capture("real/nginx-keepalive.pcap");
    for arguments in [
        &["talk", talk.to_str().unwrap(), "-o", name][..],
        &["perturb", capture.to_str().unwrap(), "--fragment", "--tunnel", "vlan,vxlan", "-o", name],
        &["replay", "--status", "2xx", "--write-pcap", name, capture.to_str().unwrap()],
    ] {
        assert!(run(arguments).status.success(), "{arguments:?}");
        let output = Command::new("tshark").args(["-r", name, "-Y", "_ws.malformed"]).output().unwrap();
        let complaints: Vec<_> =
            text(&output.stderr).lines().filter(|line| !line.starts_with("Running as user")).collect();
        assert!(output.status.success() && complaints.is_empty(), "{arguments:?}: {complaints:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}: malformed");
    }
}

#[test]
fn a_damaged_capture_is_written_up_to_the_damage_and_exits_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pcap");
    let whole = fs::read(capture("real/nginx-keepalive.pcap")).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    for arguments in [&["talk", "--from", path.to_str().unwrap()][..], &["perturb", path.to_str().unwrap(), "--wrap"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stdout.is_empty() && text(&output.stderr).contains("damaged"), "{}", text(&output.stderr));
    }
}
