//! The catalogue of framing attacks: what makes one reader see another message than the next.
//!
//! Each row is read as RFC 9112 §6.3 and policies 12 to 14 say, and named. The cases are those of published research on
//! request smuggling, of llhttp's and h11's tests, and their neighbours.

use super::*;

/// A request with these fields (lines with their ends) and this body, and what it is read as.
#[track_caller]
fn post(fields: &str, body: &str, want: &str) {
    let bytes = format!("POST / HTTP/1.1\r\n{fields}\r\n{body}");
    request(bytes.as_bytes(), format!("0 POST / {want}").trim_end());
}

const CHUNKED: &str = "2\r\nok\r\n0\r\n\r\n";

#[test]
fn a_transfer_encoding_that_is_one_is_found() {
    for (field, odd) in [
        ("Transfer-Encoding: chunked", ""),
        ("tRANSFER-eNCODING: cHUNKED", ""),
        ("Transfer-Encoding:chunked", ""),
        ("Transfer-Encoding:\tchunked\t ", ""),
        ("Transfer-Encoding : chunked", "!space-before-colon"),
        ("Transfer-Encoding\t: chunked", "!space-before-colon"),
        ("Transfer-Encoding:\r\n chunked", "!obs-fold"),
        ("X: y\nTransfer-Encoding: chunked", "!bare-lf"),
        ("Transfer-Encoding: gzip, chunked", "!unusual-transfer-encoding"),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "!unusual-transfer-encoding"),
        ("Transfer-Encoding: identity, chunked", "!unusual-transfer-encoding"),
        // Identity does nothing, so chunked is the last coding that does something.
        ("Transfer-Encoding: chunked, identity", "!unusual-transfer-encoding"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "!unusual-transfer-encoding"),
        ("Transfer-Encoding: chunked, chunked", "!unusual-transfer-encoding"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "!unusual-transfer-encoding"),
        ("Transfer-Encoding:\r\nTransfer-Encoding: chunked", "!unusual-transfer-encoding"),
        ("Transfer-Encoding: , chunked", "!unusual-transfer-encoding"),
        // RFC 9110 §5.6.1: empty elements of a list mean nothing.
        ("Transfer-Encoding: chunked,", ""),
        ("Transfer-Encoding: chunked;q=1", "!unusual-transfer-encoding"),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", "!cl-and-te"),
        ("Transfer-Encoding: chunked\r\nContent-Length: x", "!cl-and-te"),
        ("Content-Length: 3\r\nContent-Length: 4\r\nTransfer-Encoding: chunked", "!cl-and-te"),
    ] {
        post(&format!("{field}\r\n"), CHUNKED, &fields_then("<ok>", field, odd));
    }
}

/// What the helper shows: fields that do not delimit, the body, the anomalies.
fn fields_then(body: &str, field: &str, odd: &str) -> String {
    let shown = if field.starts_with("X: y\n") { "[X=y] " } else { "" };
    format!("{shown}{body} {odd}")
}

#[test]
fn a_transfer_encoding_that_is_not_chunked_stops_a_request() {
    for field in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: chunkedchunked",
        "Transfer-Encoding: x chunked",
        "Transfer-Encoding: chunked abc",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: [chunked]",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: \x0cchunked",
        "Transfer-Encoding: chunked\x0b",
        "Transfer-Encoding: \u{a0}chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding:",
        "Transfer-Encoding: ,",
    ] {
        let odd = "!te-not-chunked";
        post(&format!("{field}\r\n"), CHUNKED, odd);
        // A response has no body's end but the connection's.
        let bytes = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n{CHUNKED}");
        response(bytes.as_bytes(), &format!("0 200 OK <{}> {odd}", CHUNKED.escape_default()));
        post(&format!("{field}\r\nContent-Length: 3\r\n"), CHUNKED, &format!("!cl-and-te {odd}"));
    }
    post("Transfer-Encoding: chunked\r\n  abc\r\n", CHUNKED, "!te-not-chunked !obs-fold");
    post("Transfer-Encoding: chunked\0\r\n", CHUNKED, "!te-not-chunked !nul-in-head");
    post("Transfer-Encoding: chu\rnked\r\n", CHUNKED, "!te-not-chunked !bare-cr");
}

