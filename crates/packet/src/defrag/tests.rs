//! Defragmentation: the policies as rows, and a byte map as the model for random fragments. Next:
//! `limits`.

mod limits;

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::time::Precision;

/// One fragment in the notation of the tests.
#[derive(Debug, Clone)]
struct Row {
    offset: u32,
    more: bool,
    bytes: Vec<u8>,
    cut: u32,
}

/// A fragment whose bytes are all `fill`.
fn row(offset: u32, len: usize, more: bool, fill: u8) -> Row {
    Row { offset, more, bytes: vec![fill; len], cut: 0 }
}

fn addresses(v6: bool) -> (IpAddr, IpAddr) {
    if v6 {
        ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap())
    } else {
        (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]))
    }
}

fn fragment(row: &Row, v6: bool, id: u32) -> Fragment<'_> {
    let (src, dst) = addresses(v6);
    let Row { offset, more, ref bytes, cut } = *row;
    Fragment { src, dst, id, protocol: 6, offset, more, bytes, cut, ttl: 64, depth: 0 }
}

fn stamp(number: u64) -> Stamp {
    Stamp { number, time: Timestamp::ZERO, precision: Precision::Micros }
}

fn defrag() -> Defrag {
    Defrag::new(DefragLimits::default(), [1, 2, 3, 4])
}

/// Pushes the rows as frames 1, 2, 3 … of one datagram and returns the outcome of the last one.
#[track_caller]
fn run(v6: bool, rows: &[Row]) -> (FragmentOutcome, DefragStats) {
    let mut defrag = defrag();
    let mut last = FragmentOutcome::Waiting;
    for (number, row) in (1..).zip(rows) {
        last = defrag.push(&fragment(row, v6, 7), Timestamp::ZERO, stamp(number));
    }
    defrag.finish();
    assert_eq!(defrag.held_bytes(), 0, "everything is given back");
    (last, defrag.stats())
}

