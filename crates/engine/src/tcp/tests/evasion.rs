//! Evasion: segments that are sent to blind or fool a monitor. Each row expects what the RFC has
//! the receiver do (policies 1–4, 7).

use super::*;

const OPEN_END: &str = "c.endofcapture s.endofcapture";

#[test]
fn a_fin_far_ahead_is_out_of_the_window() {
    // RFC 9293 §3.10.7.4: a segment without a byte in the window is dropped together with its FIN.
    let rows = [("c 900001 1 FA", "?out-of-window"), ("c 1 1 A hello", "c:hello"), ("c 6 1 FA", "c.fin")];
    check(&after_handshake(&rows), "s.endofcapture");
}

#[test]
fn of_two_fins_the_one_in_order_ends_the_stream() {
    let rows = [("c 50 1 FA", ""), ("c 1 1 A hello", "c:hello"), ("c 6 1 FA", "c.fin")];
    check(&after_handshake(&rows), "s.endofcapture");
    // A FIN before bytes that were seen does not end the stream.
    let rows = [("c 1 1 A hello", "c:hello"), ("c 3 1 FA", ""), ("c 6 1 A on", "c:on"), ("c 6 1 FA on", "c.fin")];
    check(&after_handshake(&rows), "s.endofcapture");
}

#[test]
fn data_in_a_syn_ack_counts_once_it_is_acknowledged() {
    // RFC 9293 §3.4: data may accompany a SYN. It counts once the peer has acknowledged it.
    let rows = [("c 0 0 S", ""), ("s 0 1 SA early", ""), ("c 1 6 A", "s:early"), ("s 6 1 A on", "s:on")];
    check(&rows, OPEN_END);
    let rows = [("c 0 0 S", ""), ("s 0 1 SA early", ""), ("c 1 1 A", ""), ("s 1 1 A early", "s:early")];
    check(&rows, OPEN_END);
}

#[test]
fn a_syn_ack_that_acknowledges_another_syn_is_ignored() {
    let rows = [
        ("c 0 0 S", ""),
        ("s 700 99 SA", "?bad-ack"),
        ("s 0 1 SA", ""),
        ("c 1 1 A hello", "c:hello"),
        ("s 1 6 A answer", "s:answer"),
    ];
    check(&rows, OPEN_END);
}

#[test]
fn handshakes_may_be_split() {
    let data = [("c 1 1 A hello", "c:hello"), ("s 1 6 A answer", "s:answer")];
    for opening in [
        // Simultaneous open (RFC 9293 §3.5).
        &[("c 0 0 S", ""), ("s 0 0 S", ""), ("c 0 1 SA", ""), ("s 0 1 SA", "")][..],
        // Split handshake: the server answers with a SYN of its own, the client with the SYN-ACK.
        &[("c 0 0 S", ""), ("s 0 0 S", ""), ("c 0 1 SA", ""), ("s 1 1 A", "")],
        // Four-way handshake: the ACK of the client's SYN comes before the server's SYN.
        &[("c 0 0 S", ""), ("s 0 1 A", ""), ("s 0 1 S", ""), ("c 1 1 A", "")],
        // Parts of the handshake are not in the capture.
        &[("c 0 0 S", ""), ("c 1 1 A", "")],
        &[("s 0 1 SA", ""), ("c 1 1 A", "")],
        &[("c 0 0 S", "")],
        &[("s 0 1 SA", "")],
        &[("c 1 1 A", "")],
        // Repeated SYNs.
        &[("c 0 0 S", ""), ("c 0 0 S", ""), ("s 0 1 SA", ""), ("s 0 1 SA", ""), ("c 1 1 A", "")],
        // A SYN with ECN flags, and one with FIN (RFC 1644), whose FIN is ignored.
        &[("c 0 0 SF", ""), ("s 0 1 SA", ""), ("c 1 1 A", "")],
    ] {
        check(&[opening, &data].concat(), OPEN_END);
    }
}

#[test]
fn only_a_reset_at_the_place_expected_ends_a_connection() {
    for (reset, taken) in [
        ("c 6 1 R", true),
        ("c 6 1 RA", true),
        ("c 5 1 R", false),
        ("c 7 1 R", false),
        ("c 60000 1 R", false),
        ("s 1 6 R", true),
        ("s 2 6 R", false),
        ("s 0 6 RA", false),
        // SYN with RST is a reset.
        ("c 6 1 SR", true),
        ("c 0 1 SR", false),
    ] {
        let rows = [("c 1 1 A hello", "c:hello"), (reset, if taken { "c.reset s.reset" } else { "?inexact-reset" })];
        check(&after_handshake(&rows), if taken { "" } else { OPEN_END });
    }
    // Its payload is no data (policy 3), whether or not the reset counts.
    let ledger = check(&after_handshake(&[("c 1 1 R evil", "c.reset s.reset")]), "");
    assert_eq!(ledger.bytes(Fate::Ignored), 4);
}

#[test]
fn time_stamps_may_wrap() {
    let rows = [
        ("c 0 0 S t 4294967290", ""),
        ("s 0 1 SA t 7", ""),
        ("c 1 1 A t 4294967295 one", "c:one"),
        ("s 1 4 A t 8", ""),
        ("c 4 1 A t 3 two", "c:two"),
        ("s 1 7 A t 9", ""),
        ("c 7 1 A t 4294967295 evil", "c?old-timestamp"),
        ("c 7 1 A t 4 three", "c:three"),
    ];
    check(&rows, OPEN_END);
}

