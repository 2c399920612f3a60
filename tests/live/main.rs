//! `sniffer live`: the built binary on real interfaces.
//!
//! Tests that need capture rights create their own network namespaces, so they neither see nor
//! disturb other traffic. `cargo xtask test` runs them where it has the rights. No test waits for
//! time to pass: it goes on with the line it needs, and every time limit is far longer than needed.
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
