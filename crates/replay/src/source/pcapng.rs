//! The pcapng format: sections of interfaces and packets, in blocks that state their length twice.
//!
//! Source: draft-ietf-opsawg-pcapng; where that is silent, Wireshark's `wiretap/pcapng.c`. The crate
//! pcap-file is not used: it has no offsets, needs every block in memory, even one that it skips,
//! builds the options of every packet on the heap, and refuses an interface with a name that is not
//! UTF-8 (Windows), with a reserved field, or with a resolution finer than a nanosecond. The tests
//! compare with it on files that it accepts.
//! Next: [`super::clock`], the meaning of a time stamp; [`super::reader`].
//!
//! ```text
//! type u32 | length u32 | body, options, padded to 4 bytes | length u32        length counts all of it
//! ```

use sniffer_packet::frame::LinkType;
use sniffer_packet::time::{Precision, Timestamp};

use super::clock::TimestampUnit;
use super::fault::Fault;
use super::record::{ByteOrder, CAPTURED_MAX, Record, captured_limit};
use super::window::{BeforeRead, Window};

// Block types, section 11.1.
const SECTION_HEADER: u32 = 0x0a0d_0d0a; // the same in both byte orders
const INTERFACE: u32 = 1;
const PACKET: u32 = 2; // obsolete
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Bytes of type and length, before the body of a block.
const HEAD: usize = 8;

/// Bytes of the length after the body.
const TRAILER: u32 = 4;

/// Largest block that must be in memory: the largest packet, and 1 MiB for its options.
const BLOCK_MAX: u32 = CAPTURED_MAX + 1024 * 1024;

/// Largest number of interfaces in a section: the obsolete packet block numbers them in 16 bits.
const INTERFACES_MAX: usize = 1 << 16;

// Options of an interface, section 4.2.
const END_OF_OPTIONS: u16 = 0;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

/// The state of reading: the byte order and the interfaces of the current section.
pub(super) struct PcapngReader {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    /// Time of the latest packet with a time stamp.
    latest: (Timestamp, Precision),
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: LinkType,
    /// 0 stands for none.
    snapshot_length: u32,
    captured_limit: u32,
    clock: TimestampUnit,
    precision: Precision,
}

/// The offsets of the fields of a packet block.
struct Layout {
    /// Offset of the two halves of the time stamp, high half first.
    time: usize,
    captured: usize,
    wire_len: usize,
    data: usize,
}

/// Enhanced and obsolete packet block differ only in how they number the interface.
const PACKET_LAYOUT: Layout = Layout { time: 12, captured: 20, wire_len: 24, data: 28 };

/// Returns whether these first bytes are those of a pcapng.
pub(super) fn starts(first: [u8; 4]) -> bool {
    u32::from_be_bytes(first) == SECTION_HEADER
}

impl PcapngReader {
    /// Reads the first section header.
    pub(super) fn open(window: &mut Window, before_read: BeforeRead<'_>) -> Result<Self, Fault> {
        let mut new =
            Self { order: ByteOrder::Little, interfaces: Vec::new(), latest: (Timestamp::ZERO, Precision::Micros) };
        window.begin_record();
        new.section(window, before_read)?;
        Ok(new)
    }

    /// Returns the next packet, or `None` at the end. Reads or skips blocks of other types on the way.
    #[inline(always)]
    pub(super) fn next(&mut self, window: &mut Window, before_read: BeforeRead<'_>) -> Result<Option<Record>, Fault> {
        loop {
            window.begin_record();
            if !window.holds(HEAD, before_read) {
                return if window.ended_well() { Ok(None) } else { Err(window.short(HEAD as u64)) };
            }
            let head = &window.available()[..HEAD];
            let (kind, length) = (self.order.u32(head, 0), self.order.u32(head, 4));
            match kind {
                ENHANCED_PACKET | PACKET => return self.packet(kind, length, window, before_read),
                SIMPLE_PACKET => return self.simple_packet(length, window, before_read),
                SECTION_HEADER => self.section(window, before_read)?,
                INTERFACE => self.interface(length, window, before_read)?,
                // Names, statistics, secrets, journals, custom blocks, and future types.
                _ => self.skip_block(kind, length, window, before_read)?,
            }
        }
    }

