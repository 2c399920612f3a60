//! One capture, from its first byte to its last frame or its first fault.
//!
//! It counts the frames of its own file only, and never goes on after a fault. Next:
//! [`super::timeline`], which puts several of these in order.

use sniffer_packet::block::Block;

use super::ReadProgress;
use super::fault::{Damage, Fault};
use super::pcap::{self, Pcap};
use super::pcapng::{self, PcapngReader};
use super::raw::Raw;
use super::record::Record;
use super::window::{BeforeRead, RecordPosition, Window};

/// A capture being read.
pub(super) struct Reader {
    input: String,
    window: Window,
    format: Format,
    frames: u64,
}

enum Format {
    Pcap(Pcap),
    Pcapng(PcapngReader),
}

impl Reader {
    /// Reads the file header. The buffer starts with `capacity` bytes.
    pub(super) fn open(
        input: String,
        raw: Raw,
        capacity: usize,
        before_read: BeforeRead<'_>,
    ) -> Result<Self, Box<Damage>> {
        let mut window = match Window::new(raw, capacity, before_read) {
            Ok(window) => window,
            Err(fault) => {
                let (record, offset, frames, packing) = (0, 0, 0, None);
                return Err(Box::new(Damage { input, record, offset, frames, packing, fault }));
            }
        };
        match Format::open(&mut window, before_read) {
            Ok(format) => Ok(Self { input, window, format, frames: 0 }),
            Err(fault) => Err(damage(input, &window, 0, fault)),
        }
    }

    /// Returns the next packet, or `None` at the end. Must not be called after a fault.
    #[inline(always)]
    pub(super) fn next(&mut self, before_read: BeforeRead<'_>) -> Result<Option<Record>, Box<Damage>> {
        let record = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window, before_read),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.window, before_read),
        };
        match record {
            Ok(record) => {
                self.frames += u64::from(record.is_some());
                Ok(record)
            }
            Err(fault) => Err(damage(self.input.clone(), &self.window, self.frames, fault)),
        }
    }

    /// Returns the bytes of the record that [`Self::next`] returned last.
    #[inline]
    pub(super) fn bytes(&self, record: &Record) -> &[u8] {
        self.window.lend(record.start, record.length)
    }

    /// Returns the block that the bytes of the last record lie in, to be shared.
    #[inline]
    pub(super) fn block(&self) -> Option<&Block> {
        self.window.block()
    }

    /// Returns the progress in the file.
    pub(super) fn progress(&self) -> ReadProgress {
        self.window.progress
    }
}

impl Format {
    fn open(window: &mut Window, before_read: BeforeRead<'_>) -> Result<Self, Fault> {
        if !window.holds(4, before_read) {
            let fault = window.short(4);
            return Err(match fault {
                Fault::CutShort { found: 0, .. } if window.packing.is_none() => Fault::Empty,
                Fault::CutShort { found: 1.., .. } => Fault::not_a_capture(window.available()),
                other => other,
            });
        }
        let available = window.available();
        let first = [available[0], available[1], available[2], available[3]];
        if pcap::starts(first) {
            Ok(Self::Pcap(Pcap::open(window, before_read)?))
        } else if pcapng::starts(first) {
            Ok(Self::Pcapng(PcapngReader::open(window, before_read)?))
        } else {
            window.holds(8, before_read);
            Err(Fault::not_a_capture(window.available()))
        }
    }
}

#[cold]
fn damage(input: String, window: &Window, frames: u64, fault: Fault) -> Box<Damage> {
    let (RecordPosition { number: record, offset }, packing) = (window.record, window.packing);
    Box::new(Damage { input, record, offset, frames, packing, fault })
}

impl Fault {
    /// The fault for a file that is no capture. Recognises formats that are often given by mistake.
    pub(super) fn not_a_capture(first: &[u8]) -> Self {
        let first = first[..first.len().min(8)].to_vec();
        let looks_like = match first.as_slice() {
            [b'P', b'K', 3, 4, ..] => "which looks like a zip archive",
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "which looks like xz",
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => "which looks like bzip2",
            [4, 0x22, 0x4d, 0x18, ..] => "which looks like lz4",
            [b's', b'n', b'o', b'o', b'p', 0, ..] => "which looks like snoop (convert it: editcap -F pcapng IN OUT)",
            [b'b', b't', b's', b'n', b'o', b'o', b'p', 0] => "which looks like a Bluetooth log (btsnoop)",
            [b'G', b'M', b'B', b'U', ..] | [b'R', b'T', b'S', b'S', ..] => {
                "which looks like Microsoft Network Monitor (convert it: editcap -F pcapng IN OUT)"
            }
            [0x1c, 0, 1, 0xac | 0xab, ..] | [0xac | 0xab, 1, 0, 0x1c, ..] => {
                "which looks like an Ixia capture (convert it: editcap -F pcapng IN OUT)"
            }
            [b'{' | b'[', ..] => "which looks like JSON",
            _ if first.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) => {
                "which looks like text"
            }
            _ => "which no format known here starts with",
        };
        Self::NotACapture { first, looks_like }
    }
}
