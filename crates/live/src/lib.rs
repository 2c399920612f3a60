//! Live capture: packets from libpcap through the engine to the outputs, with every loss counted.
//!
//! ```text
//! kernel ──▶ capture thread ──ring──▶ engine thread ──queue──▶ webhook
//!            copies packets           messages       ──queue──▶ stdout
//!            counts kernel drops      logs, accounts ──queue──▶ callback
//! ```
//!
//! **Nothing downstream ever stops the capture. Every arrow is bounded; a packet or message that does
//! not fit is dropped and counted where it did not fit.** For every output, at every instant:
//! messages emitted = delivered + dropped (by reason) + queued.
//!
//! A program checks a [`LiveConfig`], makes a [`Sniffer`] of it, and calls [`Sniffer::start`] and
//! [`Sniffer::stop`]; the [`RunReport`] accounts for every packet, byte and message. This crate
//! decodes nothing and decides nothing about HTTP: the engine does. Next: [`sniffer`], the life of a
//! run; [`config`], the options.
#![forbid(unsafe_code)]

mod capture;
pub mod config;
mod dispatch;
mod error;
pub mod log;
pub mod output;
mod report;
pub mod sniffer;
mod stop;

pub use capture::interfaces::{Interface, interfaces};
pub use config::{ConfigError, LiveConfig};
pub use error::StartError;
pub use report::{RunEnd, RunReport};
pub use sniffer::Sniffer;
