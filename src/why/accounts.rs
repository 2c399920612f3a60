//! The change that one push makes in the engine's accounts.
//!
//! The accounts are copied only for frames that the answer is about. Next: `trace` and
//! `connection`.

use sniffer_engine::anomaly::Anomaly;
use sniffer_engine::ledger::{Fate, Ledger};
use sniffer_packet::fate::FrameFate;

/// The difference between the accounts before and after a push.
#[derive(Debug, Default)]
pub(super) struct AccountChange {
    pub(super) frame_fate: Option<FrameFate>,
    /// Bytes that got a fate, without the fates that got none.
    pub(super) fates: Vec<(Fate, u64)>,
    /// Bytes declared missing.
    pub(super) missing: u64,
    pub(super) anomalies: Vec<Anomaly>,
}

impl AccountChange {
    pub(super) fn between(before: &Ledger, after: &Ledger) -> Self {
        let gained = |&fate: &Fate| (fate, after.bytes(fate).saturating_sub(before.bytes(fate)));
        let counted = |fate: &FrameFate| after.frames_with(*fate) > before.frames_with(*fate);
        let seen = |anomaly: &Anomaly| after.anomalies(*anomaly) > before.anomalies(*anomaly);
        Self {
            frame_fate: FrameFate::ALL.iter().copied().find(counted),
            fates: Fate::ALL.iter().map(gained).filter(|&(_, bytes)| bytes > 0).collect(),
            missing: after.missing().saturating_sub(before.missing()),
            anomalies: Anomaly::ALL.iter().copied().filter(seen).collect(),
        }
    }
}
