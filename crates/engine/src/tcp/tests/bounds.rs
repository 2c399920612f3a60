//! Bounds of each rule: the last segment that passes, and the first that does not.

use super::*;

const OPEN_END: &str = "c.endofcapture s.endofcapture";

#[test]
fn far_outside_is_farther_than_two_windows() {
    // Without window scaling a window has at most 65 535 bytes (RFC 9293 §3.1), and "far outside"
    // (policy 2) starts at twice that: 131 070 bytes.
    let plain = after_handshake(&[("c 1 1 A hello", "c:hello"), ("s 1 6 A answer", "s:answer"), ("c 6 7 A", "")]);
    for (row, want, end) in [
        ("c 131076 7 A on", "", "c-131070 c:on c.endofcapture s.endofcapture"),
        ("c 131077 7 A on", "c?out-of-window", OPEN_END),
        ("c 6 131077 A on", "", ""),
        ("c 6 131078 A on", "c?bad-ack", OPEN_END),
        ("c 6 -131063 A on", "c:on", OPEN_END),
        ("c 6 -131064 A on", "c?bad-ack", OPEN_END),
        // A segment that occupies no sequence number is not out of the window.
        ("c 131077 7 A", "", OPEN_END),
        ("c 131077 7 FA", "?out-of-window", OPEN_END),
        ("c 131077 7 A +1", "?out-of-window", OPEN_END),
    ] {
        // A segment that acknowledges more than the capture shows waits for those bytes.
        let end = if end.is_empty() { "s-131070 c:on c.endofcapture s.endofcapture" } else { end };
        check(&[&plain[..], &[(row, want)]].concat(), end);
    }
    // A scaled window: 65 535 << 2.
    let scaled = [("c 0 0 S scale 2", ""), ("s 0 1 SA scale 2", ""), ("c 1 1 A", ""), ("s 1 1 A", "")];
    let far = |row| [&scaled[..], &[row]].concat();
    check(&far(("c 524281 1 A on", "")), "c-524280 c:on c.endofcapture s.endofcapture");
    check(&far(("c 524282 1 A on", "c?out-of-window")), OPEN_END);
}

#[test]
fn of_an_end_of_which_nothing_was_seen_the_largest_window_is_assumed() {
    // RFC 7323 §2.2: 65 535 << 14.
    let rows = [("c 500 900 A hello", "c:hello"), ("c 1073725945 900 A on", "")];
    check(&rows, "c-1073725440 c:on c.endofcapture s.endofcapture");
    // Its segments were seen, but not its SYN, so the largest scale is assumed.
    let rows = [("c 500 900 A hello", "c:hello"), ("s 900 505 A answer", "s:answer"), ("c 1073725945 906 A on", "")];
    check(&rows, "c-1073725440 c:on c.endofcapture s.endofcapture");
}

#[test]
fn both_ends_agree_when_they_are_a_window_apart() {
    // The acknowledgement first, then the data, and the other way round. One alone proves nothing
    // (policy 2).
    for (data, want, end) in [
        ("c 1031071 1 A on", "", "c-1031065 c:on c.endofcapture s.endofcapture"),
        ("c 1031072 1 A on", "c?out-of-window", OPEN_END),
    ] {
        let rows = [("c 1 1 A hello", "c:hello"), ("s 1 900001 A", "?bad-ack"), (data, want)];
        check(&after_handshake(&rows), end);
    }
    for (ack, want, end) in
        [("s 1 1031073 A", "", "c-1031067 c.endofcapture s.endofcapture"), ("s 1 1031074 A", "?bad-ack", OPEN_END)]
    {
        let rows = [("c 1 1 A hello", "c:hello"), ("c 900001 1 A on", "c?out-of-window"), (ack, want)];
        check(&after_handshake(&rows), end);
    }
}

