//! HTTP/1 (RFC 9112): syntax and framing as pure functions, and the state machine of one connection.
//!
//! Next: `connection` for the machine, `state` for the states of a direction, `framing` for the
//! length of a body.

pub(crate) mod abnf;
mod begin;
mod body;
pub(crate) mod chunked;
mod connection;
mod cut;
pub(crate) mod framing;
pub(crate) mod head;
#[cfg(test)]
mod models;
pub(crate) mod overlong;
mod pairing;
pub(crate) mod start_line;
mod state;

pub(crate) use connection::Http1Connection;
pub(crate) use state::Partial;
