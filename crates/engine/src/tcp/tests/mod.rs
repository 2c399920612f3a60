//! Tables of segments and what they deliver. Next: `model` compares with a byte map; each other
//! file has one subject.

mod bounds;
mod evasion;
mod handshake;
mod held;
mod midstream;
mod model;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::frame::Stamp;
use sniffer_packet::intake::Now;
use sniffer_packet::key::{Endpoint, Side};
use sniffer_packet::segment::{Checksum, Flags, Segment, TcpOptions};
use sniffer_packet::seq::SeqNumber;
use sniffer_packet::time::Timestamp;

use super::*;
use crate::anomaly::Anomaly;
use crate::config::Limits;
use crate::ledger::{Account, Fate};
use crate::stream::{Delivery, EndCause, GapCause, Retention, StreamBytes, StreamSink};

const CLIENT: Side = Side::Low;
const SERVER: Side = Side::High;

/// Writes down deliveries: `c:bytes`, `c-5` for a gap, `c-5!` for a gap by the snapshot length,
/// `c.fin` for an end, `c?name` for an anomaly.
#[derive(Default)]
struct Log {
    text: String,
    /// For each delivered piece, true if a segment started at its first byte.
    starts: Vec<bool>,
    retention: Option<Retention>,
    ledger: Account,
}

impl Log {
    fn entry(&mut self, from: Side, what: std::fmt::Arguments<'_>) {
        let who = if from == CLIENT { 'c' } else { 's' };
        let blank = if self.text.is_empty() { "" } else { " " };
        write!(self.text, "{blank}{who}{what}").unwrap();
    }
}

impl StreamSink for Log {
    fn deliver(&mut self, from: Side, delivery: Delivery<'_>) {
        match delivery {
            Delivery::Bytes(StreamBytes { bytes, boundary, .. }) => {
                self.starts.push(boundary);
                self.ledger.count(Fate::Body, bytes.len());
                self.entry(from, format_args!(":{}", bytes.escape_ascii()));
            }
            Delivery::Gap { missing: bytes, cause: GapCause::Lost } => self.entry(from, format_args!("-{bytes}")),
            Delivery::Gap { missing: bytes, cause: GapCause::Snaplen } => self.entry(from, format_args!("-{bytes}!")),
            Delivery::End(cause) => self.entry(from, format_args!(".{}", format!("{cause:?}").to_lowercase())),
        }
    }

    fn flag_message(&mut self, from: Side, anomaly: Anomaly) {
        self.entry(from, format_args!("?{anomaly}"));
    }

    fn flag_connection(&mut self, anomaly: Anomaly) {
        let blank = if self.text.is_empty() { "" } else { " " };
        write!(self.text, "{blank}?{anomaly}").unwrap();
    }

    fn may_begin(&self, bytes: &[u8]) -> bool {
        bytes[0] != b'.'
    }

    fn retention(&self, _: Side) -> Retention {
        self.retention.unwrap_or(Retention::Open)
    }

    fn account(&mut self) -> &mut Account {
        &mut self.ledger
    }
}

/// Reads a segment from words such as `c 1 1 A hello`: side, sequence and acknowledgement number
/// relative to the ISNs, flags, payload.
///
/// The flags may be followed by `+N` (N more bytes cut by the snapshot length), `w N` (window), `t
/// N` (TSval), `scale N`, `m` (MD5), `@N` (milliseconds since the previous segment; default 1).
/// ISNs are near the wrap.
fn segment(row: &str) -> (Side, u64, Segment<'_>) {
    const ISN: [u32; 2] = [u32::MAX - 3, 0x7fff_fffe];
    let mut words = row.split(' ');
    let side = if words.next() == Some("c") { CLIENT } else { SERVER };
    let mut number = || words.next().unwrap().parse::<i64>().unwrap();
    let (seq, ack) = (number(), number());
    let mut flags = Flags::default();
    for flag in words.next().unwrap().chars() {
        flags = flags.with(match flag {
            'S' => Flags::SYN,
            'A' => Flags::ACK,
            'F' => Flags::FIN,
            'R' => Flags::RST,
            'U' => Flags::URG,
            '.' => Flags::default(),
            other => panic!("{other} is no flag"),
        });
    }
    let (mut cut, mut window, mut options, mut payload, mut later) = (0, 65_535, TcpOptions::default(), &b""[..], 1);
    while let Some(word) = words.next() {
        match word {
            "w" => window = words.next().unwrap().parse().unwrap(),
            "t" => options.timestamps = Some((words.next().unwrap().parse().unwrap(), 0)),
            "scale" => options.window_scale = Some(words.next().unwrap().parse().unwrap()),
            "m" => options.md5 = true,
            _ if word.starts_with('@') => later = word[1..].parse().unwrap(),
            _ if word.starts_with('+') => cut = word[1..].parse().unwrap(),
            _ => payload = word.as_bytes(),
        }
    }
    let end = |side: Side| Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + side as u8)), 80);
    let absolute = |isn: u32, relative: i64| SeqNumber(isn.wrapping_add(relative as u32));
    let segment = Segment {
        src: end(side),
        dst: end(side.other()),
        seq: absolute(ISN[side.index()], seq),
        ack: absolute(ISN[side.other().index()], ack),
        flags,
        window,
        options,
        payload,
        cut,
        ttl: 64,
        checksum: Checksum::Unknown,
    };
    (side, later, segment)
}

