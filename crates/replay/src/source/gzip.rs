//! gzip members, one after the other (RFC 1952).
//!
//! `flate2::read::MultiGzDecoder` reads the same files. But at a fault it drops what the same call had
//! already unpacked, up to 32 KiB, so frames before the damage would be lost. Therefore members are
//! framed here, and flate2 only inflates. It never looks at what it unpacks. Next:
//! [`super::window`].

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::fault::{Fault, Packing};
use super::packed::Packed;

/// First bytes of a member.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

// Flags of the member header, RFC 1952 section 2.3.1.
const HAS_HEADER_CHECK: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// Unpacks a file of gzip members.
pub(super) struct Gzip {
    pub(super) packed: Packed,
    inflate: Decompress,
    check: Crc,
    state: State,
}

/// `Start → Body → Trailer → Between → Body → … → Between → Done`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first member.
    Start,
    /// In the DEFLATE data of a member.
    Body,
    /// Before the check sum and length of a member.
    Trailer,
    /// After a member. Another one, zeros, or the end may follow.
    Between,
    /// At the end.
    Done,
}

impl Gzip {
    pub(super) fn new(packed: Packed) -> Self {
        Self { packed, inflate: Decompress::new(false), check: Crc::new(), state: State::Start }
    }

    /// Returns as soon as bytes are unpacked; 0 at the end. All bytes before a fault are returned before
    /// it, if `into` has at least the 32 KiB that DEFLATE may hold back.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            match self.state {
                State::Start => {
                    let magic = self.byte()?;
                    self.header(magic)?;
                }
                State::Body => {
                    let made = self.inflate(into)?;
                    if made > 0 {
                        return Ok(made);
                    }
                }
                State::Trailer => self.trailer()?,
                State::Between => self.between()?,
                State::Done => return Ok(0),
            }
        }
    }

    fn inflate(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        let (used_before, made_before) = (self.inflate.total_in(), self.inflate.total_out());
        let available = self.packed.available()?;
        let at_end = available.is_empty();
        let result = self.inflate.decompress(available, into, FlushDecompress::None);
        // Both totals are right after an error too. MultiGzDecoder would hide them.
        let used = usize::try_from(self.inflate.total_in() - used_before).unwrap_or(usize::MAX);
        let made = usize::try_from(self.inflate.total_out() - made_before).unwrap_or(usize::MAX).min(into.len());
        self.packed.consume(used);
        self.check.update(&into[..made]);
        match result {
            Ok(Status::StreamEnd) => self.state = State::Trailer,
            Ok(Status::Ok | Status::BufError) if made == 0 && at_end => return Err(self.broken("it ends too early")),
            Ok(Status::Ok | Status::BufError) => {}
            // After returning these bytes, the next call fails again, with none.
            Err(_) if made > 0 => {}
            Err(_) => return Err(self.broken("this is not DEFLATE data")),
        }
        Ok(made)
    }

    /// Reads a member header, RFC 1952 section 2.3, from the second byte on.
    fn header(&mut self, magic: u8) -> Result<(), Fault> {
        if [magic, self.byte()?] != MAGIC {
            return Err(self.broken("no gzip member starts here"));
        }
        if self.byte()? != 8 {
            return Err(self.broken("a compression method other than DEFLATE"));
        }
        let flags = self.byte()?;
        self.skip(6)?; // time, extra flags, operating system
        if flags & HAS_EXTRA != 0 {
            let length = u16::from_le_bytes([self.byte()?, self.byte()?]);
            self.skip(length)?;
        }
        for flag in [HAS_NAME, HAS_COMMENT] {
            if flags & flag != 0 {
                while self.byte()? != 0 {}
            }
        }
        if flags & HAS_HEADER_CHECK != 0 {
            self.skip(2)?; // not verified, as gzip itself does not
        }
        self.inflate.reset(false);
        self.check.reset();
        self.state = State::Body;
        Ok(())
    }

    fn trailer(&mut self) -> Result<(), Fault> {
        let check = u32::from_le_bytes([self.byte()?, self.byte()?, self.byte()?, self.byte()?]);
        let length = u32::from_le_bytes([self.byte()?, self.byte()?, self.byte()?, self.byte()?]);
        if check != self.check.sum() {
            return Err(self.broken("the check sum does not match what was unpacked"));
        }
        if length != self.check.amount() {
            return Err(self.broken("the length does not match what was unpacked"));
        }
        self.state = State::Between;
        Ok(())
    }

    /// Reads another member, or zeros up to the end: tapes and block devices pad with zeros, and gzip
    /// ignores them too.
    fn between(&mut self) -> Result<(), Fault> {
        loop {
            match self.packed.byte()? {
                None => {
                    self.state = State::Done;
                    return Ok(());
                }
                Some(0) => {}
                Some(magic) => return self.header(magic),
            }
        }
    }

    fn skip(&mut self, count: u16) -> Result<(), Fault> {
        for _ in 0..count {
            self.byte()?;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.packed.byte()?.ok_or_else(|| self.broken("it ends too early"))
    }

    fn broken(&self, what: &str) -> Fault {
        Fault::Unpack { packing: Packing::Gzip, at: self.packed.used(), what: what.to_owned() }
    }
}
