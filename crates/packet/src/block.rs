//! A block: the shared buffer that frames are read into, so that later stages can borrow their
//! bytes after the call.
//!
//! A block never changes while it has another owner. Next: [`crate::frame`], which names its block.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Shared bytes that only a sole owner can write.
#[derive(Clone)]
pub struct Block(Arc<Vec<u8>>);

impl Block {
    /// Makes a block of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }

    /// Returns the buffer for writing; `None` while it has another owner.
    pub fn get_mut(&mut self) -> Option<&mut Vec<u8>> {
        Arc::get_mut(&mut self.0)
    }

    /// Returns whether both are the same buffer, not only equal bytes.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the offset of these bytes if they lie in it, by address.
    #[inline]
    pub fn position(&self, bytes: &[u8]) -> Option<usize> {
        position(bytes, self)
    }
}

/// Returns the offset of `bytes` if they lie in `within`, by address.
#[inline(always)] // hot: see NOTES#block
pub fn position(bytes: &[u8], within: &[u8]) -> Option<usize> {
    let start = bytes.as_ptr().addr().checked_sub(within.as_ptr().addr())?;
    (start + bytes.len() <= within.len()).then_some(start)
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_by_address() {
        let block = Block::new(vec![7; 10]);
        assert_eq!(block.position(&block[3..5]), Some(3));
        assert_eq!(block.position(&block), Some(0));
        assert_eq!(block.position(&Block::new(vec![7; 10])[3..5]), None, "the same bytes elsewhere");
        let (low, high) = block.split_at(4);
        let low = Block::new(low.to_vec());
        assert_eq!(low.position(high), None);
    }

    #[test]
    fn only_a_sole_owner_can_write() {
        let mut block = Block::new(vec![7]);
        let other = block.clone();
        assert!(block.is(&other) && !block.is(&Block::new(vec![7])));
        assert!(block.get_mut().is_none());
        drop(other);
        assert!(block.get_mut().is_some());
    }
}
