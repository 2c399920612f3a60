//! Floods against a small memory budget: it holds at every instant, every byte keeps its fate, and the honest message
//! that follows comes out whole. Policy 21.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};

use sniffer_engine::anomaly::Anomaly;
use sniffer_engine::config::Config;
use sniffer_engine::event::Incomplete;
use sniffer_engine::extract::Extractor;
use sniffer_engine::message::Message;
use sniffer_packet::frame::{Frame, LinkType};
use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::Flags;
use sniffer_packet::time::Timestamp;
use sniffer_testkit::wire::{Tcp, Way, frame_bytes};

const BUDGET: usize = 2 << 20;
const SERVER: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80);
const ACK: Flags = Flags::ACK;

/// An extractor under a small budget, and what came out of it.
struct Flood {
    extractor: Extractor,
    number: u64,
    messages: Vec<Message>,
    held_max: usize,
}

impl Flood {
    fn new() -> Self {
        let mut config = Config::default();
        config.limits.held_bytes_max = BUDGET;
        Self { extractor: Extractor::new(config), number: 0, messages: Vec::new(), held_max: 0 }
    }

    /// A segment from or to the `n`-th client; a frame every 10 µs, so that nothing is idle.
    fn push(&mut self, n: u32, to_server: bool, seq: u32, ack: u32, flags: Flags, payload: &[u8]) {
        let address = Ipv4Addr::from(0x0b00_0000 + n / 60_000);
        let client = Endpoint::new(IpAddr::V4(address), 1024 + (n % 60_000) as u16);
        let (src, dst) = if to_server { (client, SERVER) } else { (SERVER, client) };
        let mut tcp = Tcp::new(src, dst, seq, ack, flags);
        tcp.payload = payload.to_vec();
        let way = if to_server { Way::ToServer } else { Way::ToClient };
        let bytes = frame_bytes(LinkType::RAW, &tcp.packet(64).unwrap(), way).unwrap();
        self.number += 1;
        let time = Timestamp::from_nanos(self.number * 10_000);
        let Self { extractor, messages, .. } = self;
        extractor
            .push(&Frame::new(self.number, time, LinkType::RAW, &bytes), &mut |message| messages.push(message.clone()));
        self.held_max = self.held_max.max(self.extractor.held());
    }

    fn open(&mut self, n: u32) {
        self.push(n, true, 0, 0, Flags::SYN, b"");
        self.push(n, false, 0, 1, Flags::SYN.with(ACK), b"");
        self.push(n, true, 1, 1, ACK, b"");
    }