#[test]
fn old_time_stamps_count_only_when_both_sides_use_them() {
    // RFC 7323 §3.2: time stamps are in use if both SYNs have them.
    let rows = [
        ("c 0 0 S t 100", ""),
        ("s 0 1 SA", ""),
        ("c 1 1 A t 101 one", "c:one"),
        ("s 1 4 A", ""),
        ("c 4 1 A t 50 two", "c:two"),
    ];
    check(&rows, OPEN_END);
}

#[test]
fn an_acknowledgement_from_before_the_stream_is_ignored() {
    // RFC 5961 §5: an acknowledgement may be older than the latest by the largest window at most.
    let rows = [("c 1 1 A hello", "c:hello"), ("c 6 -900001 A evil", "c?bad-ack"), ("c 6 1 A good", "c:good")];
    check(&after_handshake(&rows), OPEN_END);
}

#[test]
fn a_window_is_as_large_as_its_scale_says() {
    let rows = |scale: &'static str| -> Vec<(&str, &str)> {
        let [client, server] =
            if scale == "14" { ["c 0 0 S scale 14", "s 0 1 SA scale 14"] } else { ["c 0 0 S", "s 0 1 SA"] };
        vec![(client, ""), (server, ""), ("c 1 1 A", "")]
    };
    // 65 535 << 14 bytes ahead, and twice that, is plausible with the scale and not without.
    let far = "c 900000001 1 A far";
    check(&[rows("14"), vec![("s 1 1 A", ""), (far, "")]].concat(), "c-900000000 c:far c.endofcapture s.endofcapture");
    check(&[rows(""), vec![(far, "c?out-of-window")]].concat(), OPEN_END);
}

#[test]
fn probes_of_a_closed_window_are_read_as_what_they_are() {
    let rows = [
        ("s 1 1 A w 0", ""),
        ("c 1 1 A h", "c:h"), // A zero-window probe carries the next byte (RFC 9293 §3.8.6.1) …
        ("s 1 1 A w 0", ""),  // … which is not taken …
        ("c 1 1 A h", ""),
        ("s 1 1 A w 500", ""),
        ("c 1 1 A hello", "c:ello"), // … and comes again.
        ("s 1 6 A", ""),
        ("c 5 1 A", ""),                        // Keep-alive, without
        ("c 5 1 A ?", "c?conflicting-overlap"), // and with an old byte, which is garbage (RFC 9293 §3.8.4).
        ("c 6 1 A on", "c:on"),
    ];
    check(&after_handshake(&rows), OPEN_END);
}

#[test]
fn the_fin_may_come_again_with_other_bounds() {
    let rows = [
        ("c 1 1 A hello", "c:hello"),
        ("c 4 1 FA lo", "c.fin"),
        ("c 1 1 FA hello", ""),
        ("c 6 1 FA", ""),
        ("s 1 7 A answer", "s:answer"),
    ];
    check(&after_handshake(&rows), "s.endofcapture");
}

#[test]
fn sequence_numbers_wrap_as_often_as_they_like() {
    // Ten times 600 MB is more than 4 GiB; the snapshot length cuts nearly all of it.
    let cut = 600_000_000_i64;
    let rows: Vec<_> =
        (0..10).map(|i| (format!("c {} 1 A +{cut} y", 1 + i * (cut + 1)), format!("c:y c-{cut}!"))).collect();
    let rows: Vec<_> = rows.iter().map(|(row, want)| (row.as_str(), want.as_str())).collect();
    let more = [("c 6000000011 1 A end", "c:end"), ("c 6000000011 1 A end", ""), ("c 6000000014 1 FA", "c.fin")];
    let ledger = check(&after_handshake(&[&rows[..], &more].concat()), "s.endofcapture");
    assert_eq!(ledger.missing(), 6_000_000_000);
}

#[test]
fn a_capture_in_which_the_directions_are_out_of_step_is_read() {
    // The capture shows the whole answer and its acknowledgement before the request.
    let rows =
        [("s 1 6 A answer", ""), ("s 7 6 FA", ""), ("c 1 1 A hello", "c:hello s:answer s.fin"), ("c 6 8 FA", "c.fin")];
    check(&after_handshake(&rows), "");
}

#[test]
fn overlaps_of_every_kind_leave_the_first_copy() {
    // The pattern of Shankar and Paxson, in 3-byte steps: each number is one segment. Systems
    // disagree on the result.
    let rows = [
        ("c 4 1 A 111", ""),
        ("c 13 1 A 222222", ""),
        ("c 22 1 A 333", ""),
        ("c 7 1 A 444444444", "c?conflicting-overlap"), // Behind the first, into the second.
        ("c 16 1 A 555555555555", "c?conflicting-overlap"), // Over the second and all of the third.
        ("c 1 1 A 666666666", "c?conflicting-overlap c:666 c:111 c:444444 c:222222 c:555 c:333 c:555"),
    ];
    check(&after_handshake(&rows), OPEN_END);
}