#[test]
fn a_field_of_another_name_delimits_nothing() {
    for (field, shown) in [
        ("Transfer_Encoding: chunked", "[Transfer_Encoding=chunked]"),
        ("Transfer-Encodin: chunked", "[Transfer-Encodin=chunked]"),
        ("X-Transfer-Encoding: chunked", "[X-Transfer-Encoding=chunked]"),
        ("Transfer\u{2d}\u{2d}Encoding: chunked", "[Transfer--Encoding=chunked]"),
        ("Transfer-Encoding\0: chunked", "[Transfer-Encoding\\x00=chunked] !nul-in-head !invalid-field-name"),
        ("\0Transfer-Encoding: chunked", "[\\x00Transfer-Encoding=chunked] !nul-in-head !invalid-field-name"),
        ("Transfer Encoding: chunked", "[Transfer Encoding=chunked] !invalid-field-name"),
        ("Transfer-Encoding\x0b: chunked", "[Transfer-Encoding\\x0b=chunked] !invalid-field-name"),
        ("\x0bTransfer-Encoding: chunked", "[\\x0bTransfer-Encoding=chunked] !invalid-field-name"),
        ("X: y\rTransfer-Encoding: chunked", "[X=y\\rTransfer-Encoding: chunked] !bare-cr"),
        ("X:\rTransfer-Encoding: chunked", "[X=Transfer-Encoding: chunked] !bare-cr"),
        ("X: y\r\n Transfer-Encoding: chunked", "[X=y\\r\\n Transfer-Encoding: chunked] !obs-fold"),
        (" Transfer-Encoding: chunked", "!invalid-field-line"),
        ("\tContent-Length: 3", "!invalid-field-line"),
        ("Transfer-Encoding chunked", "!invalid-field-line"),
        ("Content-Length", "!invalid-field-line"),
        (": chunked", "!invalid-field-line"),
        (" : chunked", "!invalid-field-line"),
        ("Content_Length: 3", "[Content_Length=3]"),
        ("Content Length: 3", "[Content Length=3] !invalid-field-name"),
        ("Content\rLength: 3", "[Content\\rLength=3] !bare-cr !invalid-field-name"),
        ("Content-Length\u{a0}: 3", "[Content-Length\\xc2\\xa0=3] !invalid-field-name"),
    ] {
        post(&format!("{field}\r\n"), "", shown);
    }
}

#[test]
fn a_content_length_is_digits() {
    for (value, length) in
        [("2", 2), ("02", 2), ("0000000000000000000000000000002", 2), (" \t2 \t", 2), ("0", 0), ("00", 0)]
    {
        post(&format!("Content-Length:{value}\r\n"), &"ok"[..length], if length == 0 { "" } else { "<ok>" });
    }
    for value in [
        "+2",
        "-2",
        "-0",
        "+0",
        "2-",
        "0x2",
        "2h",
        "2 2",
        "2.0",
        "2e0",
        "2;",
        "2,",
        ",2",
        "2_0",
        "\"2\"",
        "\x0b2",
        "2\x0c",
        "\u{ff12}",
        "",
        " ",
        ",",
        "9223372036854775808",
        "18446744073709551616",
        "18446744073709551618",
    ] {
        post(&format!("Content-Length: {value}\r\n"), "ok", "!invalid-content-length");
    }
    post("Content-Length: 2\0\r\n", "ok", "!invalid-content-length !nul-in-head");
    post("Content-Length: 2\r\n 0\r\n", "ok", "!invalid-content-length !obs-fold");
    post("Content-Length: 2\rX: y\r\n", "ok", "!invalid-content-length !bare-cr");
    for (values, anomaly) in [
        ("2, 2", "<ok> !repeated-content-length"),
        ("2 , 02", "<ok> !repeated-content-length"),
        ("2\r\nContent-Length: 2\r\ncontent-length: 2", "<ok> !repeated-content-length"),
        ("2, 3", "!conflicting-content-length"),
        ("2\r\nContent-Length: 3", "!conflicting-content-length"),
        ("3\r\nContent-Length: 2", "!conflicting-content-length"),
        ("2\r\nContent-Length: x", "!invalid-content-length"),
        ("x\r\nContent-Length: 2", "!invalid-content-length"),
        ("2\r\nContent-Length:", "!invalid-content-length"),
    ] {
        post(&format!("Content-Length: {values}\r\n"), "ok", anomaly);
    }
    post("Content-Length : 2\r\n", "ok", "<ok> !space-before-colon");
    post("Content-Length:\r\n 2\r\n", "ok", "<ok> !obs-fold");
    post("X: y\nContent-Length: 2\r\n", "ok", "[X=y] <ok> !bare-lf");
    post("Content-Length: 9223372036854775807\r\n", "ok", "<ok> ~end");
}

