//! Conversations as text: what a reviewer reads instead of a capture, and what becomes one.
//!
//! The format, with every mark, is `corpus/TALK.md`; the names here are the words there. [`Talk::parse`] never panics on
//! any text and bounds everything a text can ask for; [`Talk::frames`] never looks at a clock. What must come out of
//! a conversation stands in the same file ([`expect`]) and is written by its author, never by the tool.
//!
//! Next: [`parse`] (text to [`Talk`]), [`render`] ([`Talk`] to frames), [`expect`].

mod ends;
pub mod expect;
mod lines;
mod marks;
pub mod parse;
pub mod payload;
pub mod render;
mod units;
mod write;

use std::fmt;

pub use expect::{Expectation, ExpectedMessage};
pub use marks::Marks;

use sniffer_packet::frame::LinkType;
use sniffer_packet::key::Endpoint;
use sniffer_packet::time::{Precision, Timestamp};

use super::wire::{Way, Wrap};

/// Longest text that is read.
pub const TEXT_MAX: usize = 4 << 20;
/// Most payload that one block may hold, whatever its generators say. Arbitrary, and enough to pass every default limit.
pub const BLOCK_MAX: usize = 4 << 20;
/// Most payload of all blocks together.
pub const PAYLOAD_MAX: usize = 32 << 20;
/// Most frames that a conversation may become.
pub const FRAMES_MAX: usize = 100_000;
/// Most connections in one conversation.
pub const CONNECTIONS_MAX: usize = 1_000;
/// 2026-01-01T00:00:00Z: when a conversation begins unless it says otherwise.
pub const START: Timestamp = Timestamp::new(1_767_225_600, 0);

/// A conversation: settings, who speaks, what they say in which order, and what must come out.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators and tests build it; parse and render check what they need")]
pub struct Talk {
    /// The first comment line: what this conversation claims.
    pub title: String,
    /// The other comment lines above the first directive.
    pub prose: Vec<String>,
    /// Link type of all frames.
    pub link: LinkType,
    /// Time of the first frame.
    pub start: Timestamp,
    /// Time between frames, in nanoseconds.
    pub step: u64,
    /// How fine the time stamps are.
    pub precision: Precision,
    /// Most bytes of a frame that are captured.
    pub snaplen: Option<usize>,
    /// Who talks to whom. Never empty once something is said.
    pub connections: Vec<TalkConnection>,
    /// What happens, in order.
    pub steps: Vec<TalkStep>,
    /// What must come out.
    pub expectations: Vec<Expectation>,
}

impl Default for Talk {
    /// Nothing said, on Ethernet, a frame every millisecond.
    fn default() -> Self {
        Self {
            title: String::new(),
            prose: Vec::new(),
            link: LinkType::ETHERNET,
            start: START,
            step: 1_000_000,
            precision: Precision::Micros,
            snaplen: None,
            connections: Vec::new(),
            steps: Vec::new(),
            expectations: Vec::new(),
        }
    }
}

/// A connection and what is the same for all its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "generators and tests build it; no invariant")]
pub struct TalkConnection {
    /// Its name in the text; empty for the one that is meant when none is named.
    pub name: String,
    /// The side of `>>>`.
    pub client: Endpoint,
    /// The side of `<<<`.
    pub server: Endpoint,
    /// Initial sequence numbers: the client's, the server's.
    pub isn: [u32; 2],
    /// How it comes to be.
    pub opening: Opening,
    /// Whether segments carry the timestamps option (RFC 7323).
    pub timestamps: bool,
    /// Layers around every packet, outermost first.
    pub via: Vec<Wrap>,
    /// Hop limit of all packets that do not say otherwise.
    pub ttl: u8,
    /// IPv6 extension headers or IPv4 options in every packet.
    pub extension_headers: bool,
    /// The only direction that was captured, when one was not.
    pub only: Option<Way>,
}

/// How a connection comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Opening {
    /// SYN, SYN-ACK, ACK are written before its first block.
    #[default]
    Handshake,
    /// The capture joins it later: both sides are established, nothing is written.
    NoHandshake,
    /// The author writes the SYNs.
    ByHand,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "generators and tests build it; no invariant")]
pub struct TalkStep {
    /// Line in the text, for error messages; 0 when there was no text.
    pub line: usize,
    /// What happens.
    pub action: Action,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "nearly every step is a block; a box would save nothing")]
pub enum Action {
    /// One side sends a block.
    Send(PayloadBlock),
    /// Both sides close that have not: FIN, FIN, ACK. The index is into [`Talk::connections`].
    Close(usize),
    /// Time passes (or jumps back), in nanoseconds.
    Pause(i64),
    /// A frame that belongs to no connection, verbatim.
    Frame(Vec<u8>),
}

/// What one side sends at once, and what befalls it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "generators and tests build it; no invariant")]
pub struct PayloadBlock {
    /// Index into [`Talk::connections`].
    pub connection: usize,
    /// Who sends.
    pub way: Way,
    /// What is sent.
    pub payload: Vec<u8>,
    /// What is special about it.
    pub marks: Marks,
}

/// What is wrong with a conversation: where, what came, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TalkError {
    /// Line in the text, counted from 1; 0 when there was no text.
    pub line: usize,
    /// What came and what is allowed.
    pub what: String,
}

impl TalkError {
    pub(super) fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl fmt::Display for TalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for TalkError {}

impl TalkConnection {
    /// The `n`-th connection of a conversation, counted from 0, between the usual hosts: 10.0.0.1:40000 + n to
    /// 10.0.0.2:80, or 2001:db8::1 and ::2.
    pub fn usual(name: &str, n: usize, ipv6: bool) -> Self {
        let host = |last: u16| match ipv6 {
            true => std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into(),
            false => std::net::Ipv4Addr::new(10, 0, 0, last as u8).into(),
        };
        Self {
            name: name.to_owned(),
            client: Endpoint::new(host(1), 40_000_u16.wrapping_add(n as u16)),
            server: Endpoint::new(host(2), 80),
            // Far from the wrap and from each other; round, so that a position is read off a sequence number.
            isn: [1_000_000, 5_000_000],
            opening: Opening::Handshake,
            timestamps: false,
            via: Vec::new(),
            ttl: 64,
            extension_headers: false,
            only: None,
        }
    }

    /// The endpoints of a packet going this way: source, destination.
    pub fn ends(&self, way: Way) -> (Endpoint, Endpoint) {
        match way {
            Way::ToServer => (self.client, self.server),
            Way::ToClient => (self.server, self.client),
        }
    }
}

impl Talk {
    /// A block with no marks, as a step without a line.
    #[must_use]
    pub fn block(connection: usize, way: Way, payload: Vec<u8>) -> TalkStep {
        Self::marked(connection, way, payload, Marks::default())
    }

    /// A block with marks, as a step without a line.
    #[must_use]
    pub fn marked(connection: usize, way: Way, payload: Vec<u8>, marks: Marks) -> TalkStep {
        TalkStep { line: 0, action: Action::Send(PayloadBlock { connection, way, payload, marks }) }
    }
}

#[cfg(test)]
mod tests;
