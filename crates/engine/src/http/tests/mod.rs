//! Conversations and the messages they are. Every case runs whole, byte by byte, cut at every place, and with messages
//! behind it, inside the helper, so that nobody forgets. Expected values come from RFC 9112 and the stated policies.

mod smuggling;
mod tunnels;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::anomaly::AnomalySet;
use crate::config::Config;
use crate::event::{Completion, Direction, Event, Flow, Sink, StartLine};
use crate::frame::Stamp;
use crate::key::{Endpoint, FlowId, FlowKey, Side};
use crate::ledger::{Fate, Ledger};
use crate::tcp::{Delivery, EndCause, GapCause};
use crate::time::Timestamp;

const CLIENT: Side = Side::Low;

/// Messages as text, one a line: `0 GET /a [name=value] <body> {trailers} !anomaly ~incomplete -missing`.
#[derive(Default)]
struct Messages {
    open: [String; 2],
    body: [Vec<u8>; 2],
    missing: [u64; 2],
    done: Vec<String>,
    /// Of each message's head: numbers of its frames.
    frames: Vec<Vec<u64>>,
    latencies: Vec<Option<u64>>,
    other: Vec<String>,
}

impl Sink for Messages {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head { about, exchange, head, frames, latency_nanos } => {
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
            Event::End { about, completion, anomalies } => self.end(about.direction, completion, anomalies),
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

/// What one side sends, or what is missing of it, or its end.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    C(&'a [u8]),
    S(&'a [u8]),
    /// From the server, in one segment whatever the pieces: where to go on after a gap depends on where segments start.
    Segment(&'a [u8]),
    Gap(Side, u64),
    End(Side, EndCause),
}
use Step::{C, End, Gap, S, Segment};

const FIN: Step<'_> = End(Side::High, EndCause::Fin);

/// How the bytes of a step are delivered; a step begins a segment.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// At most so many at a time.
    Pieces(usize),
    /// In two, so many bytes into the conversation.
    At(usize),
}

impl Cut {
    /// The pieces of a step whose first byte is the conversation's `start`th.
    fn of(self, bytes: &[u8], start: usize) -> Vec<&[u8]> {
        match self {
            Self::Pieces(size) => bytes.chunks(size).collect(),
            Self::At(place) if place > start && place < start + bytes.len() => {
                let (before, behind) = bytes.split_at(place - start);
                vec![before, behind]
            }
            Self::At(_) => vec![bytes],
        }
    }
}

const WHOLE: Cut = Cut::Pieces(1 << 20);
/// Conversations up to this many bytes are cut at every place: the work is quadratic.
const EVERY_PLACE_MAX: usize = 2_000;

/// What came of a conversation.
struct Ran {
    messages: Messages,
    ledger: Ledger,
    received: usize,
    /// Both directions stand where a message may start.
    between: bool,
}

fn run(steps: &[Step<'_>], cut: Cut, end: bool) -> Ran {
    run_with(&Config::default(), steps, cut, end)
}

fn run_with(config: &Config, steps: &[Step<'_>], cut: Cut, end: bool) -> Ran {
    let (mut messages, mut ledger, mut connection) = (Messages::default(), Ledger::default(), Connection::default());
    let port = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let (key, _) = FlowKey::of(port(1), port(2));
    let mut flow = Flow { id: FlowId::default(), slot: 0, key, first: Stamp::default(), server: Side::High };
    let mut received = 0;
    let mut cx = Context { flow: &mut flow, config, ledger: &mut ledger, sink: &mut messages, stamp: Stamp::default() };
    for (number, step) in (1..).zip(steps) {
        let (side, bytes, cut) = match *step {
            C(bytes) => (CLIENT, bytes, cut),
            S(bytes) => (CLIENT.other(), bytes, cut),
            Segment(bytes) => (CLIENT.other(), bytes, WHOLE),
            Gap(side, bytes) => {
                connection.deliver(side, Delivery::Gap { bytes, cause: GapCause::Lost }, &mut cx);
                continue;
            }
            End(side, cause) => {
                connection.deliver(side, Delivery::End(cause), &mut cx);
                continue;
            }
        };
        let stamp = Stamp { number, time: Timestamp::from_nanos(number * 1_000), ..Stamp::default() };
        for (n, piece) in cut.of(bytes, received).into_iter().enumerate() {
            connection.deliver(side, Delivery::Bytes { bytes: piece, stamp, starts_segment: n == 0 }, &mut cx);
        }
        received += bytes.len();
    }
    let between = connection.sides.iter().all(|stream| matches!(stream.state, stream::State::Start));
    if end {
        for side in [CLIENT, CLIENT.other()] {
            connection.deliver(side, Delivery::End(EndCause::EndOfCapture), &mut cx);
        }
    }
    ledger.received(received);
    assert_eq!(ledger.balance(), connection.held_payload() as i128, "every byte has one fate: {steps:?}");
    Ran { messages, ledger, received, between }
}

/// Every message of a conversation, in the order in which they end.
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
    // With bytes behind: what was whole is not changed by what follows it, and what is delimited does not swallow it.
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

/// One request, alone.
#[track_caller]
fn request(bytes: &[u8], want: &str) {
    check(&[C(bytes)], &[want]);
}

/// One response to a plain GET; the connection then ends in order.
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
fn a_length_that_is_none_is_named() {
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
        // A response is read to close, a request stops until it is resynchronised (policy 12).
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
    // A chunk line may have 16 KiB.
    for (before, filler, behind) in [("5;", "x", ""), ("5", " ", ""), ("", " ", "5"), ("", "0", "5")] {
        let line = |length| format!("{HEAD}{before}{}{behind}\r\nhello\r\n0\r\n\r\n", filler.repeat(length));
        for (length, bad) in [(16_000, false), (20_000, true)] {
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
fn a_tunnel_carries_no_messages_unless_they_are_plain() {
    const CONNECT: Step<'_> = C(b"CONNECT a:443 HTTP/1.1\r\n\r\n");
    const OK: Step<'_> = S(b"HTTP/1.1 200 Connected\r\nContent-Length: 9\r\n\r\n");
    check(
        &[CONNECT, OK, C(b"\x16\x03\x01\0\x05hello"), S(b"\x16\x03\x03\0\x01x")],
        &["0 CONNECT a:443", "0 200 Connected"],
    );
    check(&[CONNECT, OK, C(b"\x05binary"), S(b"SSH-2.0-x\r\n")], &["0 CONNECT a:443", "0 200 Connected"]);
    let ran = run(&[CONNECT, OK, C(b"\x05binary"), S(b"SSH-2.0-x\r\n")], Cut::Pieces(3), true);
    assert_eq!(ran.ledger.bytes(Fate::Tunnel), 7 + 11);
    check(
        &[CONNECT, OK, C(b"GET / HTTP/1.1\r\n\r\n"), S(b"HTTP/1.1 204 None\r\n\r\n")],
        &["0 CONNECT a:443", "0 200 Connected", "1 GET /", "1 204 None"],
    );
    // A refusal is a response like any other.
    check(&[CONNECT, S(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")], &["0 CONNECT a:443", "0 403 No <no>"]);
}

#[test]
fn behind_a_101_nothing_is_http() {
    let steps = [
        C(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        S(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        C(b"GET / HTTP/1.1\r\n\r\n"),
    ];
    let want = ["0 GET /chat [Upgrade=websocket]", "0 101 Switching Protocols [Upgrade=websocket]"];
    check(&steps, &want);
    let ran = run(&steps, Cut::Pieces(5), true);
    assert_eq!(ran.ledger.bytes(Fate::Tunnel), 36);
    assert_eq!(ran.messages.other, ["Tunnel"]);
}

#[test]
fn what_syntax_forbids_is_read_and_named() {
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
fn a_head_beyond_the_limits_is_cut_and_named() {
    let many = format!("GET /a HTTP/1.1\r\n{}\r\n", "Host: a\r\n".repeat(300));
    request(many.as_bytes(), "0 GET /a !too-many-fields");
    // Policy 19: 256 fields and 64 KiB at least.
    for (fields, odd) in [(256, ""), (257, " !too-many-fields")] {
        request(
            format!("GET /a HTTP/1.1\r\n{}\r\n", "Host: a\r\n".repeat(fields)).as_bytes(),
            &format!("0 GET /a{odd}"),
        );
    }
    for (more, odd) in [(0, ""), (1, " !head-too-large")] {
        let filler = "x".repeat((64 << 10) - "GET /a HTTP/1.1\r\nHost: \r\n\r\n".len() + more);
        let bytes = format!("GET /a HTTP/1.1\r\nHost: {filler}\r\n\r\n");
        request(bytes.as_bytes(), &format!("0 GET /a{odd}"));
    }
    let fits = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(60_000));
    request(fits.as_bytes(), &format!("0 GET /{}", "a".repeat(60_000)));
    let long = format!("POST /a HTTP/1.1\r\nContent-Length: 2\r\nHost: {}\r\nA: b\r\n\r\nok", "x".repeat(70_000));
    for size in [1 << 20, 1, 1000] {
        let ran = run(&[C(long.as_bytes())], Cut::Pieces(size), true);
        assert_eq!(ran.messages.done, ["0 POST /a <ok> !head-too-large"], "in pieces of {size}");
    }
    let ran = run(&[C(&vec![b'a'; 200_000])], Cut::Pieces(1000), true);
    assert!(ran.messages.done.is_empty());
    assert_eq!(ran.ledger.bytes(Fate::NotHttp), ran.received as u64);
}

#[test]
fn a_limit_of_ours_does_not_move_the_end_of_a_body() {
    // Fields beyond the limit are not reported, but the peer read them (RFC 9112 §6.3).
    let fields = "Host: a\r\n".repeat(300);
    request(
        format!("POST /a HTTP/1.1\r\n{fields}Content-Length: 2\r\nX: y\r\n\r\nok").as_bytes(),
        "0 POST /a <ok> !too-many-fields",
    );
    request(
        format!("POST /a HTTP/1.1\r\n{fields}Transfer-Encoding: gzip,\r\n chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            .as_bytes(),
        "0 POST /a <ok> !unusual-transfer-encoding !obs-fold !too-many-fields",
    );
    request(
        format!("POST /a HTTP/1.1\r\nContent-Length: 3\r\n{fields}Content-Length: 2\r\n\r\n").as_bytes(),
        "0 POST /a !conflicting-content-length !too-many-fields",
    );
    response(
        format!("HTTP/1.1 200 OK\r\n{fields} folded\r\nContent-Length: 2\r\n\r\nok").as_bytes(),
        "0 200 OK <ok> !obs-fold !too-many-fields",
    );
    // A head is cut at 64 KiB; what stands behind is looked at for what delimits the body.
    let long = format!("Host: {}\r\n", "x".repeat(66_000));
    for (fields, body, want) in [
        ("Content-Length: 2\r\n", "ok", "<ok> !head-too-large"),
        ("A: b\r\ncontent-length :\t2 \r\nC: d\r\n", "ok", "<ok> !space-before-colon !head-too-large"),
        ("Content-Length: 2\nA: b\n", "ok", "<ok> !bare-lf !head-too-large"),
        ("Transfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n", "<ok> !head-too-large"),
        ("Transfer-Encoding:\r\n chunked\r\n", "2\r\nok\r\n0\r\n\r\n", "<ok> !obs-fold !head-too-large"),
        ("Content-Length: 2\r\nContent-Length: 3\r\n", "", "!conflicting-content-length !head-too-large"),
        ("Content-Lengths: 2\r\nX-Content-Length: 3\r\n", "", "!head-too-large"),
    ] {
        let head = format!("POST /a HTTP/1.1\r\n{long}{fields}\r\n{body}");
        request(head.as_bytes(), &format!("0 POST /a {want}"));
    }
    // Also when it stands on both sides of the cut, or across it.
    for padding in (65_484..65_520).step_by(4) {
        let fill = "x".repeat(padding);
        let head = format!("POST /a HTTP/1.1\r\nHost: {fill}\r\nContent-Length: 2\r\nHost: {fill}\r\n\r\nok");
        request(head.as_bytes(), "0 POST /a <ok> !head-too-large");
    }
    let head = format!("POST /a HTTP/1.1\r\nContent-Length: 2\r\n{long}Content-Length: 2\r\n\r\nok");
    request(head.as_bytes(), "0 POST /a <ok> !repeated-content-length !head-too-large");
    // What a 101 or a 2xx to CONNECT does, it does with a long head too.
    check(
        &[
            C(b"CONNECT a:1 HTTP/1.1\r\n\r\n"),
            S(format!("HTTP/1.1 200 OK\r\n{long}\r\n\x05\x06").as_bytes()),
            C(b"\x05\x06"),
        ],
        &["0 CONNECT a:1", "0 200 OK !head-too-large"],
    );
}

#[test]
fn blank_lines_are_no_part_of_the_message_behind_them() {
    // Numbers of frames are those of the steps, which come 1000 ns apart.
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
    // From the request's last byte, not from the blank line, to the response's first.
    assert_eq!(ran.messages.latencies, [None, Some(1_000), None, Some(2_000)]);
    // Behind the last message there is nothing they could be part of.
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
fn what_a_relative_of_http_carries_is_not_reported() {
    // ICAP (RFC 3507 §4.4) encapsulates whole HTTP heads, and a segment may start with one.
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
fn a_gap_inside_a_body_of_known_length_is_counted_and_passed() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab";
    let next = Segment(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    let ask = C(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    let server = CLIENT.other();
    check(
        &[ask, S(head), Gap(server, 5), S(b"hij"), next],
        &["0 GET /a", "1 GET /b", "0 200 OK <abhij> ~gap -5", "1 201 Created"],
    );
    // Up to its end: the message is cut, the place is known.
    check(&[ask, S(head), Gap(server, 8), next], &["0 GET /a", "1 GET /b", "0 200 OK <ab> ~gap -8", "1 201 Created"]);
    // Beyond it: how many messages were in the hole is not known, so what follows answers nobody.
    check(&[ask, S(head), Gap(server, 9), next], &["0 GET /a", "1 GET /b", "0 200 OK <ab> ~gap -8", "2 201 Created"]);
    // In a chunk.
    let chunked = S(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nab");
    check(
        &[ask, chunked, Gap(server, 4), S(b"gh\r\n0\r\n\r\n"), next],
        &["0 GET /a", "1 GET /b", "0 200 OK <abgh> ~gap -4", "1 201 Created"],
    );
    check(&[ask, chunked, Gap(server, 9), next], &["0 GET /a", "1 GET /b", "0 200 OK <ab> ~gap", "2 201 Created"]);
    // Until close there is no other end.
    check(
        &[ask, S(b"HTTP/1.0 200 OK\r\n\r\nab"), Gap(server, 4), S(b"cd"), FIN],
        &["0 GET /a", "1 GET /b", "0 200 OK <abcd> ~gap -4"],
    );
}

#[test]
fn after_a_gap_a_message_starts_only_where_a_segment_does() {
    let server = CLIENT.other();
    check(
        &[
            C(b"GET /a HTTP/1.1\r\n\r\n"),
            S(b"HTTP/1.1 200 OK\r\nA"),
            Gap(server, 50),
            S(b"rest\r\nHTTP/1.1 200 Fake\r\n\r\n"),
            C(b"GET /b HTTP/1.1\r\n\r\n"),
            Segment(b"HTTP/1.1 200 Real\r\nContent-Length: 0\r\n\r\n"),
        ][..],
        &["0 GET /a", "1 GET /b", "1 200 Real"],
    );
}

#[test]
fn the_start_line_after_a_gap_may_be_split_over_segments() {
    let server = CLIENT.other();
    let ask = C(b"GET /a HTTP/1.1\r\n\r\n");
    let before = [ask, S(b"HTTP/1.1 200 OK\r\nA"), Gap(server, 50), C(b"GET /b HTTP/1.1\r\n\r\n")];
    let pieces = [Segment(b"HTT"), Segment(b"P/1.1 20"), Segment(b"4 No Content\r"), Segment(b"\n\r\n")];
    check(&[&before[..], &pieces].concat(), &["0 GET /a", "1 GET /b", "1 204 No Content"]);
    // What only looked like one is counted, and the search goes on; it may have been the answer to /b.
    let noise = [
        Segment(b"HTTP/1."),
        Segment(b"x is what it said\r\n"),
        Segment(b"HTTP"),
        Segment(b"HTTP/1.1 204 None\r\n\r\n"),
    ];
    check(&[&before[..], &noise].concat(), &["0 GET /a", "1 GET /b", "2 204 None"]);
}

#[test]
fn the_answer_to_a_head_that_was_lost_does_not_swallow_the_next() {
    let (client, next) = (CLIENT, Segment(b"HTTP/1.1 204 None\r\n\r\n"));
    for framing in ["", "Content-Length: 500\r\n"] {
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n");
        let lost = [C(b"HEAD /a HT"), Gap(client, 30), Segment(head.as_bytes()), C(b"GET /b HTTP/1.1\r\n\r\n"), next];
        check(&lost[..3], &["0 200 OK ~end"]);
        let ran = run(&lost, WHOLE, true);
        // Whether the second answers /b is not certain: the first might have been still under way when it was sent.
        assert_eq!(ran.messages.done, ["1 GET /b", "0 200 OK", "2 204 None"], "{framing}");
    }
    // Behind the first bytes of a body of known length it is content.
    let quoted = Segment(b"HTTP/1.1 204 None\r\n\r\n");
    check(
        &[Segment(b"HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\nab"), quoted],
        &["0 200 OK <abHTTP/1.1 204 None\\r\\n\\r\\n>"],
    );
}

#[test]
fn a_message_cut_by_the_end_says_why() {
    let server = CLIENT.other();
    let ask = C(b"GET /a HTTP/1.1\r\n\r\n");
    let half = S(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab");
    for (cause, why) in [
        (EndCause::Fin, "closed"),
        (EndCause::Reset, "closed"),
        (EndCause::Idle, "idle"),
        (EndCause::Evicted, "evicted"),
        (EndCause::EndOfCapture, "end"),
    ] {
        check(&[ask, half, End(server, cause)], &["0 GET /a", &format!("0 200 OK <ab> ~{why}")]);
    }
    // Only an orderly close ends a body without a length (RFC 9112 §8).
    check(
        &[ask, S(b"HTTP/1.1 200 OK\r\n\r\nab"), End(server, EndCause::Reset)],
        &["0 GET /a", "0 200 OK <ab> ~closed"],
    );
    // A head that was never whole is counted only.
    let ran = run(&[ask, S(b"HTTP/1.1 200 OK\r\nContent-Le"), FIN], WHOLE, true);
    assert_eq!((ran.messages.done.len(), ran.ledger.bytes(Fate::Unparseable)), (1, 27));
}

#[test]
fn a_proxy_preamble_is_skipped() {
    for preamble in
        [&b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c0123456789ab"]
    {
        let bytes = [preamble, b"GET /a HTTP/1.1\r\n\r\n"].concat();
        request(&bytes, "0 GET /a");
    }
}

#[test]
fn a_long_preamble_may_be_cut_anywhere() {
    // With TLVs a PROXY preamble is longer than a method can be, and need hold no LF. Found by fuzzing.
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x09\x00".to_vec();
    bytes.extend([b't'; 0x900]);
    let length = bytes.len();
    bytes.extend(b"GET /a HTTP/1.1\r\n\r\n");
    check(&[C(&bytes)], &["0 GET /a"]);
    for cut in [20, length - 1, length, length + 1, length + 5] {
        check(&[C(&bytes[..100]), C(&bytes[100..cut.max(100)]), C(&bytes[cut.max(100)..])], &["0 GET /a"]);
    }
}

#[test]
fn a_long_first_segment_is_looked_at_although_no_line_ends_in_it() {
    // Found by fuzzing: it waited for a line end, and at the end of the capture was nothing.
    let mut hello = vec![22, 3, 1, 0x10, 0];
    hello.resize(4_101, b'x');
    let ran = run(&[C(&hello)], WHOLE, true);
    assert_eq!(ran.messages.other, ["Tls"]);
    assert_eq!(ran.ledger.bytes(Fate::Tls), ran.received as u64);
}
