//! How a run ended, and every message, packet and byte of it.

use sniffer_engine::ledger::Ledger;

use crate::capture::counters::Captured;
use crate::output::Tally;

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// It was asked to.
    Stopped,
    /// The last output was closed by its reader.
    OutputClosed,
    /// The last output failed.
    OutputFailed(String),
    /// The capture failed: libpcap's words.
    CaptureFailed(String),
}

/// Everything about a run that ended: every message and every packet is in it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunReport {
    /// Why it ended.
    pub end: RunEnd,
    /// Packets.
    pub captured: Captured,
    /// Packets that are missing from the recording.
    pub unrecorded: u64,
    /// Messages, by output; nothing is queued any more.
    pub outputs: Vec<(&'static str, Tally)>,
    /// Bytes.
    pub ledger: Ledger,
}