    /// Reads an enhanced packet block (section 4.3) or its predecessor (appendix A).
    #[inline(always)]
    fn packet(
        &mut self,
        kind: u32,
        length: u32,
        window: &mut Window,
        before_read: BeforeRead<'_>,
    ) -> Result<Option<Record>, Fault> {
        let Layout { time, captured, wire_len, data } = PACKET_LAYOUT;
        check_length(kind, length, data as u32 + TRAILER, BLOCK_MAX)?;
        if !window.holds(data, before_read) {
            return Err(window.short(u64::from(length)));
        }
        let (order, fixed) = (self.order, &window.available()[..data]);
        let number = if kind == PACKET { u32::from(order.u16(fixed, HEAD)) } else { order.u32(fixed, HEAD) };
        let ticks = u64::from(order.u32(fixed, time)) << 32 | u64::from(order.u32(fixed, time + 4));
        let captured = order.u32(fixed, captured);
        let wire_len = order.u32(fixed, wire_len).max(captured);
        let interface = *self.described(number)?;
        check_captured(captured, interface.captured_limit, length - data as u32 - TRAILER)?;
        let start = self.whole(kind, length, data, window, before_read)?;
        let (time, precision) = (interface.clock.at(ticks), interface.precision);
        self.latest = (time, precision);
        Ok(Some(Record { time, precision, link: interface.link, wire_len, start, length: captured as usize }))
    }

    /// Reads a simple packet block (section 4.4): it belongs to interface 0, is cut to its snapshot
    /// length, and has no time stamp. It gets the time of the packet before it, or zero, because only
    /// the order of the file is known.
    fn simple_packet(
        &mut self,
        length: u32,
        window: &mut Window,
        before_read: BeforeRead<'_>,
    ) -> Result<Option<Record>, Fault> {
        const DATA: usize = 12;
        check_length(SIMPLE_PACKET, length, DATA as u32 + TRAILER, BLOCK_MAX)?;
        if !window.holds(DATA, before_read) {
            return Err(window.short(u64::from(length)));
        }
        let wire_len = self.order.u32(window.available(), HEAD);
        let interface = *self.described(0)?;
        let captured = match interface.snapshot_length {
            0 => wire_len,
            snapshot_length => wire_len.min(snapshot_length),
        };
        check_captured(captured, interface.captured_limit, length - DATA as u32 - TRAILER)?;
        let start = self.whole(SIMPLE_PACKET, length, DATA, window, before_read)?;
        let (time, precision) = self.latest;
        Ok(Some(Record { time, precision, link: interface.link, wire_len, start, length: captured as usize }))
    }

    /// Reads a section header block (section 4.1): it sets the byte order and forgets all interfaces.
    /// Its options are not needed.
    fn section(&mut self, window: &mut Window, before_read: BeforeRead<'_>) -> Result<(), Fault> {
        const FIXED: usize = 16;
        if !window.holds(FIXED, before_read) {
            return Err(window.short(FIXED as u64));
        }
        let fixed = &window.available()[..FIXED];
        self.order = match ByteOrder::Big.u32(fixed, 8) {
            0x1a2b_3c4d => ByteOrder::Big,
            0x4d3c_2b1a => ByteOrder::Little,
            found => return Err(Fault::ByteOrder { found }),
        };
        let length = self.order.u32(fixed, 4);
        let (major, minor) = (self.order.u16(fixed, 12), self.order.u16(fixed, 14));
        check_length(SECTION_HEADER, length, 28, BLOCK_MAX)?;
        if major != 1 {
            return Err(Fault::SectionVersion { major, minor });
        }
        self.interfaces.clear();
        window.skip(u64::from(length - TRAILER), before_read)?;
        self.trailer(SECTION_HEADER, length, window, before_read)
    }

