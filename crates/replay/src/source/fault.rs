//! The faults of captures, and where they are: the words that a person reads about a damaged file.
//!
//! It never decides whether to go on: [`super::reader`] stops at the first fault of a file, and
//! [`super::Source`] keeps the list. Next: [`super::reader`].

use std::fmt;
use std::io;

use thiserror::Error;

/// Why no frame can be read at all. (A capture that breaks off later is [`Damage`], and its frames
/// are used.)
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The list of inputs was empty.
    #[error("no capture given: name a file, or `-` for standard input")]
    NoInput,
    /// `-` stood among the inputs more than once.
    #[error("standard input (`-`) was given more than once, but it can be read only once")]
    StandardInputTwice,
    /// A file could not be opened, or is a directory.
    #[error("cannot open {input}: {source}")]
    Open {
        /// The file as the caller named it.
        input: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The only input is not a capture, or breaks off inside its file header.
    #[error(transparent)]
    Unreadable(#[from] Box<Damage>),
}

/// The place where a capture broke off, and the reason. Everything before it was delivered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Damage {
    /// The input as the caller named it, or `standard input`.
    pub input: String,
    /// Number of the packet record (pcap) or block (pcapng) at fault, counted from 1. 0 stands for
    /// the file header of a pcap, or for a file that is no capture.
    pub record: u64,
    /// Offset of that record in the capture, unpacked if `packing` is set.
    pub offset: u64,
    /// Frames delivered from this input before the fault.
    pub frames: u64,
    /// The compression of the capture.
    pub packing: Option<Packing>,
    /// The fault itself.
    pub fault: Fault,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.input)?;
        if matches!(self.fault, Fault::Empty | Fault::NotACapture { .. } | Fault::PackedTwice | Fault::NotReopened(_)) {
            return self.fault.fmt(f);
        }
        match self.record {
            0 => write!(f, "damaged in the file header at byte {}", self.offset)?,
            record => write!(f, "damaged in record {record} at byte {}", self.offset)?,
        }
        if let Some(packing) = self.packing {
            write!(f, " of the unpacked {packing} stream")?;
        }
        let frames = if self.frames == 1 { "frame" } else { "frames" };
        write!(f, ": {}; {} {frames} before it", self.fault, self.frames)
    }
}

impl std::error::Error for Damage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fault.source()
    }
}

impl Damage {
    /// The damage of a file that could be opened at first, but not again.
    pub(super) fn not_reopened(input: String, error: SourceError) -> Self {
        let error = match error {
            SourceError::Open { source, .. } => source,
            other => io::Error::other(other),
        };
        Self { input, record: 0, offset: 0, frames: 0, packing: None, fault: Fault::NotReopened(error) }
    }
}

/// The compression of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packing {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// A fault: what was expected and what was found. Lengths are in bytes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file has no bytes.
    #[error("the file is empty: not even a file header")]
    Empty,
    /// The first bytes belong to no supported format.
    #[error("not a capture: it starts with {}, {looks_like}; pcap and pcapng can be read, also packed with gzip or zstd", Bytes(.first))]
    NotACapture {
        /// The first bytes, 8 at most.
        first: Vec<u8>,
        /// A clause that says what they look like.
        looks_like: &'static str,
    },
    /// A layer of gzip or zstd lies under another. Bombs have many layers, so only one is unpacked.
    #[error("packed more than once: one layer of gzip or zstd is read, unpack the others first")]
    PackedTwice,
    /// The file ended inside a record.
    #[error("cut short: {wanted} bytes wanted, {found} found")]
    CutShort {
        /// Bytes needed from the start of the record, or of the rest of it.
        wanted: u64,
        /// Bytes found.
        found: u64,
    },
    /// A captured length that no capture tool writes.
    #[error("a packet claims {captured} captured bytes, at most {limit} were expected")]
    CapturedTooLong {
        /// Length that the record claims.
        captured: u32,
        /// Limit, from the file's snapshot length within fixed bounds.
        limit: u32,
    },
    /// An undefined version of pcap.
    #[error("pcap version {major}.{minor}, 2.x was expected")]
    PcapVersion {
        /// Major version found.
        major: u16,
        /// Minor version found.
        minor: u16,
    },
    /// A pcapng block whose length is too small for its type, not a multiple of four, or too large
    /// to be true.
    #[error("a block of type {kind:#x} claims {length} bytes, a multiple of 4 in {least}..={most} was expected")]
    BlockLength {
        /// Block type.
        kind: u32,
        /// Total length found.
        length: u32,
        /// Smallest block of this type.
        least: u32,
        /// Largest block that is read.
        most: u32,
    },
    /// The two copies of a pcapng block's length differ.
    #[error("a block of type {kind:#x} starts with length {leading} and ends with {trailing}")]
    BlockTrailer {
        /// Block type.
        kind: u32,
        /// Length before the body.
        leading: u32,
        /// Length after it.
        trailing: u32,
    },
    /// A pcapng section header with neither byte order.
    #[error("a section header with byte-order magic {found:#010x}, 0x1a2b3c4d in either order was expected")]
    ByteOrder {
        /// The four bytes, read as big-endian.
        found: u32,
    },
    /// An undefined version of pcapng.
    #[error("pcapng version {major}.{minor}, 1.x was expected")]
    SectionVersion {
        /// Major version found.
        major: u16,
        /// Minor version found.
        minor: u16,
    },
    /// A packet on an interface that its section has not described.
    #[error("a packet on interface {wanted}, but the section has described {described}")]
    Interface {
        /// Interface number, counted from 0.
        wanted: u32,
        /// Number of interfaces described so far.
        described: u32,
    },
    /// Too many interfaces in one section.
    #[error("more than {limit} interfaces in one section")]
    TooManyInterfaces {
        /// Number of interfaces that are kept.
        limit: u32,
    },
    /// A packet that does not fit its block.
    #[error("a packet claims {captured} captured bytes, its block has room for {room}")]
    CapturedOverBlock {
        /// Length that the block claims.
        captured: u32,
        /// Bytes between the fixed fields and the closing length.
        room: u32,
    },
    /// An option that does not fit its block.
    #[error("option {code} claims {length} bytes, its block has room for {room}")]
    OptionOverBlock {
        /// Option code.
        code: u16,
        /// Length that the option claims.
        length: u16,
        /// Bytes left of the block.
        room: u32,
    },
    /// The packed stream is broken.
    #[error("the {packing} stream is broken near byte {at} of the file: {what}")]
    Unpack {
        /// Compression of the stream.
        packing: Packing,
        /// Bytes of the packed file read so far. The fault lies at or before this offset.
        at: u64,
        /// The fault.
        what: String,
    },
    /// One of several files could be opened for its first frame, but not when its turn came: it was
    /// moved, or handles ran out.
    #[error("it could be opened at first, but not when its turn came: {0}")]
    NotReopened(#[source] io::Error),
    /// The operating system failed to read.
    #[error("reading failed: {0}")]
    Read(#[from] io::Error),
}

/// Shows bytes in hexadecimal, then as text if all of them can be printed.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if at == 0 { "" } else { " " })?;
        }
        if self.0.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            write!(f, " ({:?})", String::from_utf8_lossy(self.0))?;
        }
        Ok(())
    }
}
