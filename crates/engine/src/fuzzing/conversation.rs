//! Fuzzes end to end: frames of a conversation, changed by the fuzzer and by a bad network, through the
//! whole engine.
//!
//! Next: [`super::check`], which checks the ledger after every frame.

use sniffer_packet::frame::OwnedFrame;
use sniffer_testkit::net::{Perturbation, perturb};

use super::check;
use super::input::FuzzInput;
use crate::config::Config;
use crate::extract::Extractor;
use crate::message::Message;

/// A small memory budget: less than one long conversation needs.
const BUDGET: usize = 128 << 10;

/// Runs frames through the engine twice, with different hash keys.
///
/// # Panics
/// If a byte has no fate or two, if more is held than the budget, or if the output depends on a hash key.
pub fn conversation(data: &[u8]) {
    let mut input = FuzzInput(data);
    let (network, seed, limits) = (input.u8(), input.u8(), input.u8());
    let mut frames = input.frames();
    frames.truncate(2_000);
    let frames = perturb(frames, u64::from(seed), &kinds(network));
    let config = config(limits);
    let checked = check::run(&frames, config.clone());
    let again = messages(&frames, Config { hash_key: [1, 2, 3, 4], ..config });
    assert!(checked.json() == again, "a hash key shows in the output");
}

fn messages(frames: &[OwnedFrame], config: Config) -> Vec<serde_json::Value> {
    let budget = config.limits.held_bytes_max;
    let mut extractor = Extractor::new(config);
    let mut messages = Vec::new();
    let mut keep = |message: &mut Message| messages.push(serde_json::to_value(message).expect("a message is JSON"));
    for frame in frames {
        extractor.push(&frame.as_frame(), &mut keep);
        assert!(extractor.held() <= budget, "{} bytes are held, {budget} allowed", extractor.held());
    }
    extractor.finish(&mut keep);
    messages
}

/// Returns the perturbations of the network, one for each bit.
fn kinds(bits: u8) -> Vec<Perturbation> {
    let all = [
        Perturbation::Reorder { window: 4 },
        Perturbation::ReorderAcks,
        Perturbation::Duplicate { share: 0.2, window: 4 },
        Perturbation::Resegment,
        Perturbation::Fragment { share: 0.3 },
        Perturbation::Wrap,
        Perturbation::Drop(0.1),
    ];
    all.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, kind)| kind).collect()
}

/// Returns a configuration with small limits, one for each bit.
fn config(bits: u8) -> Config {
    let mut config = Config::default();
    let limits = &mut config.limits;
    let small = |bit: u8| bits >> bit & 1 == 1;
    if small(0) {
        limits.held_bytes_max = BUDGET;
        limits.defrag.held_bytes_max = 1 << 10;
        limits.closed_max = 16;
    }
    if small(1) {
        limits.body_bytes_max = 100;
    }
    if small(2) {
        (limits.head_bytes_max, limits.head_fields_max) = (200, 4);
    }
    if small(3) {
        limits.waiting_bytes_max = 1_000;
    }
    if small(4) {
        limits.connections_max = 2;
    }
    if small(5) {
        limits.pipeline_max = 2;
    }
    config.track_frames = small(6);
    if small(7) {
        config.ports = vec![80];
    }
    config
}
