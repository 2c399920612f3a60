//! Frames in, HTTP messages out: a passive HTTP engine without I/O, clock or threads.
//!
//! **Time comes in with every call and never goes back; an event borrows the frame and dies with
//! the call; `finish` comes last.**
//!
//! ```text
//! Frame ─packet─▶ Segment ─flow─▶ tcp ─▶ Delivery ─app─▶ http1 ─▶ Event ─collect─▶ Message
//! ```
//!
//! The API has two levels. An [`Engine`] gives borrowed [`Event`]s as they happen. An [`Extractor`]
//! is built on the same events and gives whole [`Message`]s. Bad traffic is data: nothing here
//! returns an error. Whatever could not be understood has a name and a column in the [`Ledger`]. A
//! panic is our bug, never the peer's.
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

pub use config::Config;
pub use engine::Engine;
pub use event::{Event, Sink};
pub use extract::Extractor;
pub use ledger::Ledger;
pub use message::Message;
