//! `cargo xtask bench`: makes captures, runs the replay next to a floor program and other tools,
//! and writes `benches/RESULTS.md`.
//!
//! It measures release builds of programs from outside. Captures are kept in `target/bench`: those
//! generated from a seed and, if the machine can make them, those of real programs. `--quick` is a
//! trial: small generated captures, two turns, and nothing is written.
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

/// Turns of each command: with fewer, ratios vary too much.
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

/// Folder of the captures.
fn folder() -> PathBuf {
    top().join("target/bench")
}

fn bench(scale: f64, turns: usize, with_real: bool) -> io::Result<String> {
    let binaries = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let program = |name: &str| binaries.join(name).display().to_string();
    // First, because an error in these should show in the first minute, not in the tenth.
    let real = if with_real { real::captures(&folder().join("real"), &program)? } else { Vec::new() };
    let mut table = ReportTable::default();
    for class in &CLASSES {
        let path = capture(class, scale)?;
        table.rows.push(measured(class.name, class.what.to_owned(), &path, turns, &program)?);
    }
    for Real { name, what, path } in real {
        table.rows.push(measured(name, what, &path, turns, &program)?);
    }
    // Memory must not grow with the file: the same connections, with more data.
    let mut memory = Vec::new();
    for times in [1.0, 4.0, 16.0] {
        let path = capture(&CLASSES[2], 0.1 * times * scale)?.display().to_string();
        let command = [program("sniffer"), "replay".to_owned(), path.clone()].to_vec();
        let peak = in_turns(&[command], turns.min(3))?.concat();
        memory.push((fs::metadata(&path)?.len(), measure::spread(peak.iter().map(|cost| cost.peak_mib))[1]));
    }
    Ok(table.text(&memory, &linear::rows()))
}

/// Measures the cost of a capture: the replay, the floor and other tools, in turns.
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

/// Copies a capture into memory that the system allocates now.
///
/// Reading an old page cache can be slow in a virtual machine that was stopped and restored: see
/// NOTES#page-cache.
fn write_anew(path: &Path, copy: &Path) -> io::Result<()> {
    fs::copy(path, copy)?;
    // Writing back to the disk during a measurement would disturb it.
    File::open(copy)?.sync_all()
}

/// Makes a capture if it does not exist.
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
