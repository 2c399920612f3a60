//! Conversations to frames, in short tables. Frames are shown like tcpdump's: direction, flags,
//! relative numbers.

use sniffer_packet::frame::OwnedFrame;
use sniffer_packet::segment::Flags;

use super::*;

/// Shows a frame: `> S 0` is client, SYN, sequence number relative to the ISN; then payload length,
/// `a` and the relative acknowledgement number. For Ethernet and IPv4 without options.
fn shown(frame: &OwnedFrame) -> String {
    let b = &frame.bytes;
    let word = |at: usize| u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
    let client = b[29] == 1;
    let (isn, peer) = if client { (1_000_000, 5_000_000) } else { (5_000_000, 1_000_000) };
    let flags = Flags(b[47]);
    let names = [(Flags::SYN, "S"), (Flags::FIN, "F"), (Flags::RST, "R")];
    let names: String = names.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, name)| *name).collect();
    let len = frame.wire_len as usize - 34 - usize::from(b[46] >> 4) * 4;
    let mut text = format!("{} {names}{}", if client { '>' } else { '<' }, word(38).wrapping_sub(isn) as i32);
    if len > 0 {
        text += &format!("+{len}");
    }
    if flags.has(Flags::ACK) {
        text += &format!(" a{}", word(42).wrapping_sub(peer) as i32);
    }
    text
}

fn check(text: &str, expected: &str) {
    let talk = Talk::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let frames = talk.frames().unwrap_or_else(|error| panic!("{text}\n{error}"));
    let shown: Vec<String> = frames.iter().map(shown).collect();
    assert_eq!(shown.join(", "), expected, "{text}");
    let again = Talk::parse(&talk.to_string()).unwrap_or_else(|error| panic!("{talk}\n{error}"));
    assert_eq!(again.frames().unwrap(), frames, "written and read again:\n{talk}");
}

const OPEN: &str = "> S0, < S0 a1, > 1 a1";

#[test]
fn acknowledgements_ride_on_answers_and_go_alone_otherwise() {
    check(">>>\n| a\\\n<<<\n| bc\\\n", &format!("{OPEN}, > 1+1 a1, < 1+2 a2, > 2 a3"));
    check(">>>\n| a\\\npause 1s\n<<<\n| b\\\n", &format!("{OPEN}, > 1+1 a1, < 1 a2, < 1+1 a2, > 2 a2"));
    check(">>>\n| a\\\n>>>\n| b\\\n", &format!("{OPEN}, > 1+1 a1, < 1 a2, > 2+1 a1, < 1 a3"));
    check(">>> unacked\n| a\\\n", &format!("{OPEN}, > 1+1 a1"));
    check(">>> mss=2\n| abcdef\\\n", &format!("{OPEN}, > 1+2 a1, > 3+2 a1, < 1 a5, > 5+2 a1, < 1 a7"));
}

#[test]
fn closing_is_a_fin_from_both_and_a_last_ack() {
    check(">>>\n| a\\\nclose\n", &format!("{OPEN}, > 1+1 a1, < 1 a2, > F2 a1, < F1 a3, > 3 a2"));
    check("<<< fin\n| a\\\nclose\n", &format!("{OPEN}, < F1+1 a1, > F1 a3, < 3 a2"));
    check(">>> rst\n", &format!("{OPEN}, > R1 a1"));
}

#[test]
fn bytes_lost_from_the_capture_are_acknowledged_and_dropped_ones_are_not() {
    check(">>> lost\n| ab\\\n>>>\n| c\\\n", &format!("{OPEN}, < 1 a3, > 3+1 a1, < 1 a4"));
    check(">>> dropped\n| ab\\\n>>>\n| c\\\n", &format!("{OPEN}, > 1+2 a1, > 3+1 a1, < 1 a1"));
    check(">>> dropped\n| ab\\\n>>> again\n", &format!("{OPEN}, > 1+2 a1, > 1+2 a1, < 1 a3"));
}

#[test]
fn late_bytes_are_acknowledged_late_unless_only_their_capture_is_late() {
    check(
        ">>> late=2\n| ab\\\n>>>\n| c\\\n>>>\n| d\\\n",
        &format!("{OPEN}, > 3+1 a1, < 1 a1, > 1+2 a1, < 1 a4, > 4+1 a1, < 1 a5"),
    );
    check(">>> seen-late=1\n| ab\\\n<<<\n| c\\\n", &format!("{OPEN}, < 1+1 a3, > 1+2 a1, > 3 a2"));
    check(">>> late=9\n| a\\\n", &format!("{OPEN}, > 1+1 a1, < 1 a2"));
}

