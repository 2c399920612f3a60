//! Frames in, HTTP messages out: a passive HTTP engine without I/O, clock or threads.
//!
//! **Time comes in with every call and never goes back; an event borrows the frame and dies with
//! the call; `finish` comes last.**
//!
//! ```text
//! Frame ──decode──▶ Segment ──flow──▶ tcp ──▶ Delivery ──http──▶ Event ──collect──▶ Message
//! ```
//!
//! Two heights of one API: [`engine::Engine`] gives borrowed [`event::Event`]s to who streams,
//! [`extract::Extractor`] gives whole [`message::Message`]s, made only of events. Bad traffic is
//! data: nothing here returns an error, what could not be understood is named and has its column in
//! the [`ledger::Ledger`]. A panic is our bug, never the peer's.
#![forbid(unsafe_code)]

pub mod anomaly;
mod app;
pub mod budget;
pub mod collect;
pub mod config;
mod content;
mod context;
pub mod engine;
pub mod event;
pub mod extract;
mod flow;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod http;
mod http1;
pub mod json;
pub mod ledger;
pub mod message;
mod reassembly;
pub mod shard;
mod stream;
mod switch;
mod tcp;
