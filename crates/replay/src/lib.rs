//! Captures from files and pipes, driven through the engine.
//!
//! It opens files and standard input, which the engine must not, and decodes nothing of what is in a packet.
//! Next: [`source`], from bytes on disk to frames; [`replay`], from frames to messages.
#![forbid(unsafe_code)]

#[cfg(feature = "testkit")]
pub mod fuzz;
mod replay;
pub mod source;

pub use replay::{Next, Receiver, Summary, replay};
