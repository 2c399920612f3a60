//! The pcap format: a file header, then records of a fixed header and the packet.
//!
//! Source: draft-ietf-opsawg-pcap, libpcap's `sf-pcap.c`. The file header is read by the crate pcap-file. The records are
//! read here: pcap-file's reader tells neither offset nor record number and has lost the record when it fails, and its
//! parser refuses what Wireshark reads: a captured length above the snapshot length or above the length on the wire, a
//! fraction of a second of a million µs and more (3 of the 439 captures this was tried with; version 2.0.0 refuses 4).
//! Next: [`super::pcapng`], the other format.

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

/// The same with interface, protocol and packet type behind it, as the "modified" files of Kuznetzov's libpcap patch have.
const RECORD_HEADER_MODIFIED: usize = 24;

/// Magic number of those.
const MODIFIED: u32 = 0xa1b2_cd34;

/// The low bits of the link-type field are the link type; the others say how long the frame check sequence is.
const LINK_TYPE_BITS: u32 = 0x03ff_ffff;

/// How the records of one file are to be read.
pub(super) struct Pcap {
    order: ByteOrder,
    precision: Precision,
    link: LinkType,
    record_header: usize,
    captured_limit: u32,
    /// Before version 2.4 the two lengths stand in the other order, in some files.
    lengths_may_be_swapped: bool,
}

/// Whether a file that starts so is a pcap.
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
        // pcap-file does not know the modified format, whose file header differs in nothing else.
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
            // No link type has more than 16 bits; one that claims to becomes the highest, which nobody has registered.
            link: LinkType(u16::try_from(u32::from(header.datalink) & LINK_TYPE_BITS).unwrap_or(u16::MAX)),
            record_header,
            captured_limit: captured_limit(header.snaplen),
            lengths_may_be_swapped: header.version_minor < 4,
        })
    }

    /// The next packet; none at the end.
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
                wire_len = captured; // seen in the wild; the bytes are there, so they were on the wire
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
        // A fraction of a second or more is carried into the seconds (broken clocks write it, and it is meant so).
        let nanos = u64::from(fraction) * if self.precision == Precision::Nanos { 1 } else { 1_000 };
        let time = Timestamp::new(u64::from(secs), nanos);
        Ok(Some(Record { time, precision: self.precision, link: self.link, wire_len, start, length }))
    }
}
