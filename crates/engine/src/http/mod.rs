//! HTTP on one connection: what is spoken, whose message is whose, and where to go on after a gap.
//!
//! Syntax and framing are [`crate::http1`]'s; this knows both directions. Next: [`crate::collect`], which makes whole
//! messages of the events.

mod bodies;
mod connection;
mod detect;
mod exchange;
mod heads;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use connection::{Connection, Context, report};
pub(crate) use detect::may_begin;