    /// An honest exchange, the end of the capture, and everything that must hold.
    #[track_caller]
    fn finish(mut self) -> Self {
        self.messages.retain(|message| message.target() != Some("/honest"));
        self.open(u32::MAX - 0x0c00_0000);
        self.push(u32::MAX - 0x0c00_0000, true, 1, 1, ACK, b"GET /honest HTTP/1.1\r\n\r\n");
        self.push(u32::MAX - 0x0c00_0000, false, 1, 25, ACK, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let [.., request, response] = &self.messages[..] else { panic!("the honest exchange did not come out") };
        assert_eq!((request.target(), request.incomplete), (Some("/honest"), None));
        assert_eq!((response.status(), response.body.as_bytes(), response.incomplete), (Some(200), &b"ok"[..], None));
        assert_eq!(self.extractor.ledger().balance(), self.extractor.pending() as i128);
        let Self { extractor, messages, .. } = &mut self;
        extractor.finish(&mut |message| messages.push(message.clone()));
        assert_eq!(self.extractor.ledger().balance(), 0);
        assert!(self.held_max <= BUDGET + BUDGET / 32 + (64 << 10), "{} held at most", self.held_max);
        self
    }
}

#[test]
fn a_syn_flood_pushes_out_only_half_open_connections() {
    let mut flood = Flood::new();
    // A connection that is in the middle of a message when it starts.
    flood.open(0);
    flood.push(0, true, 1, 1, ACK, b"POST /slow HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    for n in 1..20_000 {
        flood.push(n, true, n, 0, Flags::SYN, b"");
    }
    flood.push(0, true, 45, 1, ACK, b"cd");
    let flood = flood.finish();
    assert!(flood.extractor.ledger().evicted() > 10_000);
    let slow = flood.messages.iter().find(|message| message.target() == Some("/slow")).unwrap();
    assert_eq!((slow.body.as_bytes(), slow.incomplete), (&b"abcd"[..], None));
}

#[test]
fn unfinished_heads_push_out_the_least_recently_active() {
    let mut flood = Flood::new();
    for n in 0..6_000 {
        flood.open(n);
        flood.push(
            n,
            true,
            1,
            1,
            ACK,
            b"GET /never HTTP/1.1\r\nX-Padding: .............................................",
        );
    }
    let flood = flood.finish();
    assert!(flood.extractor.ledger().evicted() > 1_000);
    assert_eq!(flood.messages.len(), 2, "a head that is not whole is no message");
}

#[test]
fn holes_that_never_fill_are_bounded_in_sum() {
    let mut flood = Flood::new();
    for n in 0..2_000 {
        flood.open(n);
        flood.push(n, true, 1_001, 1, ACK, &[b'x'; 1_400]);
        flood.push(n, true, 5_001, 1, ACK, &[b'x'; 1_400]);
    }
    flood.finish();
}

#[test]
fn fifty_thousand_holes_in_one_flow_are_bounded() {
    let mut flood = Flood::new();
    flood.open(0);
    for n in 0..50_000_u32 {
        flood.push(0, true, 10 + n * 2 % 60_000, 1, ACK, b"x");
    }
    flood.finish();
}

#[test]
fn bodies_give_up_their_bytes_first_and_the_largest_of_them() {
    let mut flood = Flood::new();
    for n in 0..20 {
        flood.open(n);
        flood.push(n, true, 1, 1, ACK, b"POST /large HTTP/1.1\r\nContent-Length: 400000\r\n\r\n");
    }
    flood.open(20);
    flood.push(20, true, 1, 1, ACK, b"POST /small HTTP/1.1\r\nContent-Length: 2000\r\n\r\n");
    flood.push(20, true, 47, 1, ACK, &[b's'; 1_000]);
    for piece in 0..250 {
        for n in 0..20 {
            flood.push(n, true, 49 + piece * 1_000, 1, ACK, &[b'l'; 1_000]);
        }
    }
    flood.push(20, true, 1_047, 1, ACK, &[b's'; 1_000]);
    let flood = flood.finish();
    assert_eq!(flood.extractor.ledger().evicted(), 0, "no connection goes while bodies can");
    let small = flood.messages.iter().find(|message| message.target() == Some("/small")).unwrap();
    assert_eq!((small.body.as_bytes().len(), small.anomalies.is_empty()), (2_000, true));
    let shed: Vec<_> = flood.messages.iter().filter(|m| m.anomalies.contains(Anomaly::BodyShed)).collect();
    assert!(!shed.is_empty());
    for message in shed {
        assert_eq!((message.body_size, message.body_truncated), (250_000, true), "counted, though not kept");
        assert_eq!(message.incomplete, Some(Incomplete::End));
    }
}

#[test]
fn slow_heads_one_byte_at_a_time_do_no_harm() {
    let mut flood = Flood::new();
    for n in 0..300 {
        flood.open(n);
    }
    for (at, byte) in
        (0..200).map(|at| (at, b"GET /slow HTTP/1.1\r\nX: y\r\n".get(at as usize).copied().unwrap_or(b'z')))
    {
        for n in 0..300 {
            flood.push(n, true, 1 + at, 1, ACK, &[byte]);
        }
    }
    flood.finish();
}

#[test]
fn the_cap_on_connections_evicts_the_least_recently_active() {
    let mut config = Config::default();
    config.limits.connections_max = 3;
    let mut flood = Flood { extractor: Extractor::new(config), ..Flood::new() };
    for n in 0..3 {
        flood.open(n);
        flood.push(n, true, 1, 1, ACK, format!("POST /{n} HTTP/1.1\r\nContent-Length: 9\r\n\r\nab").as_bytes());
    }
    // The first becomes active again, so the second goes when a fourth comes.
    flood.push(0, true, 42, 1, ACK, b"c");
    flood.open(3);
    let evicted: Vec<_> = flood.messages.iter().map(|message| (message.target(), message.incomplete)).collect();
    assert_eq!(evicted, [(Some("/1"), Some(Incomplete::Evicted))]);
}
