//! Runs every fuzz target on its seeds from the corpus, and on small changes of them, without a
//! fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use sniffer_fuzz::{TARGETS, seeds};
use sniffer_testkit::rng::Rng;
use walkdir::WalkDir;

/// Longest seed: this test must be quick in a debug build. Longer ones are for the fuzzer.
const SEED_MAX: usize = 4 << 10;

#[test]
fn every_target_holds_on_its_seeds_and_small_changes_of_them() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let mut rng = Rng::new(1);
    let mut runs = vec![0; TARGETS.len()];
    for path in files(&corpus) {
        let name = path.file_name().unwrap().to_string_lossy();
        let seeds = seeds(&name, &fs::read(&path).unwrap());
        for (target, seed) in seeds.iter().filter(|(_, seed)| seed.len() <= SEED_MAX) {
            let n = TARGETS.iter().position(|(name, _)| name == target).unwrap();
            let (_, check) = TARGETS[n];
            check(seed);
            check(&changed(seed, &mut rng));
            runs[n] += 1;
        }
    }
    for ((target, _), runs) in TARGETS.iter().zip(runs) {
        assert!(runs >= 20, "only {runs} seeds for {target}");
    }
}

/// Changes a byte or two, removes a piece, repeats a piece, or cuts the end off.
fn changed(seed: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let at = rng.below(bytes.len());
    let end = (at + rng.below(40)).min(bytes.len());
    match rng.below(4) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => {
            for _ in 0..=rng.below(2) {
                let at = rng.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= rng.next_u64() as u8;
                }
            }
        }
    }
    bytes
}

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let ends = ["talk", "pcap", "pcapng", "gz", "zst"];
    let paths = WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    paths.filter(move |path| path.extension().is_some_and(|e| ends.iter().any(|&end| e == end)))
}
