//! Scripted connections, frame by frame, into a pcap file. The same seed gives the same bytes.
//!
//! Causes come before effects, also on a bad line: a lost segment is sent again before anything
//! acknowledges it. Next: [`crate::captures`].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use sniffer_packet::frame::LinkType;
use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::Flags;
use sniffer_testkit::rng::Rng;
use sniffer_testkit::wire::{Tcp, Way, WireError, frame_bytes};

/// Payload of a full segment on Ethernet with time stamps.
const SEGMENT: usize = 1_448;

/// The effect of a line on the segments of a burst.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line {
    Clean,
    /// 2.5 % are lost (and sent again), 1.5 % doubled, 3 % overtaken by the next.
    Lossy,
}

/// A pcap file that is being written, and its current time.
pub(crate) struct Wire {
    file: BufWriter<File>,
    micros: u64,
    pub(crate) rng: Rng,
}

struct Frame {
    to_server: bool,
    flags: Flags,
    seq: u32,
    ack: u32,
    payload: Vec<u8>,
}

/// One connection, and the frames that it has still to send.
pub(crate) struct ScriptedConnection {
    client: Endpoint,
    server: Endpoint,
    next: [u32; 2],
    frames: VecDeque<Frame>,
}

impl Wire {
    pub(crate) fn create(path: &Path, seed: u64) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        for word in [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 262_144, u32::from(LinkType::ETHERNET.0)] {
            file.write_all(&u32::to_le_bytes(word))?;
        }
        Ok(Self { file, micros: 1_771_675_200_000_000, rng: Rng::new(seed) })
    }

    /// Sends the next frame of a connection. Returns whether there was one.
    pub(crate) fn send(&mut self, connection: &mut ScriptedConnection) -> io::Result<bool> {
        let Some(frame) = connection.frames.pop_front() else { return Ok(false) };
        let (src, dst, way) = match frame.to_server {
            true => (connection.client, connection.server, Way::ToServer),
            false => (connection.server, connection.client, Way::ToClient),
        };
        let mut tcp = Tcp::new(src, dst, frame.seq, frame.ack, frame.flags);
        tcp.payload = frame.payload;
        let bytes = tcp.packet(64).and_then(|packet| frame_bytes(LinkType::ETHERNET, &packet, way));
        let bytes = bytes.map_err(|error: WireError| io::Error::other(error.to_string()))?;
        self.micros += 3 + self.rng.below(40) as u64;
        let (seconds, fraction) = (self.micros / 1_000_000, self.micros % 1_000_000);
        for word in [seconds as u32, fraction as u32, bytes.len() as u32, bytes.len() as u32] {
            self.file.write_all(&word.to_le_bytes())?;
        }
        self.file.write_all(&bytes)?;
        Ok(true)
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ScriptedConnection {
    /// The `n`-th connection of a capture. It starts with a handshake.
    pub(crate) fn open(n: usize, port: u16) -> Self {
        let address = |network, host: usize| IpAddr::V4(Ipv4Addr::from(network + host as u32));
        let client = Endpoint::new(address(0x0a00_0001, n / 60_000), (2_000 + n % 60_000) as u16);
        let mut connection = Self {
            client,
            server: Endpoint::new(address(0x0a09_0001, 0), port),
            next: [0, 0],
            frames: VecDeque::new(),
        };
        connection.push(true, Flags::SYN, b"");
        connection.push(false, Flags::SYN.with(Flags::ACK), b"");
        connection.push(true, Flags::ACK, b"");
        connection
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.frames.is_empty()
    }

    /// Makes one side send bytes, in as many segments as needed, and the other acknowledge them.
    pub(crate) fn say(&mut self, to_server: bool, bytes: &[u8], line: Line, rng: &mut Rng) {
        let first = self.frames.len();
        for piece in bytes.chunks(SEGMENT) {
            self.push(to_server, Flags::ACK, piece);
        }
        if let Line::Lossy = line {
            self.spoil(first, rng);
        }
        self.push(!to_server, Flags::ACK, b"");
    }

    /// Makes both sides close.
    pub(crate) fn close(&mut self) {
        self.push(false, Flags::FIN.with(Flags::ACK), b"");
        self.push(true, Flags::FIN.with(Flags::ACK), b"");
        self.push(false, Flags::ACK, b"");
    }

    fn push(&mut self, to_server: bool, flags: Flags, payload: &[u8]) {
        let [own, other] = if to_server { [0, 1] } else { [1, 0] };
        let (seq, ack) = (self.next[own], self.next[other]);
        self.frames.push_back(Frame { to_server, flags, seq, ack, payload: payload.to_vec() });
        let control = u32::from(flags.has(Flags::SYN) || flags.has(Flags::FIN));
        self.next[own] = seq.wrapping_add(payload.len() as u32 + control);
    }

    /// Applies a bad line to a burst.
    fn spoil(&mut self, first: usize, rng: &mut Rng) {
        let mut burst: Vec<Frame> = self.frames.drain(first..).collect();
        let mut again = Vec::new();
        let mut at = 0;
        while at < burst.len() {
            if rng.chance(0.025) {
                again.push(burst.remove(at));
                continue;
            }
            if rng.chance(0.03) && at + 1 < burst.len() {
                burst.swap(at, at + 1);
            }
            if rng.chance(0.015) {
                let Frame { to_server, flags, seq, ack, ref payload } = burst[at];
                let copy = Frame { to_server, flags, seq, ack, payload: payload.clone() };
                burst.insert(at, copy);
                at += 1;
            }
            at += 1;
        }
        self.frames.extend(burst);
        self.frames.extend(again);
    }
}