fn push<S: StreamSink>(
    connection: &mut TcpConnection,
    side: Side,
    segment: &Segment<'_>,
    sink: &mut S,
) -> SegmentOutcome {
    push_at(connection, side, segment, Now::default(), &Limits::default(), sink)
}

fn push_at<S: StreamSink>(
    connection: &mut TcpConnection,
    side: Side,
    segment: &Segment<'_>,
    now: Now,
    limits: &Limits,
    sink: &mut S,
) -> SegmentOutcome {
    connection.segment(segment, side, &mut TcpContext { now, limits, pool: &mut BufferPool::default(), sink })
}

fn end<S: StreamSink>(connection: &mut TcpConnection, cause: EndCause, sink: &mut S) {
    let (now, limits, pool) = (Now::default(), &Limits::default(), &mut BufferPool::default());
    connection.end(cause, &mut TcpContext { now, limits, pool, sink });
}

/// Each row is a segment and what it delivers. `end` is what the end of the capture delivers.
#[track_caller]
fn check(rows: &[(&str, &str)], end: &str) -> Account {
    check_with(&Limits::default(), rows, end)
}

#[track_caller]
fn check_with(limits: &Limits, rows: &[(&str, &str)], at_the_end: &str) -> Account {
    let mut connection = TcpConnection::new();
    let mut log = Log::default();
    let mut received = 0;
    let mut millis = 1_000;
    for (number, (row, want)) in rows.iter().enumerate() {
        let (side, later, segment) = segment(row);
        millis += later;
        let now = Timestamp::from_nanos(millis * 1_000_000);
        let stamp = Stamp { number: number as u64 + 1, time: now, ..Stamp::default() };
        received += segment.payload.len();
        log.ledger.receive(segment.payload.len());
        let outcome =
            push_at(&mut connection, side, &segment, Now { frame: stamp, now, segment_number: 0 }, limits, &mut log);
        if matches!(outcome, SegmentOutcome::Reopen(_)) {
            log.entry(side, format_args!("!reopen"));
        }
        assert_eq!(std::mem::take(&mut log.text), *want, "row {}: {row}", number + 1);
        assert_eq!(log.ledger.balance(), connection.held_payload() as i128, "row {}: {row}", number + 1);
    }
    end(&mut connection, EndCause::EndOfCapture, &mut log);
    assert_eq!(log.text, at_the_end, "at the end");
    assert_eq!(log.ledger.balance(), 0, "of {received} bytes");
    log.ledger
}

const HANDSHAKE: [(&str, &str); 3] = [("c 0 0 S", ""), ("s 0 1 SA", ""), ("c 1 1 A", "")];

fn after_handshake<'a>(rows: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    HANDSHAKE.iter().chain(rows).copied().collect()
}

#[test]
fn in_order_bytes_are_delivered_at_once_across_the_wrap() {
    let rows = [
        ("c 1 1 A hello", "c:hello"),
        ("c 6 1 A world", "c:world"),
        ("s 1 11 A answer", "s:answer"),
        ("c 11 7 FA", "c.fin"),
        ("s 7 12 FA", "s.fin"),
        ("c 12 8 A", ""),
    ];
    check(&after_handshake(&rows), "");
}

#[test]
fn an_early_segment_waits_for_the_one_before() {
    check(
        &after_handshake(&[("c 6 1 A world", ""), ("c 1 1 A hello", "c:hello c:world")]),
        "c.endofcapture s.endofcapture",
    );
}

#[test]
fn duplicates_and_consistent_overlaps_change_nothing() {
    let rows = [
        ("c 1 1 A hello", "c:hello"),
        ("c 1 1 A hello", ""),
        ("c 3 1 A lloworld", "c:world"),
        ("c 0 1 A x", ""), // A keep-alive probe with its one old byte (RFC 9293 §3.8.4).
        ("c 21 1 A later", ""),
        ("c 21 1 A later", ""),
        ("c 11 1 A 0123456789later", "c:0123456789 c:later"),
    ];
    let ledger = check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
    assert_eq!(ledger.bytes(Fate::Duplicate), 5 + 3 + 1 + 5 + 5);
}

