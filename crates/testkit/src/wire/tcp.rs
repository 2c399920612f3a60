//! A TCP segment as bytes, with its checksum (RFC 9293 §3.1).
//!
//! It keeps no state: the caller chooses sequence numbers. Next: [`super::Ip`], which carries it.

use std::net::IpAddr;

use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::Flags;

use super::ip::{IP_PROTOCOL_TCP, pseudo_header_sum, sum};
use super::{Ip, WireError, WirePacket};

/// The fields of a TCP segment. There is no `Default`, because a segment needs endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a header's fields, all free; no invariant")]
pub struct Tcp {
    /// Sender.
    pub src: Endpoint,
    /// Receiver.
    pub dst: Endpoint,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, written even if the flag is not set.
    pub ack: u32,
    /// Control bits.
    pub flags: Flags,
    /// Window field.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Bytes of the options; padded to a multiple of four with zeros (End of Option List).
    pub options: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
    /// Write a wrong checksum, as transmit offload leaves it.
    pub bad_checksum: bool,
}

impl Tcp {
    /// Makes a segment of endpoints, numbers and flags, without options and payload.
    pub fn new(src: Endpoint, dst: Endpoint, seq: u32, ack: u32, flags: Flags) -> Self {
        let (options, payload) = (Vec::new(), Vec::new());
        Self { src, dst, seq, ack, flags, window: 65_535, urgent: 0, options, payload, bad_checksum: false }
    }

    /// Returns header and payload, with the checksum over the pseudo-header.
    pub fn bytes(&self) -> Result<Vec<u8>, WireError> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        // The data offset has four bits: 15 words, of which 5 are fixed.
        if options.len() > 40 {
            return Err(WireError::TooLong { header: "TCP options", len: options.len(), max: 40 });
        }
        let words = 5 + options.len() / 4;
        let mut bytes = Vec::with_capacity(words * 4 + self.payload.len());
        bytes.extend(self.src.port.to_be_bytes());
        bytes.extend(self.dst.port.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([(words as u8) << 4, self.flags.0]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.urgent.to_be_bytes());
        bytes.extend(options);
        bytes.extend(&self.payload);
        let pseudo = pseudo_header_sum(self.src.ip, self.dst.ip, IP_PROTOCOL_TCP, bytes.len());
        let checksum = !sum(pseudo, &bytes) ^ if self.bad_checksum { 0x5555 } else { 0 };
        bytes[16..18].copy_from_slice(&checksum.to_be_bytes());
        Ok(bytes)
    }

    /// Returns it in an IP packet with this hop limit.
    pub fn packet(&self, ttl: u8) -> Result<WirePacket, WireError> {
        Ip::new(self.src.ip, self.dst.ip, IP_PROTOCOL_TCP, ttl).packet(&self.bytes()?)
    }

    /// The largest payload that one IP packet takes between hosts of this family, with `options`
    /// bytes of options.
    pub const fn payload_max(ip: &IpAddr, options: usize) -> usize {
        let ip_header = match ip {
            IpAddr::V4(_) => 20,
            IpAddr::V6(_) => 0,
        };
        65_535 - ip_header - 20 - options.next_multiple_of(4)
    }
}
