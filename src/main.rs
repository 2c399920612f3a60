//! The `sniffer` binary: options in, exit code out; all else lives in the crates.
use std::io::Write;

use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_replay::source::{Input, Source};

fn main() {
    let mut args: Vec<String> = std::env::args().skip(2).collect();
    let mut config = Config::default();
    let mut stats = false;
    while args.len() > 1 || args[0].starts_with("--") {
        match args.remove(0).as_str() {
            "--no-decode" => config.decode_content = false,
            "--stats" => stats = true,
            "--frames" => config.track_frames = true,
            "--max-body-size" => config.limits.body_bytes_max = args.remove(0).parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut source = match Source::open(&[Input::File(args.remove(0).into())]) {
        Ok(s) => s,
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(2)
        }
    };
    let mut ex = Extractor::new(config);
    let mut out = std::io::BufWriter::with_capacity(1 << 18, std::io::stdout().lock());
    while let Some(frame) = source.next(&mut || ()) {
        ex.push(&frame, &mut |m| {
            let _ = serde_json::to_writer(&mut out, &m);
            let _ = out.write_all(b"\n");
        });
    }
    ex.finish(&mut |m| {
        let _ = serde_json::to_writer(&mut out, &m);
        let _ = out.write_all(b"\n");
    });
    let _ = out.flush();
    if stats {
        eprintln!("{}", serde_json::to_string(ex.ledger()).unwrap_or_default());
    }
    if ex.ledger().balance() != 0 {
        eprintln!("UNBALANCED {}", ex.ledger().balance());
        std::process::exit(3);
    }
    for d in source.damages() {
        eprintln!("{d}");
    }
    if !source.damages().is_empty() {
        std::process::exit(2);
    }
}
