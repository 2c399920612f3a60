//! Captures from files and pipes, driven through the engine.
//!
//! It opens files and standard input, which the engine must not, and decodes nothing of what is in a packet.
//! Next: [`source`], from bytes on disk to frames; [`replay()`], from frames to messages; [`parallel`], the same on several
//! threads.
#![forbid(unsafe_code)]

pub mod parallel;
mod replay;
pub mod source;

pub use replay::{Continue, ReplaySink, Summary, replay};
