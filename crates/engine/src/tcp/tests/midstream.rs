//! Midstream pickup (policy 6). Payload that begins with a dot looks like the rest of something.

use proptest::prelude::*;

use super::*;

const OPEN_END: &str = "c.endofcapture s.endofcapture";

#[test]
fn what_looks_like_the_rest_of_something_waits_for_what_stands_before() {
    // In reverse order, with no hint of where the stream starts.
    check(
        &[("c 510 900 A ..two", ""), ("c 505 900 A ..one", ""), ("c 500 900 A start", "c:start c:..one c:..two")],
        OPEN_END,
    );
    // Its peer was seen first.
    check(&[("s 900 500 A", ""), ("c 505 900 A ..one", ""), ("c 500 900 A start", "c:start c:..one")], OPEN_END);
    // The first segment is a start, so earlier bytes come too late: delivered bytes never move.
    let ledger = check(&[("c 505 900 A start", "c:start"), ("c 500 900 A early", "")], OPEN_END);
    assert_eq!(ledger.bytes(Fate::Duplicate), 5);
}

#[test]
fn a_hole_after_the_start_is_a_hole() {
    let rows = [
        ("c 510 900 A ..two", ""),
        ("c 500 900 A start", "c:start"),
        ("c 515 900 A ..end", ""),
        ("c 505 900 A .hole", "c:.hole c:..two c:..end"),
    ];
    check(&rows, OPEN_END);
}

#[test]
fn the_wait_for_a_start_ends() {
    // After three packets of its sender …
    let rows =
        [("c 500 900 A ..a", ""), ("c 504 900 A ..b", ""), ("c 508 900 A ..c", ""), ("c 512 900 A ..d", "c:..a")];
    check(&rows, &["c-1", "c:..b", "c-1", "c:..c", "c-1", "c:..d", OPEN_END].join(" "));
    // … or ten milliseconds …
    check(&[("c 500 900 A ..a", ""), ("c 503 900 A ..b @10", "c:..a c:..b")], OPEN_END);
    // … or when its peer has all of it …
    check(&[("c 500 900 A ..a", ""), ("s 900 503 A", "c:..a")], OPEN_END);
    // … or goes on without it …
    check(&[("c 500 900 A ..a", ""), ("s 900 490 A answer", "c:..a s:answer")], OPEN_END);
    // … or a message starts after it …
    check(&[("c 500 900 A ..a", ""), ("c 503 900 A next", "c:..a c:next")], OPEN_END);
    // … or with the capture.
    check(&[("c 500 900 A ..a", "")], "c:..a c.endofcapture s.endofcapture");
}

#[test]
fn what_waits_for_the_other_side_too_is_delivered_from_its_start() {
    // The client had received 95 bytes of the server that the capture does not show. Its bytes wait
    // for those, and for bytes that may precede its own: for three packets after the one that
    // showed where they start, each counted once.
    let rows = [
        ("s 900 500 A start", "s:start"),
        ("c 500 1000 A ..b", ""),
        ("c 503 1000 A ..c", ""),
        ("c 490 1000 A .......a..", ""),
        ("c 506 1000 A ..d", "s-95"),
        ("c 509 1000 A ..e", ""),
        ("c 512 1000 A ..f", "c:.......a.. c:..b c:..c c:..d c:..e c:..f"),
    ];
    check(&rows, OPEN_END);
}

#[test]
fn a_syn_after_its_data_places_the_start() {
    let rows = [("c 6 1 A ..on", ""), ("c 0 0 S", ""), ("s 0 1 SA", ""), ("c 1 1 A first", "c:first c:..on")];
    check(&rows, OPEN_END);
    // The whole handshake after the data of both.
    let rows = [
        ("s 6 6 A ..er", ""),
        ("c 1 1 A hello", "s:..er c:hello"),
        ("s 1 6 A answ.", ""),
        ("s 0 1 SA", "?syn-in-flow"),
    ];
    check(&rows, OPEN_END);
    let rows = [
        ("s 6 6 A ..er", ""),
        ("s 0 1 SA", ""),
        ("c 1 1 A hello", "c:hello"),
        ("c 0 0 S", ""),
        ("s 1 6 A answ.", "s:answ. s:..er"),
    ];
    check(&rows, OPEN_END);
    // A SYN that does not fit is a SYN in mid-flow.
    check(&[("c 500 900 A ..on", ""), ("c 600 0 S", "?syn-in-flow")], "c:..on c.endofcapture s.endofcapture");
}

#[test]
fn a_capture_in_any_order_that_holds_the_syns_is_read() {
    let rows = [
        ("c 6 8 A", ""),
        ("s 7 6 FA", ""),
        ("s 1 6 A", ""),
        ("s 0 1 SA", ""),
        ("c 6 8 A", ""),
        ("s 4 6 A ..r", ""),
        ("c 1 1 A hello", "c:hello"),
        ("c 6 8 FA", "c.fin"),
        ("s 1 6 A ans", "s:ans s:..r s.fin"),
    ];
    check(&rows, "");
}