#[track_caller]
fn whole(v6: bool, rows: &[Row]) -> WholeDatagram {
    match run(v6, rows) {
        (FragmentOutcome::Whole(datagram), _) => datagram,
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_order_gives_the_same_datagram() {
    let rows = [row(0, 16, true, 1), row(16, 8, true, 2), row(24, 5, false, 3)];
    let expected = [vec![1; 16], vec![2; 8], vec![3; 5]].concat();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        for v6 in [false, true] {
            let datagram = whole(v6, &order.map(|i| rows[i].clone()));
            assert_eq!((&datagram.bytes, datagram.overlap, datagram.facts.cut), (&expected, Overlap::None, 0));
            assert_eq!(datagram.frames, [1, 2, 3]);
            let first = order.iter().position(|i| *i == 0).unwrap();
            assert_eq!(datagram.first.number, u64::try_from(first).unwrap() + 1);
        }
    }
}

#[test]
fn ipv4_overlap_keeps_the_first_copy_and_reports_conflicts() {
    let (a, b) = (1, 2);
    let rows: &[(&[Row], Overlap, &[u8])] = &[
        // Left, right, inside, around, and over two with a hole between.
        (&[row(0, 16, true, a), row(8, 16, false, b)], Overlap::Conflicting, &[1, 1, 2]),
        (&[row(8, 16, false, b), row(0, 16, true, a)], Overlap::Conflicting, &[1, 2, 2]),
        (&[row(0, 24, true, a), row(8, 8, true, b), row(24, 8, false, a)], Overlap::Conflicting, &[1, 1, 1, 1]),
        (&[row(8, 8, true, a), row(0, 24, false, b)], Overlap::Conflicting, &[2, 1, 2]),
        (&[row(0, 8, true, a), row(16, 8, true, a), row(0, 32, false, b)], Overlap::Conflicting, &[1, 2, 1, 2]),
        (&[row(0, 16, true, a), row(8, 16, false, a)], Overlap::Consistent, &[1, 1, 1]),
        // An exact copy is no overlap.
        (&[row(0, 8, true, a), row(0, 8, true, a), row(8, 8, false, a)], Overlap::None, &[1, 1]),
        // A last fragment that brings only the end.
        (&[row(0, 16, true, a), row(8, 8, false, a)], Overlap::Consistent, &[1, 1]),
    ];
    for (rows, overlap, bytes) in rows {
        let datagram = whole(false, rows);
        let expected: Vec<u8> = bytes.iter().flat_map(|byte| [*byte; 8]).collect();
        assert_eq!((datagram.bytes, datagram.overlap), (expected, *overlap), "{rows:?}");
    }
}

#[test]
fn ipv6_overlap_discards_the_datagram_and_all_that_follows() {
    // Even where the bytes agree (RFC 5722 §4).
    for fill in [1, 2] {
        let rows = [row(0, 16, true, 1), row(8, 16, true, fill)];
        let (last, stats) = run(true, &rows);
        assert_eq!((last, stats.overlapping), (FragmentOutcome::Discarded(Discarded::Overlapping), 1));
        let (last, stats) = run(true, &[&rows[..], &[row(0, 24, true, 1), row(24, 8, false, 1)]].concat());
        assert_eq!((last, stats.assembled), (FragmentOutcome::Discarded(Discarded::Poisoned), 0));
        assert_eq!(stats.lost_bytes, 16 + 16 + 24 + 8);
    }
    // A retransmitted frame is no overlap (RFC 8200 §4.5); one with other bytes or another end is.
    let twice = [row(0, 16, true, 1), row(0, 16, true, 1), row(16, 8, false, 1)];
    assert_eq!(whole(true, &twice).overlap, Overlap::None);
    assert_eq!(run(true, &[row(0, 16, true, 1), row(0, 16, true, 2)]).1.overlapping, 1);
    assert_eq!(run(true, &[row(8, 16, true, 1), row(8, 16, false, 1)]).1.overlapping, 1);
}

#[test]
fn fragments_that_cannot_be_are_refused() {
    let cases = [
        (row(0, 0, true, 0), Discarded::Malformed),
        (row(8, 0, false, 0), Discarded::Malformed),
        (row(0, 7, true, 0), Discarded::Malformed),
        (row(65_528, 8, true, 0), Discarded::TooBig),
        (row(65_512, 65_000, false, 0), Discarded::TooBig),
    ];
    for (row, reason) in &cases {
        for v6 in [false, true] {
            let (last, stats) = run(v6, std::slice::from_ref(row));
            assert_eq!(last, FragmentOutcome::Discarded(*reason), "{row:?}");
            assert_eq!(stats.too_big_fragments + stats.malformed_fragments, 1);
        }
    }
    // The largest that fit: an IPv4 header takes 20 of its 65 535 bytes.
    for (v6, last) in [(false, 65_515 - 65_512), (true, 65_535 - 65_528)] {
        let start = if v6 { 65_528 } else { 65_512 };
        let rows = [row(0, start, true, 1), row(u32::try_from(start).unwrap(), last, false, 2)];
        assert_eq!(whole(v6, &rows).bytes.len(), start + last);
    }
}

#[test]
fn the_first_end_counts() {
    let rows = [row(8, 8, false, 1), row(16, 8, true, 2), row(0, 8, false, 3), row(0, 8, true, 4)];
    let datagram = whole(false, &rows);
    assert_eq!((datagram.bytes, datagram.overlap), ([[4; 8], [1; 8]].concat(), Overlap::Conflicting));
    assert_eq!(run(true, &rows[..2]).0, FragmentOutcome::Discarded(Discarded::Contradictory));
    assert_eq!(run(true, &rows[..2]).1.overlapping, 1);
    // An end before what is there already.
    let (last, _) = run(false, &[row(16, 8, true, 1), row(0, 8, false, 1)]);
    assert_eq!(last, FragmentOutcome::Discarded(Discarded::Contradictory));
}

#[test]
fn bytes_from_the_first_cut_on_are_missing() {
    let cut = |offset, len, cut, more| Row { cut, ..row(offset, len, more, 1) };
    for (rows, len, missing) in [
        (vec![row(0, 16, true, 1), cut(16, 3, 5, false)], 19, 5),
        // Bytes after a hole in the middle are missing too, though they were captured.
        (vec![cut(0, 10, 6, true), row(16, 8, false, 1)], 10, 14),
        (vec![row(16, 8, false, 1), cut(0, 0, 16, true)], 0, 24),
    ] {
        let datagram = whole(false, &rows);
        assert_eq!((datagram.bytes.len(), datagram.facts.cut), (len, missing), "{rows:?}");
    }
}

#[test]
fn addresses_protocol_id_and_depth_distinguish_datagrams() {
    let (first, last) = (row(0, 8, true, 1), row(8, 8, false, 2));
    let base = fragment(&last, false, 7);
    let others = [
        Fragment { id: 8, ..base.clone() },
        Fragment { protocol: 17, ..base.clone() },
        Fragment { depth: 1, ..base.clone() },
        Fragment { src: base.dst, dst: base.src, ..base.clone() },
    ];
    for other in others {
        let mut defrag = defrag();
        defrag.push(&fragment(&first, false, 7), Timestamp::ZERO, stamp(1));
        assert_eq!(defrag.push(&other, Timestamp::ZERO, stamp(2)), FragmentOutcome::Waiting, "{other:?}");
    }
    // In IPv6 only the first fragment's next header counts.
    let mut defrag = defrag();
    let odd = Fragment { protocol: 60, ..fragment(&last, true, 7) };
    defrag.push(&odd, Timestamp::ZERO, stamp(1));
    let FragmentOutcome::Whole(datagram) = defrag.push(&fragment(&first, true, 7), Timestamp::ZERO, stamp(2)) else {
        panic!("not whole")
    };
    assert_eq!((datagram.facts.protocol, datagram.first.number), (6, 2));
}

/// The model: one cell for each byte of one datagram.
struct ByteMap {
    v6: bool,
    /// The stretch that brought the byte, and the byte if it was captured.
    cells: Vec<Option<(usize, Option<u8>)>>,
    /// Start and stop of every stretch.
    stretches: Vec<(usize, usize)>,
    end: Option<usize>,
    overlap: Overlap,
    poisoned: bool,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Whole(Vec<u8>, usize, Overlap),
    Waiting,
    Refused,
}

impl ByteMap {
    fn new(v6: bool) -> Self {
        let (cells, stretches) = (vec![None; 65_536], Vec::new());
        Self { v6, cells, stretches, end: None, overlap: Overlap::None, poisoned: false }
    }

    fn push(&mut self, row: &Row) -> Answer {
        let start = usize::try_from(row.offset).unwrap();
        let stop = start + row.bytes.len() + usize::try_from(row.cut).unwrap();
        if start == stop || (row.more && !(stop - start).is_multiple_of(8)) {
            return Answer::Refused;
        }
        if stop > if self.v6 { 65_535 } else { 65_515 } || self.poisoned {
            return Answer::Refused;
        }
        let highest = self.cells.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let contradicts = self.end.is_some_and(|end| stop > end || (!row.more && stop < end));
        if contradicts || (!row.more && highest > stop) {
            self.overlap = Overlap::Conflicting;
            self.poisoned = self.v6;
            return Answer::Refused;
        }
        let new = |at: usize| row.bytes.get(at - start).copied();
        let differs = |cell: &Option<(usize, Option<u8>)>, at: usize| matches!((cell, new(at)), (Some((_, Some(old))), Some(new)) if *old != new);
        let touches = self.cells[start..stop].iter().any(Option::is_some);
        let conflicts = (start..stop).any(|at| differs(&self.cells[at], at));
        let copy = self.stretches.contains(&(start, stop)) && !conflicts && row.more == (self.end != Some(stop));
        if touches && !copy {
            if self.v6 {
                self.poisoned = true;
                return Answer::Refused;
            }
            self.overlap = self.overlap.max(if conflicts { Overlap::Conflicting } else { Overlap::Consistent });
        }
        let mut brought = false;
        let mut at = start;
        while at < stop {
            let from = at;
            while at < stop && self.cells[at].is_none() {
                self.cells[at] = Some((self.stretches.len(), new(at)));
                at += 1;
            }
            if at > from {
                self.stretches.push((from, at));
                brought = true;
            } else {
                at += 1;
            }
        }
        if !row.more {
            self.end = Some(stop);
        }
        match self.end {
            Some(end) if self.cells[..end].iter().all(Option::is_some) => {
                let bytes: Vec<u8> = self.cells[..end].iter().map_while(|cell| cell.and_then(|cell| cell.1)).collect();
                let cut = end - bytes.len();
                Answer::Whole(bytes, cut, self.overlap)
            }
            _ if brought => Answer::Waiting,
            _ => Answer::Refused,
        }
    }
}

fn random_row() -> impl Strategy<Value = Row> {
    // Few places and few values, so that they meet; sometimes a cut, an odd length or the far end.
    let offset = prop_oneof![12 => (0..8_u32).prop_map(|n| n * 8), 1 => Just(65_512), 1 => Just(65_528)];
    let len = prop_oneof![8 => (1..5_usize).prop_map(|n| n * 8), 2 => 0..20_usize];
    let cut = prop_oneof![6 => Just(0_u32), 1 => (0..3_u32).prop_map(|n| n * 8), 1 => 0..9_u32];
    let fill = prop_oneof![5 => Just(1_u8), 1 => Just(2_u8)];
    (offset, len, cut, prop::bool::weighted(0.75), fill).prop_map(|(offset, len, cut, more, fill)| Row {
        offset,
        more,
        // Not all equal, so that a shifted copy is noticed.
        bytes: (0..len)
            .map(|i| fill.wrapping_add(u8::try_from((usize::try_from(offset).unwrap() + i) % 251).unwrap()))
            .collect(),
        cut,
    })
}

proptest! {
    #[test]
    fn it_does_what_a_byte_map_does(v6 in any::<bool>(), rows in prop::collection::vec(random_row(), 1..24)) {
        let mut defrag = defrag();
        let mut model = ByteMap::new(v6);
        for row in &rows {
            let outcome = defrag.push(&fragment(row, v6, 7), Timestamp::ZERO, stamp(1));
            let answer = match &outcome {
                FragmentOutcome::Whole(datagram) => {
                    let cut = usize::try_from(datagram.facts.cut).unwrap();
                    Answer::Whole(datagram.bytes.clone(), cut, datagram.overlap)
                }
                FragmentOutcome::Waiting => Answer::Waiting,
                FragmentOutcome::Discarded(_) => Answer::Refused,
            };
            prop_assert_eq!(&answer, &model.push(row), "{:?}", row);
            if let Answer::Whole(..) = answer {
                prop_assert_eq!(defrag.held_bytes(), 0);
                model = ByteMap::new(v6);
            }
        }
        defrag.finish();
        prop_assert_eq!(defrag.held_bytes(), 0);
    }

    #[test]
    fn it_stays_within_its_limits(
        rows in prop::collection::vec((random_row(), any::<bool>(), 0..6_u32, 0..4_u64), 1..200),
    ) {
        let limits = DefragLimits {
            held_bytes_max: 1_500,
            datagrams_max: 4,
            fragments_max: 6,
            timeout: Duration::from_secs(9),
        };
        let mut defrag = Defrag::new(limits, [1, 2, 3, 4]);
        let mut secs = 0;
        for (row, v6, id, passed) in &rows {
            secs += passed;
            defrag.push(&fragment(row, *v6, *id), Timestamp::new(secs, 0), stamp(1));
            prop_assert!(defrag.waiting.len() <= 4);
            prop_assert!(defrag.held_bytes() <= 1_500 || defrag.waiting.len() == 1);
            prop_assert!(defrag.by_age.len() <= 2 * defrag.waiting.len() + 64);
            let cost: usize = defrag.waiting.values().map(|waiting| match &waiting.state {
                State::Collecting(datagram) => DATAGRAM_COST + datagram.cost(),
                State::Poisoned => DATAGRAM_COST,
            }).sum();
            prop_assert_eq!(defrag.held_bytes(), cost);
        }
        defrag.finish();
        prop_assert_eq!((defrag.held_bytes(), defrag.waiting.len()), (0, 0));
    }
}
