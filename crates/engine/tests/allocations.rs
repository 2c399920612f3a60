//! Counts allocations, which are the same in every run: none for a frame of in-order data, a known
//! few for a message.
//!
//! The first frames and messages of a capture may allocate, and are not counted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};

use allocation_counter::measure;
use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_engine::json::Lines;
use sniffer_packet::frame::{Frame, LinkType};
use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::Flags;
use sniffer_packet::time::Timestamp;
use sniffer_testkit::wire::{Tcp, Way, frame_bytes};

const CLIENT: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 40_000);
const SERVER: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80);

/// A connection whose frames are made before they are measured.
#[derive(Default)]
struct Connection {
    frames: Vec<Vec<u8>>,
    /// Next sequence numbers of the client and of the server.
    next: [u32; 2],
}

impl Connection {
    fn open() -> Self {
        let mut connection = Self::default();
        connection.push(true, Flags::SYN, b"");
        connection.push(false, Flags::SYN.with(Flags::ACK), b"");
        connection.push(true, Flags::ACK, b"");
        connection
    }

    fn push(&mut self, to_server: bool, flags: Flags, payload: &[u8]) {
        let (src, dst) = if to_server { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let (own, other) = if to_server { (0, 1) } else { (1, 0) };
        let mut tcp = Tcp::new(src, dst, self.next[own], self.next[other], flags);
        tcp.payload = payload.to_vec();
        let way = if to_server { Way::ToServer } else { Way::ToClient };
        self.frames.push(frame_bytes(LinkType::ETHERNET, &tcp.packet(64).unwrap(), way).unwrap());
        self.next[own] += payload.len() as u32 + u32::from(flags.has(Flags::SYN));
    }

    fn say(&mut self, to_server: bool, payload: &[u8]) {
        self.push(to_server, Flags::ACK, payload);
    }
}

/// Pushes frames and writes their messages. Returns the number of messages.
fn run(extractor: &mut Extractor, lines: &mut Lines, frames: &[Vec<u8>], first: u64) -> u64 {
    let mut messages = 0;
    for (number, bytes) in (first..).zip(frames) {
        let frame = Frame::new(number, Timestamp::from_nanos(number * 1_000), LinkType::ETHERNET, bytes);
        extractor.push(&frame, &mut |message| {
            messages += 1;
            lines.clear(usize::MAX);
            lines.push(message);
        });
    }
    messages
}

/// Returns the allocations and messages of all frames after the first `warm`.
fn allocations(connection: &Connection, warm: usize) -> (u64, u64) {
    let (mut extractor, mut lines) = (Extractor::new(Config::default()), Lines::default());
    run(&mut extractor, &mut lines, &connection.frames[..warm], 1);
    let mut messages = 0;
    let found = measure(|| messages = run(&mut extractor, &mut lines, &connection.frames[warm..], warm as u64 + 1));
    assert_eq!(extractor.ledger().balance(), extractor.pending() as i128);
    (found.count_total, messages)
}

#[test]
fn a_frame_of_data_in_order_allocates_nothing() {
    for head in ["Content-Length: 9000000\r\n\r\n", "\r\n"] {
        let mut connection = Connection::open();
        connection.say(true, b"GET / HTTP/1.1\r\n\r\n");
        connection.say(false, format!("HTTP/1.1 200 OK\r\n{head}").as_bytes());
        // The kept part of a body grows up to a mebibyte.
        for _ in 0..2_000 {
            connection.say(false, &[b'x'; 1_448]);
            connection.say(true, b"");
        }
        assert_eq!(allocations(&connection, 2_000), (0, 0), "{head:?}");
    }
}

#[test]
fn a_chunk_allocates_nothing() {
    let mut connection = Connection::open();
    connection.say(true, b"GET / HTTP/1.1\r\n\r\n");
    connection.say(false, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("5a0\r\n{}\r\n", "x".repeat(0x5a0));
    for _ in 0..2_000 {
        connection.say(false, chunk.as_bytes());
        connection.say(true, b"");
    }
    assert_eq!(allocations(&connection, 2_000), (0, 0));
}

/// Counts the allocations of a thousand exchanges on a persistent connection.
#[test]
fn a_message_allocates_a_known_few() {
    /// Room for buffers that still grow.
    const PER_HUNDRED_MESSAGES: u64 = 0;
    let mut connection = Connection::open();
    for n in 0..1_100 {
        let body = format!(r#"{{"order": {n}, "item": "caf\u00e9"}}"#);
        let head = "Host: example.test\r\nAccept: application/json\r\nContent-Type: application/json\r\n";
        let length = body.len();
        // A message without a body reuses the memory of one with a body, and returns it.
        let request = match n % 2 {
            0 => format!("GET /v1/orders HTTP/1.1\r\n{head}\r\n"),
            _ => format!("POST /v1/orders HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}"),
        };
        connection.say(true, request.as_bytes());
        connection
            .say(false, format!("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
        connection.say(true, b"");
    }
    let (count, messages) = allocations(&connection, 303);
    assert_eq!(messages, 2_000);
    let per_hundred = count * 100 / messages;
    assert_eq!(per_hundred, PER_HUNDRED_MESSAGES, "{count} allocations of {messages} messages: commit the new number");
}
