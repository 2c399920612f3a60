//! Decodes the chunked transfer coding (RFC 9112 §7.1), one piece of input at a time.
//!
//! ```text
//!   Size ──digits──▶ LineEnd ──LF──▶ Data ──n bytes──▶ DataEnd ──CRLF──▶ Size
//!                       └──LF, size 0──▶ Trailers (read by the caller as field lines)
//! ```

use memchr::memchr2;

use crate::anomaly::Anomaly;
use crate::http1::abnf::is_ows;

/// Longest chunk line without its line end: 16 KiB, as llhttp and hyper bound extensions.
const LINE_MAX: u32 = 16 << 10;

/// The position of the next byte in the chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dechunker {
    /// Before or in the digits of a chunk size, `seen` bytes into the line.
    Size { value: u64, seen: u32, digits: bool },
    /// After the digits, before the line's LF.
    LineEnd { value: u64, seen: u32, cr: bool, extension: bool },
    /// In chunk data, `left` bytes before its end.
    Data { left: u64 },
    /// After chunk data, before its CRLF.
    DataEnd { cr: bool },
    /// After the last chunk's line: trailers or the blank line follow.
    Trailers,
}

/// The kind and length of the first bytes of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkPiece {
    /// This many bytes of content.
    Data(usize),
    /// This many bytes of chunk lines; the coding goes on.
    Framing(usize),
    /// The coding is broken here.
    Bad(Anomaly),
}

impl Default for Dechunker {
    fn default() -> Self {
        Self::Size { value: 0, seen: 0, digits: false }
    }
}

impl Dechunker {
    /// Takes bytes from the start of `input`, which must not be empty. Must not
    /// be called in `Trailers`.
    ///
    /// Calls `odd` for what is read leniently: a line ended by LF alone (policy 14), and white
    /// space around a size.
    pub(crate) fn next(&mut self, input: &[u8], mut odd: impl FnMut(Anomaly)) -> ChunkPiece {
        if let Self::Data { left } = *self {
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            *self = Self::after_data(left - taken as u64);
            return ChunkPiece::Data(taken);
        }
        let mut at = self.plain_line(input).unwrap_or(0);
        if at > 0 {
            return ChunkPiece::Framing(at);
        }
        while at < input.len() {
            let rest = &input[at..];
            let step = match *self {
                Self::Size { value, seen, digits } => size(value, seen, digits, rest[0], &mut odd),
                Self::LineEnd { extension: true, value, seen, cr: false } if rest[0] != b'\n' => {
                    extension(value, seen, rest)
                }
                Self::LineEnd { value, seen, cr, extension: _ } => line_end(value, seen, cr, rest[0], &mut odd),
                Self::DataEnd { cr } => data_end(cr, rest[0], &mut odd),
                Self::Data { .. } | Self::Trailers => break,
            };
            match step {
                Ok((next, used)) => {
                    *self = next;
                    at += used;
                }
                // The bytes before the bad one go first, wherever the input was cut.
                Err(_) if at > 0 => break,
                Err(anomaly) => return ChunkPiece::Bad(anomaly),
            }
        }
        ChunkPiece::Framing(at)
    }

    /// Takes the chunk line that nearly every chunk has, if all of it is there: the CRLF of the
    /// data before it, digits, CRLF. Returns its length. hot: see NOTES#chunk-line
    fn plain_line(&mut self, input: &[u8]) -> Option<usize> {
        let start = match self {
            Self::Size { seen: 0, .. } => 0,
            Self::DataEnd { cr: false } if input.starts_with(b"\r\n") => 2,
            _ => return None,
        };
        let (mut value, mut at) = (0, start);
        while let Some(digit) = char::from(*input.get(at)?).to_digit(16) {
            // More digits than this may overflow.
            if at - start == 15 {
                return None;
            }
            value = value * 16 + u64::from(digit);
            at += 1;
        }
        if at == start || !input[at..].starts_with(b"\r\n") {
            return None;
        }
        *self = Self::after_line(value);
        Some(at + 2)
    }

