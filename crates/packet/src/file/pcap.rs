//! Frames as the bytes of a pcap file (draft-ietf-opsawg-pcap), little-endian, micro- or
//! nanoseconds.
//!
//! It only returns bytes; the caller writes them. Next: [`OwnedFrame`].

use std::fmt;

use crate::frame::{LinkType, OwnedFrame};
use crate::time::Precision;

/// Snapshot length that tcpdump writes by default.
const SNAPLEN: u32 = 262_144;

/// The reason why frames do not fit into a pcap file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PcapError {
    /// The frame has another link type than the first; a pcap file has one.
    LinkTypesDiffer {
        /// Number of the frame.
        number: u64,
    },
    /// The frame is after the year 2106, where the seconds end.
    TooLate {
        /// Number of the frame.
        number: u64,
    },
}

impl fmt::Display for PcapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkTypesDiffer { number } => write!(f, "frame {number}: a pcap file has one link type only"),
            Self::TooLate { number } => write!(f, "frame {number}: a pcap file ends with the year 2106"),
        }
    }
}

impl std::error::Error for PcapError {}

/// Returns the file. Without frames it is a header for Ethernet. One frame with nanoseconds makes
/// it a nanosecond file.
pub fn file(frames: &[OwnedFrame]) -> Result<Vec<u8>, PcapError> {
    let nanos = frames.iter().any(|frame| frame.precision == Precision::Nanos);
    let link = frames.first().map_or(LinkType::ETHERNET, |frame| frame.link);
    let mut bytes = Vec::with_capacity(24 + frames.iter().map(|frame| 16 + frame.bytes.len()).sum::<usize>());
    let magic: u32 = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    // Version 2.4; two reserved fields.
    for word in [magic, 4 << 16 | 2, 0, 0, SNAPLEN, u32::from(link.0)] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        let number = frame.number;
        if frame.link != link {
            return Err(PcapError::LinkTypesDiffer { number });
        }
        let time = frame.time.as_nanos();
        let seconds = u32::try_from(time / 1_000_000_000).map_err(|_| PcapError::TooLate { number })?;
        let fraction = (time % 1_000_000_000) as u32 / if nanos { 1 } else { 1_000 };
        for word in [seconds, fraction, frame.bytes.len() as u32, frame.wire_len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&frame.bytes);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn frame(precision: Precision) -> OwnedFrame {
        let time = Timestamp::new(1, 2_003);
        OwnedFrame { number: 1, time, precision, link: LinkType::RAW, bytes: vec![9, 8], wire_len: 5 }
    }

    #[test]
    fn header_and_record_have_the_layout_of_the_format() {
        let bytes = file(&[frame(Precision::Micros)]).unwrap();
        assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
        assert_eq!(bytes[4..8], [2, 0, 4, 0]);
        assert_eq!(bytes[20..24], [101, 0, 0, 0]);
        assert_eq!(bytes[24..], [1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9, 8]);
        let bytes = file(&[frame(Precision::Nanos)]).unwrap();
        assert_eq!(bytes[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
        assert_eq!(bytes[28..30], [0xd3, 7]);
        assert_eq!(file(&[]).unwrap().len(), 24);
    }

    #[test]
    fn frames_that_pcap_cannot_hold_are_an_error() {
        let other = OwnedFrame { number: 2, link: LinkType::ETHERNET, ..frame(Precision::Micros) };
        assert_eq!(file(&[frame(Precision::Micros), other]), Err(PcapError::LinkTypesDiffer { number: 2 }));
        let late = OwnedFrame { time: Timestamp::new(1 << 32, 0), ..frame(Precision::Micros) };
        assert_eq!(file(&[late]), Err(PcapError::TooLate { number: 1 }));
    }
}
