//! Compares the whole corpus with tshark: methods, targets, statuses and bodies. Each known
//! difference is listed with its reason; an entry that is no longer needed fails too.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use serde_json::Value;

const CUT: &str = "tshark shows no message whose body is cut";
const BEHIND: &str = "tshark finds nothing more in a direction behind a hole";
const DROPPED: &str = "tshark reads what the peer would have dropped";

/// Captures where tshark 4.0 differs from us, by a part of their name, with the reason.
const KNOWN: &[(&str, &str)] = &[
    ("a-gzip-that-is-cut-gives-what-it-decodes-to", CUT),
    (
        "a-bad-chunk-size-ends-the-message-and-resynchronises",
        "tshark reads chunk sizes as strtoul does: signs, 0x and all",
    ),
    ("a-gap-inside-a-chunk-is-counted", BEHIND),
    ("a-gap-over-a-chunk-line-resynchronises", BEHIND),
    ("a-length-repeated-alike-is-one-length", "tshark does not read `5, 5` (RFC 9110 §8.6)"),
    ("a-proxy-preamble-is-skipped", "tshark does not look behind a PROXY preamble on this port"),
    ("a-request-that-may-have-been-answered-in-a-gap-is-not-paired", BEHIND),
    ("a-refused-connect-stays-http", "tshark takes a connection for a tunnel after a CONNECT that was refused"),
    ("after-connect-the-tunnel-may-hold-http", "tshark leaves what is in a CONNECT tunnel to the port it names"),
    ("any-port-speaks-http", "tshark goes by ports"),
    ("any-token-is-a-method-and-the-target-is-verbatim", "tshark knows registered methods only"),
    ("chunked-before-another-coding-is-not-chunked", "tshark looks for chunked anywhere in Transfer-Encoding"),
    (
        "chunked-with-extensions-and-trailers",
        "tshark does not know `Chunked`: it compares codings with case (RFC 9112 §7 does not)",
    ),
    ("chunks-split-over-segments", "tshark loses the message when a segment starts inside a CRLF of the chunks"),
    ("differing-lengths-make-a-request-stop", "tshark takes the last of differing lengths"),
    (
        "pipelined-requests-pair-in-order",
        "tshark pairs every answer with the last request, so an answer to HEAD gets a body",
    ),
    ("the-rest-of-a-method-is-no-start-line", BEHIND),
    (
        "what-follows-a-connect-before-its-answer-is-of-the-tunnel",
        "tshark takes all of a connection for SSH, CONNECT too, once a banner went through it",
    ),
    ("white-space-before-the-colon-is-read-and-named", "tshark does not read `Content-Length :`"),
    ("four-tunnels-are-opened-and-a-fifth-is-not", "we stop at four tunnels"),
    ("nginx-client-abort", CUT),
    ("nginx-client-leaves", CUT),
    ("nginx-expect-refused", CUT),
    ("nginx-pipelined-head", "tshark pairs every answer with the last request, so an answer to HEAD waits for a body"),
    ("nginx-snaplen-heads", BEHIND),
    ("nginx-snaplen.pcap", "tshark shows heads that are cut; we count them"),
    ("a-capture-may-join-inside-a-body", BEHIND),
    ("a-fin-cuts-a-body-short", CUT),
    ("a-gap-in-a-head-resynchronises-at-the-next-start-line", BEHIND),
    ("a-hole-at-the-end-of-a-body-does-not-hide-the-next-message", BEHIND),
    ("a-hole-in-a-body-is-a-gap-of-its-length", BEHIND),
    (
        "a-joined-stream-starts-where-its-first-segment-stands",
        "tshark takes the first segment that it sees for the start, and what stands before it for old",
    ),
    ("a-lost-response-does-not-hide-the-next", BEHIND),
    (
        "a-port-may-be-used-again-with-any-number",
        "tshark takes a SYN with the number of the last one for its retransmission, and the data for one too",
    ),
    ("a-reset-at-the-exact-number-ends-the-connection", CUT),
    ("a-reused-port-shows-even-without-a-close", CUT),
    ("a-segment-without-ack-is-ignored", DROPPED),
    ("a-snapshot-length-leaves-holes-of-known-size", BEHIND),
    ("a-syn-inside-a-connection-changes-nothing", "tshark begins a new conversation at any SYN"),
    ("a-syn-may-follow-its-data", "tshark takes the first segment that it sees for the start"),
    ("an-ack-of-what-is-long-past-is-ignored", DROPPED),
    ("an-ack-of-what-was-never-sent-is-ignored", DROPPED),
    ("an-old-timestamp-is-ignored", DROPPED),
    ("an-unsolicited-md5-option-is-ignored", DROPPED),
    (
        "data-in-the-syn-that-is-not-acknowledged-comes-again",
        "tshark reads data of a SYN that the server did not take (RFC 7413)",
    ),
    ("the-end-of-the-capture-cuts-what-is-open", CUT),
    ("the-payload-of-a-reset-is-not-data", CUT),
];

