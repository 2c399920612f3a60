//! Limits on memory and time, and the counters.

use super::*;

#[test]
fn a_datagram_times_out() {
    let mut defrag = defrag();
    let start = Timestamp::new(1_000, 0);
    let late = |secs: u64| Timestamp::new(1_000 + secs, 0);
    assert_eq!(defrag.push(&fragment(&row(0, 8, true, 1), false, 1), start, stamp(1)), FragmentOutcome::Waiting);
    // Later fragments do not prolong it.
    assert_eq!(defrag.push(&fragment(&row(8, 8, true, 1), false, 1), late(29), stamp(2)), FragmentOutcome::Waiting);
    assert_eq!(defrag.push(&fragment(&row(16, 8, false, 1), false, 1), late(30), stamp(3)), FragmentOutcome::Waiting);
    assert_eq!((defrag.stats().timed_out, defrag.stats().lost_bytes), (1, 16));
    defrag.clear_expired(late(60));
    assert_eq!((defrag.stats().timed_out, defrag.held_bytes()), (2, 0));
}

#[test]
fn a_completed_datagram_does_not_keep_others_alive() {
    let at = |secs: u64| Timestamp::new(1_000 + secs, 0);
    let mut defrag = defrag();
    let mut push = |secs, id, offset, more| {
        defrag.push(&fragment(&row(offset, 8, more, 1), false, id), at(secs), stamp(1));
        defrag.stats().timed_out
    };
    // Id 1 is reused while datagrams from before and after its first use wait.
    push(0, 2, 0, true);
    push(1, 1, 0, true);
    push(1, 1, 8, false);
    push(2, 3, 0, true);
    push(20, 1, 0, true);
    assert_eq!(push(29, 4, 0, true), 0);
    assert_eq!(push(33, 5, 0, true), 2);
    assert_eq!(push(51, 6, 0, true), 3);
}

#[test]
fn the_oldest_are_evicted_first() {
    for limits in [
        DefragLimits { datagrams_max: 3, ..DefragLimits::default() },
        DefragLimits { held_bytes_max: 3 * 1_600, ..DefragLimits::default() },
    ] {
        let mut defrag = Defrag::new(limits, [1, 2, 3, 4]);
        for id in 0..5 {
            let first = row(0, 1_200, true, 1);
            assert_eq!(defrag.push(&fragment(&first, false, id), Timestamp::ZERO, stamp(1)), FragmentOutcome::Waiting);
        }
        assert_eq!((defrag.stats().evicted, defrag.stats().lost_bytes), (2, 2_400));
        for id in 2..5 {
            let last = row(1_200, 8, false, 1);
            let outcome = defrag.push(&fragment(&last, false, id), Timestamp::ZERO, stamp(2));
            assert!(matches!(outcome, FragmentOutcome::Whole(_)), "the youngest three are there");
        }
        assert_eq!(defrag.held_bytes(), 0);
    }
}

#[test]
fn exactly_the_limit_may_be_held() {
    let one = |defrag: &mut Defrag, id| {
        defrag.push(&fragment(&row(0, 1_200, true, 1), false, id), Timestamp::ZERO, stamp(1));
        (defrag.held_bytes(), defrag.stats().evicted)
    };
    let (held, _) = one(&mut defrag(), 1);
    for (held_bytes_max, evicted) in [(2 * held, 0), (2 * held - 1, 1)] {
        let mut defrag = Defrag::new(DefragLimits { held_bytes_max, ..DefragLimits::default() }, [1, 2, 3, 4]);
        one(&mut defrag, 1);
        assert_eq!(one(&mut defrag, 2).1, evicted);
    }
    // One datagram fits even within the smallest limits.
    for limits in [
        DefragLimits { held_bytes_max: 0, ..DefragLimits::default() },
        DefragLimits { datagrams_max: 0, ..DefragLimits::default() },
    ] {
        let mut defrag = Defrag::new(limits, [1, 2, 3, 4]);
        assert_eq!(one(&mut defrag, 1), (held, 0));
        assert_eq!(one(&mut defrag, 2), (held, 1));
        let last = row(1_200, 8, false, 1);
        assert!(matches!(
            defrag.push(&fragment(&last, false, 2), Timestamp::ZERO, stamp(2)),
            FragmentOutcome::Whole(_)
        ));
    }
}

#[test]
fn a_datagram_has_a_bounded_number_of_fragments() {
    for v6 in [false, true] {
        let limits = DefragLimits { fragments_max: 3, ..DefragLimits::default() };
        let mut defrag = Defrag::new(limits, [1, 2, 3, 4]);
        let outcomes: Vec<_> = (0..5)
            .map(|i| defrag.push(&fragment(&row(i * 16, 8, true, 1), v6, 1), Timestamp::ZERO, stamp(1)))
            .collect();
        assert_eq!(outcomes[3], FragmentOutcome::Discarded(Discarded::TooMany));
        let after = if v6 { FragmentOutcome::Discarded(Discarded::Poisoned) } else { FragmentOutcome::Waiting };
        assert_eq!((&outcomes[4], defrag.stats().too_many), (&after, 1));
    }
}

