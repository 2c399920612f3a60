//! HTTP/1 syntax and framing (RFC 9112), as pure functions and small machines over bytes.
//!
//! Knows nothing of connections: whose turn it is and which request a response answers is [`crate::http`]'s.

pub(crate) mod beyond;
pub(crate) mod chunked;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod start;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;
