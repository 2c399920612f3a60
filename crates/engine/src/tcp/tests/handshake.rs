//! Segments that begin a connection, and that replace it by another (policy 4).

use super::*;

const OPEN_END: &str = "c.endofcapture s.endofcapture";

#[test]
fn a_syn_or_an_acknowledgement_may_begin_a_connection() {
    for (flags, may) in
        [("S", true), ("SA", true), ("A", true), ("FA", true), ("SR", true), ("R", false), ("RA", false), (".", false)]
    {
        let row = format!("c 1 1 {flags} x");
        assert_eq!(TcpConnection::may_begin(&segment(&row).2), may, "{flags}");
    }
}

#[test]
fn a_syn_ack_acknowledges_a_syn_and_no_more() {
    check(&[("c 0 0 S", ""), ("s 0 2 SA", "?bad-ack"), ("s 0 1 SA", "")], OPEN_END);
    check(&[("c 0 0 S early", ""), ("s 0 7 SA", "?bad-ack"), ("s 0 6 SA", "c:early")], OPEN_END);
    // An acknowledgement of the SYN alone does not settle its data, which may still be in flight.
    check(&[("c 0 0 S early", ""), ("s 1 1 A", ""), ("s 1 6 A", "c:early")], OPEN_END);
}

#[test]
fn ports_are_used_again_only_by_a_syn_that_was_answered() {
    let living = [("c 1 1 A hello", "c:hello"), ("s 1 6 A answer", "s:answer")];
    let syn = ("c 5000 0 S", "?syn-in-flow");
    let with_data = ("c 5000 0 S abc", "?syn-in-flow");
    let syn_ack = ("s 9000 5001 SA", "?syn-in-flow");
    for rows in [
        &[syn, ("s 9000 5001 SA", "s!reopen")][..],
        // The answer is for another SYN, from the wrong side, or for a SYN-ACK.
        &[syn, ("s 9000 5002 SA", "?syn-in-flow")],
        &[syn, ("s 9000 5000 SA", "?syn-in-flow")],
        &[syn, ("c 9000 5001 SA", "?syn-in-flow")],
        &[("c 5000 1 SA", "?syn-in-flow"), syn_ack],
        // RFC 7413: the answer acknowledges as much of the data as the peer takes.
        &[with_data, ("s 9000 5001 SA", "s!reopen")],
        &[with_data, ("s 9000 5004 SA", "s!reopen")],
        &[with_data, ("s 9000 5005 SA", "?syn-in-flow")],
        // The SYN-ACK is not in the capture: data at ISN + 1 confirms the SYN while the other side
        // is silent (policy 4).
        &[syn, ("c 5001 7 A x", "c!reopen")],
        &[syn, ("c 5001 7 A", "")],
        // The SYN is not in the capture: the acknowledgement of the SYN-ACK must match both its
        // numbers.
        &[syn_ack, ("c 5001 9001 A", "c!reopen")],
        &[syn_ack, ("c 5002 9001 A", "")],
        &[syn_ack, ("c 5001 9002 A", "")],
    ] {
        check_reopening(&[&living[..], rows].concat());
    }
    let rows = [&living[..], &[syn, ("s 7 6 A", ""), ("c 5001 7 A x", "")]].concat();
    check_reopening(&rows);
    // The next byte belongs to the living connection, even after a SYN forged one number before it.
    check_reopening(&[&living[..], &[("c 5 0 S", "?syn-in-flow"), ("c 6 7 A on", "c:on")]].concat());
}

/// Each row is a segment and what it delivers. The end is not checked, as the table would have
/// ended the connection.
#[track_caller]
fn check_reopening(rows: &[(&str, &str)]) {
    let mut connection = TcpConnection::new();
    let mut log = Log::default();
    for (row, want) in after_handshake(rows) {
        let (side, _, like) = segment(row);
        let outcome = push(&mut connection, side, &like, &mut log);
        if let SegmentOutcome::Reopen(syn) = outcome {
            log.entry(side, format_args!("!reopen"));
            // The SYN has its sender's addresses, whichever side confirmed it.
            let sent = syn.segment(&like, side);
            let (src, dst) = if syn.side == side { (like.src, like.dst) } else { (like.dst, like.src) };
            assert_eq!((sent.src, sent.dst, sent.seq), (src, dst, syn.seq), "{row}");
        }
        assert_eq!(std::mem::take(&mut log.text), want, "{row}");
    }
}
