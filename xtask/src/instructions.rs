//! Counts the instructions of each stage with valgrind. The counts are reproducible, so a change is
//! a change of the program.
//!
//! The committed numbers are in `benches/instructions.txt`. They hold for the pinned toolchain and
//! for a processor with AVX2: others take different paths through memchr and libc. Next:
//! `benches/src/lib.rs`, the stages.

use std::fmt::Write as _;
use std::process::Command;

use crate::steps::{Failed, cargo, top, works};

/// The file of the committed numbers, relative to the top.
const NUMBERS: &str = "benches/instructions.txt";

/// Maximum relative change of a number: about the effect of a compiler's patch release.
const TOLERANCE: f64 = 0.05;

/// Compares with the committed numbers, if valgrind is installed.
pub(crate) fn check() -> Result<(), Failed> {
    if !works("valgrind", &["--version"]) {
        println!("xtask: instructions are not counted, for want of valgrind");
        return Ok(());
    }
    let committed = std::fs::read_to_string(top().join(NUMBERS)).unwrap_or_default();
    let mut wrong = String::new();
    for (name, count) in count_all()? {
        let before = committed.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse::<u64>().ok());
        let change = before.map(|before| count as f64 / before as f64 - 1.0);
        println!(
            "xtask: {name}: {count} instructions{}",
            change.map_or(String::new(), |change| format!(", {:+.1} %", change * 100.0))
        );
        if change.is_none_or(|change| change.abs() > TOLERANCE) {
            let _ = write!(wrong, " {name} takes {count} instructions, {} are committed;", before.unwrap_or_default());
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failed(format!("{wrong} if that is meant, `cargo xtask instructions` commits the new numbers"))),
    }
}

/// Counts and writes the committed numbers.
pub(crate) fn write() -> Result<(), Failed> {
    let lines: String = count_all()?.iter().map(|(name, count)| format!("{name} {count}\n")).collect();
    std::fs::write(top().join(NUMBERS), lines).map_err(|error| Failed(format!("{NUMBERS}: {error}")))
}

fn count_all() -> Result<Vec<(String, u64)>, Failed> {
    cargo(&["build", "--release", "-p", "sniffer-bench", "--bin", "instructions"])?;
    let names = Command::new(top().join("target/release/instructions")).output();
    let names = names.map_err(|error| Failed(format!("target/release/instructions: {error}")))?.stdout;
    String::from_utf8_lossy(&names)
        .lines()
        .map(|name| Ok((name.to_owned(), count(name, "2")?.saturating_sub(count(name, "1")?))))
        .collect()
}

/// Counts the instructions of a stage run `times` times, including start and generation of the
/// input.
fn count(name: &str, times: &str) -> Result<u64, Failed> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "target/release/instructions", name, times])
        .current_dir(top())
        .output()
        .map_err(|error| Failed(format!("valgrind: {error}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    count.ok_or_else(|| Failed(format!("valgrind said of {name} {times}: {said}")))
}
