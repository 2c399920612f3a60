//! UDP datagrams are counted beside the accounts, which they leave as they are.

use sniffer_engine::config::Config;
use sniffer_engine::engine::Engine;
use sniffer_engine::event::sink_fn;
use sniffer_engine::extract::Extractor;
use sniffer_packet::fate::FrameFate;
use sniffer_packet::frame::{Frame, LinkType};
use sniffer_packet::time::Timestamp;

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2; `fragment` is its field of flags and offset.
fn ipv4(fragment: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let [flags, offset] = fragment.to_be_bytes();
    let head = [0x45, 0, high, low, 0, 9, flags, offset, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    [&head, payload].concat()
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
    [&[0x9c, 0x40, 0, 53, high, low, 0, 0], payload].concat()
}

/// A whole datagram, one in two fragments, and one of which only a fragment came.
fn capture() -> Vec<Vec<u8>> {
    let long = udp(&[7; 24]);
    vec![ipv4(0, &udp(b"query")), ipv4(0x2000, &long[..16]), ipv4(2, &long[16..]), ipv4(0x2000, &long[..16])]
}

#[test]
fn datagrams_are_counted_and_change_no_other_account() {
    let packets = capture();
    let frames: Vec<_> =
        (1..).zip(&packets).map(|(number, bytes)| Frame::new(number, Timestamp::ZERO, LinkType::RAW, bytes)).collect();
    let mut engine = Engine::new(Config::default());
    let mut extractor = Extractor::new(Config::default());
    for frame in &frames {
        engine.push(frame, &mut sink_fn(|event| panic!("{event:?}")));
        extractor.push(frame, &mut |message| panic!("{message:?}"));
    }
    engine.finish(&mut sink_fn(|event| panic!("{event:?}")));
    extractor.finish(&mut |message| panic!("{message:?}"));
    let ledger = engine.ledger();
    assert_eq!((ledger.datagrams(), ledger.datagram_payload()), (2, 5 + 24));
    assert_eq!((ledger.frames_with(FrameFate::NotTcp), ledger.frames_with(FrameFate::Fragment)), (1, 3));
    assert_eq!((ledger.payload(), ledger.connections(), ledger.balance()), (0, 0, 0));
    assert_eq!(extractor.ledger(), ledger);
    let printed = serde_json::to_string(ledger).unwrap();
    assert!(!printed.to_lowercase().contains("datagram"), "{printed}");
}
