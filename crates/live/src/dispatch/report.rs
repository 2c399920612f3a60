//! The counters in the log, every minute and at the end, there with the whole ledger.
//!
//! They show the difference between a run that saw nothing and one that lost something.

use serde_json::{Map, Value, json};
use sniffer_engine::ledger::Ledger;
use tracing::info;

use crate::capture::counters::Captured;
use crate::output::{Output, Reason, Tally};

/// Logs the line of each minute.
pub(crate) fn counters(captured: &Captured, ledger: &Ledger, open: u64, outputs: &[Output]) {
    info!(
        received = captured.received,
        kernelDrops = captured.kernel_drops,
        interfaceDrops = captured.interface_drops,
        ringDrops = captured.ring_drops,
        connectionsOpen = open,
        connectionsEvicted = ledger.evicted(),
        messages = ledger.messages(),
        outputs = %of_outputs(outputs.iter().map(|output| (output.name, output.queue.tally()))),
        "counters"
    );
}

/// Logs the last line.
pub(crate) fn stopped(why: &str, report: &crate::report::RunReport) {
    let captured = &report.captured;
    info!(
        why,
        received = captured.received,
        kernelDrops = captured.kernel_drops,
        interfaceDrops = captured.interface_drops,
        ringDrops = captured.ring_drops,
        unrecorded = report.unrecorded,
        connectionsOpen = 0,
        connectionsEvicted = report.ledger.evicted(),
        messages = report.ledger.messages(),
        outputs = %of_outputs(report.outputs.iter().copied()),
        ledger = %serde_json::to_string(&report.ledger).unwrap_or_default(),
        "stopped"
    );
}

fn of_outputs(outputs: impl Iterator<Item = (&'static str, Tally)>) -> Value {
    outputs.map(|(name, tally)| (name.to_owned(), of_output(&tally))).collect::<Map<_, _>>().into()
}

fn of_output(tally: &Tally) -> Value {
    let dropped = Reason::ALL.iter().filter(|&&reason| tally.dropped(reason) > 0);
    let dropped: Map<_, _> = dropped.map(|&reason| (reason.name().to_owned(), tally.dropped(reason).into())).collect();
    json!({
        "emitted": tally.emitted,
        "delivered": tally.delivered,
        "queued": tally.queued,
        "retried": tally.retried,
        "dropped": dropped,
    })
}
