//! Fuzzes content codings: output never exceeds the cap, and a smaller cap gives a prefix.
//!
//! Next: [`crate::content`].

use super::input::FuzzInput;
use crate::content::decode;

const CODINGS: [&str; 8] =
    ["gzip", "deflate", "br", "zstd", "gzip, br", "zstd, gzip", "deflate, identity", "x-gzip,,br, zstd"];

/// Decodes the input. The first byte selects codings and whether the content is whole, the next two the
/// cap.
///
/// # Panics
/// If the output exceeds its cap, or depends on it in more than its length.
pub fn content(data: &[u8]) {
    let mut input = FuzzInput(data);
    let (about, cap) = (input.u8(), usize::from(input.u16()));
    let (names, whole, bytes) = (CODINGS[usize::from(about & 7)], about & 8 == 0, input.0);
    let small = decode(std::iter::once(names), bytes, whole, cap);
    let large = decode(std::iter::once(names), bytes, whole, 16 << 20);
    if let Ok(Some(small)) = &small {
        assert!(small.bytes.len() <= cap, "{} bytes where {cap} are allowed", small.bytes.len());
        assert!(!small.truncated || small.bytes.len() == cap || names.contains(','), "cut before its cap");
    }
    // Only with one coding: the cap applies to each layer, so the second may get less input.
    if let (Ok(Some(small)), Ok(Some(large))) = (&small, &large)
        && !names.contains(',')
    {
        assert!(large.bytes.starts_with(&small.bytes), "a cap changes what stands before it");
        assert!(small.truncated || small.bytes.len() == large.bytes.len(), "{names}: shorter, and it does not say so");
    }
}
