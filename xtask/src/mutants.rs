//! Measures how many planted bugs the tests catch: cargo-mutants plants them one at a time.
//!
//! `.cargo/mutants.toml` says where bugs are planted, docs/testing.md which survive and why.

use crate::steps::{Failed, cargo, top, works};

/// The sample: every eighth mutant, about 140. They take half an hour on two cores.
const SHARD: &str = "1/8";

/// Minimum percentage of mutants that the tests must catch.
const CAUGHT_MIN: usize = 95;

/// Runs cargo-mutants and checks the share of caught mutants.
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
    // cargo-mutants fails if any mutant survives; here only the share counts.
    println!("xtask: {caught} of {} planted bugs were caught; target/mutants.out has the rest", caught + missed);
    if caught * 100 < CAUGHT_MIN * (caught + missed) {
        return Err(Failed(format!("xtask: fewer than {CAUGHT_MIN} % were caught")));
    }
    Ok(())
}
