//! Floods: captures that try to exhaust a sniffer, each with an honest exchange at its end.
//!
//! Each is a row of [`ALL`]: an attack, repeated as often as asked. `examples/flood.rs` writes them
//! to files for measurements, and the engine's `tests/memory.rs` runs them against a small budget.
//! The checksums are zero, because a sniffer reads them only when copies differ. Next:
//! [`super::wire`], for frames with correct headers.

use std::io::Read;

use sniffer_packet::frame::OwnedFrame;
use sniffer_packet::frame::{Frame, LinkType};
use sniffer_packet::segment::Flags;
use sniffer_packet::time::Timestamp;

/// Request target of the honest exchange.
pub const HONEST: &str = "/honest";

/// Name of a flood, and the function that sends it `n` times.
pub type FloodRow = (&'static str, fn(&mut Flood<'_>, u32));

/// All floods.
pub const ALL: &[FloodRow] = &[
    ("syn", |flood, n| (0..n).for_each(|i| flood.client(i, 7, 0, SYN, b""))),
    ("syn-with-data", |flood, n| (0..n).for_each(|i| flood.client(i, 7, 0, SYN, &[b'x'; 1_000]))),
    ("half-open", |flood, n| {
        for i in 0..n {
            flood.client(i, 7, 0, SYN, b"");
            flood.server(i, 7, 8, SYN.with(ACK), b"");
        }
    }),
    ("stray-acks", |flood, n| (0..n).for_each(|i| flood.client(i, 7, 9, ACK, b""))),
    ("stray-data", |flood, n| (0..n).for_each(|i| flood.client(i, 7, 9, ACK, &[b'x'; 500]))),
    ("resets", |flood, n| (0..n).for_each(|i| flood.client(i, 7, 9, Flags::RST, b""))),
    ("open-and-closed", |flood, n| {
        for i in 0..n {
            flood.open(i);
            flood.client(i, 1, 1, ACK.with(Flags::FIN), b"");
            flood.server(i, 1, 2, ACK.with(Flags::FIN), b"");
        }
    }),
    ("same-ports-again", |flood, n| {
        for i in 0..n {
            flood.client(0, i.wrapping_mul(2_654_435_761), 0, SYN, &[b'x'; 300]);
            flood.server(0, 1, i.wrapping_mul(2_654_435_761).wrapping_add(1), SYN.with(ACK), b"");
        }
    }),
    ("unfinished-heads", |flood, n| {
        for i in 0..n {
            flood.open(i);
            flood.client(
                i,
                1,
                1,
                ACK,
                b"GET /never HTTP/1.1\r\nHost: a.test\r\nX-Padding: ............................",
            );
        }
    }),
    ("endless-heads", |flood, n| {
        rounds(flood, n, 200, |flood, i, seq| {
            let head: &[u8] = if seq == 1 { b"GET /endless HTTP/1.1\r\n" } else { b"X-More: and more\r\nX-X: \r\n" };
            flood.client(i, seq, 1, ACK, head);
            head.len() as u32
        });
    }),
    ("heads-by-the-byte", |flood, n| {
        rounds(flood, n, 500, |flood, i, seq| {
            let byte = b"GET /slow HTTP/1.1\r\nX: ".get(seq as usize - 1).unwrap_or(&b'y');
            flood.client(i, seq, 1, ACK, &[*byte]);
            1
        });
    }),
    ("open-bodies", |flood, n| {
        rounds(flood, n, 500, |flood, i, seq| {
            let post: &[u8] = b"POST /body HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n";
            let bytes = if seq == 1 { post } else { &[b'b'; 1_400] };
            flood.client(i, seq, 1, ACK, bytes);
            bytes.len() as u32
        });
    }),
    // Bodies that are much longer once they are decoded, and all end at once.
    ("open-gzip", |flood, n| {
        let spaces = gzip_of_spaces(64 << 10);
        let head = b"POST /gzip HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n";
        for i in 0..n {
            flood.open(i);
            flood.client(i, 1, 1, ACK, &[&head[..], &spaces].concat());
        }
    }),
    ("pipelines", |flood, n| {
        rounds(flood, n, 50, |flood, i, seq| {
            flood.client(i, seq, 1, ACK, b"GET / HTTP/1.1\r\n\r\n");
            18
        });
    }),
    ("holes-in-many", |flood, n| {
        for i in 0..n {
            flood.open(i);
            flood.client(i, 1_001, 1, ACK, &[b'x'; 1_400]);
        }
    }),
    ("acknowledged-holes-in-many", |flood, n| {
        for i in 0..n {
            flood.open(i);
            flood.client(i, 1_001, 1, ACK, &[b'x'; 100]);
            flood.server(i, 1, 1_101, ACK, b"");
        }
    }),
    ("holes-in-one", |flood, n| {
        flood.open(0);
        for i in 0..n {
            flood.client(0, 10 + i * 2 % 120_000, 1, ACK, b"x");
            flood.server(0, 10 + i * 2 % 120_000, 1, ACK, b"y");
        }
    }),
    // The shortest requests, which wait after a hole and complete all at once: when too many wait,
    // and on every second connection when the capture ends.
    ("pipelines-behind-holes", |flood, n| {
        let requests = b"GET / HTTP/1.1\r\n\r\n".repeat(72);
        rounds(flood, n, 50, |flood, i, seq| {
            if i % 2 == 0 || seq < 150_000 {
                flood.client(i, seq + 100, 1, ACK, &requests);
            }
            requests.len() as u32
        });
    }),
    // Many small pieces, then the bytes between them, all after a hole.
    ("pieces-filled-at-once", |flood, n| {
        for i in 0..n / 701 {
            flood.open(i);
            (0..700).for_each(|k| flood.client(i, 100 + k * 2, 1, ACK, b"x"));
            flood.client(i, 100, 1, ACK, &[b'y'; 1_400]);
        }
    }),
    ("one-in-reverse", |flood, n| {
        flood.open(0);
        (0..n).for_each(|i| flood.client(0, 120_000 - i % 119_000, 1, ACK, b"x"));
    }),
    ("overlaps-in-one", |flood, n| {
        flood.open(0);
        (0..n).for_each(|i| {
            flood.client(0, 10 + i.wrapping_mul(7_919) % 100_000, 1, ACK, &[b'a' + (i % 26) as u8; 1_400])
        });
    }),
    ("conflicting-copies", |flood, n| {
        flood.open(0);
        let head = b"POST /copies HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n";
        flood.client(0, 1, 1, ACK, head);
        let from = 1 + head.len() as u32;
        (0..64).for_each(|i| flood.client(0, from + i * 1_000, 1, ACK, &[b'1'; 1_000]));
        (0..n).for_each(|_| flood.client(0, from, 1, ACK, &[b'2'; 63_000]));
    }),
    ("first-fragments", |flood, n| (0..n).for_each(|i| flood.fragment(i, 0, true, &[0; 1_400]))),
    ("last-fragments", |flood, n| (0..n).for_each(|i| flood.fragment(i, 800, false, &[0; 8]))),
    ("tiny-fragments", |flood, n| (0..n).for_each(|i| flood.fragment(i / 8_000, i % 8_000 * 8, true, &[0; 8]))),
    ("fragments-with-holes", |flood, n| {
        (0..n).for_each(|i| flood.fragment(i / 4_000, (i % 4_000).wrapping_mul(1_201) % 4_000 * 16, true, &[0; 8]));
    }),
    ("overlapping-fragments", |flood, n| {
        (0..n).for_each(|i| flood.fragment(i / 3_000, (i % 3_000) * 8, true, &[i as u8; 1_400]));
    }),
];

