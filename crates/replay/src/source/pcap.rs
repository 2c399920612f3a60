//! The pcap format: a file header, then records of a fixed header and the packet.
//!
//! Source: draft-ietf-opsawg-pcap, libpcap's `sf-pcap.c`. The crate pcap-file reads the file header.
//! The records are read here: pcap-file's reader reports neither offset nor record number, and loses
//! the record when it fails. Its parser also refuses what Wireshark reads: a captured length over the
//! snapshot length or over the length on the wire, or a fraction of a million µs and more (3 of 439
//! captures tried; version 2.0.0 refuses 4). Next: [`super::pcapng`], the other format.

use pcap_file::Endianness;
use pcap_file::pcap::{PcapHeader, PcapTsResolution};
use sniffer_packet::frame::LinkType;
use sniffer_packet::time::{Precision, Timestamp};

use super::fault::Fault;
use super::record::{ByteOrder, Record, captured_limit};
use super::window::{BeforeRead, Window};

/// Length of the file header.
const FILE_HEADER: usize = 24;

/// Length of a record header.
const RECORD_HEADER: usize = 16;

/// Length of a record header in the "modified" format of Kuznetzov's libpcap patch, which adds
/// interface, protocol and packet type.
const RECORD_HEADER_MODIFIED: usize = 24;

/// Magic number of the modified format.
const MODIFIED: u32 = 0xa1b2_cd34;

/// Bits of the link-type field that hold the link type. The others hold the length of the frame check
/// sequence.
const LINK_TYPE_BITS: u32 = 0x03ff_ffff;

/// The format of the records in one file.
pub(super) struct Pcap {
    order: ByteOrder,
    precision: Precision,
    link: LinkType,
    record_header: usize,
    captured_limit: u32,
    /// True before version 2.4: some of those files have the two lengths in the other order.
    lengths_may_be_swapped: bool,
}

/// Returns whether these first bytes are those of a pcap.
pub(super) fn starts(first: [u8; 4]) -> bool {
    [u32::from_le_bytes(first), u32::from_be_bytes(first)]
        .iter()
        .any(|magic| matches!(*magic, 0xa1b2_c3d4 | 0xa1b2_3c4d | MODIFIED))
}

impl Pcap {
    /// Reads the file header.
    pub(super) fn open(window: &mut Window, before_read: BeforeRead<'_>) -> Result<Self, Fault> {
        if !window.holds(FILE_HEADER, before_read) {
            return Err(window.short(FILE_HEADER as u64));
        }
        let mut bytes = [0; FILE_HEADER];
        bytes.copy_from_slice(&window.available()[..FILE_HEADER]);
        let mut record_header = RECORD_HEADER;
        // pcap-file does not know the modified format. Its file header differs only in the magic number.
        for (modified, usual) in
            [(MODIFIED.to_be_bytes(), [0xa1, 0xb2, 0xc3, 0xd4]), (MODIFIED.to_le_bytes(), [0xd4, 0xc3, 0xb2, 0xa1])]
        {
            if bytes[..4] == modified {
                bytes[..4].copy_from_slice(&usual);
                record_header = RECORD_HEADER_MODIFIED;
            }
        }
        let Ok((_, header)) = PcapHeader::from_slice(&bytes) else {
            return Err(Fault::not_a_capture(window.available()));
        };
        if header.version_major != 2 {
            return Err(Fault::PcapVersion { major: header.version_major, minor: header.version_minor });
        }
        window.consume(FILE_HEADER);
        Ok(Self {
            order: match header.endianness {
                Endianness::Big => ByteOrder::Big,
                Endianness::Little => ByteOrder::Little,
            },
            precision: match header.ts_resolution {
                PcapTsResolution::NanoSecond => Precision::Nanos,
                PcapTsResolution::MicroSecond => Precision::Micros,
            },
            // No link type has more than 16 bits. A larger one becomes the highest, which is not
            // registered.
            link: LinkType(u16::try_from(u32::from(header.datalink) & LINK_TYPE_BITS).unwrap_or(u16::MAX)),
            record_header,
            captured_limit: captured_limit(header.snaplen),
            lengths_may_be_swapped: header.version_minor < 4,
        })
    }

    /// Returns the next packet, or `None` at the end.
    #[inline(always)]
    pub(super) fn next(&self, window: &mut Window, before_read: BeforeRead<'_>) -> Result<Option<Record>, Fault> {
        window.begin_record();
        if !window.holds(self.record_header, before_read) {
            return if window.ended_well() { Ok(None) } else { Err(window.short(self.record_header as u64)) };
        }
        let header = &window.available()[..RECORD_HEADER];
        let secs = self.order.u32(header, 0);
        let fraction = self.order.u32(header, 4);
        let mut captured = self.order.u32(header, 8);
        let mut wire_len = self.order.u32(header, 12);
        if captured > wire_len {
            if self.lengths_may_be_swapped {
                (captured, wire_len) = (wire_len, captured);
            } else {
                wire_len = captured; // seen in the wild; captured bytes were on the wire
            }
        }
        if captured > self.captured_limit {
            return Err(Fault::CapturedTooLong { captured, limit: self.captured_limit });
        }
        let length = captured as usize;
        let whole = self.record_header + length;
        if !window.holds(whole, before_read) {
            return Err(window.short(whole as u64));
        }
        let start = window.start() + self.record_header;
        window.consume(whole);
        // A fraction of a second or more is carried into the seconds: broken clocks write it.
        let nanos = u64::from(fraction) * if self.precision == Precision::Nanos { 1 } else { 1_000 };
        let time = Timestamp::new(u64::from(secs), nanos);
        Ok(Some(Record { time, precision: self.precision, link: self.link, wire_len, start, length }))
    }
}