/// The number of messages by start (`GET /target` or `200`) and body.
type Messages = BTreeMap<(String, Vec<u8>), usize>;

#[test]
#[ignore = "needs tshark"]
fn tshark_finds_the_same_messages() {
    let mut wrong = String::new();
    for capture in common::captures() {
        let reason = KNOWN.iter().find(|(name, _)| capture.contains(name));
        let differences = differences(&tsharks(&capture), &ours(&capture));
        match (differences.is_empty(), reason) {
            (false, None) => writeln!(wrong, "{capture}:\n{differences}").unwrap(),
            (true, Some((_, reason))) => writeln!(wrong, "{capture}: agrees, but is listed: {reason}").unwrap(),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn differences(theirs: &Messages, ours: &Messages) -> String {
    let mut text = String::new();
    for (sign, these, those) in [("tshark only", theirs, ours), ("we only", ours, theirs)] {
        for ((what, body), count) in these {
            if those.get(&(what.clone(), body.clone())) != Some(count) {
                let start = body[..body.len().min(40)].escape_ascii();
                writeln!(text, "  {sign}: {count} × {what}, {} bytes {start}", body.len()).unwrap();
            }
        }
    }
    text
}

fn ours(capture: &str) -> Messages {
    let path = common::capture(capture);
    let arguments = ["--no-decode", "--max-body-size", "100000000", path.to_str().unwrap()];
    let mut messages = Messages::new();
    for message in common::messages(&common::replay(arguments).stdout) {
        let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
        let what = match message.get("statusCode") {
            Some(status) => status.to_string(),
            None => format!("{} {}", text("method"), text("path")),
        };
        *messages.entry((what, common::body(&message))).or_default() += 1;
    }
    messages
}

fn tsharks(capture: &str) -> Messages {
    let mut command = Command::new("tshark");
    command.args(["-n", "-2", "-T", "jsonraw", "--no-duplicate-keys", "-r"]).arg(common::capture(capture));
    for option in ["tcp.reassemble_out_of_order:TRUE", "http.decompress_body:FALSE"] {
        command.args(["-o", option]);
    }
    for port in (18_080..18_085).chain([3000, 8080, 49_152]) {
        command.args(["-d", &format!("tcp.port=={port},http")]);
    }
    let output = command.output().unwrap();
    let packets: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let mut messages = Messages::new();
    for packet in packets.as_array().into_iter().flatten() {
        let layers = &packet["_source"]["layers"];
        // tshark writes several messages in one frame as a list.
        let https = match &layers["http"] {
            Value::Array(list) => list.iter().collect(),
            Value::Null => Vec::new(),
            one => vec![one],
        };
        for http in https {
            let text =
                |name: &str| raw(http, name).map(|bytes| bytes.iter().map(|&b| char::from(b)).collect::<String>());
            let what = match (text("http.request.method_raw"), text("http.response.code_raw")) {
                (Some(method), _) => {
                    let target = raw(http, "http.request.uri_raw").unwrap_or_default();
                    let latin = || target.iter().map(|&b| char::from(b)).collect();
                    format!("{method} {}", String::from_utf8(target.clone()).unwrap_or_else(|_| latin()))
                }
                (None, Some(status)) => status,
                (None, None) => continue,
            };
            let body = raw(http, "http.file_data_raw").or_else(|| raw(http, "data.data_raw")).unwrap_or_default();
            *messages.entry((what, body)).or_default() += 1;
        }
    }
    messages
}

/// Returns the bytes of a field at any depth of the tree: `"name_raw": ["hex", …]`.
fn raw(tree: &Value, name: &str) -> Option<Vec<u8>> {
    match tree {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let first = if value[0].is_array() { &value[0][0] } else { &value[0] };
            if key == name { first.as_str().map(unhex) } else { raw(value, name) }
        }),
        Value::Array(list) => list.iter().find_map(|value| raw(value, name)),
        _ => None,
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).filter_map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).ok()).collect()
}
