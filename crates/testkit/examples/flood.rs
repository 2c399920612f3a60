//! Writes a flood as a capture to standard output, for measurements: `flood NAME COUNT`. Without
//! arguments it lists the names.
//!
//! ```sh
//! cargo run --release -p sniffer-testkit --example flood -- syn 1000000 > syn.pcap
//! /usr/bin/time -v target/release/sniffer replay -f jsonl -o /dev/null syn.pcap
//! ```

use std::error::Error;
use std::io::{BufWriter, Write};

use sniffer_testkit::flood::{ALL, Flood};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, count] = &arguments[..] else {
        for (name, _) in ALL {
            writeln!(std::io::stdout(), "{name}")?;
        }
        return Ok(());
    };
    let (_, flood) = ALL.iter().find(|(known, _)| known == name).ok_or("no flood has this name")?;
    let mut file = BufWriter::new(std::io::stdout().lock());
    // pcap, microseconds, raw IP (draft-ietf-opsawg-pcap).
    for word in [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 262_144, 101_u32] {
        file.write_all(&word.to_le_bytes())?;
    }
    let mut failed = None;
    let mut send = |frame: &sniffer_packet::frame::Frame<'_>| {
        let micros = frame.time.as_micros();
        let len = frame.wire_len;
        for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, len, len] {
            failed = failed.take().or(file.write_all(&word.to_le_bytes()).err());
        }
        failed = failed.take().or(file.write_all(frame.bytes).err());
    };
    let mut sender = Flood::new(&mut send);
    flood(&mut sender, count.parse()?);
    sender.honest_exchange();
    file.flush()?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