#[test]
fn a_time_stamp_is_old_two_ticks_before_the_last_in_order() {
    const STAMPED: [(&str, &str); 3] =
        [("c 0 0 S t 100", ""), ("s 0 1 SA t 500", ""), ("c 1 1 A t 102 hello", "c:hello")];
    for (rows, end) in [
        // The same tick, and a segment that was overtaken by one tick.
        (&[("c 6 1 A t 102 on", "c:on")][..], OPEN_END),
        (&[("c 6 1 A t 101 on", "c:on")], OPEN_END),
        (&[("c 6 1 A t 100 on", "c?old-timestamp")], OPEN_END),
        // A late time stamp does not turn the clock back.
        (&[("c 6 1 A t 101 on", "c:on"), ("c 8 1 A t 100 on", "c?old-timestamp")], OPEN_END),
        // A segment without new bytes is a duplicate, and duplicates may be old.
        (&[("c 1 1 A t 50 hello", "")], OPEN_END),
        (&[("c 1 1 A t 50 helloo", "c?old-timestamp")], OPEN_END),
        (&[("c 6 1 A t 50", "")], OPEN_END),
        // RFC 7323 §4.3: a segment after the last acknowledgement does not set the clock yet.
        (&[("c 8 1 A t 300 by", ""), ("c 6 1 A t 103 on", "c:on c:by")], OPEN_END),
        // Neither does a segment that ends before it, because the peer drops that first: here a
        // needless retransmission that overtook the next segment.
        (
            &[
                ("c 6 1 A t 102 on", "c:on"),
                ("s 1 8 A t 501", ""),
                ("c 1 1 A t 300 hello", ""),
                ("c 8 1 A t 103 by", "c:by"),
            ],
            OPEN_END,
        ),
    ] {
        check(&[&STAMPED, rows].concat(), end);
    }
}

#[test]
fn a_time_stamp_counts_once_the_start_of_the_stream_is_known() {
    let rows = [
        ("s 900 500 A t 7 hi", "s:hi"),
        ("s 902 500 A t 8 ho", "s:ho"),
        ("c 500 904 A t 200 .two", ""),
        ("c 495 904 A t 100 start.", "c:start c:.two"),
    ];
    check(&rows, OPEN_END);
}

#[test]
fn a_reset_needs_a_syn_to_answer_or_the_exact_place() {
    for (rows, end) in [
        // RFC 9293 §3.10.7.3: it must have ACK and acknowledge exactly that SYN.
        (&[("c 0 0 S", ""), ("s 0 1 R", "?inexact-reset")][..], OPEN_END),
        (&[("c 0 0 S", ""), ("s 0 2 RA", "?inexact-reset")], OPEN_END),
        (&[("c 0 0 S", ""), ("s 7 1 RA", "c.reset s.reset")], ""),
        // After a FIN, which has a sequence number of its own.
        (&[("c 0 0 S", ""), ("s 0 1 SA", ""), ("c 1 1 FA", "c.fin"), ("c 2 1 R", "s.reset")], ""),
        (&[("c 0 0 S", ""), ("s 0 1 SA", ""), ("c 1 1 FA", "c.fin"), ("c 3 1 R", "?inexact-reset")], "s.endofcapture"),
    ] {
        check(rows, end);
    }
}

#[test]
fn the_fin_bounds_the_data_before_it() {
    let rows = [("c 6 1 FA", ""), ("c 1 1 A helloevil", "?data-after-fin c:hello c.fin")];
    assert_eq!(check(&after_handshake(&rows), "s.endofcapture").bytes(Fate::Ignored), 4);
    // It also bounds bytes that the snapshot length cut.
    let rows = [("c 6 1 FA", ""), ("c 1 1 A +20 hel", "?data-after-fin c:hel c-2! c.fin")];
    check(&after_handshake(&rows), "s.endofcapture");
    check(&after_handshake(&[("c 6 1 FA", ""), ("c 1 1 A +5", "c-5! c.fin")]), "s.endofcapture");
}

#[test]
fn of_a_segment_that_was_cut_only_the_new_part_is_missing() {
    let rows = [("c 1 1 A +5 hello", "c:hello c-5!"), ("c 1 1 A +7 hello", "c-2!"), ("c 3 1 A +5 llo", "")];
    check(&after_handshake(&rows), OPEN_END);
    check(&after_handshake(&[("c 1 1 A +5", "c-5!"), ("c 1 1 AU", "")]), OPEN_END);
}