#[test]
fn chunk_lines_are_not_guessed_at() {
    for (body, want) in [
        ("2;a\nok\r\n0\r\n\r\n", "<ok> !bare-lf"),
        ("2;a=\"\n\"ok\r\n", "<\\\"o> !bad-chunk-end !bare-lf"),
        ("2;a=\"\r\nok\r\n0\r\n\r\n", "<ok>"),
        ("2;\r\nok\r\n0\r\n\r\n", "<ok>"),
        ("2;;\r\nok\r\n0\r\n\r\n", "<ok>"),
        ("2\r\nok\r\n0;a\r\n\r\n", "<ok>"),
        ("2\r\nok\n0\r\n\r\n", "<ok> !bare-lf"),
        ("2\r\nok\r\n0\n\r\n", "<ok> !bare-lf"),
        ("2\r\nok\r\n0\r\n\n", "<ok> !bare-lf"),
        (
            "2\r\nok\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n",
            "<ok{Content-Length=5}{Transfer-Encoding=x}>",
        ),
        (
            "2\r\nok\r\n0\r\nA : b\r\n c\r\nnone\r\n\r\n",
            "<ok{A=b\\r\\n c}> !obs-fold !space-before-colon !invalid-field-line",
        ),
        ("2\r\nok\r\n0\r\nGET /x HTTP/1.1\r\n\r\n", "<ok> !invalid-field-line"),
        ("2\r\rok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("2\rok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("2;\r\rok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("2;a\rb\r\nok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("2\0\r\nok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("2\x0b\r\nok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("2,\r\nok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("2 ok\r\n0\r\n\r\n", "!bad-chunk-size !chunk-size-whitespace"),
        ("0_2\r\nok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("2h\r\nok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("g\r\nok\r\n0\r\n\r\n", "!bad-chunk-size"),
        (";a\r\nok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("\nok\r\n0\r\n\r\n", "!bad-chunk-size"),
        ("2\r\nok0\r\n\r\n", "<ok> !bad-chunk-end"),
        ("2\r\nokxx0\r\n\r\n", "<ok> !bad-chunk-end"),
        ("2\r\nok\r\r\n0\r\n\r\n", "<ok> !bad-chunk-end"),
        ("2\r\nok\r\n\r\n0\r\n\r\n", "<ok> !bad-chunk-size"),
        ("2\r\nok\r\n-0\r\n\r\n", "<ok> !bad-chunk-size"),
        ("2\r\nok\r\n", "<ok> ~end"),
        ("2\r\nok\r\n0\r\n", "<ok> ~end"),
        ("2\r\nok\r\n0\r\nA: b\r\n", "<ok> ~end"),
    ] {
        post("Transfer-Encoding: chunked\r\n", body, want);
    }
}

#[test]
fn what_has_no_body_has_none_whatever_its_fields_say() {
    // RFC 9112 §6.3, 1 and 2; what follows is the next message.
    let next = b"HTTP/1.1 200 Next\r\nContent-Length: 0\r\n\r\n";
    for fields in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: x\r\n"] {
        for (ask, status) in [("GET", 204), ("GET", 304), ("HEAD", 200), ("HEAD", 404), ("POST", 204)] {
            let asked = format!("{ask} / HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
            let answer = [format!("HTTP/1.1 {status} X\r\n{fields}\r\n").as_bytes(), next].concat();
            let want = [format!("0 {ask} /"), "1 GET /b".into(), format!("0 {status} X"), "1 200 Next".into()];
            check(&[C(asked.as_bytes()), S(&answer)], &want.each_ref().map(String::as_str));
        }
        let answer = [format!("HTTP/1.1 102 X\r\n{fields}\r\n").as_bytes(), next].concat();
        check(&[C(b"GET / HTTP/1.1\r\n\r\n"), S(&answer)], &["0 GET /", "0 102 X", "0 200 Next"]);
    }
    // A request has the body that its fields say, whatever its method (RFC 9112 §6).
    request(b"GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\nok", "0 GET / <ok>");
    request(b"HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "0 HEAD / <ok>");
    request(b"CONNECT a:1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nok", "0 CONNECT a:1 <ok>");
    // 205 has no content, but is framed as any other (RFC 9110 §15.3.6).
    response(b"HTTP/1.1 205 Reset\r\nContent-Length: 2\r\n\r\nok", "0 205 Reset <ok>");
}

#[test]
fn start_lines_are_read_leniently_and_named() {
    for (line, want) in [
        ("get / HTTP/1.1", "0 get /"),
        ("!#$%&'*+-.^_`|~9 / HTTP/1.1", "0 !#$%&\\'*+-.^_`|~9 /"),
        ("GET http://a.test:80/x?y#z HTTP/1.1", "0 GET http://a.test:80/x?y#z"),
        ("OPTIONS * HTTP/1.1", "0 OPTIONS *"),
        ("CONNECT a.test:443 HTTP/1.1", "0 CONNECT a.test:443"),
        ("GET / HTTP/1.2", "0 GET /"),
        ("GET / HTTP/1.9", "0 GET /"),
        ("GET / HTTP/1.1 ", "0 GET / !start-line-whitespace"),
        ("GET\t/ HTTP/1.1", "0 GET / !start-line-whitespace"),
        ("GET /\tHTTP/1.1", "0 GET / !start-line-whitespace"),
        ("GET  / HTTP/1.1", "0 GET / !start-line-whitespace"),
        ("GET /a b HTTP/1.1", "0 GET /a b !start-line-whitespace"),
        ("GET /a HTTP/1.1 HTTP/1.1", "0 GET /a HTTP/1.1 !start-line-whitespace"),
        ("GET /a\0b HTTP/1.1", "0 GET /a\\x00b !nul-in-head"),
        ("GET /a\rb HTTP/1.1", "0 GET /a\\rb !bare-cr"),
        ("GET /\u{e9}\u{20ac} HTTP/1.1", "0 GET /\\xc3\\xa9\\xe2\\x82\\xac"),
        ("GET a HTTP/1.1", "0 GET a"),
        ("GET ?a=<b>\"{}|\\^` HTTP/1.1", "0 GET ?a=<b>\\\"{}|\\\\^`"),
    ] {
        request(format!("{line}\r\n\r\n").as_bytes(), want);
    }
    let long = format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(1000));
    request(long.as_bytes(), &format!("0 {} /", "M".repeat(1000)));
    for (line, want) in [
        ("HTTP/1.1 200 ", "0 200 "),
        ("HTTP/1.1 200", "0 200 "),
        ("HTTP/1.1 999 Odd", "0 999 Odd"),
        ("HTTP/1.1 600 ", "0 600 "),
        ("HTTP/1.0 200 OK", "0 200 OK"),
        ("HTTP/1.2 200 OK", "0 200 OK"),
        ("HTTP/1.1 200  OK", "0 200  OK"),
        ("HTTP/1.1   200 OK", "0 200 OK !start-line-whitespace"),
        ("HTTP/1.1 200 O\0K", "0 200 O\\x00K !nul-in-head"),
        ("HTTP/1.1 200 O\rK", "0 200 O\\rK !bare-cr"),
    ] {
        response(format!("{line}\r\nContent-Length: 0\r\n\r\n").as_bytes(), want);
    }
}

#[test]
fn what_is_no_start_line_is_none() {
    for line in [
        "GET / HTTP/1.10",
        "GET / HTTP/1.",
        "GET / HTTP/11.1",
        "GET / HTTP/01.1",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "GET / xHTTP/1.1",
        "GET / HTP/1.1",
        "GET / ICE/1.0",
        "GET /HTTP/1.1",
        "GET HTTP/1.1",
        "GET  HTTP/1.1",
        " GET / HTTP/1.1",
        "\tGET / HTTP/1.1",
        "GE(T / HTTP/1.1",
        "GET\u{a0}/ HTTP/1.1",
        "GET\0/ HTTP/1.1",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 2",
        "HTTP/1.1 20",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1200 OK",
        "HTTP/1.10 200 OK",
        "HTTP/11.1 200 OK",
        "HTTP/2 200",
        "http/1.1 200 OK",
    ] {
        let bytes = format!("{line}\r\nContent-Length: 0\r\n\r\n");
        check(&[C(bytes.as_bytes())], &[]);
        // In the place of a second message it is named, and what starts a segment is found again.
        let then = [C(b"GET /a HTTP/1.1\r\n\r\n"), C(bytes.as_bytes())];
        let ran = run(&then, WHOLE, true);
        assert_eq!(
            (ran.messages.done, ran.messages.other),
            (vec!["0 GET /a".to_owned()], vec!["bad-start-line".to_owned()]),
            "{line:?}"
        );
        let after = run(&[&then[..], &[C(b"GET /b HTTP/1.1\r\n\r\n")]].concat(), WHOLE, true);
        assert_eq!(after.messages.done, ["0 GET /a", "1 GET /b"], "{line:?}");
    }
}
