//! Decodes content codings within bounds: gzip, deflate, br, zstd (RFC 9110 §8.4.1, RFC 8878, RFC 9659).
//!
//! Policy 20: at most two layers, output capped, ratio bounded, the zstd window at most 8 MiB. On an
//! error the caller reports the bytes as on the wire, with the reason.

use std::io::{self, Read};

use crate::anomaly::Anomaly;

/// Most nested codings that are decoded.
const LAYERS_MAX: usize = 2;
/// Output up to this size is never a bomb, whatever its ratio: the default of `maxBodySize`.
const BOMB_FLOOR: usize = 1 << 20;
/// Most bytes out for a byte in. Deflate cannot exceed 1032:1.
const RATIO_MAX: usize = 1100;
/// Most members or frames of one coding (arbitrary): each needs a decoder, and a megabyte can hold very
/// many empty ones.
const MEMBERS_MAX: usize = 4096;
/// RFC 9659: the window that a recipient of "zstd" must support, and need not exceed.
const ZSTD_WINDOW_MAX: u64 = 8 << 20;

/// Decoded content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DecodedContent {
    pub(crate) bytes: Vec<u8>,
    /// The content was longer than the cap.
    pub(crate) truncated: bool,
}

/// Decodes the codings in `names`, which are in the order in which they were applied.
///
/// If not `whole`, the bytes are a prefix, and as much as possible of it is decoded. Returns `Ok(None)`
/// if there is no coding.
pub(crate) fn decode<'a>(
    names: impl Iterator<Item = &'a str>,
    bytes: &[u8],
    whole: bool,
    max: usize,
) -> Result<Option<DecodedContent>, Anomaly> {
    let mut codings = Vec::new();
    for name in names.flat_map(|value| value.split(',')).map(str::trim) {
        if let Some(coding) = Coding::of(name)? {
            codings.push(coding);
        }
    }
    if codings.len() > LAYERS_MAX {
        return Err(Anomaly::TooManyContentCodings);
    }
    let mut decoded: Option<DecodedContent> = None;
    for coding in codings.into_iter().rev() {
        let (input, whole) = match &decoded {
            Some(layer) => (&layer.bytes[..], whole && !layer.truncated),
            None => (bytes, whole),
        };
        // The ratio counts against the bytes on the wire, so that layers do not multiply.
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
    /// Returns the coding of a name; `None` for "identity" and for an empty name.
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

    fn decode(self, bytes: &[u8], whole: bool, max: usize, bomb: usize) -> Result<DecodedContent, Anomaly> {
        let mut out = Output { bytes: Vec::new(), max, bomb };
        let end = match self {
            Self::Gzip => gzip(bytes, &mut out),
            Self::Deflate => {
                // RFC 9110 §8.4.1.2: zlib, but some senders use raw deflate. A zlib header is two bytes
                // that 31 divides.
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
            Ok(End::Whole) => Ok(DecodedContent { bytes: out.bytes, truncated: false }),
            Ok(End::Full) => Ok(DecodedContent { bytes: out.bytes, truncated: true }),
            Ok(End::Bomb) => Err(Anomaly::ContentBomb),
            // A prefix ends inside some unit of the format. The output before that is right.
            Err(_) if !whole && !out.bytes.is_empty() => Ok(DecodedContent { bytes: out.bytes, truncated: false }),
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
    /// Reads up to the end, the cap, or the ratio of a bomb.
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
            // Checked before the cap, which may be as low as the bomb's floor: a bomb must not pass for a
            // long text.
            if self.bytes.len() + read > self.bomb {
                return Ok(End::Bomb);
            }
            self.bytes.extend_from_slice(&buffer[..read.min(room)]);
            if read > room {
                return Ok(End::Full);
            }
        }
    }
}

/// Decodes all members (RFC 1952 §2.2). Ignores anything else after the first as padding, as gzip(1)
/// does.
fn gzip(bytes: &[u8], out: &mut Output) -> io::Result<End> {
    let mut rest = bytes;
    for _ in 0..MEMBERS_MAX {
        let mut member = flate2::bufread::GzDecoder::new(rest);
        match out.fill(&mut member)? {
            End::Whole => rest = member.into_inner(),
            end => return Ok(end),
        }
        if !rest.starts_with(&[0x1f, 0x8b]) {
            return Ok(End::Whole);
        }
    }
    Ok(End::Bomb)
}

/// Decodes all frames (RFC 8878 §3.1), and skips skippable ones. Checks each window before allocating
/// memory for it.
fn zstd(bytes: &[u8], out: &mut Output) -> io::Result<End> {
    let mut rest = bytes;
    for _ in 0..MEMBERS_MAX {
        if rest.is_empty() {
            return Ok(End::Whole);
        }
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
    Ok(End::Bomb)
}

/// Returns the length of the skippable frame (RFC 8878 §3.1.2) that starts here, if one does.
fn zstd_skippable(bytes: &[u8]) -> Option<usize> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let length = rest.first_chunk::<4>()?;
    matches!(u32::from_le_bytes(*magic), 0x184d_2a50..=0x184d_2a5f).then_some(8 + u32::from_le_bytes(*length) as usize)
}

/// Returns the window of the frame that starts here (RFC 8878 §3.1.1.1): for a single segment, its
/// content size.
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use flate2::{Compression, write};

    use super::*;

    const TEXT: &[u8] = b"hello, hello, hello";
    /// `TEXT`, and 64 MiB of zeros, as brotli 1.1 encodes them.
    const BROTLI: &str = "GxIA+I2Ubt5ECVKGlmwsbxFPJNBxAA==";
    const BROTLI_ZEROS: &str = "y///P/gnAOKxQCD3/o///3/wTwDEYRGA7v0f////4J8AiMMCAN37P/7//8E/ARCHBQC693/8//+DfwIgDgsAdO//+P//B/8EQBwWAOje//H//w/+CYA4LADQvf/L//8//BMAcVgAoHv/Bw==";
    /// `TEXT` as zstd 1.5 encodes it, with a checksum.
    const ZSTD: &str = "KLUv/QRYbQAAOGhlbGxvLCABAOKKEXXzmI4=";

    fn made(base64: &str) -> Vec<u8> {
        STANDARD.decode(base64).unwrap()
    }

    fn gzip_of(bytes: &[u8]) -> Vec<u8> {
        let mut to = write::GzEncoder::new(Vec::new(), Compression::best());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn zlib_of(bytes: &[u8]) -> Vec<u8> {
        let mut to = write::ZlibEncoder::new(Vec::new(), Compression::best());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn deflate_of(bytes: &[u8]) -> Vec<u8> {
        let mut to = write::DeflateEncoder::new(Vec::new(), Compression::best());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    /// Makes a zstd frame (RFC 8878 §3.1.1) with this window descriptor and number of RLE blocks of
    /// 128 KiB.
    fn zstd_rle(window: u8, blocks: usize) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
        for n in 1..=blocks {
            let header = (128_u32 << 10) << 3 | 1 << 1 | u32::from(n == blocks);
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(0);
        }
        frame
    }

    /// Makes a gibibyte of zeros as deflate: one flushed block 1024 times, which refers only to zeros.
    fn deflate_gibibyte() -> Vec<u8> {
        let mut compress = flate2::Compress::new(Compression::best(), false);
        let mut block = Vec::with_capacity(8 << 10);
        compress.compress_vec(&vec![0; 1 << 20], &mut block, flate2::FlushCompress::Full).unwrap();
        [block.repeat(1024), vec![3, 0]].concat()
    }

    fn decoded(names: &str, bytes: &[u8], max: usize) -> Result<(Vec<u8>, bool), Anomaly> {
        decode(std::iter::once(names), bytes, true, max)
            .map(|done| done.map(|d| (d.bytes, d.truncated)).unwrap_or_default())
    }

    #[track_caller]
    fn check(names: &str, bytes: &[u8], want: Result<&[u8], Anomaly>) {
        assert_eq!(decoded(names, bytes, 1 << 20), want.map(|bytes| (bytes.to_vec(), false)), "{names}");
    }

    #[test]
    fn each_name_selects_its_coding() {
        let gzip = gzip_of(TEXT);
        check("gzip", &gzip, Ok(TEXT));
        check("x-gzip", &gzip, Ok(TEXT));
        check(" GZip\t", &gzip, Ok(TEXT));
        check("identity, gzip,", &gzip, Ok(TEXT));
        check("deflate", &zlib_of(TEXT), Ok(TEXT));
        check("deflate", &deflate_of(TEXT), Ok(TEXT));
        check("br", &made(BROTLI), Ok(TEXT));
        check("zstd", &made(ZSTD), Ok(TEXT));
        check("gzip, gzip", &gzip_of(&gzip), Ok(TEXT));
        check("gzip, deflate", &zlib_of(&gzip), Ok(TEXT));
        check("gzip, gzip, gzip", &gzip, Err(Anomaly::TooManyContentCodings));
        for unknown in ["compress", "gzip;q=1", "gzip gzip", "aes128gcm, gzip", "gzip, pack200-gzip", "br2"] {
            check(unknown, &gzip, Err(Anomaly::UnknownContentCoding));
        }
    }

    #[test]
    fn members_and_frames_follow_each_other_and_padding_does_not_matter() {
        let gzip = gzip_of(TEXT);
        check("gzip", &gzip.repeat(3), Ok(&TEXT.repeat(3)));
        check("gzip", &[&gzip[..], &[0; 100]].concat(), Ok(TEXT));
        check("gzip", &[&gzip[..], b"garbage"].concat(), Ok(TEXT));
        check("deflate", &[&zlib_of(TEXT)[..], b"garbage"].concat(), Ok(TEXT));
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        check("zstd", &[&made(ZSTD)[..], &skippable, &made(ZSTD)].concat(), Ok(&TEXT.repeat(2)));
        check("zstd", &[&made(ZSTD)[..], b"garbage"].concat(), Err(Anomaly::CorruptContent));
        // Empty ones make no output, so no cap ends them.
        check("gzip", &gzip_of(b"").repeat(50_000), Err(Anomaly::ContentBomb));
        check("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0].repeat(100_000), Err(Anomaly::ContentBomb));
        check("zstd", &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0].repeat(100_000), Err(Anomaly::ContentBomb));
    }

    #[test]
    fn content_that_does_not_decode_is_corrupt_and_a_prefix_gives_a_prefix() {
        let text = b"a line of text, another line of text; ".repeat(200);
        for (name, whole) in
            [("gzip", gzip_of(&text)), ("deflate", zlib_of(&text)), ("br", made(BROTLI)), ("zstd", made(ZSTD))]
        {
            let all = decoded(name, &whole, 1 << 20).unwrap().0;
            for cut in 1..whole.len() {
                assert_eq!(decoded(name, &whole[..cut], 1 << 20), Err(Anomaly::CorruptContent), "{name} cut at {cut}");
                // A message that is itself cut gives as much as can be decoded.
                match decode(std::iter::once(name), &whole[..cut], false, 1 << 20) {
                    Ok(Some(prefix)) => assert!(all.starts_with(&prefix.bytes), "{name} cut at {cut}"),
                    other => assert_eq!(other, Err(Anomaly::CorruptContent), "{name} cut at {cut}"),
                }
            }
        }
        for wrong in [8, 4] {
            // CRC-32 and length (RFC 1952 §2.3.1).
            let mut gzip = gzip_of(TEXT);
            let at = gzip.len() - wrong;
            gzip[at] ^= 1;
            check("gzip", &gzip, Err(Anomaly::CorruptContent));
        }
        for name in ["gzip", "deflate", "br", "zstd"] {
            check(name, b"\xff\xffnone of these", Err(Anomaly::CorruptContent));
        }
    }

    #[test]
    fn a_bomb_is_named_or_cut_at_the_cap() {
        // Under the ratio of a bomb the cap applies.
        let gibibyte = deflate_gibibyte();
        assert_eq!(decoded("deflate", &gibibyte, 1 << 20), Ok((vec![0; 1 << 20], true)));
        assert_eq!(decoded("deflate", &gibibyte, 1000), Ok((vec![0; 1000], true)));
        let nested = gzip_of(&gzip_of(&vec![0; 16 << 20]));
        assert_eq!(decoded("gzip, gzip", &nested, 1 << 20), Err(Anomaly::ContentBomb));
        // Over the ratio it is a bomb, if the cap lets enough of it be decoded to see that.
        for (name, bomb) in [("br", made(BROTLI_ZEROS)), ("zstd", zstd_rle(0x68, 64))] {
            assert_eq!(decoded(name, &bomb, 1 << 20), Err(Anomaly::ContentBomb), "{name}");
            assert_eq!(decoded(name, &bomb, 64 << 20), Err(Anomaly::ContentBomb), "{name}");
            assert_eq!(decoded(name, &bomb, 1000), Ok((vec![0; 1000], true)), "{name}");
        }
        // RFC 9659: a window over 8 MiB is refused before memory is allocated. 0x68 is 8 MiB, 0x69 is
        // more, 0x88 is 128 MiB.
        assert_eq!(decoded("zstd", &zstd_rle(0x68, 1), 1 << 20), Ok((vec![0; 128 << 10], false)));
        for window in [0x69, 0x88, 0xf8] {
            check("zstd", &zstd_rle(window, 1), Err(Anomaly::CorruptContent));
        }
    }
}
