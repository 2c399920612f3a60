//! The content of bodies: its codings.
//!
//! Next: `coding`.

mod coding;

pub(crate) use coding::*;