#[test]
fn of_conflicting_copies_the_first_wins() {
    let rows = [
        ("c 6 1 A WORLD", ""),
        ("c 1 1 A helloworld", "c?conflicting-overlap c:hello c:WORLD"),
        ("c 1 1 A jello", "c?conflicting-overlap"),
    ];
    let ledger = check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
    assert_eq!(ledger.bytes(Fate::ConflictingOverlap), 10);
}

#[test]
fn copies_are_compared_for_as_long_as_they_matter() {
    let copy = "c 1 1 A jello";
    for (retention, acknowledged, conflicts) in [
        (Retention::Open, true, true),
        (Retention::Unacknowledged, false, true),
        (Retention::Unacknowledged, true, false),
        (Retention::None, false, false),
    ] {
        let mut connection = TcpConnection::new();
        let mut log = Log { retention: Some(retention), ..Log::default() };
        let ack = if acknowledged { "s 1 6 A" } else { "s 1 1 A" };
        for row in HANDSHAKE.map(|(row, _)| row).into_iter().chain(["c 1 1 A hello", ack, copy]) {
            let (side, _, segment) = segment(row);
            push(&mut connection, side, &segment, &mut log);
        }
        assert_eq!(log.ledger.bytes(Fate::ConflictingOverlap) == 5, conflicts, "{retention:?} {acknowledged}");
        assert_eq!(log.ledger.bytes(Fate::Duplicate) == 5, !conflicts, "{retention:?} {acknowledged}");
    }
}

#[test]
fn a_hole_that_was_acknowledged_is_a_gap_after_three_packets() {
    let rows = [
        ("c 1 1 A hello", "c:hello"),
        ("c 11 1 A after", ""),
        ("s 1 16 A", ""),
        ("s 1 16 A", ""),
        ("s 1 16 A", ""),
        ("s 1 16 A", "c-5 c:after"),
    ];
    check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
}

#[test]
fn a_hole_that_was_acknowledged_is_a_gap_after_ten_milliseconds() {
    let rows = [("c 11 1 A after", ""), ("s 1 16 A", ""), ("s 1 16 A @10", "c-10 c:after")];
    check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
}

#[test]
fn a_hole_that_nobody_acknowledged_waits_until_the_end() {
    let rows = [("c 11 1 A after", ""), ("s 1 1 A @50", ""), ("s 1 1 A @500", "")];
    check(&after_handshake(&rows), "c-10 c:after c.endofcapture s.endofcapture");
}

#[test]
fn a_hole_that_is_filled_in_time_is_none() {
    let rows = [("c 6 1 A world", ""), ("s 1 11 A", ""), ("c 1 1 A hello @20", "c:hello c:world")];
    check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
}

#[test]
fn bytes_that_come_after_their_gap_are_late() {
    let rows = [("c 6 1 A world", ""), ("s 1 11 A", ""), ("s 1 11 A @10", "c-5 c:world"), ("c 1 1 A hello", "")];
    let ledger = check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
    assert_eq!(ledger.bytes(Fate::Late), 5);
}

#[test]
fn an_answer_waits_for_what_its_sender_had_received() {
    let rows = [("s 1 6 A answer", ""), ("c 1 1 A hello", "c:hello s:answer")];
    check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
    // The wait ends, as those bytes may not be in the capture.
    let rows = [("s 1 6 A answer", ""), ("c 6 7 A @10", "c-5 s:answer")];
    check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
}

#[test]
fn what_the_snapshot_length_cut_is_a_gap_of_known_size() {
    check(
        &after_handshake(&[("c 1 1 A +5 hello", "c:hello c-5!"), ("c 11 1 A on", "c:on")]),
        "c.endofcapture s.endofcapture",
    );
    let rows = [("c 11 1 A on", ""), ("c 1 1 A +5 hello", "c:hello c-5! c:on")];
    check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
}

#[test]
fn a_reset_counts_only_at_the_exact_place() {
    let rows = [
        ("c 1 1 A hello", "c:hello"),
        ("c 1 1 R", "?inexact-reset"),
        ("c 7 1 R", "?inexact-reset"),
        ("c 6 1 A on", "c:on"),
        ("c 8 1 R", "c.reset s.reset"),
    ];
    check(&after_handshake(&rows), "");
}

#[test]
fn a_refused_connection_ends() {
    check(&[("c 0 0 S", ""), ("s 0 1 RA", "c.reset s.reset")], "");
    check(&[("c 0 0 S", ""), ("s 0 9 RA", "?inexact-reset")], "c.endofcapture s.endofcapture");
}

