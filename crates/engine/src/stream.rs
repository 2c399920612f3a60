//! One direction of a connection as a stream: bytes in order, gaps of known size, and an end.
//!
//! TCP delivers it today. HTTP/1 takes it, and so does whatever else is spoken on a connection; neither knows the other.
//! Next: [`crate::tcp`] and [`crate::http1`].

use std::num::NonZeroU32;

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;

use crate::anomaly::Anomaly;
use crate::ledger::Account;
use crate::tcp::BufferPool;

/// The next piece of one direction's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery<'a> {
    /// Bytes in order; never empty.
    Bytes {
        bytes: &'a [u8],
        /// The frame that carried them.
        stamp: Stamp,
        /// Whether a segment, a TLS record or a STREAM frame starts at the first of them: the only place where a lost reader
        /// may resynchronise.
        boundary: bool,
    },
    /// Bytes that were on the wire and are not in the capture; at least 1.
    Gap { missing: u64, cause: GapCause },
    /// No more bytes; comes once.
    End(EndCause),
}

/// Why bytes are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GapCause {
    /// The packet is not in the capture.
    Lost,
    /// The packet is, but was cut by the snapshot length.
    Snaplen,
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndCause {
    /// FIN, with all bytes before it delivered or declared missing.
    Fin,
    /// RST at the exact sequence number, or a new connection in its place.
    Reset,
    /// No packet for longer than the idle time-out.
    Idle,
    /// Evicted by a limit.
    Evicted,
    /// The capture ended.
    EndOfCapture,
}

/// What another copy of delivered bytes could change, and so for how long they are kept to compare it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Nothing that is reported.
    None,
    /// A message that was reported; until the peer has acknowledged it, another copy may be what the peer reads.
    Unacknowledged,
    /// A message that is open, which can be told of it.
    Open,
}

/// Takes what a connection delivers.
pub(crate) trait StreamSink {
    /// The next piece of the stream that `from` sends.
    fn deliver(&mut self, from: Side, delivery: Delivery<'_>);

    /// Something odd about bytes of the stream that `from` sends, at the place delivered up to now.
    fn flag_message(&mut self, from: Side, anomaly: Anomaly);

    /// Something odd that touched no bytes.
    fn flag_connection(&mut self, anomaly: Anomaly);

    /// Whether a stream that the capture joined in its middle may be taken to begin with these bytes: not if they look like
    /// the rest of something.
    fn may_begin(&self, bytes: &[u8]) -> bool;

    /// What another copy of the bytes last delivered from this side could change.
    fn retention(&self, from: Side) -> Retention;

    /// Memory for copies of what was delivered, from connections that need theirs no more.
    fn spares(&mut self) -> Option<&mut BufferPool> {
        None
    }

    /// The block that bytes are lent from at present, as far as any are.
    fn block(&self) -> &[u8] {
        &[]
    }

    /// Lends these bytes: where they end in the block, until [`TcpConnection::copy_lent`](crate::tcp::TcpConnection::copy_lent) is called.
    fn lend(&mut self, _bytes: &[u8]) -> Option<NonZeroU32> {
        None
    }

    /// The account of the stream's bytes, for those that are not delivered.
    fn account(&mut self) -> &mut Account;
}