    const fn after_line(value: u64) -> Self {
        if value == 0 { Self::Trailers } else { Self::Data { left: value } }
    }

    const fn after_data(left: u64) -> Self {
        if left == 0 { Self::DataEnd { cr: false } } else { Self::Data { left } }
    }

    /// Skips missing bytes. Returns whether they all lie inside one chunk's data.
    pub(crate) fn skip(&mut self, missing: u64) -> bool {
        match self {
            Self::Data { left } if *left >= missing => {
                *self = Self::after_data(*left - missing);
                true
            }
            _ => false,
        }
    }
}

/// The state after some bytes, and how many they were; or what is wrong with the first of them.
type Step = Result<(Dechunker, usize), Anomaly>;

/// A byte before or in the digits of a size.
fn size(value: u64, seen: u32, digits: bool, byte: u8, odd: &mut impl FnMut(Anomaly)) -> Step {
    if seen >= LINE_MAX {
        return Err(Anomaly::BadChunkSize);
    }
    if let Some(digit) = char::from(byte).to_digit(16) {
        // RFC 9112 §7.1 allows any number of digits, so zeros may lead: only the value is bounded.
        if value > i64::MAX as u64 / 16 {
            return Err(Anomaly::BadChunkSize);
        }
        return Ok((Dechunker::Size { value: value * 16 + u64::from(digit), seen: seen + 1, digits: true }, 1));
    }
    if digits {
        return Ok((Dechunker::LineEnd { value, seen, cr: false, extension: false }, 0));
    }
    if !is_ows(byte) {
        return Err(Anomaly::BadChunkSize);
    }
    // The grammar does not allow it, but many number parsers skip it, and evasions rely on that.
    odd(Anomaly::ChunkSizeWhitespace);
    Ok((Dechunker::Size { value, seen: seen + 1, digits }, 1))
}

/// A byte after a size: white space (old servers pad with it), the start of an extension, or the
/// line's end.
fn line_end(value: u64, seen: u32, cr: bool, byte: u8, odd: &mut impl FnMut(Anomaly)) -> Step {
    if byte == b'\n' {
        if !cr {
            odd(Anomaly::BareLf);
        }
        return Ok((Dechunker::after_line(value), 1));
    }
    let allowed = is_ows(byte) || matches!(byte, b'\r' | b';');
    if cr || !allowed || (seen >= LINE_MAX && byte != b'\r') {
        return Err(Anomaly::BadChunkSize);
    }
    if is_ows(byte) {
        odd(Anomaly::ChunkSizeWhitespace);
    }
    Ok((Dechunker::LineEnd { value, seen: seen + 1, cr: byte == b'\r', extension: byte == b';' }, 1))
}

/// The bytes of an extension: all up to a CR, the line's end or the limit are skipped.
fn extension(value: u64, seen: u32, rest: &[u8]) -> Step {
    if seen >= LINE_MAX && rest[0] != b'\r' {
        return Err(Anomaly::BadChunkSize);
    }
    let room = rest.len().min((LINE_MAX - seen) as usize);
    let skipped = memchr2(b'\r', b'\n', &rest[..room]).unwrap_or(room);
    let cr = rest.get(skipped) == Some(&b'\r');
    let next = Dechunker::LineEnd { value, seen: seen + skipped as u32, cr, extension: true };
    Ok((next, skipped + usize::from(cr)))
}

/// A byte after chunk data.
fn data_end(cr: bool, byte: u8, odd: &mut impl FnMut(Anomaly)) -> Step {
    match (byte, cr) {
        (b'\r', false) => Ok((Dechunker::DataEnd { cr: true }, 1)),
        (b'\n', _) => {
            if !cr {
                odd(Anomaly::BareLf);
            }
            Ok((Dechunker::default(), 1))
        }
        _ => Err(Anomaly::BadChunkEnd),
    }
}
