//! Frames as pcapng (draft-ietf-opsawg-pcapng), little-endian: the blocks, and a writer that keeps
//! the list of interfaces.
//!
//! ```text
//! section header │ interface │ packet │ packet │ interface │ packet …
//!
//! every block:   type (4)  length (4)  body, padded to four bytes  length (4)
//! ```
//!
//! It only appends to the caller's buffer. Read by: the `replay` crate, Wireshark.

use crate::frame::{Frame, LinkType};
use crate::time::{Precision, Timestamp};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

/// `if_name`, the interface's name (§4.2).
const IF_NAME: u16 = 2;
/// `if_tsresol`, the resolution of time stamps (§4.2); microseconds without it.
const IF_TSRESOL: u16 = 9;
/// Longest name that is written; a longer one is cut.
const NAME_MAX: usize = 255;

/// Bytes of a packet block before the packet.
const PACKET_HEAD: usize = 28;

/// A file so far: one section, with an interface for each link type and precision of its frames.
#[derive(Debug, Default)]
pub struct PcapngWriter {
    begun: bool,
    interfaces: Vec<(LinkType, Precision)>,
}

impl PcapngWriter {
    /// Appends a frame, after the header and the interface that it needs.
    pub fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        let kind @ (link, precision) = (frame.link, frame.precision);
        let interface = self.interfaces.iter().position(|known| *known == kind).unwrap_or_else(|| {
            self.interfaces.push(kind);
            // No snapshot length: each packet has its length on the wire.
            InterfaceDescription { link, precision, snaplen: 0, name: None }.append(out);
            self.interfaces.len() - 1
        });
        let lengths = (frame.bytes.len() as u32, frame.wire_len);
        let edges = PacketEdges::new(interface as u32, frame.time, precision, lengths);
        out.extend_from_slice(edges.head());
        out.extend_from_slice(frame.bytes);
        out.extend_from_slice(edges.tail());
    }

    /// Appends the header of the file, once. A file without frames needs it too.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            section_header(out);
        }
    }
}

/// Appends a section header: byte order, version 1.0, length of the section not given.
pub fn section_header(out: &mut Vec<u8>) {
    block(SECTION, out, |out| words(out, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
}

/// An interface; packets name it by its number in the section.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "what the block holds; no invariant")]
pub struct InterfaceDescription<'a> {
    /// Link type of its packets.
    pub link: LinkType,
    /// Precision of its time stamps.
    pub precision: Precision,
    /// Most bytes captured of a packet; 0 for no limit.
    pub snaplen: u32,
    /// Name of the interface.
    pub name: Option<&'a str>,
}

impl InterfaceDescription<'_> {
    /// Appends the block.
    pub fn append(&self, out: &mut Vec<u8>) {
        block(INTERFACE, out, |out| {
            words(out, &[u32::from(self.link.0), self.snaplen]);
            let start = out.len();
            if let Some(name) = self.name {
                option(IF_NAME, &name.as_bytes()[..name.len().min(NAME_MAX)], out);
            }
            if self.precision == Precision::Nanos {
                // 10^-9.
                option(IF_TSRESOL, &[9], out);
            }
            if out.len() > start {
                // The end of the options.
                words(out, &[0]);
            }
        });
    }
}

/// The bytes of a packet block before and after the packet, for a writer that does not copy
/// packets.
#[derive(Debug, Clone, Copy)]
pub struct PacketEdges {
    head: [u8; PACKET_HEAD],
    /// Three bytes of padding, then the length.
    tail: [u8; 7],
    padding: usize,
}

impl PacketEdges {
    /// Edges of a packet with these lengths: captured, and on the wire.
    pub fn new(interface: u32, time: Timestamp, precision: Precision, (captured, wire_len): (u32, u32)) -> Self {
        let time = match precision {
            Precision::Nanos => time.as_nanos(),
            Precision::Micros => time.as_micros(),
        };
        let padding = captured.wrapping_neg() & 3;
        let length = PACKET_HEAD as u32 + captured + padding + 4;
        let words = [PACKET, length, interface, (time >> 32) as u32, time as u32, captured, wire_len];
        let mut head = [0; PACKET_HEAD];
        for (place, word) in head.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let [a, b, c, d] = length.to_le_bytes();
        Self { head, tail: [0, 0, 0, a, b, c, d], padding: padding as usize }
    }

