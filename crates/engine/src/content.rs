//! Content codings undone, within bounds: gzip, deflate, br, zstd (RFC 9110 §8.4.1, RFC 8878, RFC 9659).
//!
//! Policy 20: at most two layers, output capped, ratio bounded, the zstd window at most 8 MiB. On an error the caller
//! reports the bytes as they were on the wire, with the reason.

use std::io::{self, Read};

use crate::anomaly::Anomaly;

/// Codings on each other that are undone.
const LAYERS_MAX: usize = 2;
/// Output that no ratio makes a bomb of: the default of `maxBodySize`, which anybody can hold.
const BOMB_FLOOR: usize = 1 << 20;
/// Bytes out for a byte in: above what deflate can do at all, 1032:1.
const RATIO_MAX: usize = 1100;
/// RFC 9659: what a recipient of the "zstd" coding must support, and need not exceed.
const ZSTD_WINDOW_MAX: u64 = 8 << 20;

/// Content with its codings undone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) bytes: Vec<u8>,
    /// Whether it goes on beyond the cap.
    pub(crate) truncated: bool,
}

/// Undoes the codings in `names`, which stand in the order in which they were applied.
///
/// `whole`: the bytes are all there are; otherwise what can be decoded of the prefix is given. `Ok(None)` when nothing
/// is to be done.
pub(crate) fn decode<'a>(
    names: impl Iterator<Item = &'a str>,
    bytes: &[u8],
    whole: bool,
    max: usize,
) -> Result<Option<Decoded>, Anomaly> {
    let mut codings = Vec::new();
    for name in names.flat_map(|value| value.split(',')).map(str::trim) {
        if let Some(coding) = Coding::of(name)? {
            codings.push(coding);
        }
    }
    if codings.len() > LAYERS_MAX {
        return Err(Anomaly::TooManyContentCodings);
    }
    let mut decoded: Option<Decoded> = None;
    for coding in codings.into_iter().rev() {
        let (input, whole) = match &decoded {
            Some(layer) => (&layer.bytes[..], whole && !layer.truncated),
            None => (bytes, whole),
        };
        // Against the bytes on the wire, so that layers do not multiply.
        let bomb = BOMB_FLOOR.max(bytes.len().saturating_mul(RATIO_MAX));
        decoded = Some(coding.decode(input, whole, max, bomb)?);
    }
    Ok(decoded)
}

#[derive(Debug, Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The coding of a name; `None` for "identity" and for nothing.
    fn of(name: &str) -> Result<Option<Self>, Anomaly> {
        let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known));
        Ok(Some(if is(&["gzip", "x-gzip"]) {
            Self::Gzip
        } else if is(&["deflate"]) {
            Self::Deflate
        } else if is(&["br"]) {
            Self::Brotli
        } else if is(&["zstd"]) {
            Self::Zstd
        } else if is(&["", "identity"]) {
            return Ok(None);
        } else {
            return Err(Anomaly::UnknownContentCoding);
        }))
    }

    fn decode(self, bytes: &[u8], whole: bool, max: usize, bomb: usize) -> Result<Decoded, Anomaly> {
        let mut out = Output { bytes: Vec::new(), max, bomb };
        let end = match self {
            Self::Gzip => gzip(bytes, &mut out),
            Self::Deflate => {
                // RFC 9110 §8.4.1.2: zlib, but some send raw deflate. A zlib header is two bytes that 31 divides.
                let zlib =
                    matches!(bytes, [a, b, ..] if a & 0x0f == 8 && (u16::from(*a) << 8 | u16::from(*b)) % 31 == 0);
                if zlib {
                    out.fill(flate2::read::ZlibDecoder::new(bytes))
                } else {
                    out.fill(flate2::read::DeflateDecoder::new(bytes))
                }
            }
            Self::Brotli => out.fill(brotli_decompressor::Decompressor::new(bytes, 4096)),
            Self::Zstd => zstd(bytes, &mut out),
        };
        match end {
            Ok(End::Whole) => Ok(Decoded { bytes: out.bytes, truncated: false }),
            Ok(End::Full) => Ok(Decoded { bytes: out.bytes, truncated: true }),
            Ok(End::Bomb) => Err(Anomaly::ContentBomb),
            // A prefix ends in the middle of something; what came before is right, each format's order being its own.
            Err(_) if !whole && !out.bytes.is_empty() => Ok(Decoded { bytes: out.bytes, truncated: false }),
            Err(_) => Err(Anomaly::CorruptContent),
        }
    }
}

/// Why reading stopped without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Full,
    Bomb,
}

struct Output {
    bytes: Vec<u8>,
    max: usize,
    bomb: usize,
}

impl Output {
    /// Reads to the end, to the cap, or to the ratio that makes it a bomb.
    fn fill(&mut self, mut from: impl Read) -> io::Result<End> {
        let mut buffer = [0; 8192];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => return Ok(End::Whole),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let room = self.max - self.bytes.len();
            self.bytes.extend_from_slice(&buffer[..read.min(room)]);
            if self.bytes.len() > self.bomb {
                return Ok(End::Bomb);
            }
            if read > room {
                return Ok(End::Full);
            }
        }
    }
}

/// All members (RFC 1952 §2.2); what is no member behind the first is padding and is left alone, as gzip(1) does.
fn gzip(bytes: &[u8], out: &mut Output) -> io::Result<End> {
    let mut rest = bytes;
    loop {
        let mut member = flate2::bufread::GzDecoder::new(rest);
        match out.fill(&mut member)? {
            End::Whole => rest = member.into_inner(),
            end => return Ok(end),
        }
        if !rest.starts_with(&[0x1f, 0x8b]) {
            return Ok(End::Whole);
        }
    }
}

/// All frames (RFC 8878 §3.1), skippable ones passed over, each with a window that was looked at before memory was taken.
fn zstd(bytes: &[u8], out: &mut Output) -> io::Result<End> {
    let mut rest = bytes;
    while !rest.is_empty() {
        if let Some(skipped) = zstd_skippable(rest) {
            rest = rest.get(skipped..).ok_or(io::ErrorKind::UnexpectedEof)?;
            continue;
        }
        if zstd_window(rest).ok_or(io::ErrorKind::UnexpectedEof)? > ZSTD_WINDOW_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let frame = ruzstd::decoding::StreamingDecoder::new(&mut rest).map_err(|_| io::ErrorKind::InvalidData)?;
        match out.fill(frame)? {
            End::Whole => {}
            end => return Ok(end),
        }
    }
    Ok(End::Whole)
}

/// RFC 8878 §3.1.2: the length of a skippable frame, if one starts here.
fn zstd_skippable(bytes: &[u8]) -> Option<usize> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let length = rest.first_chunk::<4>()?;
    matches!(u32::from_le_bytes(*magic), 0x184d_2a50..=0x184d_2a5f).then_some(8 + u32::from_le_bytes(*length) as usize)
}

/// RFC 8878 §3.1.1.1: the window of the frame that starts here, or its content size when it is a single segment.
fn zstd_window(bytes: &[u8]) -> Option<u64> {
    let (_, rest) = bytes.split_first_chunk::<4>()?;
    let (&descriptor, rest) = rest.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let window = *rest.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let field = rest.get(dictionary..)?;
    Some(match descriptor >> 6 {
        0 => u64::from(*field.first()?),
        1 => u64::from(u16::from_le_bytes(*field.first_chunk()?)) + 256,
        2 => u64::from(u32::from_le_bytes(*field.first_chunk()?)),
        _ => u64::from_le_bytes(*field.first_chunk()?),
    })
}
