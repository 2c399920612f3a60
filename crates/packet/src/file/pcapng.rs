//! Frames as pcapng (draft-ietf-opsawg-pcapng): one section, an interface for each kind of frame,
//! little-endian.
//!
//! Any mix of link types and precisions goes into one file; nothing is kept but the list of those.
//! It only ever appends to the caller's buffer. Read by: the `replay` crate, Wireshark.

use crate::frame::{Frame, LinkType};
use crate::time::Precision;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

/// The file so far.
#[derive(Debug, Default)]
pub struct PcapngWriter {
    begun: bool,
    interfaces: Vec<(LinkType, Precision)>,
}

impl PcapngWriter {
    /// Appends a frame, and what must stand before it.
    pub fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        let kind = (frame.link, frame.precision);
        let interface = self.interfaces.iter().position(|known| *known == kind).unwrap_or_else(|| {
            self.interfaces.push(kind);
            interface(kind, 0, None, out);
            self.interfaces.len() - 1
        });
        let time = match frame.precision {
            Precision::Nanos => frame.time.as_nanos(),
            Precision::Micros => frame.time.as_micros(),
        };
        block(PACKET, out, |out| {
            let lengths = [frame.bytes.len() as u32, frame.wire_len];
            words(out, &[interface as u32, (time >> 32) as u32, time as u32]);
            words(out, &lengths);
            out.extend_from_slice(frame.bytes);
        });
    }

    /// Describes the interface that frames of this link type, with microseconds, were captured on.
    pub fn interface(&mut self, link: LinkType, snaplen: u32, name: &str, out: &mut Vec<u8>) {
        self.begin(out);
        self.interfaces.push((link, Precision::Micros));
        interface((link, Precision::Micros), snaplen, Some(name), out);
    }

    /// The header of the file; one without frames has it too.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            // Byte order, version 1.0, length of the section not given.
            block(SECTION, out, |out| words(out, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
        }
    }
}

/// A snapshot length of 0 stands for none. A name longer than 255 bytes is cut.
fn interface((link, precision): (LinkType, Precision), snaplen: u32, name: Option<&str>, out: &mut Vec<u8>) {
    block(INTERFACE, out, |out| {
        words(out, &[u32::from(link.0), snaplen]);
        if let Some(name) = name {
            // if_name, padded. Then the end of options.
            let name = &name.as_bytes()[..name.len().min(255)];
            words(out, &[2 | (name.len() as u32) << 16]);
            out.extend_from_slice(name);
            out.resize(out.len() + name.len().next_multiple_of(4) - name.len(), 0);
            words(out, &[0]);
        } else if precision == Precision::Nanos {
            // if_tsresol, one byte: 10^-9. Then the end of options.
            words(out, &[9 | 1 << 16, 9, 0]);
        }
    });
}

/// Type, length, body padded to four bytes, length again.
fn block(kind: u32, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    words(out, &[kind, 0]);
    body(out);
    // The buffer may begin anywhere: what is padded is the block.
    let padded = start + (out.len() - start).next_multiple_of(4);
    out.resize(padded, 0);
    let length = (out.len() - start + 4) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    words(out, &[length]);
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}
