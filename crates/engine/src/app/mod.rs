//! Which protocols a connection speaks, one inside another.
//!
//! The only room that knows more than one protocol. Adding one is a folder beside [`crate::http1`]
//! and an arm of the `match` in `stack`. Next: `detect` for the first bytes, `stack` for the
//! layers.

mod detect;
mod stack;
#[cfg(test)]
mod tests;

pub(crate) use detect::may_begin;
pub(crate) use stack::Stack;
