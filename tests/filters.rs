//! Filters and slices: which exchanges are chosen, and that a replay of a slice gives them again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{capture, messages, replay, sniffer, text};
use serde_json::{Map, Value};

/// Two connections for seven exchanges, each a case of its own for the filters.
const CONVERSATION: &str = "\
# Exchanges to choose from
connection [a] client=10.0.0.1:40000 server=10.0.0.2:80
connection [b] client=10.1.0.1:40001 server=10.0.0.3:8080
";

/// The conversation on them, with a pause of a minute in the middle.
fn conversation() -> String {
    CONVERSATION.to_owned()
        + r"
[a] >>>
| GET /api/1?full=1 HTTP/1.1
| Host: api.test
|
[a] <<<
| HTTP/1.1 200 OK
| Content-Length: 2
|
| ok\
[a] >>>
| POST /api/2 HTTP/1.1
| Host: API.test:80
| Authorization: Bearer one
| Content-Length: 3
|
| abc\
[a] <<<
| HTTP/1.1 503 Service Unavailable
| Content-Length: 0
|
pause 60s
[b] >>>
| GET /other HTTP/1.1
| Host: www.test:8080
| Authorization: Bearer one
|
[b] <<<
| HTTP/1.1 404 Not Found
| Content-Length: 0
|
[b] >>>
| PUT /continued HTTP/1.1
| Host: www.test
| Expect: 100-continue
| Content-Length: 3
|
[b] <<<
| HTTP/1.1 100 Continue
|
[b] >>>
| abc\
[b] <<<
| HTTP/1.1 201 Created
| Content-Length: 0
|
[b] >>>
| PUT /refused HTTP/1.1
| Host: www.test
| Content-Length: 6
|
| abc\
[b] <<<
| HTTP/1.1 413 Content Too Large
| Content-Length: 0
|
[b] >>>
| def\
[a] >>>
| GET /hangs HTTP/1.1
| Host: api.test
|
"
}

/// Returns method and path, or the status, of each message.
fn said(messages: &[Map<String, Value>]) -> Vec<String> {
    let said = |message: &Map<String, Value>| match message.get("statusCode") {
        Some(status) => status.to_string(),
        None => format!("{} {}", message["method"].as_str().unwrap(), message["path"].as_str().unwrap()),
    };
    messages.iter().map(said).collect()
}

