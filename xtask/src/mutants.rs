//! How well the tests would notice a bug: cargo-mutants plants some, one at a time. What is planted where is said in
//! `.cargo/mutants.toml`, and what survives, and why, in docs/testing.md.

use crate::steps::{Failed, cargo, top, works};

/// Which of all that can be planted: every eighth, about 140, which take half an hour on two cores.
const SHARD: &str = "1/8";

/// Of a hundred, how many must be caught.
const CAUGHT_MIN: usize = 95;

/// Plants them and counts.
pub(crate) fn run() -> Result<(), Failed> {
    if !works("cargo", &["mutants", "--version"]) {
        return Err(Failed("xtask: needs cargo-mutants (`cargo install --locked cargo-mutants`)".to_owned()));
    }
    let ran = cargo(&[
        "mutants",
        "--package",
        "sniffer-engine",
        "--shard",
        SHARD,
        "--sharding",
        "round-robin",
        "--output",
        "target",
    ]);
    let lines = |name| {
        let path = top().join("target/mutants.out").join(name);
        std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
    };
    let (caught, missed) = (lines("caught.txt") + lines("timeout.txt"), lines("missed.txt"));
    if caught == 0 {
        return ran;
    }
    // It fails when anything survives; here it is the share that counts.
    println!("xtask: {caught} of {} planted bugs were caught; target/mutants.out has the rest", caught + missed);
    if caught * 100 < CAUGHT_MIN * (caught + missed) {
        return Err(Failed(format!("xtask: fewer than {CAUGHT_MIN} % were caught")));
    }
    Ok(())
}