#[test]
fn of_what_follows_a_gap_only_what_was_in_it_is_late() {
    let rows = [
        ("c 1 1 A one", "c:one"),
        ("c 9 1 A three", ""),
        ("s 1 14 A", ""),
        ("s 1 14 A @10", "c-5 c:three"),
        ("c 1 1 A one", ""),
        ("c 9 1 A three", ""),
    ];
    let ledger = check(&after_handshake(&rows), OPEN_END);
    assert_eq!((ledger.bytes(Fate::Duplicate), ledger.bytes(Fate::Late)), (8, 0));
}

#[test]
fn a_hole_at_the_end_is_declared_lost_too() {
    check(&after_handshake(&[("s 1 11 A", ""), ("s 1 11 A @9", ""), ("s 1 11 A", "c-10")]), OPEN_END);
    // One acknowledged byte may be a FIN, two cannot.
    check(&after_handshake(&[("s 1 2 A", ""), ("s 1 2 A @50", "")]), OPEN_END);
    check(&after_handshake(&[("s 1 3 A", ""), ("s 1 3 A @50", "c-2")]), OPEN_END);
}

#[test]
fn the_allowance_for_a_hole_may_be_none() {
    let rows = [("c 6 1 A world", ""), ("s 1 11 A", "c-5 c:world")];
    let waits = [("c 6 1 A world", ""), ("s 1 11 A", "")];
    let with = |packets, millis| Limits {
        hole_packets: packets,
        hole_time: std::time::Duration::from_millis(millis),
        ..Limits::default()
    };
    check_with(&with(0, 10), &after_handshake(&rows), OPEN_END);
    check_with(&with(3, 0), &after_handshake(&rows), OPEN_END);
    check_with(&with(1, 1), &after_handshake(&waits), "c-5 c:world c.endofcapture s.endofcapture");
}

#[test]
fn each_hole_has_the_whole_allowance() {
    let rows = [
        ("c 6 1 A world", ""),
        ("c 21 1 A again", ""),
        ("s 1 11 A", ""),
        ("s 1 11 A", ""),
        ("s 1 11 A", ""),
        ("s 1 26 A", "c-5 c:world"),
        ("s 1 26 A", ""),
        ("s 1 26 A", ""),
        ("s 1 26 A", "c-10 c:again"),
    ];
    check(&after_handshake(&rows), OPEN_END);
}

#[test]
fn packets_of_the_sender_do_not_count_against_its_hole() {
    let rows = [
        ("s 1 1 A 0123456789abcdefghij", "s:0123456789abcdefghij"),
        ("c 6 21 A world", ""),
        ("s 21 11 A", ""),
        ("c 11 21 A x", ""),
        ("c 12 21 A y", ""),
        ("c 13 21 A z", ""),
        ("c 1 21 A hello", "c:hello c:world c:x c:y c:z"),
    ];
    check(&after_handshake(&rows), OPEN_END);
}

#[test]
fn an_answer_waits_for_no_more_than_its_sender_had_received() {
    // One byte more than was delivered may be a FIN that is not in the capture.
    check(&after_handshake(&[("c 1 1 A hello", "c:hello"), ("s 1 7 A answer", "s:answer")]), OPEN_END);
    let rows = [("c 1 1 A hello", "c:hello"), ("s 7 7 A on", ""), ("s 1 7 A answer", "s:answer s:on")];
    check(&after_handshake(&rows), OPEN_END);
    let rows = [("c 1 1 A hello", "c:hello"), ("s 1 8 A answer", "")];
    check(&after_handshake(&rows), "c-2 s:answer c.endofcapture s.endofcapture");
    // Packets of the side that is waited for do not shorten the wait.
    let rows = [
        ("s 1 6 A answer", ""),
        ("c 1 1 A", ""),
        ("c 1 1 A", ""),
        ("c 1 1 A", ""),
        ("c 1 1 A hello", "c:hello s:answer"),
    ];
    check(&after_handshake(&rows), OPEN_END);
}

