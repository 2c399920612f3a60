//! One direction of a connection as a stream: bytes in order, gaps of known size, and an end.
//!
//! TCP delivers it. HTTP/1 takes it, and so may any other protocol; the two sides do not know each
//! other. Next: [`crate::tcp`] and [`crate::http1`].

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;

use crate::anomaly::Anomaly;
use crate::ledger::Account;

/// The next piece of one direction's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery<'a> {
    /// Bytes in order; never empty.
    Bytes(StreamBytes<'a>),
    /// Bytes that were on the wire and are not in the capture; at least 1.
    Gap { missing: u64, cause: GapCause },
    /// No more bytes; comes once.
    End(EndCause),
}

/// Bytes of a stream that one frame carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamBytes<'a> {
    pub(crate) bytes: &'a [u8],
    /// The frame that carried them.
    pub(crate) stamp: Stamp,
    /// True if a segment, a TLS record or a STREAM frame starts at the first byte. Only there may a
    /// reader that lost its place resynchronise.
    pub(crate) boundary: bool,
}

impl StreamBytes<'_> {
    /// Returns what is left after `used` bytes.
    #[inline]
    pub(crate) fn after(self, used: usize) -> Self {
        Self { bytes: &self.bytes[used..], boundary: self.boundary && used == 0, ..self }
    }
}

/// Why bytes are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GapCause {
    /// The packet is not in the capture.
    Lost,
    /// The packet was cut by the snapshot length.
    Snaplen,
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndCause {
    /// FIN, with all bytes before it delivered or declared missing.
    Fin,
    /// RST at the exact sequence number, or a new connection on the same ports.
    Reset,
    /// No packet for longer than the idle time-out.
    Idle,
    /// Evicted by a limit.
    Evicted,
    /// The capture ended.
    EndOfCapture,
}

/// The time for which delivered bytes are retained to detect a conflicting retransmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Retention {
    /// Not at all: no message can be affected.
    #[default]
    None,
    /// Until the peer acknowledges them. Their message was reported, and the peer may still read
    /// another copy.
    Unacknowledged,
    /// While the message that they belong to is open, because it can still be flagged.
    Open,
}

/// Takes what a connection delivers.
pub(crate) trait StreamSink {
    /// Takes the next piece of the stream that `from` sends.
    fn deliver(&mut self, from: Side, delivery: Delivery<'_>);

    /// Flags bytes of the stream that `from` sends, near those that were delivered last.
    fn flag_message(&mut self, from: Side, anomaly: Anomaly);

    /// Flags the connection, for an anomaly that touched no bytes.
    fn flag_connection(&mut self, anomaly: Anomaly);

    /// Returns whether a midstream pickup may begin with these bytes. False if they look like the
    /// rest of something.
    fn may_begin(&self, bytes: &[u8]) -> bool;

    /// Returns how long to retain the bytes last delivered from this side.
    fn retention(&self, from: Side) -> Retention;

    /// Returns the account of the stream's bytes, for those that are not delivered.
    fn account(&mut self) -> &mut Account;
}
