//! The report of a run: how it ended, and accounts of every message, packet and byte.

use sniffer_engine::ledger::Ledger;

use crate::capture::counters::Captured;
use crate::output::Tally;

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// A stop was requested.
    Stopped,
    /// The last output was closed by its reader.
    OutputClosed,
    /// The last output failed.
    OutputFailed(String),
    /// The capture failed: libpcap's words.
    CaptureFailed(String),
}

/// The report of a run that has ended. It accounts for every message and every packet.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunReport {
    /// Why it ended.
    pub end: RunEnd,
    /// Counts of packets.
    pub captured: Captured,
    /// Packets that are missing from the recording.
    pub unrecorded: u64,
    /// Accounts of messages, by output. No message is queued any more.
    pub outputs: Vec<(&'static str, Tally)>,
    /// Accounts of bytes.
    pub ledger: Ledger,
}
