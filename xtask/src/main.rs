//! `cargo xtask test`: everything CI runs, with what it needs installed first.

fn main() {}
