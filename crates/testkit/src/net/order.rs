//! Frames in another order, and frames more than once.
//!
//! It changes no byte of any frame. The rules of causality stand at [`super::Perturbation`]. Next: `segments` beside this file.

use sniffer_packet::frame::OwnedFrame;

use super::dissect::Layout;
use crate::rng::Rng;

/// Longest time in which an acknowledgement may be seen early, in nanoseconds: half of what policy 5 allows.
const EARLY_NANOS: u64 = 5_000_000;
/// Most frames of the other direction that an acknowledgement passes: one less than policy 5 allows.
const EARLY_FRAMES: usize = 2;
/// Most places that it moves, frames of other connections among them.
const EARLY_PLACES: usize = 16;

/// Moves frames later. Times stay with the places.
pub(super) fn reorder(frames: Vec<OwnedFrame>, window: usize, rng: &mut Rng) -> Vec<OwnedFrame> {
    let layouts: Vec<Option<Layout>> = frames.iter().map(Layout::of).collect();
    let mut keys = Vec::with_capacity(frames.len());
    for at in 0..frames.len() {
        // Every second frame or so moves; more would only look like fewer.
        let wanted = if rng.chance(0.5) { at + rng.below(window.saturating_add(1)) } else { at };
        keys.push(furthest(&frames, &layouts, at, wanted));
    }
    // Stable: who has the same key stays in order. A frame's key is below that of everything it must not pass, because
    // no key is below its own place.
    let mut places: Vec<usize> = (0..frames.len()).collect();
    places.sort_by_key(|at| keys[*at]);
    placed(&frames, &places)
}

/// The last place up to `wanted` that a frame may take.
fn furthest(frames: &[OwnedFrame], layouts: &[Option<Layout>], at: usize, wanted: usize) -> usize {
    let Some(own) = layouts[at].as_ref().filter(|own| !own.is_barrier(&frames[at])) else { return at };
    let may_pass = |other_at: &usize| {
        let Some(other) = &layouts[*other_at] else { return false };
        other.flow != own.flow || (other.side == own.side && !other.is_barrier(&frames[*other_at]))
    };
    (at + 1..=wanted.min(frames.len() - 1)).take_while(may_pass).last().unwrap_or(at)
}

/// Moves bare acknowledgements earlier. Times stay with the places.
pub(super) fn reorder_acks(frames: Vec<OwnedFrame>, rng: &mut Rng) -> Vec<OwnedFrame> {
    let layouts: Vec<Option<Layout>> = frames.iter().map(Layout::of).collect();
    let mut places: Vec<usize> = Vec::with_capacity(frames.len());
    for (at, frame) in frames.iter().enumerate() {
        places.push(at);
        let Some(own) = layouts[at].as_ref().filter(|own| own.is_bare_ack(frame) && rng.chance(0.5)) else { continue };
        let mut left = rng.between(1, EARLY_FRAMES);
        let may_pass = |before: &&usize| {
            let Some(other) = &layouts[**before] else { return false };
            if other.flow != own.flow {
                return true;
            }
            let soon = frame.time.as_nanos().saturating_sub(frames[**before].time.as_nanos()) <= EARLY_NANOS;
            let passes = other.side != own.side && !other.is_barrier(&frames[**before]) && soon && left > 0;
            left = left.saturating_sub(1);
            passes
        };
        let passed = places[..at].iter().rev().take(EARLY_PLACES).take_while(may_pass).count();
        places[at - passed..].rotate_right(1);
    }
    placed(&frames, &places)
}

/// The frames in this order, with the times in the old one.
fn placed(frames: &[OwnedFrame], places: &[usize]) -> Vec<OwnedFrame> {
    let times = frames.iter().map(|frame| frame.time);
    places.iter().zip(times).map(|(at, time)| OwnedFrame { time, ..frames[*at].clone() }).collect()
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
