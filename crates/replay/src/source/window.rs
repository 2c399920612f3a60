//! The one buffer a capture passes through: records are found in it and lent out of it.
//!
//! It never knows a format. It reads ahead of nothing: a read happens only when the bytes that are there do not make up
//! the next record, and one read is enough when it brings them. Who wants bytes for longer shares the buffer; then the window
//! goes on in another one. Next: [`super::pcap`], [`super::pcapng`].
//!
//! ```text
//!   0        start              end        bytes.len()
//!   | used   | read, not used   | free     |              start <= end <= bytes.len()
//!   ^ `base` bytes into the (unpacked) capture
//! ```

use sniffer_packet::block::Block;

use super::ReadEvent;
use super::fault::{Fault, Packing};
use super::gzip::{self, Gzip};
use super::packed::Packed;
use super::raw::Raw;
use super::zstd::{self, Zstd};

/// Free bytes there are at least for every read: what DEFLATE may hold back, see [`Gzip::read`].
const ROOM: usize = 32 * 1024;

/// Told what lies ahead.
pub(super) type BeforeRead<'a> = &'a mut dyn FnMut(ReadEvent);

/// Where the bytes come from.
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

/// See the drawing above.
pub(super) struct Window {
    /// None once the stream has ended or failed.
    stream: Option<Stream>,
    bytes: Block,
    /// Buffers that were shared, to be used again once nobody else has them.
    shared: Vec<Block>,
    capacity: usize,
    start: usize,
    end: usize,
    base: u64,
    /// Why the stream ended, when not at its end.
    fault: Option<Fault>,
    pub(super) packing: Option<Packing>,
    /// Bytes of the file read so far, packed or not.
    pub(super) position: u64,
    /// Size of the file, when known.
    pub(super) size: Option<u64>,
    /// The record being read, counted from 1; 0 in the file header.
    pub(super) record: u64,
    /// Where it starts.
    pub(super) record_offset: u64,
}

impl Window {
    /// Looks at the first bytes and unpacks what is packed, one layer of it. `capacity` bytes are kept, more only while a
    /// record needs it.
    pub(super) fn new(raw: Raw, capacity: usize, before_read: BeforeRead<'_>) -> Result<Self, Fault> {
        let size = raw.size;
        let mut window = Self {
            stream: Some(Stream::Plain(raw)),
            bytes: Block::new(vec![0; capacity]),
            shared: Vec::new(),
            capacity,
            start: 0,
            end: 0,
            base: 0,
            fault: None,
            packing: None,
            position: 0,
            size,
            record: 0,
            record_offset: 0,
        };
        window.holds(4, before_read);
        let Some(packing) = packing_of(window.available()) else { return Ok(window) };
        let Some(Stream::Plain(raw)) = window.stream.take() else { return Ok(window) };
        let packed = Packed::new(&window.bytes[..window.end], raw);
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

    /// What is read and not used.
    #[inline]
    pub(super) fn available(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Where [`Self::available`] starts in the buffer, for [`Self::lend`].
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Bytes found earlier; good until the next call of [`Self::holds`] or [`Self::skip`].
    #[inline]
    pub(super) fn lend(&self, start: usize, length: usize) -> &[u8] {
        &self.bytes[start..start + length]
    }

    /// The buffer that bytes are [lent](Self::lend) out of, to be shared; none when it has grown, because that is too much to keep.
    #[inline]
    pub(super) fn block(&self) -> Option<&Block> {
        (self.bytes.len() == self.capacity).then_some(&self.bytes)
    }

    /// Starts the next record here.
    #[inline]
    pub(super) fn begin_record(&mut self) {
        self.record += 1;
        self.record_offset = self.base + self.start as u64;
    }

    /// Whether `count` bytes are there, after as many reads as that takes. The caller bounds `count`: the buffer grows to
    /// it. False at the end of the stream.
    #[inline]
    pub(super) fn holds(&mut self, count: usize, before_read: BeforeRead<'_>) -> bool {
        self.end - self.start >= count || self.fill(count, before_read)
    }

    /// Marks bytes of [`Self::available`] as used.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start, "only what was there can be used");
        self.start += count;
    }

    /// Leaves out `count` bytes, however many, without keeping them.
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

    /// Whether the stream ended just here, between two records, as it should.
    pub(super) fn ended_well(&self) -> bool {
        self.start == self.end && self.fault.is_none()
    }

    /// Why [`Self::holds`] said no.
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
            let read = stream.read(&mut own(&mut self.bytes)[self.end..]);
            self.position = stream.raw().position;
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

    /// The buffer with what is not used at its start, for nobody else: another one when somebody shares it.
    fn own_bytes(&mut self) -> &mut Vec<u8> {
        let unused = self.start..self.end;
        self.base += self.start as u64;
        (self.start, self.end) = (0, unused.len());
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
    bytes.get_mut().expect("nobody shares it between this and the next record")
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

    /// Numbers from 0 on, of four bytes each.
    fn numbers(count: u32) -> Vec<u8> {
        (0..count).flat_map(u32::to_be_bytes).collect()
    }

    #[test]
    fn what_is_shared_stays_and_its_buffer_is_used_again() {
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
