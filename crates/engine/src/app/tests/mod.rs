//! Conversations and their messages.
//!
//! The helper runs every case whole, byte by byte, cut at every place, and followed by other
//! messages. Expected values come from RFC 9112 and the stated policies.

mod gaps;
mod limits;
mod over;
mod smuggling;
mod tunnels;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::{Endpoint, FlowId, FlowKey, Side};
use sniffer_packet::time::Timestamp;

use crate::anomaly::AnomalySet;
use crate::app::Stack;
use crate::config::Config;
use crate::context::Context;
use crate::event::{Completion, Event, Flow, Sink};
use crate::http::{Direction, StartLine};
use crate::ledger::{Fate, Ledger};
use crate::stream::{Delivery, EndCause, GapCause, Retention, StreamBytes};

const CLIENT: Side = Side::Low;

/// Collects messages as text, one per line:
/// `0 GET /a [name=value] <body> {trailers} !anomaly ~incomplete -missing`.
#[derive(Default)]
struct Messages {
    open: [String; 2],
    body: [Vec<u8>; 2],
    missing: [u64; 2],
    done: Vec<String>,
    /// Frame numbers of each message's head.
    frames: Vec<Vec<u64>>,
    latencies: Vec<Option<u64>>,
    other: Vec<String>,
}

impl Sink for Messages {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head { about, head, frames, latency_nanos, .. } => {
                let exchange = about.exchange;
                self.frames.push(frames.iter().map(|stamp| stamp.number).collect());
                self.latencies.push(latency_nanos);
                let mut line = format!("{exchange} ");
                match head.start {
                    StartLine::Request { method, target } => {
                        write!(line, "{} {}", method.escape_ascii(), target.escape_ascii()).unwrap();
                    }
                    StartLine::Response { status, reason } => {
                        write!(line, "{status} {}", reason.escape_ascii()).unwrap()
                    }
                }
                for field in head.fields {
                    let framing = [&b"content-length"[..], b"transfer-encoding", b"host"];
                    if !framing.iter().any(|name| field.name.eq_ignore_ascii_case(name)) {
                        write!(line, " [{}={}]", field.name.escape_ascii(), field.value.escape_ascii()).unwrap();
                    }
                }
                self.open[about.direction.index()] = line;
            }
            Event::Body { about, bytes } => self.body[about.direction.index()].extend_from_slice(bytes),
            Event::Missing { about, bytes } => self.missing[about.direction.index()] += bytes,
            Event::Trailers { about, fields } => {
                let line = &mut self.body[about.direction.index()];
                for field in fields {
                    line.extend_from_slice(b"{");
                    line.extend_from_slice(field.name);
                    line.extend_from_slice(b"=");
                    line.extend_from_slice(field.value);
                    line.extend_from_slice(b"}");
                }
            }
            Event::End { about, completion, anomalies, .. } => self.end(about.direction, completion, anomalies),
            Event::Recognised { protocol, .. } => self.other.push(format!("{protocol:?}")),
            Event::Anomaly { anomaly, .. } => self.other.push(anomaly.name().to_owned()),
            Event::Closed { .. } => {}
        }
    }
}

impl Messages {
    fn end(&mut self, direction: Direction, completion: Completion, anomalies: AnomalySet) {
        let mut line = std::mem::take(&mut self.open[direction.index()]);
        let body = std::mem::take(&mut self.body[direction.index()]);
        if !body.is_empty() {
            write!(line, " <{}>", body.escape_ascii()).unwrap();
        }
        for anomaly in anomalies.iter() {
            write!(line, " !{anomaly}").unwrap();
        }
        if let Completion::Incomplete(why) = completion {
            write!(line, " ~{}", why.name()).unwrap();
        }
        let missing = std::mem::take(&mut self.missing[direction.index()]);
        if missing > 0 {
            write!(line, " -{missing}").unwrap();
        }
        self.done.push(line);
    }
}

/// One step of a conversation: bytes from one side, a gap in them, or their end.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    C(&'a [u8]),
    S(&'a [u8]),
    /// Bytes from the server, always in one segment: after a gap, reading resumes where a segment
    /// starts.
    Segment(&'a [u8]),
    Gap(Side, u64),
    End(Side, EndCause),
}
use Step::{C, End, Gap, S, Segment};

const FIN: Step<'_> = End(Side::High, EndCause::Fin);

/// The delivery of a step's bytes. Each step starts a segment.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// In pieces of at most this size.
    Pieces(usize),
    /// In two pieces, cut at this offset into the conversation.
    At(usize),
}

