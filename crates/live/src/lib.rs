//! Live capture: libpcap to the engine to the outputs, with nothing lost unseen.
//!
//! ```text
//! kernel ──▶ capture thread ──ring──▶ engine thread ──queue──▶ webhook
//!            copies packets           messages       ──queue──▶ stdout
//!            counts kernel drops      logs, accounts ──queue──▶ callback
//! ```
//!
//! **Nothing downstream ever stops capture: every arrow is bounded, and what does not fit is dropped and counted where it
//! did not fit.** For every output, at every instant: messages emitted = delivered + dropped (by reason) + queued.
//!
//! Read first: [`sniffer`], the life of a run; [`config`], what may be asked. It decodes nothing and decides nothing about
//! HTTP: that is the engine's.
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