    /// The bytes before the packet.
    pub const fn head(&self) -> &[u8] {
        &self.head
    }

    /// The bytes after the packet.
    pub fn tail(&self) -> &[u8] {
        &self.tail[3 - self.padding..]
    }
}

/// Appends a block around its body.
fn block(kind: u32, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    words(out, &[kind, 0]);
    body(out);
    pad(start, out);
    let length = (out.len() - start + 4) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    words(out, &[length]);
}

/// Appends an option of a block: code, length, value.
fn option(code: u16, value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    pad(start, out);
}

/// Pads what starts at `start` to four bytes. The buffer itself may begin anywhere.
fn pad(start: usize, out: &mut Vec<u8>) {
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_layout_of_the_format() {
        let mut bytes = Vec::new();
        section_header(&mut bytes);
        let section = [
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..],
            &[0xff; 8],
            &[28, 0, 0, 0],
        ];
        assert_eq!(bytes, section.concat());

        let any = InterfaceDescription {
            link: LinkType::LINUX_SLL,
            precision: Precision::Micros,
            snaplen: 96,
            name: Some("any"),
        };
        let options = [&[2, 0, 3, 0][..], b"any\0"].concat();
        let tsresol = [9, 0, 1, 0, 9, 0, 0, 0];
        for (description, head, options) in [
            (any, [1, 0, 0, 0, 32, 0, 0, 0, 113, 0, 0, 0, 96, 0, 0, 0], [&options[..], &[0; 4]].concat()),
            (
                InterfaceDescription { precision: Precision::Nanos, ..any },
                [1, 0, 0, 0, 40, 0, 0, 0, 113, 0, 0, 0, 96, 0, 0, 0],
                [&options[..], &tsresol, &[0; 4]].concat(),
            ),
            (
                InterfaceDescription { precision: Precision::Nanos, snaplen: 0, name: None, ..any },
                [1, 0, 0, 0, 32, 0, 0, 0, 113, 0, 0, 0, 0, 0, 0, 0],
                [&tsresol[..], &[0; 4]].concat(),
            ),
            (
                InterfaceDescription { snaplen: 0, name: None, ..any },
                [1, 0, 0, 0, 20, 0, 0, 0, 113, 0, 0, 0, 0, 0, 0, 0],
                Vec::new(),
            ),
        ] {
            let mut bytes = Vec::new();
            description.append(&mut bytes);
            assert_eq!(bytes, [&head[..], &options, &head[4..8]].concat(), "{description:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let name = "x".repeat(300);
        let mut bytes = Vec::new();
        let link = LinkType::ETHERNET;
        InterfaceDescription { link, precision: Precision::Micros, snaplen: 0, name: Some(&name) }.append(&mut bytes);
        assert_eq!(bytes[16..20], [2, 0, 255, 0]);
        assert_eq!(bytes.len(), 16 + 4 + 256 + 4 + 4);
    }

    #[test]
    fn a_packet_stands_between_its_edges_padded_to_four_bytes() {
        let time = Timestamp::new(1_771_675_200, 123_456_789);
        for (precision, ticks) in
            [(Precision::Micros, 1_771_675_200_123_456_u64), (Precision::Nanos, 1_771_675_200_123_456_789)]
        {
            for (captured, padding, length) in [(4, 0, 36), (5, 3, 40), (6, 2, 40), (7, 1, 40), (0, 0, 32)] {
                let edges = PacketEdges::new(2, time, precision, (captured, 1500));
                let [high, low] = [(ticks >> 32) as u32, ticks as u32];
                let head: Vec<u8> =
                    [6, length, 2, high, low, captured, 1500].iter().flat_map(|w| w.to_le_bytes()).collect();
                assert_eq!(edges.head(), head);
                assert_eq!(edges.tail(), [&vec![0; padding][..], &length.to_le_bytes()].concat());
            }
        }
    }
}
