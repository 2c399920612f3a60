//! `sniffer live` from outside: the built binary on real interfaces.
//!
//! What needs capture rights makes network namespaces of its own, so nothing here sees or disturbs other traffic, and
//! `cargo xtask test` runs it where it may. Nothing waits for time to pass: a test goes on when the line it needs has
//! come, and what is bounded in time is bounded far beyond what it takes.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bridge;
#[path = "../common/mod.rs"]
mod common;
mod configuration;
mod ends;
mod net;
mod outputs;
mod programs;
mod receiver;
mod same;
