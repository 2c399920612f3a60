//! Reads fuzzer input as numbers, slices and frames. After the end everything is zero or empty, so every
//! input is complete.
//!
//! Numbers are little-endian and of fixed size, so that a change of one byte changes one thing.

use sniffer_packet::frame::LinkType;
use sniffer_packet::frame::{OwnedFrame, renumber};
use sniffer_packet::time::{Precision, Timestamp};

/// Microseconds between a frame and the one before it, by the low four bits of its third byte. They lie on
/// both sides of the default timeouts: 10 ms for holes, 30 s for fragments, 300 s for idle connections.
const STEPS: [i64; 16] = [
    0,
    1,
    100,
    1_000,
    3_000,
    9_000,
    11_000,
    100_000,
    1_000_000,
    29_000_000,
    31_000_000,
    299_000_000,
    301_000_000,
    -1,
    -5_000,
    -60_000_000,
];
/// The step of all seeds: a frame every millisecond.
const MILLISECOND: u8 = 3;

/// The rest of the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct FuzzInput<'a>(pub(super) &'a [u8]);

impl<'a> FuzzInput<'a> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    /// Takes the next `len` bytes, or as many as there are.
    pub(super) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Reads frames of one link type: `link: u16`, then for each `len: u16`, `time and cut: u8`, `len`
    /// bytes.
    pub(super) fn frames(&mut self) -> Vec<OwnedFrame> {
        let link = LinkType(self.u16());
        let mut micros: i64 = 1_767_225_600_000_000;
        let mut frames = Vec::new();
        while !self.is_empty() {
            let (len, about) = (self.u16(), self.u8());
            let bytes = self.take(usize::from(len)).to_vec();
            micros += STEPS[usize::from(about & 15)];
            // The snapshot length cut 0 to 15 times 40 bytes.
            let wire_len = bytes.len() as u32 + u32::from(about >> 4) * 40;
            let time = Timestamp::from_nanos(micros.unsigned_abs() * 1_000);
            frames.push(OwnedFrame { number: 0, time, precision: Precision::Micros, link, bytes, wire_len });
        }
        renumber(&mut frames);
        frames
    }
}

/// Encodes frames as input of [`super::packets()`] and, after three zeros, of
/// [`super::conversation()`]. Their times and cut bytes are lost.
pub fn frames_as_input(frames: &[OwnedFrame]) -> Vec<u8> {
    let mut input = Vec::new();
    input.extend(frames.first().map_or(LinkType::ETHERNET, |frame| frame.link).0.to_le_bytes());
    for frame in frames {
        let bytes = &frame.bytes[..frame.bytes.len().min(usize::from(u16::MAX))];
        input.extend((bytes.len() as u16).to_le_bytes());
        input.push(MILLISECOND);
        input.extend(bytes);
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_there_and_back() {
        let frame = |number, bytes: &[u8]| OwnedFrame {
            number,
            time: Timestamp::from_nanos(1_767_225_600_000_000_000 + number * 1_000_000),
            precision: Precision::Micros,
            link: LinkType::RAW,
            bytes: bytes.to_vec(),
            wire_len: bytes.len() as u32,
        };
        let frames = [frame(1, b"one"), frame(2, b""), frame(3, b"three")];
        assert_eq!(FuzzInput(&frames_as_input(&frames)).frames(), frames);
    }

    #[test]
    fn after_the_end_everything_is_zero_or_empty() {
        let mut input = FuzzInput(&[1]);
        assert_eq!((input.u16(), input.u32(), input.take(9)), (1, 0, &[][..]));
        assert!(FuzzInput(&[]).frames().is_empty());
    }
}