impl Cut {
    /// Returns the pieces of a step that starts at offset `start` into the conversation.
    fn of(self, bytes: &[u8], start: usize) -> Vec<&[u8]> {
        match self {
            Self::Pieces(size) => bytes.chunks(size).collect(),
            Self::At(place) if place > start && place < start + bytes.len() => {
                let (before, after) = bytes.split_at(place - start);
                vec![before, after]
            }
            Self::At(_) => vec![bytes],
        }
    }
}

const WHOLE: Cut = Cut::Pieces(1 << 20);
/// Longest conversation that is cut at every place: the work is quadratic.
const EVERY_PLACE_MAX: usize = 2_000;

/// The result of a conversation.
struct Ran {
    messages: Messages,
    ledger: Ledger,
    received: usize,
    /// Both directions are at a place where a message may start.
    between: bool,
}

fn run(steps: &[Step<'_>], cut: Cut, end: bool) -> Ran {
    run_with(&Config::default(), steps, cut, end)
}

fn run_with(config: &Config, steps: &[Step<'_>], cut: Cut, end: bool) -> Ran {
    let mut messages = Messages::default();
    let (ledger, received, between) = run_into(&mut messages, config, steps, cut, end);
    Ran { messages, ledger, received, between }
}

/// Delivers a conversation to a stack that reports to `sink`. Returns the ledger, the bytes
/// received, and whether both directions are at a place where a message may start.
fn run_into(sink: &mut dyn Sink, config: &Config, steps: &[Step<'_>], cut: Cut, end: bool) -> (Ledger, usize, bool) {
    let (mut ledger, mut connection) = (Ledger::default(), Stack::default());
    let port = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let (key, _) = FlowKey::of(&port(1), &port(2));
    let mut flow =
        Flow { id: FlowId::default(), slot: 0, key, first: Stamp::default(), server: Side::High, server_by_syn: false };
    let mut received = 0;
    let (account, counts) = ledger.tcp_mut();
    let mut cx = Context { flow: &mut flow, config, account, counts, sink, stamp: Stamp::default() };
    for (number, step) in (1..).zip(steps) {
        let (side, bytes, cut) = match *step {
            C(bytes) => (CLIENT, bytes, cut),
            S(bytes) => (CLIENT.other(), bytes, cut),
            Segment(bytes) => (CLIENT.other(), bytes, WHOLE),
            Gap(side, bytes) => {
                connection.deliver(side, Delivery::Gap { missing: bytes, cause: GapCause::Lost }, &mut cx);
                continue;
            }
            End(side, cause) => {
                connection.deliver(side, Delivery::End(cause), &mut cx);
                continue;
            }
        };
        let stamp = Stamp { number, time: Timestamp::from_nanos(number * 1_000), ..Stamp::default() };
        for (n, bytes) in cut.of(bytes, received).into_iter().enumerate() {
            connection.deliver(side, Delivery::Bytes(StreamBytes { bytes, stamp, boundary: n == 0 }), &mut cx);
        }
        received += bytes.len();
    }
    let between = [Side::Low, Side::High].iter().all(|&side| connection.retention(side) == Retention::Unacknowledged);
    if end {
        for side in [CLIENT, CLIENT.other()] {
            connection.deliver(side, Delivery::End(EndCause::EndOfCapture), &mut cx);
        }
    }
    ledger.tcp_mut().0.receive(received);
    assert_eq!(ledger.balance(), connection.held_payload() as i128, "every byte has one fate: {steps:?}");
    (ledger, received, between)
}

/// Checks every message of a conversation, in the order in which they end.
#[track_caller]
fn check(steps: &[Step<'_>], want: &[&str]) {
    let whole = run(steps, WHOLE, true);
    let every_place = if whole.received <= EVERY_PLACE_MAX { whole.received } else { 0 };
    let cuts = [WHOLE].into_iter().chain([1, 2, 3, 7, 64].map(Cut::Pieces)).chain((1..every_place).map(Cut::At));
    for cut in cuts {
        let ran = run(steps, cut, true);
        assert_eq!(ran.messages.done, want, "{cut:?}");
        assert_eq!(ran.messages.frames, whole.messages.frames, "frames, {cut:?}");
        assert_eq!(ran.ledger, whole.ledger, "accounts, {cut:?}");
    }
    // Messages that follow do not change complete ones, and are not swallowed by them.
    let before = run(steps, WHOLE, false);
    let behind = [C(b"GET /behind HTTP/1.1\r\n\r\n"), S(b"HTTP/1.1 299 Behind\r\nContent-Length: 0\r\n\r\n")];
    for cut in [WHOLE, Cut::Pieces(1)] {
        let after = run(&[steps, &behind].concat(), cut, false).messages.done;
        assert_eq!(after[..before.messages.done.len()], before.messages.done[..], "with messages behind, {cut:?}");
        if before.between {
            let more: Vec<_> = after[before.messages.done.len()..].iter().map(|line| line.split_once(' ')).collect();
            let texts: Vec<_> = more.iter().flatten().map(|(_, text)| *text).collect();
            assert_eq!(texts, ["GET /behind", "299 Behind"], "the messages behind, {cut:?}");
        }
    }
}

/// Checks a single request.
#[track_caller]
fn request(bytes: &[u8], want: &str) {
    check(&[C(bytes)], &[want]);
}

/// Checks a response to a plain GET, followed by an orderly close.
#[track_caller]
fn response(bytes: &[u8], want: &str) {
    check(&[C(b"GET /\x20HTTP/1.1\r\n\r\n"), S(bytes), FIN], &["0 GET /", want]);
}

#[test]
fn a_body_is_as_long_as_rfc_9112_6_3_says() {
    request(b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "0 POST /a <hello>");
    request(b"POST /a HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello", "0 POST /a <hello> !repeated-content-length");
    request(
        b"POST /a HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "0 POST /a <hello> !repeated-content-length",
    );
    request(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "0 POST /a <hello>");
    request(
        b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "0 POST /a <hello> !cl-and-te",
    );
    request(
        b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "0 POST /a <hello> !te-in-http10",
    );
    response(b"HTTP/1.1 200 OK\r\n\r\nuntil close", "0 200 OK <until close>");
    response(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "0 204 No Content");
    response(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "0 304 Not Modified");
    response(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nall of it",
        "0 200 OK <all of it> !cl-and-te !te-not-chunked",
    );
    response(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        "0 200 OK <ab> !unusual-transfer-encoding",
    );
    response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nab", "0 200 OK <ab> !unusual-transfer-encoding");
}

#[test]
fn an_invalid_length_is_named() {
    for (value, anomaly) in [
        ("5, 6", "conflicting-content-length"),
        ("+5", "invalid-content-length"),
        ("-5", "invalid-content-length"),
        ("0x5", "invalid-content-length"),
        ("5 5", "invalid-content-length"),
        ("", "invalid-content-length"),
        ("9223372036854775808", "invalid-content-length"),
        ("99999999999999999999999", "invalid-content-length"),
    ] {
        let head = format!("Content-Length: {value}\r\n\r\nhello");
        // Policy 12: a response is read to the close, a request stops until it resynchronises.
        response(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes(), &format!("0 200 OK <hello> !{anomaly}"));
        request(format!("POST / HTTP/1.1\r\n{head}").as_bytes(), &format!("0 POST / !{anomaly}"));
    }
}

#[test]
fn chunks_are_read_as_rfc_9112_7_1_says() {
    const HEAD: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, want) in [
        ("5\r\nhello\r\n0\r\n\r\n", "<hello>"),
        ("00005\r\nhello\r\n00\r\n\r\n", "<hello>"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "<0123456789>"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "<0123456789>"),
        ("5;ext=1;q=\"a;b\"\r\nhello\r\n0;last\r\n\r\n", "<hello>"),
        ("5 \r\nhello\r\n0\r\n\r\n", "<hello> !chunk-size-whitespace"),
        ("5\t \t\r\nhello\r\n0\r\n\r\n", "<hello> !chunk-size-whitespace"),
        ("5 ;a=b\r\nhello\r\n0\r\n\r\n", "<hello> !chunk-size-whitespace"),
        ("5\r\nhello\r\n\t0\t\r\n\r\n", "<hello> !chunk-size-whitespace"),
        ("5; a = b ; c\r\nhello\r\n0\r\n\r\n", "<hello>"),
        ("00000000000000000000000000000005\r\nhello\r\n00000000000000000000000000\r\n\r\n", "<hello>"),
        ("5 5\r\nhello\r\n", "!bad-chunk-size !chunk-size-whitespace"),
        ("5 \n\r\nhello", "<\\r\\nhel> !chunk-size-whitespace !bad-chunk-end !bare-lf"),
        ("7fffffffffffffff\r\nhello", "<hello> ~end"),
        ("007fffffffffffffff\r\nhello", "<hello> ~end"),
        ("8000000000000000\r\nhello", "!bad-chunk-size"),
        ("2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", "<hello{X-Sum=1}{Y=2}>"),
        ("5\nhello\n0\n\n", "<hello> !bare-lf"),
        (" 5\r\nhello\r\n0\r\n\r\n", "<hello> !chunk-size-whitespace"),
        ("5\r\nhelloX", "<hello> !bad-chunk-end"),
        ("5\r\nhello\rX", "<hello> !bad-chunk-end"),
        ("-5\r\nhello\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("+5\r\nhello\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("0x5\r\nhello\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("5_0\r\nhello\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("\r\n5\r\nhello\r\n", "!bad-chunk-size"),
        ("10000000000000005\r\nhello\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("ffffffffffffffff\r\nhello\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("5;a\rb\r\nhello\r\n", "!bad-chunk-size"),
    ] {
        request(format!("{HEAD}{body}").as_bytes(), &format!("0 POST / {want}"));
    }
    // A chunk line may be 16 KiB long.
    for (before, filler, behind, most) in
        [("5;", "x", "", 16_382), ("5", " ", "", 16_383), ("", " ", "5", 16_000), ("", "0", "5", 16_000)]
    {
        let line = |length| format!("{HEAD}{before}{}{behind}\r\nhello\r\n0\r\n\r\n", filler.repeat(length));
        for (length, bad) in [(most, false), (if most == 16_000 { 20_000 } else { most + 1 }, true)] {
            for cut in [WHOLE, Cut::Pieces(1000), Cut::Pieces(1)] {
                let ran = run(&[C(line(length).as_bytes())], cut, true);
                assert_eq!(ran.messages.done[0].contains("!bad-chunk-size"), bad, "{length} of {filler:?}, {cut:?}");
            }
        }
    }
}

#[test]
fn head_and_interim_responses_do_not_upset_the_pairing() {
    check(
        &[
            C(b"HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
            S(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ],
        &["0 HEAD /a", "1 GET /b", "0 200 OK", "1 103 Early Hints", "1 200 OK <ok>"],
    );
    check(
        &[
            C(b"PUT /a HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
            S(b"HTTP/1.1 100 Continue\r\n\r\n"),
            C(b"ok"),
            S(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"),
        ],
        &["0 100 Continue", "0 PUT /a [Expect=100-continue] <ok>", "0 201 Created"],
    );
}

#[test]
fn forbidden_syntax_is_read_and_named() {
    request(b"GET /a HTTP/1.1\nHost: x\nA: b\n\n", "0 GET /a [A=b] !bare-lf");
    request(
        b"GET /a HTTP/1.1\r\nA: b\r\n  c\r\n\td\r\nE: f\r\n\r\n",
        "0 GET /a [A=b\\r\\n  c\\r\\n\\td] [E=f] !obs-fold",
    );
    request(b"GET /a HTTP/1.1\r\nA : b\r\n\r\n", "0 GET /a [A=b] !space-before-colon");
    request(b"GET /a HTTP/1.1\r\nA: b\0c\r\n\r\n", "0 GET /a [A=b\\x00c] !nul-in-head");
    request(b"\r\n\r\nGET /a HTTP/1.1\r\n\r\n", "0 GET /a !leading-blank-line");
    request(b"GET  /a b  HTTP/1.1\r\n\r\n", "0 GET /a b !start-line-whitespace");
    request(b"GET /a HTTP/1.1\r\nno colon here\r\nA: b\r\n\r\n", "0 GET /a [A=b] !invalid-field-line");
    request(b"GET /a HTTP/1.1\r\n folded first\r\nA: b\r\n\r\n", "0 GET /a [A=b] !invalid-field-line");
    request(b"GET /a HTTP/1.1\r\nA(: b\r\n\r\n", "0 GET /a [A(=b] !invalid-field-name");
    request(b"GET /a HTTP/1.1\r\nA: b\rc\r\n\r\n", "0 GET /a [A=b\\rc] !bare-cr");
    request(b"GET /\xe9 HTTP/1.1\r\nA: \xe9\r\n\r\n", "0 GET /\\xe9 [A=\\xe9]");
    response(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "0 200 ");
    response(b"HTTP/1.1 404 N\xe9ant\r\nContent-Length: 0\r\n\r\n", "0 404 N\\xe9ant");
    response(b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", "0 200 OK !start-line-whitespace");
    response(b"HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n", "0 200 OK !start-line-whitespace");
    response(b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", "0 200 OK <ok> !space-before-colon");
}

#[test]
fn blank_lines_are_not_part_of_the_message_after_them() {
    // Frames are numbered as the steps, which are 1000 ns apart.
    let steps = [
        C(b"GET /a HTTP/1.1\r\n\r\n"),
        S(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\r\n"),
        C(b"\r\n"),
        C(b"\r"),
        C(b"\nGET /b HTTP/1.1\r\n"),
        C(b"\r\n"),
        S(b"\r\n"),
        S(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ];
    let odd = "!leading-blank-line";
    check(&steps, &["0 GET /a", "0 200 OK", &format!("1 GET /b {odd}"), &format!("1 200 OK {odd}")]);
    let ran = run(&steps, WHOLE, true);
    assert_eq!(ran.messages.frames, [vec![1], vec![2], vec![5, 6], vec![8]]);
    // Latency runs from the request's last byte, not from the blank line before the response.
    assert_eq!(ran.messages.latencies, [None, Some(1_000), None, Some(2_000)]);
    // After the last message they are part of no message.
    let ran = run(&[C(b"GET /a HTTP/1.1\r\n\r\n\r\n")], WHOLE, true);
    assert_eq!((ran.ledger.bytes(Fate::Framing), ran.ledger.bytes(Fate::Unparseable)), (2, 0));
}

#[test]
fn other_protocols_are_not_reported() {
    for (bytes, fate) in [
        (&b"OPTIONS rtsp://a/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"[..], Fate::NotHttp),
        (b"INVITE sip:a@b SIP/2.0\r\n\r\n", Fate::NotHttp),
        (b"RESPMOD icap://a/ ICAP/1.0\r\n\r\n", Fate::NotHttp),
        (b"GET /\r\n\r\n", Fate::NotHttp),
        (b"\x16\x03\x01\0\x01x", Fate::Tls),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", Fate::Http2),
    ] {
        for size in [1, 1000] {
            let ran = run(&[C(bytes)], Cut::Pieces(size), true);
            assert!(ran.messages.done.is_empty());
            assert_eq!(ran.ledger.bytes(fate), ran.received as u64, "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn http_inside_an_http_like_protocol_is_not_reported() {
    // ICAP (RFC 3507 §4.4) encapsulates whole HTTP heads, with which a segment may start.
    let steps = [
        C(b"RESPMOD icap://a/ ICAP/1.0\r\nEncapsulated: req-hdr=0, res-hdr=20, null-body=60\r\n\r\n"),
        C(b"GET / HTTP/1.1\r\n\r\n"),
        S(b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=20\r\n\r\n"),
        Segment(b"HTTP/1.1 204 No\r\n\r\n"),
    ];
    let ran = run(&steps, WHOLE, true);
    assert!(ran.messages.done.is_empty(), "{:?}", ran.messages.done);
    assert_eq!(ran.ledger.bytes(Fate::NotHttp), ran.received as u64);
}

#[test]
fn a_long_first_segment_is_decided_without_a_line_end() {
    // Found by fuzzing: the bytes waited for a line end until the end of the capture.
    let mut hello = vec![22, 3, 1, 0x10, 0];
    hello.resize(4_101, b'x');
    let ran = run(&[C(&hello)], WHOLE, true);
    assert_eq!(ran.messages.other, ["Tls"]);
    assert_eq!(ran.ledger.bytes(Fate::Tls), ran.received as u64);
}
