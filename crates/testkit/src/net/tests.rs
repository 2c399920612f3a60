//! The network against a slow and simple model: each direction's bytes, placed by sequence number.

use std::collections::BTreeMap;

use sniffer_packet::key::FlowKey;

use super::dissect::Layout;
use super::*;
use crate::talk::{Marks, Talk};
use crate::wire::{Way, sum};

/// Collects the bytes of each direction by their distance from its first number.
fn streams(frames: &[OwnedFrame]) -> BTreeMap<(FlowKey, usize), Vec<u8>> {
    let mut first = BTreeMap::new();
    let mut streams: BTreeMap<(FlowKey, usize), BTreeMap<i32, u8>> = BTreeMap::new();
    for frame in frames {
        let layout = Layout::of(frame).unwrap();
        let key = (layout.flow, layout.side.index());
        let base = *first.entry(key).or_insert(layout.seq(frame));
        let at = layout.seq(frame).wrapping_sub(base) as i32;
        let payload = frame.bytes[layout.payload..layout.ip.end].iter();
        streams.entry(key).or_default().extend((at..).zip(payload.copied()));
    }
    streams.into_iter().map(|(key, bytes)| (key, bytes.into_values().collect())).collect()
}

fn capture(ipv6: bool) -> Vec<OwnedFrame> {
    let opening = if ipv6 { "connection [a] ipv6\nconnection [b] ipv6\n" } else { "connection [a]\nconnection [b]\n" };
    let mut talk = Talk::parse(opening).unwrap();
    for n in 0..12_u8 {
        let (connection, way) = (usize::from(n % 2), if n % 4 < 2 { Way::ToServer } else { Way::ToClient });
        let marks = Marks { mss: Some(60), ..Marks::default() };
        let payload: Vec<u8> = (0..usize::from(n) * 40 + 1).map(|at| at as u8 ^ n).collect();
        talk.steps.push(Talk::marked(connection, way, payload, marks));
    }
    talk.frames().unwrap()
}

#[test]
fn lossless_kinds_keep_every_stream() {
    let kinds: [&[Perturbation]; 7] = [
        &[Perturbation::Reorder { window: 6 }],
        &[Perturbation::ReorderAcks],
        &[Perturbation::Duplicate { share: 0.3, window: 5 }],
        &[Perturbation::Resegment],
        &[Perturbation::Wrap],
        &[Perturbation::Tunnel(vec![Wrap::Vlan(5, 6)])],
        &[
            Perturbation::Resegment,
            Perturbation::Wrap,
            Perturbation::Duplicate { share: 0.2, window: 4 },
            Perturbation::Reorder { window: 9 },
        ],
    ];
    for ipv6 in [false, true] {
        let before = capture(ipv6);
        for kinds in kinds {
            let mut changed = 0;
            for seed in 0..10 {
                let after = perturb(before.clone(), seed, kinds);
                assert_eq!(streams(&after), streams(&before), "seed {seed}, {kinds:?}");
                assert_eq!(after, perturb(before.clone(), seed, kinds), "seed {seed}, {kinds:?}: not the same twice");
                changed += usize::from(after != before);
                let in_time = after.is_sorted_by_key(|frame| (frame.time, frame.number));
                assert!(in_time, "seed {seed}, {kinds:?}: times must stay with the places");
            }
            assert!(changed > 8, "{kinds:?} changes nothing");
        }
    }
}

#[test]
fn headers_that_were_rewritten_are_right() {
    let kinds = [Perturbation::Resegment, Perturbation::Wrap];
    for seed in 0..20 {
        for frame in perturb(capture(false), seed, &kinds) {
            let layout = Layout::of(&frame).unwrap();
            let tcp = &frame.bytes[layout.tcp..];
            let mut pseudo = sum(0, &frame.bytes[layout.ip.ip + 12..layout.ip.ip + 20]);
            pseudo = sum(pseudo, &[0, 6]);
            pseudo = sum(pseudo, &(tcp.len() as u16).to_be_bytes());
            assert_eq!(sum(pseudo, tcp), 0xffff, "seed {seed}: TCP checksum of frame {}", frame.number);
            assert_eq!(sum(0, &frame.bytes[14..34]), 0xffff, "seed {seed}: IPv4 checksum of frame {}", frame.number);
        }
    }
}

