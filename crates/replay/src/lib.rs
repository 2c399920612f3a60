//! Replays captures from files and pipes through the engine.
//!
//! A caller opens a [`source::Source`], implements [`ReplaySink`], and calls [`replay()`] or, for
//! several threads, [`parallel::replay`]. This crate opens files and standard input, which the engine
//! must not do, and never decodes a packet. Next: [`source`], from bytes on disk to frames;
//! [`replay()`], from frames to messages; [`parallel`], the same on several threads.
#![forbid(unsafe_code)]

pub mod parallel;
mod replay;
pub mod source;

pub use replay::{Continue, ReplaySink, Summary, replay};
