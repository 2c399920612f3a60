//! The stages that are measured one by one: decode, order, head, chunks, JSON.
//!
//! Each case has frames that are made once, and runs them through the engine up to its stage.
//! `benches/micro.rs` measures the time of these cases, and `cargo xtask test` counts their
//! instructions.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_engine::json::Lines;
use sniffer_engine::message::Message;
use sniffer_packet::block::Block;
use sniffer_packet::decode;
use sniffer_packet::frame::LinkType;
use sniffer_packet::frame::{OwnedFrame, block_of, within};
use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::Flags;
use sniffer_packet::time::{Precision, Timestamp};
use sniffer_testkit::wire::{Tcp, Way, frame_bytes};

/// Frames, and the blocks that they lie in, as in a replay.
type InBlocks = (Vec<OwnedFrame>, Vec<Block>);

/// Frames in a block: about 256 KiB.
const IN_BLOCK: usize = 256;

fn in_blocks(frames: Vec<OwnedFrame>) -> InBlocks {
    let blocks = frames.chunks(IN_BLOCK).map(block_of).collect();
    (frames, blocks)
}

/// One stage with its input.
#[derive(Debug)]
#[non_exhaustive]
pub struct Case {
    /// What is measured.
    pub name: &'static str,
    input: Input,
}

#[derive(Debug)]
enum Input {
    /// Decode only.
    Decode(Vec<OwnedFrame>),
    /// The whole engine, without output.
    Engine(InBlocks),
    /// Write messages as lines.
    Json(Vec<Message>),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Case {
    /// Returns the number of input bytes.
    pub fn bytes(&self) -> usize {
        match &self.input {
            Input::Decode(frames) | Input::Engine((frames, _)) => frames.iter().map(|frame| frame.bytes.len()).sum(),
            Input::Json(messages) => messages.iter().map(|message| message.body.as_bytes().len()).sum(),
        }
    }

    /// Runs it once. The result depends on all of its output.
    pub fn run(&self) -> usize {
        match &self.input {
            Input::Decode(frames) => {
                let payload = |decoded: decode::Decoded<'_>| match decoded {
                    decode::Decoded::Segment(segment) => segment.payload.len(),
                    _ => 0,
                };
                frames.iter().map(|frame| payload(decode::decode(&frame.as_frame()))).sum()
            }
            Input::Engine(frames) => {
                let mut bytes = 0;
                extract(frames, &mut |message| bytes += message.body_size as usize);
                bytes
            }
            Input::Json(messages) => {
                let mut lines = Lines::default();
                messages.iter().for_each(|message| lines.push(message));
                lines.len()
            }
        }
    }
}

fn extract((frames, blocks): &InBlocks, out: &mut dyn FnMut(&mut Message)) {
    let mut extractor = Extractor::new(Config::default());
    for (frames, block) in frames.chunks(IN_BLOCK).zip(blocks) {
        within(block, frames).for_each(|frame| extractor.push(&frame, out));
    }
    extractor.finish(out);
}

/// Returns all cases.
pub fn cases() -> Vec<Case> {
    let heads: Vec<u8> = (0..500).flat_map(head).collect();
    let body = format!("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n{}", "x".repeat(500_000));
    let chunk = format!("{:x}\r\n{}\r\n", 100, "y".repeat(100));
    let chunks = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(5_000));
    let mut swapped = answer(body.as_bytes());
    swapped[6..].chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    let mut messages = Vec::new();
    extract(&in_blocks(answer(&heads)), &mut |message| messages.push(message.clone()));
    vec![
        Case { name: "decode", input: Input::Decode(answer(body.as_bytes())) },
        Case { name: "in order", input: Input::Engine(in_blocks(answer(body.as_bytes()))) },
        Case { name: "reorder", input: Input::Engine(in_blocks(swapped)) },
        Case { name: "head", input: Input::Engine(in_blocks(answer(&heads))) },
        Case { name: "chunked", input: Input::Engine(in_blocks(answer(chunks.as_bytes()))) },
        Case { name: "json", input: Input::Json(messages) },
    ]
}

/// Returns a response with ten fields and a body of JSON.
fn head(n: usize) -> Vec<u8> {
    let body = r#"{"id": 91181347, "name": "item-28aab98c67c2", "tags": ["beta", "alpha"], "note": "café \"quoted\""}"#
        .repeat(5);
    format!(
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Feb 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: keep-alive\r\nETag: \"6b065376-{n:x}\"\r\nX-Request-Id: {n:032x}\r\n\
         Cache-Control: no-cache, private\r\nAccept-Ranges: bytes\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Returns a connection whose server sends these bytes; every other segment is acknowledged.
fn answer(bytes: &[u8]) -> Vec<OwnedFrame> {
    const SEGMENT: usize = 1_448;
    let mut frames = Vec::new();
    let mut push = |to_server: bool, seq: usize, ack: usize, flags: Flags, payload: &[u8]| {
        let ends = (Endpoint::new(address(2), 40_000), Endpoint::new(address(1), 80));
        let ((src, dst), way) = if to_server { (ends, Way::ToServer) } else { ((ends.1, ends.0), Way::ToClient) };
        let mut tcp = Tcp::new(src, dst, seq as u32, ack as u32, flags);
        tcp.payload = payload.to_vec();
        let bytes = tcp.packet(64).and_then(|packet| frame_bytes(LinkType::ETHERNET, &packet, way)).unwrap_or_default();
        let number = frames.len() as u64 + 1;
        let (time, wire_len) = (Timestamp::from_nanos(number * 1_000), bytes.len() as u32);
        frames.push(OwnedFrame {
            number,
            time,
            precision: Precision::Micros,
            link: LinkType::ETHERNET,
            bytes,
            wire_len,
        });
    };
    push(true, 0, 0, Flags::SYN, b"");
    push(false, 0, 1, Flags::SYN.with(Flags::ACK), b"");
    for (n, piece) in bytes.chunks(SEGMENT).enumerate() {
        push(false, 1 + n * SEGMENT, 1, Flags::ACK, piece);
        if n % 2 == 1 {
            push(true, 1, 1 + (n - 1) * SEGMENT, Flags::ACK, b"");
        }
    }
    frames
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}
