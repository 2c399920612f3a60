//! Content codings: no input makes more output than the cap, and a smaller cap gives the beginning of the same.
//!
//! Next: [`crate::content`].

use super::input::FuzzInput;
use crate::content::decode;

const CODINGS: [&str; 8] =
    ["gzip", "deflate", "br", "zstd", "gzip, br", "zstd, gzip", "deflate, identity", "x-gzip,,br, zstd"];

/// Bytes through the codings that the first byte names, whole or cut, under the cap that the next two say.
///
/// # Panics
/// When the output is longer than its cap, or depends on it in more than its length.
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
    // Only with one coding: the cap holds for each layer, so the second may have less to read.
    if let (Ok(Some(small)), Ok(Some(large))) = (&small, &large)
        && !names.contains(',')
    {
        assert!(large.bytes.starts_with(&small.bytes), "a cap changes what stands before it");
        assert!(small.truncated || small.bytes.len() == large.bytes.len(), "{names}: shorter, and it does not say so");
    }
}
