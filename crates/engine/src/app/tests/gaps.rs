//! Holes in a direction, and its end (policies 15 and 16). Next: `losses.rs` of the replay crate, which tries every place.

use super::*;

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