/// Returns the frames of a flood with an honest exchange at its end; none for an unknown name.
pub fn frames(name: &str, n: u32) -> Vec<OwnedFrame> {
    let mut frames = Vec::new();
    if let Some((_, flood)) = ALL.iter().find(|(known, _)| *known == name) {
        let mut keep = |frame: &Frame<'_>| frames.push(OwnedFrame::from(frame));
        let mut sender = Flood::new(&mut keep);
        flood(&mut sender, n);
        sender.honest_exchange();
    }
    frames
}

const SYN: Flags = Flags::SYN;
const ACK: Flags = Flags::ACK;

/// Sends `n` segments, in turns over `connections`. `each` sends one and returns its length.
fn rounds(flood: &mut Flood<'_>, n: u32, connections: u32, each: impl Fn(&mut Flood<'_>, u32, u32) -> u32) {
    (0..connections).for_each(|i| flood.open(i));
    let mut next = vec![1; connections as usize];
    for k in 0..n {
        let i = k % connections;
        let seq = &mut next[i as usize];
        *seq += each(flood, i, *seq);
    }
}

/// Sends frames of raw IPv4, one every 10 µs, so that no connection is idle.
pub struct Flood<'a> {
    number: u64,
    send: &'a mut dyn FnMut(&Frame<'_>),
    bytes: Vec<u8>,
}