#[test]
fn a_fin_alone_is_no_end_while_its_data_may_come() {
    check(&[("s 905 500 FA", ""), ("s 900 500 A answe", "s:answe s.fin")], "c.endofcapture");
    check(&[("s 905 500 FA", ""), ("c 500 906 A", "s.fin")], "c.endofcapture");
}

#[test]
fn segments_of_one_byte_in_reverse_are_no_probes() {
    check(&[("c 502 900 A .", ""), ("c 501 900 A .", ""), ("c 500 900 A s", "c:s c:. c:.")], OPEN_END);
}

#[test]
fn only_what_takes_its_place_in_the_stream_moves_the_start() {
    // A bare acknowledgement does not move it, and neither does a keep-alive probe (RFC 9293
    // §3.8.4) …
    check(&[("c 500 900 A ..a", ""), ("c 490 900 A", "")], "c:..a c.endofcapture s.endofcapture");
    check(&[("c 500 900 A", ""), ("c 499 900 A x", "")], OPEN_END);
    // … but these are no probes: two bytes, one byte of a longer segment that was cut, one byte
    // with a FIN, and one byte while more bytes wait.
    check(&[("c 500 900 A", ""), ("c 499 900 A xy", "c:xy")], OPEN_END);
    check(&[("c 500 900 A", ""), ("c 499 900 A +1 x", "c:x c-1!")], OPEN_END);
    check(&[("c 500 900 A", ""), ("c 499 900 FA x", "c:x c.fin")], "s.endofcapture");
    check(&[("c 500 900 A ..a", ""), ("c 499 900 A x", "c:x c:..a")], OPEN_END);
    // Bytes that were cut occupy sequence numbers too.
    check(&[("c 500 900 A ..a", ""), ("c 490 900 A +5", "")], "c-5! c-5 c:..a c.endofcapture s.endofcapture");
}

#[test]
fn an_acknowledgement_of_nothing_new_does_not_end_the_wait_for_a_start() {
    let rows = [("c 500 900 A ..a", ""), ("s 900 500 A", ""), ("c 495 900 A start", "c:start c:..a")];
    check(&rows, OPEN_END);
}

#[test]
fn the_first_segment_shows_whether_a_side_signs() {
    // RFC 2385: after a segment without the option, the next segment with it is still solicited.
    let rows = [("c 500 900 A m ..a", ""), ("c 503 900 A ..b", ""), ("c 506 900 A m ..c", "")];
    check(&rows, "c:..a c:..b c:..c c.endofcapture s.endofcapture");
    check(&[("c 500 900 A ..a", ""), ("c 503 900 A m ..b", "c?unsolicited-md5")], &["c:..a", OPEN_END].join(" "));
}

#[test]
fn a_packet_that_acknowledges_less_does_not_count_against_a_hole() {
    // The later acknowledgements are older than the first: the capture lags, and no data is lost.
    let rows = [
        ("c 6 1 A world", ""),
        ("s 1 11 A", ""),
        ("s 1 1 A", ""),
        ("s 1 1 A", ""),
        ("s 1 1 A", ""),
        ("c 1 1 A hello", "c:hello c:world"),
    ];
    check(&after_handshake(&rows), OPEN_END);
}

proptest! {
    /// There is no hint of where the stream starts. Its first segment is the only one that looks
    /// like a start, and it is among the first four. Everything is read in order, whatever the
    /// order of capture.
    #[test]
    fn what_is_shown_in_any_order_within_the_allowance_is_read_in_order(
        lengths in prop::collection::vec(1_usize..9, 2..8),
        keys in prop::collection::vec(any::<u32>(), 8),
        first in 0_usize..4,
        isn in prop_oneof![Just(u32::MAX - 10), any::<u32>()],
    ) {
        let stream: Vec<u8> = std::iter::once(b'S').chain(std::iter::repeat_n(b'.', lengths.iter().sum::<usize>() - 1)).collect();
        let mut pieces: Vec<(usize, &[u8])> = Vec::new();
        let mut at = 0;
        for len in &lengths {
            pieces.push((at, &stream[at..at + len]));
            at += len;
        }
        let start = pieces.remove(0);
        let mut order: Vec<_> = pieces.into_iter().zip(&keys).collect();
        order.sort_by_key(|&(_, key)| key);
        let mut order: Vec<_> = order.into_iter().map(|(piece, _)| piece).collect();
        order.insert(first.min(order.len()), start);
        let (mut connection, mut log) = (TcpConnection::new(), Log::default());
        for (number, (at, bytes)) in order.into_iter().enumerate() {
            let (side, _, mut segment) = segment("c 0 0 A");
            segment.seq = SeqNumber(isn).add(at as u32);
            segment.payload = bytes;
            log.ledger.receive(bytes.len());
            let now = Timestamp::from_nanos(number as u64 * 100_000);
            push_at(&mut connection, side, &segment, Now { now, ..Now::default() }, &Limits::default(), &mut log);
        }
        end(&mut connection, EndCause::EndOfCapture, &mut log);
        let read: String = log.text.split(' ').filter_map(|entry| entry.strip_prefix("c:")).collect();
        prop_assert_eq!(read.as_bytes(), &stream[..], "{}", log.text);
        prop_assert_eq!((log.ledger.balance(), log.ledger.missing()), (0, 0));
    }
}
