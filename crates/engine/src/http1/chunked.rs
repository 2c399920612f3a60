//! The chunked transfer coding (RFC 9112 §7.1), one piece of input at a time.
//!
//! ```text
//!   Size ──ext──▶ Extension ──LF──▶ Data ──n bytes──▶ DataEnd ──CRLF──▶ Size
//!     └──────"0" ─────┴──LF──▶ Trailers (read by the caller as field lines)
//! ```

use memchr::memchr2;

use crate::anomaly::Anomaly;
use crate::http1::abnf::is_ows;

/// Bytes of one chunk line, its line end aside, before it is refused: 16 KiB, as llhttp and hyper bound extensions.
const LINE_MAX: u32 = 16 << 10;

/// Where in the chunked coding the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dechunker {
    /// Before or in the digits of a chunk size, this many bytes into the line.
    Size { value: u64, seen: u32, digits: bool },
    /// Behind the digits, before the line's LF.
    LineEnd { value: u64, seen: u32, cr: bool, extension: bool },
    /// In chunk data, this many bytes from its end.
    Data { left: u64 },
    /// Behind chunk data, before its CRLF.
    DataEnd { cr: bool },
    /// Behind the last chunk's line: trailers or the blank line follow.
    Trailers,
}

/// What the start of the input was.
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
    /// Takes from the start of `input`, which must not be empty; not to be called in `Trailers`.
    ///
    /// `odd` is told what is read leniently: a line ended by LF alone (policy 14), white space around a size.
    pub(crate) fn next(&mut self, input: &[u8], mut odd: impl FnMut(Anomaly)) -> ChunkPiece {
        if let Self::Data { left } = self {
            let n = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
            *left -= n as u64;
            if *left == 0 {
                *self = Self::DataEnd { cr: false };
            }
            return ChunkPiece::Data(n);
        }
        let mut at = 0;
        // What stands before the bad byte is framing, wherever the input was cut: it goes first.
        let bad = |at, anomaly| if at > 0 { ChunkPiece::Framing(at) } else { ChunkPiece::Bad(anomaly) };
        while at < input.len() {
            let byte = input[at];
            match self {
                Self::Size { seen, .. } if *seen >= LINE_MAX => return bad(at, Anomaly::BadChunkSize),
                Self::Size { value, seen, digits } => {
                    if let Some(digit) = char::from(byte).to_digit(16) {
                        // RFC 9112 §7.1: any number of digits, so zeros may lead; the value is what must not overflow.
                        if *value > i64::MAX as u64 / 16 {
                            return bad(at, Anomaly::BadChunkSize);
                        }
                        *value = *value * 16 + u64::from(digit);
                        *digits = true;
                    } else if !*digits && is_ows(byte) {
                        // Not in the grammar, but what reads a number skips it, and evasions live on that.
                        odd(Anomaly::ChunkSizeWhitespace);
                    } else if !*digits {
                        return bad(at, Anomaly::BadChunkSize);
                    } else {
                        *self = Self::LineEnd { value: *value, seen: *seen, cr: false, extension: false };
                        continue;
                    }
                    *seen += 1;
                    at += 1;
                }
                Self::LineEnd { value, seen, cr, extension } => {
                    if byte == b'\n' {
                        if !*cr {
                            odd(Anomaly::BareLf);
                        }
                        at += 1;
                        *self = if *value == 0 { Self::Trailers } else { Self::Data { left: *value } };
                        return ChunkPiece::Framing(at);
                    }
                    // Behind the size only a CR, white space (old servers pad with it) or an extension may stand.
                    let known = *extension || is_ows(byte) || matches!(byte, b'\r' | b';');
                    if *cr || !known || (*seen >= LINE_MAX && byte != b'\r') {
                        return bad(at, Anomaly::BadChunkSize);
                    }
                    if *extension {
                        // The bytes of an extension are skipped up to a CR, the line's end or the limit.
                        let rest = &input[at..];
                        let rest = &rest[..rest.len().min((LINE_MAX - *seen) as usize)];
                        let skipped = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                        *seen += skipped as u32;
                        at += skipped;
                        if input.get(at) == Some(&b'\r') {
                            *cr = true;
                            at += 1;
                        }
                    } else {
                        if is_ows(byte) {
                            odd(Anomaly::ChunkSizeWhitespace);
                        }
                        *cr = byte == b'\r';
                        *extension = byte == b';';
                        *seen += 1;
                        at += 1;
                    }
                }
                Self::DataEnd { cr } => match (byte, *cr) {
                    (b'\r', false) => {
                        *cr = true;
                        at += 1;
                    }
                    (b'\n', had_cr) => {
                        if !had_cr {
                            odd(Anomaly::BareLf);
                        }
                        at += 1;
                        *self = Self::default();
                    }
                    _ => return bad(at, Anomaly::BadChunkEnd),
                },
                Self::Data { .. } | Self::Trailers => break,
            }
        }
        ChunkPiece::Framing(at)
    }

    /// Skips bytes that are missing; whether they all lay inside one chunk's data.
    pub(crate) fn skip(&mut self, missing: u64) -> bool {
        match self {
            Self::Data { left } if *left >= missing => {
                *left -= missing;
                if *left == 0 {
                    *self = Self::DataEnd { cr: false };
                }
                true
            }
            _ => false,
        }
    }
}
