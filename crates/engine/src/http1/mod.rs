//! HTTP/1 (RFC 9112): syntax and framing as pure functions, and the machine of one connection made of them.
//!
//! Next: `connection` for the machine, `state` for the states of a direction, `framing` for how long a body is.

mod begin;
mod body;
pub(crate) mod chunked;
mod connection;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod overlong;
mod pairing;
pub(crate) mod start_line;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use connection::{Context, Http1Connection, flag_connection};
