//! `cargo xtask bench`: makes captures, runs the replay beside a floor and beside other tools, writes `benches/RESULTS.md`.
//!
//! It measures release builds of programs, from outside. Captures are kept in `target/bench`. `--quick` is for trying it out:
//! small captures, two turns, nothing written.
#![forbid(unsafe_code)]

mod captures;
mod linear;
mod measure;
mod report;
mod traffic;

use std::io;
use std::path::{Path, PathBuf};

use captures::CLASSES;
use measure::in_turns;
use report::{Row, Table};

/// Turns of each command: ratios of fewer flicker.
const TURNS: usize = 9;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, command)) if first == measure::RUN => measure::run(command),
        Some((first, [])) if first == "--quick" => bench(0.02, 2).map(|text| println!("{text}")),
        None => {
            let text = bench(1.0, TURNS)?;
            println!("{text}");
            std::fs::write(top().join("benches/RESULTS.md"), text)
        }
        _ => Err(io::Error::other("usage: sniffer-bench [--quick]")),
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn bench(scale: f64, turns: usize) -> io::Result<String> {
    let binaries = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let program = |name: &str| binaries.join(name).display().to_string();
    let mut table = Table::default();
    for class in &CLASSES {
        let path = capture(class, scale)?.display().to_string();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<String>>();
        let commands = [
            words(&[&program("sniffer"), "replay", "--threads", "1", &path]),
            words(&[&program("floor"), &path]),
            words(&[&program("floor"), &path, "flow"]),
            words(&[&program("sniffer"), "replay", &path]),
        ];
        let costs = in_turns(&commands, turns)?;
        // Others are ten times as slow and more: once is enough to see it.
        let mut others = Vec::new();
        let folder = top().join("target/bench/others");
        for (name, command) in report::others(&path, &folder.display().to_string()) {
            std::fs::create_dir_all(&folder)?;
            others.push((name, measure::once(&command).ok().map(|cost| cost.cpu)));
            std::fs::remove_dir_all(&folder)?;
        }
        table.rows.push(Row {
            name: class.name,
            what: class.what,
            bytes: std::fs::metadata(&path)?.len(),
            messages: report::messages(&program("sniffer"), &path)?,
            frames: report::frames(&program("sniffer"), &path)?,
            costs,
            others,
        });
    }
    // Memory must not grow with the file: the same connections, saying more.
    let mut memory = Vec::new();
    for times in [1.0, 4.0, 16.0] {
        let path = capture(&CLASSES[2], 0.1 * times * scale)?.display().to_string();
        let command = [program("sniffer"), "replay".to_owned(), path.clone()].to_vec();
        let peak = in_turns(&[command], turns.min(3))?.concat();
        memory.push((std::fs::metadata(&path)?.len(), measure::spread(peak.iter().map(|cost| cost.peak_mib))[1]));
    }
    Ok(table.text(&memory, &linear::rows()))
}

/// Makes a capture if it is not there.
fn capture(class: &captures::Class, scale: f64) -> io::Result<PathBuf> {
    let folder = top().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}-{scale}.pcap", class.name));
    if !path.exists() {
        eprintln!("making {}", path.display());
        let making = path.with_extension("making");
        class.write(&making, scale)?;
        std::fs::rename(making, &path)?;
    }
    Ok(path)
}