#[test]
fn copies_overlaps_and_holes_have_their_places() {
    check(">>> doubled\n| ab\\\n", &format!("{OPEN}, > 1+2 a1, > 1+2 a1, < 1 a3"));
    check(">>> doubled-after=1\n| ab\\\n", &format!("{OPEN}, > 1+2 a1, < 1 a3, > 1+2 a1"));
    check(">>>\n| ab\\\n>>> seq-1\n| bc\\\n", &format!("{OPEN}, > 1+2 a1, < 1 a3, > 2+2 a1, < 1 a4"));
    check(">>>\n| ab\\\n>>> again\n| XY\\\n", &format!("{OPEN}, > 1+2 a1, < 1 a3, > 1+2 a1, < 1 a3"));
    check(">>> seq+5\n| ab\\\n", &format!("{OPEN}, > 6+2 a1, < 1 a1"));
    check(">>> forged rst seq+100\n>>>\n| a\\\n", &format!("{OPEN}, > R101 a1, > 1+1 a1, < 1 a2"));
    check(">>>\n| a\\\n>>> keep-alive\n", &format!("{OPEN}, > 1+1 a1, < 1 a2, > 1 a1"));
}

#[test]
fn a_connection_opens_as_its_line_says() {
    check("connection no-handshake\n>>>\n| a\\\n", "> 1+1 a1, < 1 a2");
    check("connection by-hand\n>>> syn\n| a\\\n<<< syn\n>>> ack\n", "> S0+1, < S0 a2, > 2 a1");
    // Both send a SYN, and both acknowledge it with their SYN again (RFC 9293 §3.5, figure 7).
    check(
        "connection by-hand\n>>> syn unacked\n<<< syn no-ack unacked\n>>> syn unacked\n<<< syn unacked\n",
        "> S0, < S0, > S0 a1, < S0 a1",
    );
    check("connection only=client\n>>>\n| a\\\n<<<\n| b\\\n", "> S0, > 1 a1, > 1+1 a1, > 2 a2");
}

#[test]
fn time_follows_the_text() {
    let text = "start 2026-02-03T04:05:06Z\nstep 2ms\nconnection no-handshake\n>>>\n| a\\\npause -1s\n<<<\n| b\\\n";
    let frames = Talk::parse(text).unwrap().frames().unwrap();
    let times: Vec<i64> = frames.iter().map(|f| f.time.as_micros() as i64 / 1_000 - 1_770_091_506_000).collect();
    assert_eq!(times, [0, 2, 4 - 1_000, 6 - 1_000]);
}

#[test]
fn cuts_leave_the_length_on_the_wire() {
    let frames = |text: &str| Talk::parse(text).unwrap().frames().unwrap();
    let whole = frames("connection no-handshake\n>>>\n| abcdef\\\n")[0].clone();
    for text in
        ["connection no-handshake\n>>> cut=2\n| abcdef\\\n", "snaplen 56\nconnection no-handshake\n>>>\n| abcdef\\\n"]
    {
        let cut = &frames(text)[0];
        assert_eq!((cut.wire_len, &cut.bytes[..]), (whole.wire_len, &whole.bytes[..56]), "{text}");
        assert!(cut.is_cut());
    }
}

