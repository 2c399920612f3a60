//! Heads beyond the limits (policy 19).

use super::*;

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

/// Runs steps with a limit of 64 bytes on heads: whole, byte by byte, and cut at every place.
#[track_caller]
fn check_short_limit(steps: &[Step<'_>]) {
    let mut config = Config::default();
    config.limits.head_bytes_max = 64;
    let whole = run_with(&config, steps, WHOLE, true);
    let cuts = [1, 2, 3, 63, 64, 65].map(Cut::Pieces);
    for cut in cuts.into_iter().chain((1..whole.received).map(Cut::At)) {
        let ran = run_with(&config, steps, cut, true);
        assert_eq!(ran.messages.done, whole.messages.done, "{cut:?} of {steps:?}");
        assert_eq!(ran.messages.frames, whole.messages.frames, "frames, {cut:?} of {steps:?}");
        assert_eq!(ran.messages.other, whole.messages.other, "other events, {cut:?} of {steps:?}");
        assert_eq!(ran.ledger, whole.ledger, "accounts, {cut:?} of {steps:?}");
    }
}

/// The first bytes up to the limit decide: later ones may or may not have come with them.
#[test]
fn a_start_line_that_crosses_the_limit_is_treated_the_same_however_it_is_cut() {
    let request = |length: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(length - 16));
    let response = |length: usize| format!("HTTP/1.1 200 {}\r\n", "a".repeat(length - 15));
    let long_method = |length: usize| format!("{} / HTTP/1.1\r\n", "M".repeat(length - 13));
    for blank in [0, 1, 60, 63, 64, 65] {
        for line_end in ["\n", "\r\n"] {
            let blank_lines = line_end.repeat(blank).into_bytes();
            let blank_lines = &blank_lines[..blank];
            for length in [18, 30].into_iter().chain(60..=70) {
                for rest in ["\r\n", "Content-Length: 2\r\n\r\nok"] {
                    let message = |line: String| [blank_lines, line.as_bytes(), rest.as_bytes()].concat();
                    let get = C(b"GET /\x20HTTP/1.1\r\n\r\n");
                    check_short_limit(&[C(&message(request(length)))]);
                    check_short_limit(&[C(&message(long_method(length)))]);
                    check_short_limit(&[get, S(&message(response(length))), FIN]);
                    // After a message, where the connection is known to speak HTTP.
                    check_short_limit(&[get, C(&message(request(length)))]);
                }
            }
        }
    }
}
