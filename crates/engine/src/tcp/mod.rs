//! TCP: segments in any order become two byte streams with gaps (RFC 9293).
//!
//! One [`TcpConnection`] is one connection. It knows neither HTTP nor tables. In-order payload is
//! lent onward untouched. Next: [`crate::stream`], the deliveries and the sink that takes them.

mod connection;
mod delivery;
mod half;
mod handshake;
mod header;
mod holes;
mod midstream;
mod overlap;
mod position;
#[cfg(test)]
mod tests;

pub(crate) use connection::{SegmentOutcome, TcpConnection, TcpContext};
pub(crate) use overlap::memory::BufferPool;