#[test]
fn a_syn_in_mid_flow_changes_nothing_until_it_is_answered() {
    let rows = [
        ("c 1 1 A hello", "c:hello"),
        ("c 5000 0 S", "?syn-in-flow"),
        ("c 6 1 A on", "c:on"),
        ("s 9000 5001 SA", "s!reopen"),
    ];
    check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
    // Only one direction is seen: data at ISN + 1 shows that the SYN was answered.
    let rows =
        [("c 0 0 S", ""), ("c 1 1 A hello", "c:hello"), ("c 5000 0 S", "?syn-in-flow"), ("c 5001 1 A x", "c!reopen")];
    let mut connection = TcpConnection::new();
    let mut log = Log::default();
    for (row, want) in rows {
        let (side, _, segment) = segment(row);
        let outcome = push(&mut connection, side, &segment, &mut log);
        if matches!(outcome, SegmentOutcome::Reopen(_)) {
            log.entry(side, format_args!("!reopen"));
        }
        assert_eq!(std::mem::take(&mut log.text), want, "{row}");
    }
}

#[test]
fn what_the_peer_would_drop_is_ignored_and_named() {
    let rows = [
        ("c 0 0 S t 100", ""),
        ("s 0 1 SA t 500", ""),
        ("c 1 1 A t 101 hello", "c:hello"),
        ("c 6 1 . evil", "c?no-ack"),
        ("c 6 1 A t 102 m evil", "c?unsolicited-md5"),
        ("c 6 1 A t 99 evil", "c?old-timestamp"),
        ("c 6 900001 A t 102 evil", "c?bad-ack"),
        ("c 900001 1 A t 102 evil", "c?out-of-window"),
        ("c 6 1 A t 102 good", "c:good"),
    ];
    let ledger = check(&rows, "c.endofcapture s.endofcapture");
    assert_eq!(ledger.bytes(Fate::Ignored), 5 * 4);
}

#[test]
fn a_capture_that_lost_very_much_goes_on_when_both_ends_agree() {
    let rows = [
        ("c 1 1 A hello", "c:hello"),
        ("s 1 900001 A", "?bad-ack"),
        ("c 900001 1 A on", ""),
        ("s 1 900003 A", ""),
        ("s 1 900003 A @10", "c-899995 c:on"),
    ];
    check(&after_handshake(&rows), "c.endofcapture s.endofcapture");
}

#[test]
fn data_in_a_syn_counts_as_far_as_it_was_taken() {
    // RFC 7413 §4.1.2
    check(&[("c 0 0 S early", ""), ("s 0 6 SA", "c:early"), ("c 6 1 A on", "c:on")], "c.endofcapture s.endofcapture");
    let rows = [("c 0 0 S early", ""), ("s 0 1 SA", ""), ("c 1 1 A early", "c:early")];
    let ledger = check(&rows, "c.endofcapture s.endofcapture");
    assert_eq!(ledger.bytes(Fate::Ignored), 5);
    check(&[("c 0 0 S early", ""), ("c 6 1 A on", "c:early c:on")], "c.endofcapture s.endofcapture");
}

#[test]
fn a_capture_may_begin_in_the_middle() {
    check(&[("c 500 900 A hello", "c:hello"), ("s 900 505 A answer", "s:answer")], "c.endofcapture s.endofcapture");
    // A probe shows where the stream stands, and carries no data of it.
    check(
        &[("s 900 500 A", ""), ("c 499 900 A x", ""), ("c 500 900 A hello", "c:hello")],
        "c.endofcapture s.endofcapture",
    );
    // The capture shows the acknowledgement before the request.
    check(&[("s 900 505 A", ""), ("c 500 900 A hello", "c:hello")], "c.endofcapture s.endofcapture");
}

#[test]
fn data_after_the_fin_is_ignored() {
    let rows = [("c 1 1 FA bye", "c:bye c.fin"), ("c 4 1 A evil", "?data-after-fin")];
    let ledger = check(&after_handshake(&rows), "s.endofcapture");
    assert_eq!(ledger.bytes(Fate::Ignored), 4);
}

#[test]
fn an_acknowledged_fin_that_is_not_in_the_capture_is_no_gap() {
    let rows = [("c 1 1 A bye", "c:bye"), ("s 1 5 A", ""), ("s 1 5 A @50", ""), ("s 1 5 FA", "s.fin")];
    check(&after_handshake(&rows), "c.endofcapture");
}

#[test]
fn urgent_data_is_read_inline() {
    check(&after_handshake(&[("c 1 1 AU hello", "c?urgent-data c:hello")]), "c.endofcapture s.endofcapture");
}