#[test]
fn what_can_never_come_is_not_waited_for_long() {
    // It acknowledges bytes past the end of the other side, which will never come.
    let ended = [("c 1 1 FA hello", "c:hello c.fin"), ("s 1 20 A answer", "")];
    let rows = [&ended[..], &[("s 7 20 A", ""), ("s 7 20 A", ""), ("s 7 20 A", "s:answer")]].concat();
    check(&after_handshake(&rows), "s.endofcapture");
    let rows = [&ended[..], &[("s 7 20 A @10", "s:answer")]].concat();
    check(&after_handshake(&rows), "s.endofcapture");
    check(&after_handshake(&ended), "s:answer s.endofcapture");
}

#[test]
fn a_piece_says_whether_a_segment_starts_with_it() {
    // After a hole, a message may only start at a boundary (policy 15).
    let (mut connection, mut log) = (TcpConnection::new(), Log::default());
    for (row, starts) in [
        ("c 0 0 S", &[][..]),
        ("s 0 1 SA", &[]),
        ("c 1 1 A hello", &[true]),
        ("c 6 1 A world", &[true]),
        ("c 9 1 A ldnew", &[false]),
        ("c 19 1 A later", &[]),
        ("c 14 1 A fillslat", &[true, true]),
        ("c 29 1 A more", &[]),
        ("c 31 1 A reon", &[]),
        ("c 24 1 A abcde", &[true, true, false]),
    ] {
        let (side, _, segment) = segment(row);
        push(&mut connection, side, &segment, &mut log);
        assert_eq!(std::mem::take(&mut log.starts), starts, "{row}: {}", log.text);
    }
}

#[test]
fn what_waits_when_a_connection_is_evicted_is_dropped() {
    for (cause, want, evicted) in
        [(EndCause::Evicted, "c.evicted s.evicted", 5), (EndCause::Idle, "c-10 c:world c.idle s.idle", 0)]
    {
        let (mut connection, mut log) = (TcpConnection::new(), Log::default());
        for row in HANDSHAKE.map(|(row, _)| row).into_iter().chain(["c 11 1 A world"]) {
            let (side, _, segment) = segment(row);
            push(&mut connection, side, &segment, &mut log);
        }
        end(&mut connection, cause, &mut log);
        assert_eq!((log.text.as_str(), log.ledger.bytes(Fate::Evicted)), (want, evicted));
    }
}

#[test]
fn waiting_bytes_fill_their_limit_exactly() {
    // A hole that nobody acknowledged is declared lost when there is no more room, and not before.
    let mut connection = TcpConnection::new();
    let mut log = Log::default();
    for row in HANDSHAKE.map(|(row, _)| row).into_iter().chain(["c 11 1 A world"]) {
        let (side, _, segment) = segment(row);
        push(&mut connection, side, &segment, &mut log);
    }
    let limits = |max| Limits { waiting_bytes_max: max, ..Limits::default() };
    let held = connection.held();
    check_with(
        &limits(held),
        &after_handshake(&[("c 11 1 A world", "")]),
        "c-10 c:world c.endofcapture s.endofcapture",
    );
    check_with(&limits(held - 1), &after_handshake(&[("c 11 1 A world", "c-10 c:world")]), OPEN_END);
    // An answer that waits for its cause does not overfill it either.
    check_with(
        &limits(held - 1),
        &after_handshake(&[("s 1 6 A later", "s:later")]),
        "c-5 c.endofcapture s.endofcapture",
    );
}

#[test]
fn what_reaches_back_too_far_is_no_start() {
    let limits = Limits { waiting_bytes_max: 100_000, ..Limits::default() };
    let rows = [("c 200000 900 A ..b", ""), ("c 100000 900 A ..a", "")];
    check_with(&limits, &rows, "c:..a c-99997 c:..b c.endofcapture s.endofcapture");
    let rows = [("c 200000 900 A ..b", ""), ("c 99999 900 A ..a", "")];
    check_with(&limits, &rows, "c:..b c.endofcapture s.endofcapture");
}

#[test]
fn a_ttl_is_low_from_five_hops_on() {
    let mut half = half::Half::new();
    half.header.ttl = 64;
    assert_eq!([64, 60, 59, 1].map(|ttl| half.header.is_low(ttl)), [false, false, true, true]);
}