#[test]
fn completed_datagrams_leave_nothing() {
    let mut defrag = defrag();
    defrag.push(&fragment(&row(0, 8, true, 1), false, 0), Timestamp::ZERO, stamp(1));
    let held = defrag.held_bytes();
    for id in 1..10_000 {
        defrag.push(&fragment(&row(0, 8, true, 1), false, id), Timestamp::ZERO, stamp(1));
        let outcome = defrag.push(&fragment(&row(8, 8, false, 1), false, id), Timestamp::ZERO, stamp(1));
        assert!(matches!(outcome, FragmentOutcome::Whole(_)));
    }
    assert_eq!(defrag.held_bytes(), held);
    assert!(defrag.by_age.len() < 100, "stale entries are swept: {}", defrag.by_age.len());
}

#[test]
fn a_sweep_keeps_waiting_datagrams_in_the_queue() {
    let mut defrag = defrag();
    let start = Timestamp::new(1_000, 0);
    defrag.push(&fragment(&row(0, 8, true, 1), false, 0), start, stamp(1));
    for id in 1..1_000 {
        defrag.push(&fragment(&row(0, 8, true, 1), false, id), start, stamp(1));
        defrag.push(&fragment(&row(8, 8, false, 1), false, id), start, stamp(1));
    }
    defrag.clear_expired(Timestamp::new(1_030, 0));
    assert_eq!((defrag.stats().timed_out, defrag.held_bytes()), (1, 0));
}

#[test]
fn the_account_includes_the_overhead() {
    let mut defrag = defrag();
    // A piece: its bytes, its place, 16 for the allocation, and the number of its frame.
    let piece = 1_200 + size_of::<(u32, u32, Vec<u8>)>() + 16 + size_of::<u64>();
    for n in 1..4 {
        defrag.push(&fragment(&row(n * 1_200, 1_200, true, 1), false, 1), Timestamp::ZERO, stamp(1));
        assert_eq!(defrag.held_bytes(), DATAGRAM_COST + usize::try_from(n).unwrap() * piece);
    }
}

#[test]
fn each_outcome_has_its_counter() {
    let cut = |offset, len, cut, more| Row { cut, ..row(offset, len, more, 1) };
    let none = DefragStats::default();
    for (v6, rows, stats) in [
        // A consistent overlap is no conflict, and bytes that were cut are not lost.
        (false, vec![row(0, 16, true, 1), row(8, 16, false, 1)], DefragStats { assembled: 1, ..none }),
        (false, vec![row(0, 16, true, 1), row(8, 16, false, 2)], DefragStats { assembled: 1, conflicting: 1, ..none }),
        (
            false,
            vec![cut(0, 10, 6, true), row(16, 8, false, 1)],
            DefragStats { assembled: 1, assembled_cut: 1, ..none },
        ),
        (
            false,
            vec![row(0, 8, true, 1), row(0, 8, true, 1)],
            DefragStats { duplicate_fragments: 1, unfinished: 1, lost_bytes: 8, ..none },
        ),
        // Past the end: the IPv4 datagram keeps waiting, the IPv6 one is discarded.
        (
            false,
            vec![row(8, 8, false, 1), row(16, 8, true, 2)],
            DefragStats { malformed_fragments: 1, unfinished: 1, lost_bytes: 16, ..none },
        ),
        (true, vec![row(8, 8, false, 1), row(16, 8, true, 2)], DefragStats { overlapping: 1, lost_bytes: 16, ..none }),
        (true, vec![row(0, 16, true, 1), row(8, 16, true, 1)], DefragStats { overlapping: 1, lost_bytes: 32, ..none }),
        (false, vec![row(0, 7, true, 1)], DefragStats { malformed_fragments: 1, lost_bytes: 7, ..none }),
        (true, vec![row(65_528, 8, true, 1)], DefragStats { too_big_fragments: 1, lost_bytes: 8, ..none }),
    ] {
        let fragments = rows.len() as u64;
        assert_eq!(run(v6, &rows).1, DefragStats { fragments, ..stats }, "{rows:?}");
    }
    for v6 in [false, true] {
        let limits = DefragLimits { fragments_max: 3, ..DefragLimits::default() };
        let mut defrag = Defrag::new(limits, [1, 2, 3, 4]);
        for i in 0..4 {
            defrag.push(&fragment(&row(i * 16, 8, true, 1), v6, 1), Timestamp::ZERO, stamp(1));
        }
        assert_eq!(defrag.stats(), DefragStats { fragments: 4, too_many: 1, lost_bytes: 32, ..none });
    }
}