impl<'a> Flood<'a> {
    /// Makes a flood that passes its frames to `send`.
    pub fn new(send: &'a mut dyn FnMut(&Frame<'_>)) -> Self {
        Self { number: 0, send, bytes: Vec::new() }
    }

    /// Sends a connection with a request and its response, which are the last two frames.
    pub fn honest_exchange(&mut self) {
        let client = u32::MAX;
        self.open(client);
        self.client(client, 1, 1, ACK, b"GET /honest HTTP/1.1\r\n\r\n");
        self.server(client, 1, 25, ACK, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }

    fn open(&mut self, i: u32) {
        self.client(i, 0, 0, SYN, b"");
        self.server(i, 0, 1, SYN.with(ACK), b"");
        self.client(i, 1, 1, ACK, b"");
    }

    /// Sends a segment from the `i`-th client.
    fn client(&mut self, i: u32, seq: u32, ack: u32, flags: Flags, payload: &[u8]) {
        self.segment(client(i), (SERVER, 80), seq, ack, flags, payload);
    }

    /// Sends a segment to the `i`-th client.
    fn server(&mut self, i: u32, seq: u32, ack: u32, flags: Flags, payload: &[u8]) {
        self.segment((SERVER, 80), client(i), seq, ack, flags, payload);
    }

    fn segment(&mut self, src: (u32, u16), dst: (u32, u16), seq: u32, ack: u32, flags: Flags, payload: &[u8]) {
        self.ip(src.0, dst.0, 0, 0, 20 + payload.len());
        for port in [src.1, dst.1] {
            self.bytes.extend(port.to_be_bytes());
        }
        for number in [seq, ack] {
            self.bytes.extend(number.to_be_bytes());
        }
        self.bytes.extend([0x50, flags.0, 0xff, 0xff, 0, 0, 0, 0]);
        self.bytes.extend(payload);
        self.give();
    }

    /// Sends a fragment of the `i`-th datagram.
    fn fragment(&mut self, i: u32, offset: u32, more: bool, payload: &[u8]) {
        let field = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
        self.ip(0x0b00_0000 + (i >> 16), SERVER, i as u16, field, payload.len());
        self.bytes.extend(payload);
        self.give();
    }

    fn ip(&mut self, src: u32, dst: u32, id: u16, fragment: u16, len: usize) {
        self.bytes.clear();
        self.bytes.extend([0x45, 0]);
        for field in [20 + len as u16, id, fragment] {
            self.bytes.extend(field.to_be_bytes());
        }
        self.bytes.extend([64, 6, 0, 0]);
        for address in [src, dst] {
            self.bytes.extend(address.to_be_bytes());
        }
    }

    fn give(&mut self) {
        self.number += 1;
        let time = Timestamp::from_nanos(1_000_000_000 + self.number * 10_000);
        (self.send)(&Frame::new(self.number, time, LinkType::RAW, &self.bytes));
    }
}

const SERVER: u32 = 0x0a00_0001;

fn gzip_of_spaces(length: usize) -> Vec<u8> {
    let spaces = vec![b' '; length];
    let mut gzip = Vec::new();
    // Reading from memory cannot fail.
    let _ = flate2::bufread::GzEncoder::new(&spaces[..], flate2::Compression::best()).read_to_end(&mut gzip);
    gzip
}

/// Address and port of the `i`-th client: 60 000 clients share an address.
const fn client(i: u32) -> (u32, u16) {
    (0x0b00_0000 + i / 60_000, 1_024 + (i % 60_000) as u16)
}