#[test]
fn an_error_names_the_line_its_text_and_what_is_allowed() {
    for (text, expected) in [
        ("hello", "line 1: \"hello\" is no directive; allowed: `>>> marks`"),
        ("\n>>> x\n| a", "line 2: \"x\" is no mark; allowed: syn"),
        (">>>", "line 1: nothing is sent; write payload lines"),
        ("[a] >>>\n| x", "line 1: [a] is not known; write `connection [a]` above"),
        ("[a", "line 1: `[` without `]`"),
        ("[a] pause 1s", "line 1: a name stands before"),
        ("pause 1s\n| x", "line 1: \"pause\" takes no payload lines"),
        ("pause soon", "line 1: pause: \"soon\" came; allowed: a whole number and a unit"),
        ("link token-ring", "line 1: \"token-ring\" is unknown; allowed: ethernet"),
        ("connection client=x", "line 1: connection: \"client=x\" came; allowed: [name], ipv6"),
        ("connection client=[::1]:1", "line 1: client and server must both be"),
        ("connection via=vlan", "line 1: \"vlan\" is unknown; allowed: vlan:ID"),
        ("connection\nconnection", "line 2: connection [] is defined"),
        ("precision ms", "line 1: precision: \"ms\" came; allowed: us or ns"),
        ("snaplen 0", "line 1: snaplen"),
        ("start now", "line 1: start: \"now\" came; allowed: RFC 3339"),
    ] {
        let error = Talk::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    for (text, expected) in [
        (">>>\n| {70000*x}", "line 1: a segment carries at most 65495 bytes, not 70002; add mss=1460"),
        (">>> mss=1\n| {200000*x}", "line 1: more than 100000 frames"),
        ("connection via=teredo\n>>> ack", "line 2: teredo cannot carry"),
        ("link raw\nconnection via=vlan:1\n>>> ack", "line 3: raw cannot carry"),
        ("pause -300000h\npause -300000h", "line 2: pause leaves"),
    ] {
        let error = Talk::parse(text).unwrap().frames().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

#[test]
fn no_text_panics() {
    // Lines of the language with any marks, some of them wrong: they get further than random bytes.
    let lines = [
        ">>>",
        "<<<",
        "[a] >>>",
        "[a] <<<",
        "close",
        "[a] close",
        "pause 1s",
        "pause -9h",
        "| abcdef",
        "|",
        "|\\",
        "| {3*x}",
        "| {gzip x}\\",
        "frame\n| x",
        "connection by-hand",
        "connection no-handshake",
        "snaplen 1",
        "link null",
        "expect x",
        "expect response 200",
        "step 0s",
        "| {",
        "\0",
        "\u{e9}",
    ];
    let marks = [
        "",
        "",
        "",
        "ack",
        "syn",
        "fin",
        "rst",
        "again",
        "seq-4294967295",
        "seq+3",
        "ack+4294967295",
        "late=1",
        "cut=0",
        "fragment=8",
        "fragments-conflict",
        "fragments-reversed",
        "mss=1",
        "urgent=0",
        "pad=1",
        "lost",
        "dropped",
        "forged",
        "seen-late=2",
        "doubled",
        "doubled-after=3",
        "no-ack",
        "unacked",
        "md5",
        "tsval-4294967295",
        "ttl=0",
        "length-zero",
        "keep-alive",
        "x",
    ];
    let mut played = 0;
    for seed in 0..20_000 {
        let mut rng = crate::rng::Rng::new(seed);
        let mut text = String::from("connection [a] timestamps extension-headers via=vxlan:1,vlan:2\n");
        for _ in 0..rng.between(1, 8) {
            let line = *rng.pick(&lines).unwrap();
            text += line;
            if line.ends_with(['>', '<']) {
                for _ in 0..rng.between(1, 3) {
                    text.push(' ');
                    text += rng.pick(&marks).unwrap();
                }
                text += if rng.chance(0.5) { "\n| payload" } else { "" };
            }
            text.push('\n');
        }
        let Ok(talk) = Talk::parse(&text) else { continue };
        let Ok(frames) = talk.frames() else { continue };
        played += usize::from(!frames.is_empty());
        assert_eq!(Talk::parse(&talk.to_string()).unwrap().frames().unwrap(), frames, "seed {seed}:\n{text}\n{talk}");
    }
    assert!(played > 1_000, "only {played} of the texts were conversations");
}

#[test]
fn the_nameless_connection_keeps_its_place_when_written() {
    // Found by fuzzing: without a line it was made after [p], with another port.
    let talk = Talk::parse(">>>\n| x\nconnection [p]\n").unwrap();
    let again = Talk::parse(&talk.to_string()).unwrap();
    assert_eq!(again.frames().unwrap(), talk.frames().unwrap(), "{talk}");
}

#[test]
fn an_expectation_is_read_as_it_was_written() {
    // The last two were found by fuzzing: keys of a start line, named again after it.
    for line in ["request GET / body none", "response 200 method x path /a", "request GET / key '|' direction |"] {
        let read = |line: &str| Talk::parse(&format!("expect {line}\n")).unwrap().expectations;
        let shown = read(line)[0].to_string();
        assert_eq!(read(&shown), read(line), "{line:?} was written as {shown:?}");
    }
}