    /// Reads an interface description block (section 4.2).
    fn interface(&mut self, length: u32, window: &mut Window, before_read: BeforeRead<'_>) -> Result<(), Fault> {
        const FIXED: usize = 16;
        check_length(INTERFACE, length, FIXED as u32 + TRAILER, BLOCK_MAX)?;
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(Fault::TooManyInterfaces { limit: INTERFACES_MAX as u32 });
        }
        let start = self.whole(INTERFACE, length, 0, window, before_read)?;
        let block = window.lend(start, (length - TRAILER) as usize);
        let snapshot_length = self.order.u32(block, 12);
        let clock = self.clock(&block[FIXED..])?;
        self.interfaces.push(Interface {
            link: LinkType(self.order.u16(block, HEAD)),
            snapshot_length,
            captured_limit: captured_limit(snapshot_length),
            clock,
            precision: clock.precision(),
        });
        Ok(())
    }

    /// Reads the options about time of an interface. An option of a wrong length is skipped, as
    /// Wireshark does. An option that does not fit its block is damage: the options after it cannot be
    /// found, and times could silently be wrong.
    fn clock(&self, mut options: &[u8]) -> Result<TimestampUnit, Fault> {
        let mut clock = TimestampUnit::MICROS;
        while options.len() >= 4 {
            let (code, length) = (self.order.u16(options, 0), self.order.u16(options, 2));
            if code == END_OF_OPTIONS {
                break;
            }
            options = &options[4..];
            let padded = usize::from(length).next_multiple_of(4);
            if padded > options.len() {
                return Err(Fault::OptionOverBlock { code, length, room: options.len() as u32 });
            }
            match (code, length) {
                (IF_TSRESOL, 1) => clock = clock.with_resolution(options[0]),
                (IF_TSOFFSET, 8) => clock = clock.with_offset_secs(self.order.u64(options, 0) as i64),
                _ => {}
            }
            options = &options[padded..];
        }
        Ok(clock)
    }

    #[inline]
    fn described(&self, number: u32) -> Result<&Interface, Fault> {
        let described = self.interfaces.len() as u32; // at most INTERFACES_MAX
        self.interfaces.get(number as usize).ok_or(Fault::Interface { wanted: number, described })
    }

    /// Reads a whole block into the window, checks that its two lengths agree, and marks it as used.
    /// Returns where its byte `from` stands in the window. The caller has checked `length` against
    /// [`BLOCK_MAX`].
    #[inline(always)]
    fn whole(
        &self,
        kind: u32,
        length: u32,
        from: usize,
        window: &mut Window,
        before_read: BeforeRead<'_>,
    ) -> Result<usize, Fault> {
        if !window.holds(length as usize, before_read) {
            return Err(window.short(u64::from(length)));
        }
        let trailing = self.order.u32(window.available(), (length - TRAILER) as usize);
        if trailing != length {
            return Err(Fault::BlockTrailer { kind, leading: length, trailing });
        }
        let start = window.start() + from;
        window.consume(length as usize);
        Ok(start)
    }

    fn skip_block(
        &self,
        kind: u32,
        length: u32,
        window: &mut Window,
        before_read: BeforeRead<'_>,
    ) -> Result<(), Fault> {
        check_length(kind, length, 12, u32::MAX)?;
        window.skip(u64::from(length - TRAILER), before_read)?;
        self.trailer(kind, length, window, before_read)
    }

    /// Checks the closing length of a block that was skipped, as [`Self::whole`] does.
    fn trailer(&self, kind: u32, leading: u32, window: &mut Window, before_read: BeforeRead<'_>) -> Result<(), Fault> {
        if !window.holds(TRAILER as usize, before_read) {
            return Err(window.short(u64::from(TRAILER)));
        }
        let trailing = self.order.u32(window.available(), 0);
        if trailing != leading {
            return Err(Fault::BlockTrailer { kind, leading, trailing });
        }
        window.consume(TRAILER as usize);
        Ok(())
    }
}

#[inline]
fn check_length(kind: u32, length: u32, least: u32, most: u32) -> Result<(), Fault> {
    if length < least || length > most || !length.is_multiple_of(4) {
        return Err(Fault::BlockLength { kind, length, least, most });
    }
    Ok(())
}

#[inline]
fn check_captured(captured: u32, limit: u32, room: u32) -> Result<(), Fault> {
    if captured > limit {
        return Err(Fault::CapturedTooLong { captured, limit });
    }
    if captured > room {
        return Err(Fault::CapturedOverBlock { captured, room });
    }
    Ok(())
}
