//! The commands of developers and CI: `cargo xtask test`, `score`, `corpus`, `bench`,
//! `instructions`, `mutants`.
//!
//! It prints every command before it runs it, and installs nothing without saying so. It never
//! changes a snapshot. Next: `steps` for running programs, `ignored` for the tests that need more
//! than Rust, `score` for captures of other projects, `instructions` for the counts of
//! instructions, `node` for the npm package, `tidy` for comments and type names, `mutants` for
//! planted bugs.

mod ignored;
mod instructions;
mod mutants;
mod node;
mod score;
mod steps;
mod tidy;

use std::process::ExitCode;

use steps::{Failed, cargo, top};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test           everything CI runs: formatting, clippy, documentation, all tests, snapshots, instructions
  tidy           of `test`, only the width of comments and the names of types
  score FOLDER   score the release binary on captures of other projects; nothing to do where the folder is absent
  corpus         write the capture of every conversation (corpus/**/*.talk) anew
  bench [--quick]   measure the replay beside a floor and other tools; writes benches/RESULTS.md
  instructions   count the instructions of each stage anew (benches/instructions.txt)
  mutants        plant bugs in TCP, HTTP/1 and defragmentation, and see that tests notice; half an hour, not part of `test`";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let done = match command.as_deref() {
        Some("test") => test(),
        Some("tidy") => tidy::check(),
        Some("score") => score::score(std::env::args().nth(2).as_deref()),
        Some("corpus") => corpus(),
        Some("bench") => bench(),
        Some("instructions") => instructions::write(),
        Some("mutants") => mutants::run(),
        _ => Err(Failed(USAGE.to_owned())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(what)) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn test() -> Result<(), Failed> {
    steps::component("rustfmt")?;
    steps::component("clippy")?;
    steps::libpcap()?;
    cargo(&["fmt", "--all", "--check"])?;
    tidy::check()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])?;
    cargo(&["doc", "--workspace", "--no-deps", "--all-features", "--document-private-items"])?;
    // Plain `cargo test` leaves out the crates that need more than Rust. This runs doc tests too.
    cargo(&["test", "--workspace", "--all-features"])?;
    ignored::run_all()?;
    node::test()?;
    no_pending_snapshots()?;
    instructions::check()?;
    println!("xtask: all well");
    Ok(())
}

fn bench() -> Result<(), Failed> {
    cargo(&["build", "--release", "-p", "sniffer", "-p", "sniffer-bench"])?;
    let arguments: Vec<_> = std::env::args().skip(2).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let program = top().join("target/release/sniffer-bench");
    steps::quietly(&program.display().to_string(), &arguments)
}

fn no_pending_snapshots() -> Result<(), Failed> {
    let pending = steps::files(&top(), &|name| name.ends_with(".snap.new") || name.ends_with(".pending-snap"));
    match pending.first() {
        None => Ok(()),
        Some(first) => Err(Failed(format!(
            "{} snapshots were not accepted, {} for one: read them, then accept (`cargo insta review`) or delete them",
            pending.len(),
            first.display()
        ))),
    }
}

fn corpus() -> Result<(), Failed> {
    let talks = steps::files(&top().join("corpus"), &|name| name.ends_with(".talk"));
    let mut arguments = vec!["run", "--quiet", "-p", "sniffer-testkit", "--example", "talk", "--"];
    arguments.extend(talks.iter().filter_map(|path| path.to_str()));
    println!("xtask: writing {} captures", talks.len());
    steps::quietly("cargo", &arguments)
}
