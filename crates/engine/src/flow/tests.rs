//! Behaviour that only shows across connections.

use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::{Checksum, TcpOptions};
use sniffer_packet::seq::SeqNumber;
use sniffer_testkit::rng::Rng;

use super::*;
use crate::config::Config;

/// Pushes a segment between the same two endpoints; the time stands still.
fn push(flows: &mut Flows, ledger: &mut Ledger, number: u64, seq: u32, ack: Option<u32>, flags: Flags, payload: &[u8]) {
    let end = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let (src, dst) = if seq < 1_000_000 { (end(1), end(2)) } else { (end(2), end(1)) };
    let segment = Segment {
        src,
        dst,
        seq: SeqNumber(seq),
        ack: SeqNumber(ack.unwrap_or(0)),
        flags: if ack.is_some() { flags.with(Flags::ACK) } else { flags },
        window: 65_535,
        options: TcpOptions::default(),
        payload,
        cut: 0,
        ttl: 64,
        checksum: Checksum::Unknown,
    };
    ledger.tcp_mut().0.receive(payload.len());
    around(ledger, number, |around| flows.segment(&segment, Overlap::None, around));
}

fn around(ledger: &mut Ledger, number: u64, call: impl FnOnce(&mut Surroundings<'_>)) {
    let stamp = Stamp { number, ..Stamp::default() };
    let mut sink = crate::event::sink_fn(|_| {});
    let (config, sink) = (&Config::default(), &mut sink);
    call(&mut Surroundings { config, ledger, sink, stamp, now: stamp.time, segment_number: number });
}

#[test]
fn what_was_evicted_goes_on_though_its_ports_ended_a_connection_before() {
    let (mut flows, mut ledger) = (Flows::new(&Config::default()), Ledger::default());
    let none = Flags::default();
    push(&mut flows, &mut ledger, 1, 500, None, Flags::SYN, b"");
    push(&mut flows, &mut ledger, 2, 1_000_500, Some(501), Flags::SYN, b"");
    push(&mut flows, &mut ledger, 3, 501, Some(1_000_501), Flags::RST, b"");
    push(&mut flows, &mut ledger, 4, 490, Some(1_000_501), none, b"late data");
    assert_eq!((flows.table.len(), ledger.bytes(Fate::Duplicate)), (0, 9), "that one is over");
    // The same ports, and lower numbers: RFC 9293 §3.4.1 has a new connection choose any.
    push(&mut flows, &mut ledger, 5, 100, None, Flags::SYN, b"");
    push(&mut flows, &mut ledger, 6, 1_000_100, Some(101), Flags::SYN, b"");
    around(&mut ledger, 6, |around| assert!(flows.evict(around)));
    push(&mut flows, &mut ledger, 7, 101, Some(1_000_101), none, b"goes on");
    assert_eq!((flows.table.len(), ledger.bytes(Fate::Duplicate)), (1, 9), "it is new, not late of the first");
}

#[test]
fn what_waits_for_time_is_listed_once_though_time_stands_still() {
    let mut flows = Flows::new(&Config::default());
    let mut ledger = Ledger::default();
    let none = Flags::default();
    for number in 0..5_000 {
        push(&mut flows, &mut ledger, number, 0, None, Flags::SYN, b"");
        push(&mut flows, &mut ledger, number, 1_000_000, Some(1), Flags::SYN, b"");
        // An acknowledged hole, and a reset before its allowance is over.
        push(&mut flows, &mut ledger, number, 101, Some(1_000_001), none, b"after a hole.");
        push(&mut flows, &mut ledger, number, 1_000_001, Some(114), none, b"");
        assert!(flows.table.iter().all(|entry| flows.table.is_listed(entry.flow.slot)), "it waits");
        push(&mut flows, &mut ledger, number, 114, Some(1_000_001), Flags::RST, b"");
        assert_eq!(flows.table.len(), 0, "the reset was exact");
        assert!(flows.stalled.len() < 100, "{} are listed of no connections", flows.stalled.len());
        let touched = flows.common.touched.len();
        assert!(touched < 100, "{touched} are to be summed up of no connections");
    }
    assert_eq!(ledger.balance(), 0);
}

#[test]
fn what_is_held_is_what_all_connections_hold() {
    let (mut flows, mut ledger, mut rng) = (Flows::new(&Config::default()), Ledger::default(), Rng::new(5));
    let mut most = 0;
    for number in 0..4_000 {
        let payload = [&b"GET / HTTP/1.1\r\nHost: "[..], b"x\r\n\r\n", b"?"][rng.below(3)];
        let flags = *rng.pick(&[Flags::default(), Flags::default(), Flags::SYN, Flags::FIN, Flags::RST]).unwrap();
        let (seq, ack) = (rng.below(120) as u32, rng.below(120) as u32 + 1_000_000);
        let (seq, ack) = if rng.chance(0.5) { (seq, ack) } else { (ack, seq) };
        push(&mut flows, &mut ledger, number, seq, rng.chance(0.9).then_some(ack), flags, payload);
        // `held` is called rarely.
        for _ in 0..[0, 0, 0, 2][rng.below(4)] {
            let each = flows.table.iter().map(|entry| FlowTable::ENTRY_BYTES + entry.tcp.held() + entry.stack.held());
            let (each, time_wait) =
                (each.sum::<usize>(), flows.past.iter().map(|past| past.time_wait.held()).sum::<usize>());
            assert_eq!(flows.held(), each + time_wait, "segment {number}");
            most = most.max(each);
            if rng.chance(0.2) {
                flows.drop_history();
            }
        }
    }
    assert!(most > FlowTable::ENTRY_BYTES + 1_000, "something was held: {most}");
}
