//! The formats beside JSON lines: HAR against its schema and an independent reader, curl commands
//! run in a shell, the counts of the summary, the order of `pretty`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use common::{capture, replay, text};
use serde_json::Value;

/// Replays a capture, which must succeed, and returns its output.
#[track_caller]
fn shown(format: &str, path: &std::path::Path) -> String {
    let output = replay(["-f", format, path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// A conversation with everything that is hard for a HAR, a curl command or a page.
const AWKWARD: &str = r##"# Awkward
>>>
| GET /a?x=1&y&z=%20#no HTTP/1.1
| Host: a.test
| Cookie: a=1; b="2"
| X-Quote: it's "quoted" $HOME `id` \\ !
| X-Empty:
|
<<<
| HTTP/1.1 200 OK
| Set-Cookie: sid=1; Path=/
| Content-Type: text/html; charset=utf-8
| Content-Length: 25
|
| <script>alert(1)</script>\
>>>
| POST /<b>?q='1' HTTP/1.1
| Host: <i>.test
| User-Agent: x
| Accept: */*
| Content-Type: application/octet-stream
| Content-Length: 4
|
| \0\xff\r\n\
<<<
| HTTP/1.1 302 Found
| Location: /elsewhere
| Content-Type: image/png
| Content-Length: 2
|
| \xff\xfe\
>>>
| PUT /text HTTP/1.0
| Host: a.test
| Content-Type: text/plain
| Content-Length: 15
|
| @it's\n\
| a $(test)\
<<<
| HTTP/1.1 100 Continue
|
| HTTP/1.1 500 Oh
| Content-Length: 0
|
>>>
| HEAD /head/[1-3]/\{a\}/../x HTTP/1.1
| Host: a.test
|
<<<
| HTTP/1.1 200 OK
| Content-Length: 100
|
>>>
| OPTIONS * HTTP/1.1
| Host: a.test
| X-Esc: a\x1b[2Jb
|
<<<
| HTTP/1.1 204 No Content
|
>>>
| GET /none HTTP/1.1
|
"##;

#[track_caller]
fn check_har(har: &str, name: &str) -> Value {
    let schema = std::fs::read_to_string(common::top().join("tests/har-1.2.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let value: Value = serde_json::from_str(har).unwrap_or_else(|error| panic!("{name}: {error}"));
    if let Some(error) = schema.iter_errors(&value).next() {
        panic!("{name}: {error} at {}", error.instance_path());
    }
    let read: har::Har = har::from_str(har).unwrap_or_else(|error| panic!("{name}: an independent reader: {error}"));
    let har::Spec::V1_2(log) = read.log else { panic!("{name}: not 1.2") };
    assert_eq!(log.entries.len(), value["log"]["entries"].as_array().unwrap().len());
    value
}

#[test]
fn every_capture_is_a_har_that_the_schema_and_another_reader_accept() {
    for name in common::captures() {
        let path = capture(&name);
        let output = replay(["-f", "har", path.to_str().unwrap()]);
        let value = check_har(text(&output.stdout), &name);
        let lines = common::messages(&replay(["-f", "jsonl", path.to_str().unwrap()]).stdout);
        let exchanges: std::collections::BTreeSet<_> =
            lines.iter().map(|message| (message["connection"].to_string(), message["exchange"].as_u64())).collect();
        let entries = value["log"]["entries"].as_array().unwrap();
        assert_eq!(entries.len(), exchanges.len(), "{name}: an entry an exchange");
    }
}

#[test]
fn a_har_has_requests_responses_and_remarks() {
    let file = common::talk(AWKWARD);
    let value = check_har(&shown("har", file.path()), "awkward");
    let entries = value["log"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 6);
    let get = &entries[0];
    assert_eq!(get["request"]["url"], "http://a.test/a?x=1&y&z=%20#no");
    let query: Vec<_> =
        get["request"]["queryString"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(query, ["x", "y", "z"]);
    assert_eq!(get["request"]["cookies"][1]["value"], "\"2\"");
    assert_eq!(get["response"]["cookies"][0]["name"], "sid");
    assert_eq!(get["response"]["content"]["text"], "<script>alert(1)</script>");
    assert_eq!(get["response"]["content"]["mimeType"], "text/html; charset=utf-8");
    let post = &entries[1];
    assert_eq!(
        (&post["request"]["postData"]["text"], &post["request"]["postData"]["comment"]),
        (&"AP8NCg==".into(), &"base64".into())
    );
    assert_eq!(post["response"]["content"]["encoding"], "base64");
    assert_eq!(post["response"]["redirectURL"], "/elsewhere");
    // Frames are a millisecond apart, and the response follows the request directly.
    assert_eq!((post["time"].as_f64(), post["timings"]["wait"].as_f64()), (Some(1.0), Some(1.0)));
    assert_eq!(entries[2]["comment"], "interim response 100");
    assert_eq!(entries[2]["request"]["httpVersion"], "HTTP/1.0");
    let none = &entries[5];
    assert_eq!(
        (&none["response"]["status"], &none["comment"]),
        (&0.into(), &"the final response is not in the capture".into())
    );
    assert_eq!(none["request"]["url"], "http://10.0.0.2/none".replace("10.0.0.2", "10.0.0.2:80"));
}

#[test]
fn an_empty_capture_is_an_empty_har() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.pcap");
    std::fs::write(&path, common::pcap(1, &[])).unwrap();
    let value = check_har(&shown("har", &path), "empty");
    assert_eq!(value["log"]["entries"].as_array().unwrap().len(), 0);
}

/// Returns the words of each command, as a shell parses them.
fn words(script: &str) -> Vec<Vec<u8>> {
    // A stub of curl prints each argument and a NUL, which no argument can contain.
    let script = format!("curl() {{ printf '%s\\0' \"$@\"; printf 'END\\0'; }}\n{script}");
    let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

#[test]
fn a_shell_parses_every_command_as_intended() {
    let file = common::talk(AWKWARD);
    let script = shown("curl", file.path());
    assert!(script.chars().all(|c| !c.is_control() || c == '\n'), "nothing that a terminal would obey: {script:?}");
    let words = words(&script);
    let has = |word: &[u8]| assert!(words.iter().any(|w| w == word), "{:?} in {script}", String::from_utf8_lossy(word));
    for word in [
        &b"x-quote: it's \"quoted\" $HOME `id` \\ !"[..],
        b"x-empty;",
        b"cookie: a=1; b=\"2\"",
        b"@it's\na $(test)",
        b"x-esc: a\x1b[2Jb",
        b"/a?x=1&y&z=%20#no",
        b"*",
        b"http://a.test/head/[1-3]/{a}/../x",
        b"::10.0.0.2:80",
        b"--head",
        b"--http1.0",
    ] {
        has(word);
    }
    assert_eq!(words.iter().filter(|word| *word == b"END").count(), 6, "a command a request: {script}");
}

#[test]
fn no_field_makes_curl_read_a_file() {
    let file = common::talk("# File\n>>>\n| GET / HTTP/1.1\n| @/etc/passwd: x\n| Host: a.test\n|\n");
    let words = words(&shown("curl", file.path()));
    assert!(words.iter().any(|word| word == b"http://a.test/"), "the command is there");
    assert!(words.iter().all(|word| !word.starts_with(b"@/")), "{words:?}");
}

/// Accepts one request, answers it and returns it.
fn served(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().unwrap();
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let head = request.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
        let length = head.and_then(|head| {
            let fields = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            fields.lines().find_map(|line| line.strip_prefix("content-length: ").map(|n| n.parse::<usize>().unwrap()))
        });
        if head.is_some_and(|head| request.len() >= head + length.unwrap_or(0)) {
            break;
        }
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the request ended early: {:?}", String::from_utf8_lossy(&request));
        request.extend_from_slice(&piece[..read]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    request
}

#[test]
#[ignore = "needs curl"]
fn curl_repeats_the_captured_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The same conversation with this listener as the server, without the fields that curl cannot
    // send.
    let text = AWKWARD.replace("\n| X-Esc: a\\x1b[2Jb", "").replace("Host: <i>.test", "Host: i.test");
    let text = text.replacen("\n>>>", &format!("\nconnection server=127.0.0.1:{port}\n>>>"), 1);
    let file = common::talk(&text);
    let script = shown("curl", file.path());
    let script: String = script.replace("curl ", "curl --silent --show-error --max-time 20 ");
    let sender = std::thread::spawn(move || Command::new("sh").arg("-c").arg(script).output().unwrap());
    let requests: Vec<_> = (0..6).map(|_| served(&listener)).collect();
    let output = sender.join().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = common::messages(&replay(["-f", "jsonl", file.path().to_str().unwrap()]).stdout);
    let sent = lines.iter().filter(|message| message["direction"] == "request");
    for (got, sent) in requests.iter().zip(sent) {
        let end = got.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&got[..end]).into_owned();
        let mut lines = head.trim_end().lines();
        let version = sent["httpVersion"].as_str().unwrap();
        let start = format!("{} {} HTTP/{version}", sent["method"].as_str().unwrap(), sent["path"].as_str().unwrap());
        assert_eq!(lines.next(), Some(start.as_str()));
        let mut fields: Vec<_> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
            .collect();
        let mut wanted: Vec<_> = sent["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(n, v)| (n.clone(), v.as_str().unwrap().to_owned()))
            .collect();
        // curl can leave out the host's name, but not the Host field (RFC 9112 §3.2 requires it).
        fields.retain(|(name, value)| name != "host" || !value.is_empty());
        fields.sort();
        wanted.sort();
        assert_eq!(fields, wanted, "{start}");
        assert_eq!(got[end..], common::body(sent), "{start}");
    }
}

#[test]
fn the_summary_counts_exchanges_by_endpoint_with_ids_left_out() {
    let mut conversation = String::from("# Orders\n");
    for n in 0..10 {
        // The pause makes the latency.
        conversation +=
            &format!(">>>\n| GET /orders/{n}?a={n} HTTP/1.1\n| Host: shop.test\n|\npause {}ms\n", (n + 1) * 10);
        let status = if n == 9 { "503 Oh" } else { "200 OK" };
        conversation += &format!("<<<\n| HTTP/1.1 {status}\n| Content-Length: 10\n|\n| 0123456789\\\n");
    }
    let file = common::talk(&conversation);
    let page = shown("summary", file.path());
    assert!(page.contains("exchanges    10 on 1 connections") && page.contains("0 B up, 100 B down"), "{page}");
    assert!(page.contains("\n  2xx") && page.contains("200×9") && page.contains("503×1"), "{page}");
    let row = page.lines().find(|line| line.contains("/orders/{n}")).unwrap_or_else(|| panic!("{page}"));
    let cells: Vec<_> = row.split_whitespace().collect();
    // Latencies are 10, 20 … 100 ms, plus 1 or 2 ms for the frames in between.
    assert_eq!(cells[..2], ["GET", "shop.test/orders/{n}"]);
    assert_eq!(cells[2..5], ["10", "–", "1"], "exchanges, 4xx, 5xx: {row}");
    let millis: Vec<f64> = [5, 7, 9].map(|at| cells[at].parse().unwrap()).to_vec();
    for (found, wanted) in millis.iter().zip([51.0, 91.0, 101.0]) {
        assert!((found - wanted).abs() <= 1.5, "{found} is about {wanted}: {row}");
    }
    assert!(page.contains("Lost nothing."), "{page}");
}

#[test]
fn the_page_is_one_file_that_fetches_nothing_and_escapes_everything() {
    let file = common::talk(AWKWARD);
    let page = shown("html", file.path());
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("&lt;b&gt;") && page.contains("&lt;i&gt;.test"), "what came from the wire is text");
    for word in ["<b>?", "<i>.test", "<script", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.matches("<svg").count() == 3 && page.matches("<rect").count() >= 5);
    for name in common::captures() {
        let output = replay(["-f", "html", capture(&name).to_str().unwrap()]);
        let page = text(&output.stdout);
        for (open, close) in [("<svg", "</svg>"), ("<table", "</table>"), ("<section", "</section>"), ("<td", "</td>")]
        {
            assert_eq!(page.matches(open).count(), page.matches(close).count(), "{name}: {open}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf\""), "{name}");
    }
}

#[test]
fn pretty_puts_a_response_below_its_request() {
    let file = common::talk(
        "# Two at once\nconnection [a]\nconnection [b]\n[a] >>>\n| GET /a HTTP/1.1\n| Host: h\n|\n[b] >>>\n| GET /b HTTP/1.1\n| Host: h\n|\n\
         [b] <<<\n| HTTP/1.1 200 OK\n| Content-Length: 0\n|\n[a] <<<\n| HTTP/1.1 404 No\n| Content-Length: 0\n|\n",
    );
    let page = shown("pretty", file.path());
    let lines: Vec<_> = page.lines().map(|line| line.get(17..).unwrap_or_default().to_owned()).collect();
    assert!(lines[1].starts_with("10.0.0.1:40001 → 10.0.0.2:80 #0  GET /b"), "{page}");
    assert_eq!(lines[2].trim_end(), format!("{:14} ←{:17}200 OK  0 B  1.00 ms", "", ""), "{page}");
    assert!(lines[3].contains("GET /a") && lines[4].contains("404 No"), "{page}");
}

#[test]
fn a_reader_that_closes_the_pipe_early_is_no_error() {
    let keepalive = capture("real/nginx-keepalive.pcap");
    let keepalive = keepalive.to_str().unwrap();
    let talk = capture("tcp/a-hole-in-a-body-is-a-gap-of-its-length.talk");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(keepalive, folder.path().join("x.pcap")).unwrap();
    for arguments in [
        &["replay", "-f", "summary", keepalive][..],
        &["replay", "-f", "html", keepalive],
        &["replay", "-f", "har", keepalive],
        &["replay", "-f", "curl", keepalive],
        &["replay", "--status", "200", keepalive],
        &["talk", talk.to_str().unwrap()],
        &["talk", "--from", keepalive],
        &["perturb", "--wrap", keepalive],
        &["why", "--frame", "4", keepalive],
        &["verify", "--accept", folder.path().to_str().unwrap()],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(common::binary()).args(arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn verbose_indents_json() {
    let file = common::talk("# JSON\n<<<\n| HTTP/1.1 200 OK\n| Content-Length: 16\n|\n| {\"b\":1.0,\"a\":[]}\\\n");
    let output = replay(["-f", "pretty", "-v", file.path().to_str().unwrap()]);
    assert!(
        text(&output.stdout).contains("    {\n      \"b\": 1.0,\n      \"a\": []\n    }\n"),
        "{}",
        text(&output.stdout)
    );
}
