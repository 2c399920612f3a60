//! The one buffer that a capture passes through: records are found in it and lent out of it.
//!
//! It knows no format. It never reads ahead: it reads only when its bytes do not make up the next
//! record, and only until they do. A caller that needs bytes for longer shares the buffer; the window
//! then goes on in another one. Next: [`super::pcap`], [`super::pcapng`].
//!
//! ```text
//!   0        start              end        bytes.len()
//!   | used   | read, not used   | free     |              start <= end <= bytes.len()
//!   ^ `base` bytes into the (unpacked) capture
//! ```

use std::ops::Range;

use sniffer_packet::block::Block;

use super::fault::{Fault, Packing};
use super::gzip::{self, Gzip};
use super::packed::Packed;
use super::raw::Raw;
use super::zstd::{self, Zstd};
use super::{ReadEvent, ReadProgress};

/// Free bytes for every read, at least: as many as DEFLATE may hold back, see [`Gzip::read`].
const ROOM: usize = 32 * 1024;

/// Called before a read.
pub(super) type BeforeRead<'a> = &'a mut dyn FnMut(ReadEvent);

/// The source of the bytes: the capture, unpacked.
enum Stream {
    Plain(Raw),
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
}

impl Stream {
    fn raw(&self) -> &Raw {
        match self {
            Self::Plain(raw) => raw,
            Self::Gzip(gzip) => &gzip.packed.raw,
            Self::Zstd(zstd) => &zstd.packed.raw,
        }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        match self {
            Self::Plain(raw) => Ok(raw.read(into)?),
            Self::Gzip(gzip) => gzip.read(into),
            Self::Zstd(zstd) => zstd.read(into),
        }
    }
}

/// The buffer, the stream that fills it, and the position in both. See the drawing above.
pub(super) struct Window {
    /// None once the stream has ended or failed.
    stream: Option<Stream>,
    buffers: Buffers,
    start: usize,
    end: usize,
    base: u64,
    /// Why the stream failed.
    fault: Option<Fault>,
    pub(super) packing: Option<Packing>,
    /// Progress in the file on disk.
    pub(super) progress: ReadProgress,
    pub(super) record: RecordPosition,
}

/// The buffer in use, and the others that it changes with.
struct Buffers {
    bytes: Block,
    /// Buffers that were shared. One that no one shares any more is used again.
    shared: Vec<Block>,
    capacity: usize,
}

/// The record that is being read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RecordPosition {
    /// Number of the record, counted from 1; 0 in the file header.
    pub(super) number: u64,
    /// Offset of its first byte in the (unpacked) capture.
    pub(super) offset: u64,
}

impl Window {
    /// Opens a window on a capture, and unpacks one layer of gzip or zstd if its first bytes show one.
    /// The buffer has `capacity` bytes, more only while a record needs it.
    pub(super) fn new(raw: Raw, capacity: usize, before_read: BeforeRead<'_>) -> Result<Self, Fault> {
        let size = raw.size;
        let mut window = Self {
            stream: Some(Stream::Plain(raw)),
            buffers: Buffers { bytes: Block::new(vec![0; capacity]), shared: Vec::new(), capacity },
            start: 0,
            end: 0,
            base: 0,
            fault: None,
            packing: None,
            progress: ReadProgress { read: 0, total: size },
            record: RecordPosition::default(),
        };
        window.holds(4, before_read);
        let Some(packing) = packing_of(window.available()) else { return Ok(window) };
        let Some(Stream::Plain(raw)) = window.stream.take() else { return Ok(window) };
        let packed = Packed::new(&window.buffers.bytes[..window.end], raw);
        window.stream = Some(match packing {
            Packing::Gzip => Stream::Gzip(Box::new(Gzip::new(packed))),
            Packing::Zstd => Stream::Zstd(Box::new(Zstd::new(packed))),
        });
        window.packing = Some(packing);
        window.end = 0;
        window.holds(4, before_read);
        match packing_of(window.available()) {
            Some(_) => Err(Fault::PackedTwice),
            None => Ok(window),
        }
    }

    /// Returns the bytes that are read and not used.
    #[inline]
    pub(super) fn available(&self) -> &[u8] {
        &self.buffers.bytes[self.start..self.end]
    }

    /// Returns where [`Self::available`] starts in the buffer, for [`Self::lend`].
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Lends bytes that were found earlier, until the next call of [`Self::holds`] or [`Self::skip`].
    #[inline]
    pub(super) fn lend(&self, start: usize, length: usize) -> &[u8] {
        &self.buffers.bytes[start..start + length]
    }

    /// Returns the buffer that bytes are [lent](Self::lend) out of, to be shared. A buffer that has
    /// grown is not shared: it would keep too much memory.
    #[inline]
    pub(super) fn block(&self) -> Option<&Block> {
        let Buffers { bytes, capacity, .. } = &self.buffers;
        (bytes.len() == *capacity).then_some(bytes)
    }

    /// Starts the next record here.
    #[inline]
    pub(super) fn begin_record(&mut self) {
        self.record.number += 1;
        self.record.offset = self.base + self.start as u64;
    }

