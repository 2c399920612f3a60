//! Perturbations of order: frames later, earlier, or more than once.
//!
//! It changes no byte of a frame. [`super::Perturbation`] states the rules of causality. Next:
//! `segments` beside this file.

use sniffer_packet::frame::OwnedFrame;

use super::dissect::Layout;
use crate::rng::Rng;

/// Longest time by which an acknowledgement comes early, in nanoseconds: half of what policy 5
/// allows.
const EARLY_NANOS: u64 = 5_000_000;
/// Most frames of the other direction that an acknowledgement passes: one below what policy 5
/// allows.
const EARLY_FRAMES: usize = 2;
/// Most places that it moves, with frames of other connections.
const EARLY_PLACES: usize = 16;

/// Moves frames later. Times stay with the places.
pub(super) fn reorder(frames: Vec<OwnedFrame>, window: usize, rng: &mut Rng) -> Vec<OwnedFrame> {
    let layouts: Vec<Option<Layout>> = frames.iter().map(Layout::of).collect();
    let mut keys = Vec::with_capacity(frames.len());
    for at in 0..frames.len() {
        // About every second frame moves; more would look like fewer.
        let wanted = if rng.chance(0.5) { at + rng.below(window.saturating_add(1)) } else { at };
        keys.push(furthest(&frames, &layouts, at, wanted));
    }
    // Stable: frames with equal keys keep their order. A frame's key is below the key of every
    // frame that it must not pass, because no key is below its own place.
    let mut places: Vec<usize> = (0..frames.len()).collect();
    places.sort_by_key(|at| keys[*at]);
    placed(&frames, &places)
}

/// Returns the last place up to `wanted` that a frame may take.
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

/// Puts the frames into this order and keeps the order of the times.
fn placed(frames: &[OwnedFrame], places: &[usize]) -> Vec<OwnedFrame> {
    let times = frames.iter().map(|frame| frame.time);
    places.iter().zip(times).map(|(at, time)| OwnedFrame { time, ..frames[*at].clone() }).collect()
}

/// Copies frames to later places; a copy takes the time of the frame it follows.
pub(super) fn duplicate(frames: Vec<OwnedFrame>, share: f64, window: usize, rng: &mut Rng) -> Vec<OwnedFrame> {
    let layouts: Vec<Option<Layout>> = frames.iter().map(Layout::of).collect();
    // For each place the frames whose copies follow it.
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
