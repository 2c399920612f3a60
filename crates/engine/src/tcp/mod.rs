//! TCP: segments in any order become two byte streams with gaps (RFC 9293).
//!
//! Knows nothing of HTTP and nothing of tables: one [`TcpConnection`] is one connection. In-order payload is lent onward
//! untouched; only a segment that waits is copied. Next: [`crate::stream`], the deliveries and the sink that takes them.

mod connection;
mod delivery;
mod half;
mod handshake;
mod midstream;
pub(crate) mod overlap;
#[cfg(test)]
mod tests;

pub(crate) use connection::{SegmentOutcome, TcpConnection};
pub(crate) use overlap::history::BufferPool;