    /// Reads until `count` bytes are available. Returns false if the stream ends before that. The
    /// caller bounds `count`, because the buffer grows to it.
    #[inline]
    pub(super) fn holds(&mut self, count: usize, before_read: BeforeRead<'_>) -> bool {
        self.end - self.start >= count || self.fill(count, before_read)
    }

    /// Marks bytes of [`Self::available`] as used.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start, "only available bytes can be used");
        self.start += count;
    }

    /// Skips `count` bytes, which may be more than the buffer holds.
    pub(super) fn skip(&mut self, mut count: u64, before_read: BeforeRead<'_>) -> Result<(), Fault> {
        loop {
            let here = usize::try_from(count).unwrap_or(usize::MAX).min(self.end - self.start);
            self.consume(here);
            count -= here as u64;
            if count == 0 {
                return Ok(());
            }
            if !self.fill(1, before_read) {
                return Err(self.short(count));
            }
        }
    }

    /// Returns whether the stream ended here, between two records, without a fault.
    pub(super) fn ended_well(&self) -> bool {
        self.start == self.end && self.fault.is_none()
    }

    /// Returns why [`Self::holds`] returned false.
    pub(super) fn short(&mut self, wanted: u64) -> Fault {
        self.fault.take().unwrap_or(Fault::CutShort { wanted, found: (self.end - self.start) as u64 })
    }

    #[cold]
    fn fill(&mut self, count: usize, before_read: BeforeRead<'_>) -> bool {
        before_read(ReadEvent::Refill);
        let bytes = self.own_bytes();
        if bytes.len() < count + ROOM {
            bytes.resize((count + ROOM).next_power_of_two(), 0);
        }
        while self.end < count {
            let Some(stream) = &mut self.stream else { return false };
            if stream.raw().may_block() {
                before_read(ReadEvent::Wait);
            }
            let read = stream.read(&mut own(&mut self.buffers.bytes)[self.end..]);
            self.progress.read = stream.raw().position;
            match read {
                Ok(0) => self.stream = None,
                Ok(read) => self.end += read,
                Err(fault) => {
                    self.fault = Some(fault);
                    self.stream = None;
                }
            }
        }
        true
    }

    /// Moves the unused bytes to the start of a buffer that is not shared, and returns it.
    fn own_bytes(&mut self) -> &mut Vec<u8> {
        let unused = self.start..self.end;
        self.base += self.start as u64;
        (self.start, self.end) = (0, unused.len());
        self.buffers.own(unused)
    }
}

impl Buffers {
    /// Moves these bytes to the start of the buffer, or of another one if the buffer is shared.
    fn own(&mut self, unused: Range<usize>) -> &mut Vec<u8> {
        match self.bytes.get_mut() {
            Some(bytes) => bytes.copy_within(unused, 0),
            None => {
                let free = self.shared.iter_mut().position(|block| block.get_mut().is_some());
                let mut other = match free {
                    Some(free) => self.shared.swap_remove(free),
                    None => Block::new(vec![0; self.capacity]),
                };
                own(&mut other)[..unused.len()].copy_from_slice(&self.bytes[unused]);
                self.shared.push(std::mem::replace(&mut self.bytes, other));
            }
        }
        own(&mut self.bytes)
    }
}

fn own(bytes: &mut Block) -> &mut Vec<u8> {
    bytes.get_mut().expect("no one shares the buffer between this and the next record")
}

fn packing_of(first: &[u8]) -> Option<Packing> {
    if first.starts_with(&gzip::MAGIC) {
        Some(Packing::Gzip)
    } else if zstd::starts(first) {
        Some(Packing::Zstd)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Returns the numbers from 0 on, of four bytes each.
    fn numbers(count: u32) -> Vec<u8> {
        (0..count).flat_map(u32::to_be_bytes).collect()
    }

    #[test]
    fn shared_bytes_stay_and_their_buffer_is_used_again() {
        const CAPACITY: usize = 2 * ROOM;
        let raw = Raw::from_reader(Cursor::new(numbers(1 << 18)));
        let mut window = Window::new(raw, CAPACITY, &mut |_| {}).unwrap();
        let (mut kept, mut buffers) = (Vec::new(), Vec::new());
        for number in 0_u32..1 << 18 {
            assert!(window.holds(4, &mut |_| {}));
            let start = window.start();
            window.consume(4);
            if number % 5_000 == 0 {
                kept.push((number, start, window.block().unwrap().clone()));
                buffers.push(window.block().unwrap().as_ptr());
            }
            if kept.len() > 3 {
                kept.remove(0);
            }
            for (number, start, block) in &kept {
                assert_eq!(block[*start..start + 4], number.to_be_bytes());
            }
        }
        assert!(!window.holds(4, &mut |_| {}) && window.ended_well());
        buffers.sort_unstable();
        buffers.dedup();
        assert!((2..=5).contains(&buffers.len()), "{} buffers for four that are in use", buffers.len());
    }

    #[test]
    fn a_buffer_that_had_to_grow_is_not_shared() {
        let raw = Raw::from_reader(Cursor::new(numbers(1 << 18)));
        let mut window = Window::new(raw, 2 * ROOM, &mut |_| {}).unwrap();
        assert!(window.block().is_some());
        assert!(window.holds(1 << 19, &mut |_| {}));
        assert_eq!(window.available()[..8], numbers(2));
        assert!(window.block().is_none());
    }
}
