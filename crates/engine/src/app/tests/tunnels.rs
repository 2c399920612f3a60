//! What goes through HTTP and is not: tunnels, upgrades, preambles (policy 17).

use super::*;

const CONNECT: Step<'_> = C(b"CONNECT a:443 HTTP/1.1\r\n\r\n");
const OK: Step<'_> = S(b"HTTP/1.1 200 Connected\r\n\r\n");
const REFUSED: Step<'_> = S(b"HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno");
const NEXT: [Step<'_>; 2] = [C(b"GET /b HTTP/1.1\r\n\r\n"), S(b"HTTP/1.1 200 Next\r\nContent-Length: 2\r\n\r\nok")];

/// What else was said, and the bytes of this fate.
#[track_caller]
fn others(steps: &[Step<'_>], fate: Fate, bytes: u64, want: &[&str]) {
    for cut in [WHOLE, Cut::Pieces(1)] {
        let ran = run(steps, cut, true);
        assert_eq!(ran.messages.other, want, "{cut:?}");
        assert_eq!(ran.ledger.bytes(fate), bytes, "{cut:?}: {:?}", ran.ledger);
    }
}

#[test]
fn what_is_sent_before_a_connect_is_answered_is_of_the_tunnel() {
    let tls = C(b"CONNECT a:443 HTTP/1.1\r\n\r\n\x16\x03\x01\0\x05hello");
    check(&[tls, OK, C(b"more")], &["0 CONNECT a:443", "0 200 Connected"]);
    others(&[tls, OK], Fate::Tls, 10, &["Tls", "Tunnel"]);
    let binary = C(b"CONNECT a:443 HTTP/1.1\r\n\r\n\x05\x01\0");
    check(&[binary, OK, C(b"more"), S(b"\x05")], &["0 CONNECT a:443", "0 200 Connected"]);
    others(&[binary, OK], Fate::Tunnel, 3, &["Tunnel"]);
    // Plain HTTP inside goes on with the exchanges.
    let plain = C(b"CONNECT a:80 HTTP/1.1\r\n\r\nGET /in HTTP/1.1\r\n\r\n");
    let inside = S(b"HTTP/1.1 204 In\r\n\r\n");
    check(&[plain, OK, inside], &["0 CONNECT a:80", "1 GET /in", "0 200 Connected", "1 204 In"]);
}

#[test]
fn a_refused_connect_leaves_the_connection_to_http() {
    let want = ["0 CONNECT a:443", "0 407 Who <no>", "1 GET /b", "1 200 Next <ok>"];
    check(&[&[CONNECT, REFUSED], &NEXT[..]].concat(), &want);
    for early in [&b"\x16\x03\x01\0\x05hello"[..], b"\x05\x01\0", b"SSH-2.0-x\r\n"] {
        let ask = [b"CONNECT a:443 HTTP/1.1\r\n\r\n", early].concat();
        let ran = run(&[&[C(&ask), REFUSED], &NEXT[..]].concat(), WHOLE, true);
        assert_eq!(ran.messages.done, want, "{}", early.escape_ascii());
    }
}

#[test]
fn a_connect_may_be_one_of_many() {
    check(
        &[
            C(b"GET /a HTTP/1.1\r\n\r\nCONNECT b:1 HTTP/1.1\r\n\r\n"),
            S(b"HTTP/1.1 200 A\r\nContent-Length: 0\r\n\r\nHTTP/1.1 100 Wait\r\n\r\nHTTP/1.1 299 In\r\nContent-Length: 9\r\n\r\n\x01"),
            C(b"\x01\x02"),
        ],
        &["0 GET /a", "1 CONNECT b:1", "0 200 A", "1 100 Wait", "1 299 In"],
    );
    // Through a proxy to a proxy.
    let second = [C(b"CONNECT b:1 HTTP/1.1\r\n\r\n"), S(b"HTTP/1.1 200 Again\r\n\r\n\x05"), C(b"\x05")];
    check(
        &[&[CONNECT, OK], &second[..]].concat(),
        &["0 CONNECT a:443", "0 200 Connected", "1 CONNECT b:1", "1 200 Again"],
    );
}

#[test]
fn a_101_may_come_unasked_and_to_one_of_many() {
    let asked = C(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nUpgrade: x\r\n\r\n");
    let answer = S(b"HTTP/1.1 200 A\r\nContent-Length: 0\r\n\r\nHTTP/1.1 101 Go\r\n\r\nHTTP/1.1 200 Not\r\n\r\n");
    check(
        &[asked, answer, C(b"GET /c HTTP/1.1\r\n\r\n")],
        &["0 GET /a", "1 GET /b [Upgrade=x]", "0 200 A", "1 101 Go"],
    );
    check(&[answer], &["0 200 A", "1 101 Go"]);
    // RFC 7540 §3.2: the upgrade to HTTP/2 in the clear.
    let h2c = [
        C(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"),
        S(b"HTTP/1.1 101 Go\r\nUpgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        C(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ];
    check(&h2c, &["0 GET / [Upgrade=h2c]", "0 101 Go [Upgrade=h2c]"]);
    others(&h2c, Fate::Http2, 9 + 24, &["Http2"]);
}

#[test]
fn preambles_of_every_kind_are_skipped() {
    // PROXY protocol §2.1 and §2.2: unknown transports, LOCAL, Unix sockets, type-length-values.
    let unix = [b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8".as_slice(), &[b'/'; 216]].concat();
    let tlv = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\x7f\0\0\x01\x7f\0\0\x01\0\x50\x1f\x90\x03\0\x04\x01\x02\x03\x04";
    for preamble in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c0123456789ab",
        b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0",
        tlv,
        &unix,
    ] {
        let bytes = [preamble, b"GET /a HTTP/1.1\r\n\r\n"].concat();
        request(&bytes, "0 GET /a");
        others(&[C(&bytes)], Fate::Framing, preamble.len() as u64, &[]);
        let tls = [preamble, b"\x16\x03\x01\0\x01x"].concat();
        others(&[C(&tls)], Fate::Tls, 6, &["Tls"]);
    }
    // It stands first or is none.
    let late = [C(b"GET /a HTTP/1.1\r\n\r\n"), C(b"PROXY UNKNOWN\r\n")];
    others(&late, Fate::Unparseable, 15, &["bad-start-line"]);
}

#[test]
fn what_looks_like_tls_between_messages_does_not_blind() {
    let steps = [C(b"GET /a HTTP/1.1\r\n\r\n"), C(b"\x16\x03\x01x"), NEXT[0]];
    let ran = run(&steps, WHOLE, true);
    assert_eq!(ran.messages.done, ["0 GET /a", "1 GET /b"]);
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
