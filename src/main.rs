//! The `sniffer` binary: options in, exit code out; all else lives in the crates.

fn main() {}
