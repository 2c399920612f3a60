//! What the fuzz targets call: any bytes in, a claim that must hold about what comes out.
//!
//! Each function is total: an input it can make nothing of is a short one. A failure is a panic with the claim in it.
//! The targets themselves have three lines each (`fuzz/fuzz_targets`); here is what they test, so that it is compiled,
//! linted and run on its seeds with everything else (`fuzz/tests/seeds.rs`, which has the target for capture files too).
//!
//! Next: `input` for how bytes become numbers, then a file a target.

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