#[track_caller]
fn chosen(options: &[&str], wanted: &[&str]) {
    let file = common::talk(&conversation());
    let output = replay(options.iter().map(AsRef::as_ref).chain([file.path().as_os_str()]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(said(&messages(&output.stdout)), wanted, "{options:?}");
}

#[test]
fn a_filter_on_requests_takes_their_responses_along() {
    chosen(&["--host", "api.test"], &["GET /api/1?full=1", "200", "POST /api/2", "503", "GET /hangs"]);
    chosen(&["--method", "post"], &["POST /api/2", "503"]);
    chosen(&["--path", "/api/*"], &["GET /api/1?full=1", "200", "POST /api/2", "503"]);
    chosen(&["--path", "/api/1"], &["GET /api/1?full=1", "200"]);
    chosen(&["--path", "*?full=*"], &["GET /api/1?full=1", "200"]);
}

#[test]
fn a_filter_on_statuses_takes_their_requests_along() {
    chosen(&["--status", "5xx"], &["POST /api/2", "503"]);
    chosen(&["--status", "404,500-599"], &["POST /api/2", "503", "GET /other", "404"]);
    // The interim response is complete before its request, so it is output first.
    chosen(&["--status", "100"], &["100", "PUT /continued", "201"]);
    chosen(&["--status", "201"], &["PUT /continued", "100", "201"]);
}

#[test]
fn a_response_that_is_complete_before_its_request_is_not_lost() {
    chosen(&["--path", "/refused"], &["PUT /refused", "413"]);
    chosen(&["--status", "413"], &["413", "PUT /refused"]);
}

#[test]
fn all_options_must_match_each_with_one_of_its_values() {
    chosen(&["--method", "GET,POST", "--status", "4xx"], &["GET /other", "404"]);
    chosen(&["--host", "api.test", "--status", "404"], &[]);
    chosen(&["--host", "*.test", "--method", "PUT", "--path", "/c*"], &["PUT /continued", "100", "201"]);
}

#[test]
fn endpoints_and_times_filter_too() {
    let b = ["GET /other", "404", "100", "PUT /continued", "201", "413", "PUT /refused"];
    chosen(&["--server", "10.0.0.3"], &b);
    chosen(&["--server", ":8080"], &b);
    chosen(&["--client", "10.1.0.0/16"], &b);
    chosen(&["--client", "10.0.0.1:40000", "--method", "POST"], &["POST /api/2", "503"]);
    chosen(&["--since", "2026-01-01T00:01:00Z"], &[&b[..], &["GET /hangs"]].concat());
    chosen(
        &["--since", "2026-01-01", "--until", "2026-01-01T00:01:00Z"],
        &["GET /api/1?full=1", "200", "POST /api/2", "503"],
    );
}

#[test]
fn a_response_without_its_request_is_chosen_by_what_it_shows() {
    let file = common::talk(
        "# Half\nconnection no-handshake only=server\n<<<\n| HTTP/1.1 500 Oh\n| Content-Length: 0\n|\n>>>\n| GET / HTTP/1.1\n|\n",
    );
    let file = file.path().to_str().unwrap();
    assert_eq!(said(&messages(&replay(["--status", "500", file]).stdout)), ["500"]);
    assert_eq!(said(&messages(&replay(["--server", ":80", file]).stdout)), ["500"]);
    assert_eq!(said(&messages(&replay(["--method", "GET", file]).stdout)), [""; 0]);
}

#[test]
fn a_wrong_value_says_what_is_allowed() {
    for (option, value, allowed) in [
        ("--status", "5x", "5xx"),
        ("--host", "http://a", "*.test"),
        ("--path", "api", "/api/*"),
        ("--since", "noon", "2026-02-21T12:00:00Z"),
        ("--client", "localhost", "10.0.0.0/8"),
    ] {
        let output = replay([option, value, "x.pcap"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(allowed) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn filters_choose_messages_and_never_change_them() {
    for name in common::captures() {
        let path = capture(&name);
        let path = path.to_str().unwrap();
        let all = messages(&replay([path]).stdout);
        let mut chosen = messages(&replay(["--path", "*", path]).stdout);
        chosen.extend(messages(&replay(["--status", "100-999", path]).stdout));
        let key = |message: &Map<String, Value>| serde_json::to_string(message).unwrap();
        let all: std::collections::BTreeSet<_> = all.iter().map(key).collect();
        let paired = chosen.iter().map(key).collect::<std::collections::BTreeSet<_>>();
        let unpaired: Vec<_> = all.difference(&paired).collect();
        assert!(paired.is_subset(&all), "{name}: nothing is made up");
        assert!(unpaired.is_empty(), "{name}: every request has a path, every response a status: {unpaired:?}");
    }
}

#[test]
fn a_slice_replayed_with_the_same_filter_gives_the_same_messages() {
    let folder = tempfile::tempdir().unwrap();
    let slice = folder.path().join("only.pcapng");
    let slice = slice.to_str().unwrap();
    let mut sliced = 0;
    for name in common::captures() {
        let path = capture(&name);
        let path = path.to_str().unwrap();
        for filter in [["--status", "2xx"], ["--method", "GET"]] {
            let first = replay([filter[0], filter[1], "--write-pcap", slice, path]);
            let second = replay([filter[0], filter[1], slice]);
            assert_eq!(first.status.code(), second.status.code(), "{name}");
            assert_eq!(text(&first.stdout), text(&second.stdout), "{name} {filter:?}");
            sliced += usize::from(!first.stdout.is_empty());
        }
    }
    assert!(sliced > 100, "{sliced}");
}

#[test]
fn a_slice_holds_only_the_frames_of_the_chosen_connections() {
    let file = common::talk(&conversation());
    let folder = tempfile::tempdir().unwrap();
    let slice = folder.path().join("only.pcapng");
    let (from, to) = (file.path().to_str().unwrap(), slice.to_str().unwrap());
    assert!(replay(["--status", "503", "--write-pcap", to, from]).status.success());
    // All of connection [a], with its handshake and the unanswered request, and nothing of [b].
    let all = said(&messages(&replay([to]).stdout));
    assert_eq!(all, ["GET /api/1?full=1", "200", "POST /api/2", "503", "GET /hangs"]);
    let none = replay(["--status", "599", "--write-pcap", to, from]);
    assert_eq!((none.status.code(), text(&none.stdout)), (Some(0), ""));
    let accounts = replay(["--stats=json", to]);
    assert_eq!(common::accounts(&accounts.stderr)["frames"], 0);
}

#[test]
fn a_slice_of_a_pipe_or_over_its_input_is_refused() {
    let file = common::talk(&conversation());
    let path = file.path().to_str().unwrap();
    let over = replay(["--write-pcap", path, path]);
    assert_eq!(over.status.code(), Some(1));
    let piped = sniffer().args(["replay", "--write-pcap", "x.pcapng", "-"]).write_stdin("").output().unwrap();
    assert_eq!(piped.status.code(), Some(1), "{}", text(&piped.stderr));
    assert!(text(&piped.stderr).contains("twice"));
}

#[test]
fn keyed_redaction_is_equal_for_equal_secrets_over_captures() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str, bytes: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // `TOKEN` is the HMAC-SHA256 of "Bearer one" under the first key.
    let (one, other) = (key("one", "0123456789abcdef\n"), key("other", "another key of ours"));
    let file = common::talk(&conversation());
    let tokens = |key: &str, path: &str| -> Vec<Value> {
        let output = replay(["--redact", "authorization", "--redact-keyed", key, path]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        messages(&output.stdout).iter().filter_map(|m| m["headers"].get("authorization").cloned()).collect()
    };
    let path = file.path().to_str().unwrap();
    let wanted = Value::from(TOKEN);
    assert_eq!(tokens(&one, path), [wanted.clone(), wanted.clone()]);
    assert_ne!(tokens(&other, path)[0], wanted);
    let cookies = common::talk(
        "# Cookies\n>>>\n| GET / HTTP/1.1\n| Host: a\n|\n<<<\n| HTTP/1.1 200 OK\n| Set-Cookie: sid=s3cret; Path=/; HttpOnly\n\
         | Content-Length: 0\n|\n>>>\n| GET / HTTP/1.1\n| Host: a\n| Cookie: theme=dark; sid=s3cret\n|\n",
    );
    let path = cookies.path().to_str().unwrap();
    let output = replay(["--redact", "cookie,set-cookie", "--redact-keyed", &one, path]);
    let messages = messages(&output.stdout);
    let given = messages[1]["headers"]["set-cookie"].as_str().unwrap();
    let sent = messages[2]["headers"]["cookie"].as_str().unwrap();
    let token = given.strip_prefix("sid=").unwrap().strip_suffix("; Path=/; HttpOnly").unwrap();
    assert!(sent.starts_with("theme=[REDACTED:") && sent.ends_with(&format!("; sid={token}")), "{given} {sent}");
    assert!(!text(&output.stdout).contains("s3cret"));
}

#[test]
fn a_key_that_can_be_guessed_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "short\n").unwrap();
    let key = file.path().to_str().unwrap();
    for (arguments, word) in [
        (&["--redact", "cookie", "--redact-keyed", key, "x"][..], "openssl rand"),
        (&["--redact", "cookie", "--redact-keyed", "/nowhere", "x"], "cannot read the key"),
        (&["--redact-keyed", key, "x"], "--redact"),
    ] {
        let output = replay(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(word), "{}", text(&output.stderr));
    }
}

/// The first 16 bytes of an HMAC-SHA256, computed with `openssl dgst -sha256 -hmac`.
const TOKEN: &str = "[REDACTED:b56295c6eb477c508bfcfee3492abb55]";
