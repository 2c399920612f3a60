//! What is inside a body.

mod coding;

pub(crate) use coding::*;