#[test]
fn no_frame_passes_its_answer() {
    // For each connection the sequence of directions, where neighbours of one direction count once.
    let turns = |frames: &[OwnedFrame]| {
        let mut turns: BTreeMap<FlowKey, Vec<usize>> = BTreeMap::new();
        for frame in frames {
            let layout = Layout::of(frame).unwrap();
            turns.entry(layout.flow).or_default().push(layout.side.index());
        }
        turns.values_mut().for_each(Vec::dedup);
        turns
    };
    let before = capture(false);
    for seed in 0..100 {
        let after = perturb(before.clone(), seed, &[Perturbation::Reorder { window: 20 }]);
        assert_eq!(turns(&after), turns(&before), "seed {seed}");
    }
}

#[test]
fn fragments_hold_the_packet_between_them() {
    for ipv6 in [false, true] {
        let before = capture(ipv6);
        let header = if ipv6 { 14 + 40 + 8 } else { 14 + 20 };
        let after = perturb(before.clone(), 3, &[Perturbation::Fragment { share: 1.0 }]);
        assert!(after.len() > before.len());
        let bytes =
            |frames: &[OwnedFrame], header: usize| -> usize { frames.iter().map(|f| f.bytes.len() - header).sum() };
        let (whole, parts): (Vec<_>, Vec<_>) = after.into_iter().partition(|frame| Layout::of(frame).is_some());
        let whole_before =
            before.iter().filter(|frame| Layout::of(frame).is_some_and(|l| l.payload_len() == 0)).count();
        assert_eq!(whole.len(), whole_before, "only segments with data are fragmented");
        let plain = header - if ipv6 { 8 } else { 0 };
        assert_eq!(bytes(&whole, plain) + bytes(&parts, header), bytes(&before, plain));
    }
}

#[test]
fn numbers_that_fragments_hold_are_not_shifted() {
    let fragmented = perturb(capture(false), 1, &[Perturbation::Fragment { share: 0.3 }]);
    assert_eq!(perturb(fragmented.clone(), 1, &[Perturbation::Wrap]), fragmented);
}

#[test]
fn drop_removes_about_the_given_share() {
    let before = capture(false);
    assert_eq!(perturb(before.clone(), 1, &[Perturbation::Drop(0.0)]), before);
    assert!(perturb(before.clone(), 1, &[Perturbation::Drop(1.0)]).is_empty());
    let left = perturb(before.clone(), 1, &[Perturbation::Drop(0.5)]).len();
    assert!((before.len() / 4..before.len() * 3 / 4).contains(&left));
}

#[test]
fn frames_that_are_not_understood_stay_and_nothing_panics() {
    let kinds = [
        Perturbation::Resegment,
        Perturbation::Wrap,
        Perturbation::Fragment { share: 1.0 },
        Perturbation::Duplicate { share: 0.5, window: 3 },
        Perturbation::Reorder { window: 5 },
        Perturbation::ReorderAcks,
        Perturbation::Tunnel(vec![Wrap::Gre, Wrap::Teredo]),
    ];
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut frames = capture(seed % 2 == 0);
        for frame in &mut frames {
            // A frame of a foreign capture may have any defect.
            let at = rng.below(frame.bytes.len().min(70));
            frame.bytes[at] = rng.next_u64() as u8;
            frame.cut_to(if rng.chance(0.2) { rng.below(80) } else { usize::MAX });
            frame.link.0 =
                if rng.chance(0.1) { *rng.pick(&[0, 101, 108, 113, 276, 147]).unwrap() } else { frame.link.0 };
        }
        perturb(frames, seed, &kinds);
    }
    let strange = OwnedFrame { bytes: vec![0; 60], ..capture(false)[0].clone() };
    assert_eq!(perturb(vec![strange.clone()], 1, &kinds), [strange]);
}
