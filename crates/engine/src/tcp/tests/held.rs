//! The accounts of a connection, and its state as the table sees it.

use super::*;
use crate::tcp::handshake::{PendingSyn, SynData};
use crate::tcp::overlap::evidence::Provenance;

/// Returns a connection that took these segments.
fn connection_after(rows: &[&str]) -> TcpConnection {
    let (mut connection, mut log) = (TcpConnection::new(), Log::default());
    for row in rows {
        let (side, _, segment) = segment(row);
        push(&mut connection, side, &segment, &mut log);
    }
    connection
}

const OPEN: [&str; 3] = ["c 0 0 S", "s 0 1 SA", "c 1 1 A"];

#[test]
fn what_is_held_is_accounted_for_and_nothing_else() {
    let after = |rows: &[&str]| connection_after(&[&OPEN, rows].concat());
    assert_eq!((after(&[]).held(), after(&[]).held_payload()), (0, 0));
    assert_eq!(connection_after(&["c 0 0 S early"]).held(), size_of::<SynData>() + 5);
    assert_eq!(after(&["c 5000 0 S abc"]).held(), size_of::<PendingSyn>() + 3);
    assert_eq!(after(&["c 5000 0 S abc"]).held_payload(), 3);
    // Each side counts by itself; both sides count as the sum.
    let [client, server] = ["c 11 1 A world", "s 21 1 A later"].map(|row| after(&[row]));
    let both = after(&["c 11 1 A world", "s 21 1 A later"]);
    assert!(client.held() > size_of::<crate::reassembly::Reassembly<Provenance>>() + 5, "{}", client.held());
    assert_eq!((client.held_payload(), server.held_payload(), both.held_payload()), (5, 5, 10));
    assert_eq!(both.held(), client.held() + server.held());
    // The same with data of a SYN-ACK and a pending SYN.
    let all = connection_after(&["c 0 0 S", "c 1 1 A hello", "s 0 6 SA early", "c 11 1 A world", "c 5000 0 S abc"]);
    let alone = connection_after(&["c 0 0 S", "c 1 1 A hello", "s 0 6 SA", "c 11 1 A world"]);
    assert_eq!(all.held(), alone.held() + size_of::<SynData>() + 5 + size_of::<PendingSyn>() + 3);
    assert_eq!(all.held_payload(), alone.held_payload() + 5 + 3);
}

#[test]
fn the_state_of_a_hole_goes_with_it() {
    let whole = connection_after(&[&OPEN[..], &["c 6 1 A world", "c 1 1 A hello"]].concat());
    let stalled = connection_after(&[&OPEN[..], &["c 6 1 A world", "s 1 11 A"]].concat());
    let filled = connection_after(&[&OPEN[..], &["c 6 1 A world", "s 1 11 A", "c 1 1 A hello"]].concat());
    let waiting = connection_after(&[&OPEN[..], &["c 6 1 A world"]].concat());
    assert!(stalled.is_stalled() && !filled.is_stalled() && !waiting.is_stalled());
    assert!(stalled.held() > waiting.held());
    assert_eq!(filled.held(), whole.held());
}

#[test]
fn copies_may_be_dropped() {
    let mut connection = connection_after(&[&OPEN[..], &["c 1 1 A hello"]].concat());
    assert!(connection.held() > 5);
    connection.drop_history();
    assert_eq!(connection.held(), 0);
}

#[test]
fn a_connection_is_half_open_until_both_sides_or_data_were_seen() {
    for (rows, half_open) in [
        (&[][..], true),
        (&["c 0 0 S"], true),
        (&["s 0 1 SA"], true),
        (&["c 500 900 A"], true),
        (&["c 0 0 S", "s 0 1 SA"], false),
        (&["c 500 900 A hello"], false),
        (&["c 500 900 A .rest"], false),
    ] {
        assert_eq!(connection_after(rows).is_half_open(), half_open, "{rows:?}");
    }
}

#[test]
fn it_knows_where_each_side_goes_on() {
    let seqs = |rows: &[&str]| connection_after(rows).next_seqs();
    let at = |row: &str| Some(segment(row).2.seq);
    assert_eq!(seqs(&[]), [None, None]);
    assert_eq!(seqs(&["c 0 0 S"]), [at("c 1 0 A"), None]);
    assert_eq!(seqs(&["c 0 0 S", "s 0 1 SA", "c 1 1 A hello"]), [at("c 6 0 A"), at("s 1 0 A")]);
    // A FIN has a sequence number of its own.
    assert_eq!(seqs(&["c 0 0 S", "s 0 1 SA", "c 1 1 FA hello"]), [at("c 7 0 A"), at("s 1 0 A")]);
    assert_eq!(seqs(&["c 0 0 S", "s 0 1 SA", "c 9 1 FA"]), [at("c 1 0 A"), at("s 1 0 A")]);
}
