//! Writes the seeds of every fuzz target from the files of the corpus: `FOLDER/TARGET/NAME-N`.
//!
//! ```sh
//! cargo run -p sniffer-fuzz --bin seeds -- corpus fuzz/corpus
//! ```

use std::io;
use std::path::{Path, PathBuf};

use sniffer_fuzz::{TARGETS, seeds};

/// Longest seed: longer ones only slow a fuzzer down.
const SEED_MAX: usize = 64 << 10;

fn main() -> io::Result<()> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [corpus, to] = &folders[..] else {
        return Err(io::Error::other("usage: seeds CORPUS FOLDER"));
    };
    for (target, _) in TARGETS {
        std::fs::create_dir_all(to.join(target))?;
    }
    write(corpus, "", to)
}

fn write(from: &Path, prefix: &str, to: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            write(&path, &format!("{name}-"), to)?;
        } else if [".talk", ".pcap", ".pcapng", ".gz", ".zst"].iter().any(|end| name.ends_with(end)) {
            let seeds = seeds(&name, &std::fs::read(&path)?);
            for (number, (target, seed)) in seeds.iter().enumerate().filter(|(_, (_, seed))| seed.len() <= SEED_MAX) {
                std::fs::write(to.join(target).join(format!("{name}-{number}")), seed)?;
            }
        }
    }
    Ok(())
}
