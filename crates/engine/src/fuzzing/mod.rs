//! The functions behind the fuzz targets: each takes any bytes and checks a claim about the output.
//!
//! Each function accepts every input. A failure is a panic that states the claim. The targets
//! (`fuzz/fuzz_targets`) have three lines each; their code is here, so that it is compiled, linted and
//! run on its seeds with everything else (`fuzz/tests/seeds.rs`, which also has the target for capture
//! files).
//!
//! Next: `input`, which turns bytes into numbers, then one file per target.

pub mod check;
mod content;
mod conversation;
mod input;
mod json;
mod ordered;
mod packets;
mod streams;
mod talk;
mod tcp;

pub use content::content;
pub use conversation::conversation;
pub use input::frames_as_input;
pub use json::json;
pub use packets::packets;
pub use streams::{http1, talk_as_streams};
pub use talk::talk;
pub use tcp::tcp;
