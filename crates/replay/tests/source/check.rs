//! Reads a capture in several ways, whose results must be equal, and returns the result.

use std::io::{self, Read};

use sniffer_packet::time::Precision;
use sniffer_replay::source::{Source, SourceError};

/// An owned frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) nanos: u64,
    pub(crate) precision: Precision,
    pub(crate) link: u16,
    pub(crate) wire_len: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Frames, then the damage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outcome {
    pub(crate) frames: Vec<Seen>,
    pub(crate) damages: Vec<String>,
}

impl Outcome {
    /// Returns the data of the frames, which is text in these tests.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.frames.iter().map(|frame| String::from_utf8_lossy(&frame.bytes).into_owned()).collect()
    }

    pub(crate) fn of(source: Result<Source, SourceError>) -> Self {
        let mut source = match source {
            Ok(source) => source,
            Err(error) => return Self { frames: Vec::new(), damages: vec![error.to_string()] },
        };
        let mut frames = Vec::new();
        while let Some(frame) = source.next(&mut |_| {}) {
            frames.push(Seen {
                number: frame.number,
                nanos: frame.time.as_nanos(),
                precision: frame.precision,
                link: frame.link.0,
                wire_len: frame.wire_len,
                bytes: frame.bytes.to_vec(),
            });
        }
        assert!(source.next(&mut |_| {}).is_none(), "the end is the end");
        Self { frames, damages: source.damages().iter().map(ToString::to_string).collect() }
    }
}

/// A reader that returns bytes in pieces of these sizes, over and over.
pub(crate) struct Pieces {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sizes: Vec<usize>,
    pub(crate) at: usize,
    pub(crate) reads: usize,
}

impl Pieces {
    pub(crate) fn new(bytes: &[u8], sizes: &[usize]) -> Self {
        Self { bytes: bytes.to_vec(), sizes: sizes.to_vec(), at: 0, reads: 0 }
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.reads % self.sizes.len()].max(1);
        self.reads += 1;
        // A signal interrupts the read.
        if self.reads.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = size.min(into.len()).min(self.bytes.len() - self.at);
        into[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

pub(crate) fn in_pieces(bytes: &[u8], sizes: &[usize]) -> Outcome {
    Outcome::of(Source::from_reader("test", Pieces::new(bytes, sizes)))
}

/// Reads a capture at once, byte by byte, and in uneven pieces.
pub(crate) fn read(bytes: &[u8]) -> Outcome {
    let whole = in_pieces(bytes, &[usize::MAX]);
    let mut ways = vec![vec![16], vec![5, 24, 1, 4096]];
    if bytes.len() < 100_000 {
        ways.push(vec![1]);
    }
    for sizes in ways {
        assert_eq!(in_pieces(bytes, &sizes), whole, "in pieces of {sizes:?}");
    }
    whole
}

/// Like [`read`], for an undamaged file.
pub(crate) fn read_well(bytes: &[u8]) -> Vec<Seen> {
    let outcome = read(bytes);
    assert_eq!(outcome.damages, Vec::<String>::new());
    outcome.frames
}
