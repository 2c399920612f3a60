//! The page for experts names everything that the output can say.

use sniffer_engine::anomaly::Anomaly;
use sniffer_engine::ledger::Fate;
use sniffer_packet::fate::FrameFate;

#[test]
fn supported_names_every_anomaly_and_every_fate() {
    let page = include_str!("../SUPPORTED.md");
    let names = Anomaly::ALL.iter().map(|a| a.name());
    let names = names.chain(Fate::ALL.iter().map(|f| f.name())).chain(FrameFate::ALL.iter().map(|f| f.name()));
    let missing: Vec<_> = names.filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "SUPPORTED.md does not name {missing:?}");
}
