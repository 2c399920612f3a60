//! Frames in another order, and frames more than once.
//!
//! It changes no byte of any frame. The rules of causality stand at [`super::Kind`]. Next: `segments` beside this file.

use super::dissect::Layout;
use crate::testkit::rng::Rng;
use crate::testkit::wire::OwnedFrame;

/// Longest time in which an acknowledgement may be passed, in nanoseconds: half of what policy 5 allows.
const ACROSS_NANOS: u64 = 5_000_000;

/// Moves frames later, past at most `acks` bare acknowledgements of the other direction. Times stay with the places.
pub(super) fn reorder(frames: Vec<OwnedFrame>, window: usize, acks: usize, rng: &mut Rng) -> Vec<OwnedFrame> {
    let layouts: Vec<Option<Layout>> = frames.iter().map(Layout::of).collect();
    let mut keys = Vec::with_capacity(frames.len());
    for at in 0..frames.len() {
        // Every second frame or so moves; more would only look like fewer.
        let wanted = if rng.chance(0.5) { at + rng.below(window.saturating_add(1)) } else { at };
        keys.push(wanted.min(furthest(&frames, &layouts, at, wanted, acks)));
    }
    // Stable: who has the same key stays in order. A frame's key is below that of everything it must not pass, because
    // no key is below its own place.
    let mut places: Vec<usize> = (0..frames.len()).collect();
    places.sort_by_key(|at| keys[*at]);
    let times: Vec<_> = frames.iter().map(|frame| frame.time).collect();
    let moved = places.iter().map(|at| frames[*at].clone());
    moved.zip(times).map(|(frame, time)| OwnedFrame { time, ..frame }).collect()
}

/// The last place a frame may take, looking no further than `wanted`.
fn furthest(frames: &[OwnedFrame], layouts: &[Option<Layout>], at: usize, wanted: usize, acks: usize) -> usize {
    let Some(own) = &layouts[at] else { return at };
    if own.is_barrier(&frames[at]) {
        return at;
    }
    let mut acks_passed = 0;
    let last = wanted.min(frames.len().saturating_sub(1));
    for other_at in at + 1..=last {
        let frame = &frames[other_at];
        let Some(other) = &layouts[other_at] else { return other_at - 1 };
        if other.flow != own.flow {
            continue;
        }
        let soon = frame.time.as_nanos().saturating_sub(frames[at].time.as_nanos()) <= ACROSS_NANOS;
        let may_pass = if other.side == own.side {
            !other.is_barrier(frame)
        } else {
            acks_passed += 1;
            other.is_bare_ack(frame) && acks_passed <= acks && soon
        };
        if !may_pass {
            return other_at - 1;
        }
    }
    last
}

/// Copies frames to later places; a copy takes the time of the frame it follows.
pub(super) fn duplicate(frames: Vec<OwnedFrame>, share: f64, window: usize, rng: &mut Rng) -> Vec<OwnedFrame> {
    let layouts: Vec<Option<Layout>> = frames.iter().map(Layout::of).collect();
    // Places after which copies stand, and of what.
    let mut copies: Vec<(usize, usize)> = Vec::new();
    for (at, layout) in layouts.iter().enumerate() {
        let Some(own) = layout.filter(|_| rng.chance(share)) else { continue };
        let wanted = (at + rng.below(window.saturating_add(1))).min(frames.len() - 1);
        let passes = |other: usize| {
            let Some(layout) = &layouts[other] else { return false };
            layout.flow != own.flow || !layout.is_barrier(&frames[other])
        };
        let movable = !own.is_barrier(&frames[at]);
        let place = (at + 1..=wanted).take_while(|other| movable && passes(*other)).last().unwrap_or(at);
        copies.push((place, at));
    }
    copies.sort_unstable();
    let mut copies = copies.into_iter().peekable();
    let mut out = Vec::with_capacity(frames.len());
    for (at, frame) in frames.iter().enumerate() {
        out.push(frame.clone());
        while let Some((_, of)) = copies.next_if(|(place, _)| *place == at) {
            out.push(OwnedFrame { time: frame.time, ..frames[of].clone() });
        }
    }
    out
}
