//! The protocols of a connection, one inside another.
//!
//! The only module that knows more than one protocol. Adding one is a folder beside
//! [`crate::http1`] and a variant of the `Layer` in `stack`. Next: `detect` for the first bytes,
//! `stack` for the layers.

mod detect;
mod stack;
#[cfg(test)]
mod tests;

pub(crate) use detect::may_begin;
pub(crate) use stack::Stack;
