//! Zstandard frames, one after the other, with skippable frames between them (RFC 8878).
//!
//! ruzstd decodes them: it is slower than the C library, but the binary builds with Rust alone. Until
//! a frame ends, ruzstd holds back as many bytes as its window has. So a pipe through zstd is read
//! one window late (2 MiB at zstd's default level), and a damaged frame is closed here, so that no
//! byte before the damage is lost. It never looks at what it unpacks. Next: [`super::window`].

use std::io::Read;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::fault::{Fault, Packing};
use super::packed::Packed;

/// Largest window that is decoded, in bytes. `zstd -d` accepts the same without `--long` (its
/// `ZSTD_WINDOWLOG_LIMIT_DEFAULT` is 27). Bounds the memory that a frame header can ask for.
const WINDOW_MAX: u64 = 128 * 1024 * 1024;

/// An empty raw block marked as the last of its frame (RFC 8878 section 3.1.1.2), then a check sum.
const LAST_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// Returns whether these first bytes start a Zstandard frame or a skippable one (0x184D2A50 to
/// 0x184D2A5F, little-endian).
pub(super) fn starts(first: &[u8]) -> bool {
    matches!(first, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Unpacks a file of Zstandard frames.
pub(super) struct Zstd {
    pub(super) packed: Packed,
    decoder: FrameDecoder,
    in_frame: bool,
    fault: Option<Fault>,
}

impl Zstd {
    pub(super) fn new(packed: Packed) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_MAX);
        Self { packed, decoder, in_frame: false, fault: None }
    }

    /// Returns as soon as bytes are unpacked; 0 at the end. All bytes before a fault are returned before
    /// it.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            if self.decoder.can_collect() > 0 {
                return Ok(self.decoder.read(into)?);
            }
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            if !self.in_frame {
                if self.packed.available()?.is_empty() {
                    return Ok(0);
                }
                self.start_frame()?;
            } else if self.decoder.is_finished() {
                self.in_frame = false;
                let (wanted, found) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
                if wanted.is_some() && wanted != found {
                    return Err(self.broken("the check sum does not match what was unpacked"));
                }
            } else if let Err(error) =
                self.decoder.decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1))
            {
                self.fault = Some(self.fault_of(&error));
                self.in_frame = false;
                // Without an end of the frame, the decoder would hold back the last window of good bytes.
                if let Err(error) = self.decoder.decode_blocks(&LAST_BLOCK[..], BlockDecodingStrategy::UptoBlocks(1)) {
                    self.fault = Some(self.fault_of(&error));
                }
            }
        }
    }

    fn start_frame(&mut self) -> Result<(), Fault> {
        match self.decoder.reset(&mut self.packed) {
            Ok(()) => self.in_frame = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let mut left = length as usize;
                while left > 0 {
                    let here = self.packed.available()?.len().min(left);
                    if here == 0 {
                        return Err(self.broken("it ends inside a skippable frame"));
                    }
                    self.packed.consume(here);
                    left -= here;
                }
            }
            Err(error) => return Err(self.fault_of(&error)),
        }
        Ok(())
    }

    /// The fault, in ruzstd's words, or in ours if the user can do something about it.
    fn fault_of(&self, error: &FrameDecoderError) -> Fault {
        self.broken(&match error {
            FrameDecoderError::WindowSizeTooBig { requested, max } => format!(
                "it needs a window of {requested} bytes, {max} are allowed; unpack it with `zstd -d --long=31` first"
            ),
            FrameDecoderError::DictNotProvided { dict_id } => format!("it needs dictionary {dict_id}; unpack it first"),
            _ if self.packed.ended => "it ends too early".to_owned(),
            other => other.to_string(),
        })
    }

    fn broken(&self, what: &str) -> Fault {
        Fault::Unpack { packing: Packing::Zstd, at: self.packed.used(), what: what.to_owned() }
    }
}
