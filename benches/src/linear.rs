//! The growth of cost: each dimension over two decades, as time per unit.
//!
//! It runs in this process, on one thread, and takes the fastest of several runs, to compare a size
//! with ten times that size.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_engine::json::Lines;
use sniffer_packet::frame::LinkType;
use sniffer_packet::frame::OwnedFrame;
use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::Flags;
use sniffer_packet::time::{Precision, Timestamp};
use sniffer_testkit::wire::{Tcp, Way, frame_bytes};

const SIZES: [usize; 3] = [1, 10, 100];

struct Dimension {
    name: &'static str,
    /// The smallest size.
    unit: usize,
    /// Makes the frames of a size.
    frames: fn(usize) -> Frames,
}

const DIMENSIONS: [Dimension; 7] = [
    Dimension { name: "packets of one body", unit: 1_000, frames: packets },
    Dimension { name: "connections", unit: 500, frames: connections },
    Dimension { name: "pipelined requests", unit: 40, frames: pipelined },
    Dimension { name: "segments behind a hole", unit: 50, frames: out_of_order },
    Dimension { name: "fields of a head", unit: 2, frames: fields },
    Dimension { name: "chunks of a body", unit: 500, frames: chunks },
    Dimension { name: "bytes of a body", unit: 10_000, frames: bytes },
];

/// Returns nanoseconds per unit at each size, as rows of a table.
pub(crate) fn rows() -> String {
    let mut rows = String::new();
    for dimension in DIMENSIONS {
        let _ = write!(rows, "| {} |", dimension.name);
        for size in SIZES.map(|times| times * dimension.unit) {
            let frames = (dimension.frames)(size).0;
            // Small sizes run several times, so that the clock's resolution does not show.
            let repeat = (200_000 / size).clamp(1, 400);
            let best = (0..7).map(|_| time(&frames, repeat)).min().unwrap_or_default();
            let _ = write!(rows, " {size}: {:.1} ns |", best.as_nanos() as f64 / (repeat * size) as f64);
        }
        rows.push('\n');
    }
    rows
}

fn time(frames: &[OwnedFrame], repeat: usize) -> Duration {
    let mut lines = Lines::default();
    let start = Instant::now();
    for _ in 0..repeat {
        let mut extractor = Extractor::new(Config::default());
        let mut write = |message: &mut sniffer_engine::message::Message| {
            lines.clear(usize::MAX);
            lines.push(message);
        };
        for frame in frames {
            extractor.push(&frame.as_frame(), &mut write);
        }
        extractor.finish(&mut write);
    }
    start.elapsed()
}

/// Builds the frames of connections.
#[derive(Default)]
struct Frames(Vec<OwnedFrame>);

impl Frames {
    fn push(&mut self, client: usize, to_server: bool, seq: usize, ack: usize, flags: Flags, payload: &[u8]) {
        let address = |host| std::net::IpAddr::V4(std::net::Ipv4Addr::from(0x0a00_0000_u32 + host as u32));
        let ends = (
            Endpoint::new(address(1 + client / 50_000), (1_024 + client % 50_000) as u16),
            Endpoint::new(address(0), 80),
        );
        let ((src, dst), way) = if to_server { (ends, Way::ToServer) } else { ((ends.1, ends.0), Way::ToClient) };
        let mut tcp = Tcp::new(src, dst, seq as u32, ack as u32, flags);
        tcp.payload = payload.to_vec();
        let bytes = tcp.packet(64).and_then(|packet| frame_bytes(LinkType::ETHERNET, &packet, way)).unwrap_or_default();
        let number = self.0.len() as u64 + 1;
        let time = Timestamp::from_nanos(number * 1_000);
        let wire_len = bytes.len() as u32;
        self.0.push(OwnedFrame {
            number,
            time,
            precision: Precision::Micros,
            link: LinkType::ETHERNET,
            bytes,
            wire_len,
        });
    }

    fn say(&mut self, client: usize, to_server: bool, seq: usize, ack: usize, payload: &[u8]) {
        self.push(client, to_server, seq, ack, Flags::ACK, payload);
    }

    fn open(&mut self, client: usize) {
        self.push(client, true, 0, 0, Flags::SYN, b"");
        self.push(client, false, 0, 1, Flags::SYN.with(Flags::ACK), b"");
        self.say(client, true, 1, 1, b"");
    }

    /// Adds a connection whose client sends a request and whose server responds with these bytes in
    /// segments of 1 000.
    fn answer(bytes: &[u8]) -> Self {
        let mut frames = Self::default();
        frames.open(0);
        frames.say(0, true, 1, 1, ASK);
        for (n, piece) in bytes.chunks(1_000).enumerate() {
            frames.say(0, false, 1 + n * 1_000, 1 + ASK.len(), piece);
        }
        frames
    }
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

fn packets(size: usize) -> Frames {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", size * 1_000);
    Frames::answer(&[head.as_bytes(), &vec![b'x'; size * 1_000]].concat())
}

fn bytes(size: usize) -> Frames {
    Frames::answer(
        &[format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes(), &vec![b'x'; size]].concat(),
    )
}

fn chunks(size: usize) -> Frames {
    let head = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
    Frames::answer(&[head, &b"a\r\n0123456789\r\n".repeat(size), b"0\r\n\r\n"].concat())
}

fn fields(size: usize) -> Frames {
    let fields: String = (0..size).map(|n| format!("X-Field-{n}: the value of it\r\n")).collect();
    Frames::answer(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n").as_bytes())
}

fn connections(size: usize) -> Frames {
    let mut frames = Frames::default();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for client in 0..size {
        frames.open(client);
    }
    for client in 0..size {
        frames.say(client, true, 1, 1, ASK);
    }
    for client in 0..size {
        frames.say(client, false, 1, 1 + ASK.len(), answer);
    }
    frames
}

fn pipelined(size: usize) -> Frames {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut frames = Frames::default();
    frames.open(0);
    for n in 0..size {
        frames.say(0, true, 1 + n * ASK.len(), 1, ASK);
    }
    for n in 0..size {
        frames.say(0, false, 1 + n * answer.len(), 1 + size * ASK.len(), answer);
    }
    frames
}

fn out_of_order(size: usize) -> Frames {
    let whole = packets(size);
    let mut frames = whole.0;
    // The first segment of the response comes last.
    let first = frames.remove(4);
    frames.push(first);
    Frames(frames)
}
