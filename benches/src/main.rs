//! `cargo xtask bench`: makes captures, runs the replay beside a floor and beside other tools, writes `benches/RESULTS.md`.
//!
//! It measures release builds of programs, from outside. Captures are kept in `target/bench`: those made from a seed, and where
//! the machine has what it takes, those of real programs. `--quick` is for trying it out: small captures from the seed, two turns,
//! nothing written.
#![forbid(unsafe_code)]

mod captures;
mod linear;
mod measure;
mod others;
mod real;
mod report;
mod traffic;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use captures::CLASSES;
use measure::in_turns;
use real::Real;
use report::{ReportRow, ReportTable};

/// Turns of each command: ratios of fewer flicker.
const TURNS: usize = 9;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, command)) if first == measure::RUN => measure::run(command),
        Some((first, [])) if first == "--quick" => bench(0.02, 2, false).map(|text| println!("{text}")),
        None => {
            let text = bench(1.0, TURNS, true)?;
            println!("{text}");
            fs::write(top().join("benches/RESULTS.md"), text)
        }
        _ => Err(io::Error::other("usage: sniffer-bench [--quick]")),
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where captures are kept.
fn folder() -> PathBuf {
    top().join("target/bench")
}

fn bench(scale: f64, turns: usize, with_real: bool) -> io::Result<String> {
    let binaries = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let program = |name: &str| binaries.join(name).display().to_string();
    // First: what is wrong with these is better known in the first minute than in the tenth.
    let real = if with_real { real::captures(&folder().join("real"), &program)? } else { Vec::new() };
    let mut table = ReportTable::default();
    for class in &CLASSES {
        let path = capture(class, scale)?;
        table.rows.push(measured(class.name, class.what.to_owned(), &path, turns, &program)?);
    }
    for Real { name, what, path } in real {
        table.rows.push(measured(name, what, &path, turns, &program)?);
    }
    // Memory must not grow with the file: the same connections, saying more.
    let mut memory = Vec::new();
    for times in [1.0, 4.0, 16.0] {
        let path = capture(&CLASSES[2], 0.1 * times * scale)?.display().to_string();
        let command = [program("sniffer"), "replay".to_owned(), path.clone()].to_vec();
        let peak = in_turns(&[command], turns.min(3))?.concat();
        memory.push((fs::metadata(&path)?.len(), measure::spread(peak.iter().map(|cost| cost.peak_mib))[1]));
    }
    Ok(table.text(&memory, &linear::rows()))
}

/// What a capture costs: the replay, the floor and others, in turns.
fn measured(
    name: &'static str,
    what: String,
    path: &Path,
    turns: usize,
    program: &dyn Fn(&str) -> String,
) -> io::Result<ReportRow> {
    let copy = folder().join("measured");
    write_anew(path, &copy)?;
    let path = copy.display().to_string();
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<String>>();
    let commands = [
        words(&[&program("sniffer"), "replay", "--threads", "1", &path]),
        words(&[&program("floor"), &path]),
        words(&[&program("floor"), &path, "flow"]),
        words(&[&program("floor"), &path, "read"]),
        words(&[&program("sniffer"), "replay", &path]),
    ];
    let (messages, frames) = report::found(&program("sniffer"), &path)?;
    let row = ReportRow {
        name,
        what,
        bytes: fs::metadata(&copy)?.len(),
        costs: in_turns(&commands, turns)?,
        others: others::run(&path, &commands[0], &folder().join("others"))?,
        messages,
        frames,
    };
    fs::remove_file(copy)?;
    Ok(row)
}

/// Copies a capture into memory that the system gives for it now.
///
/// Where it was in the page cache for longer, in a virtual machine that had been stopped and restored in between, `read()` took
/// twice as long as of a copy: 0.086 s and 0.042 s for 388 MB.
fn write_anew(path: &Path, copy: &Path) -> io::Result<()> {
    fs::copy(path, copy)?;
    // What is written to the disk while others are measured costs them.
    File::open(copy)?.sync_all()
}

/// Makes a capture if it is not there.
fn capture(class: &captures::TrafficClass, scale: f64) -> io::Result<PathBuf> {
    fs::create_dir_all(folder())?;
    let path = folder().join(format!("{}-{scale}.pcap", class.name));
    if !path.exists() {
        eprintln!("making {}", path.display());
        let making = path.with_extension("making");
        class.write(&making, scale)?;
        fs::rename(making, &path)?;
    }
    Ok(path)
}
