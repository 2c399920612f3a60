//! What frames lie in: shared by whoever reads the capture, so that their bytes can be found again after their call.
//!
//! A block never changes while anybody else has it. Next: [`crate::frame`], which is lent with one.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes that are shared, and written only by who has them alone.
#[derive(Clone)]
pub struct Block(Arc<Vec<u8>>);

impl Block {
    /// Shares these.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }

    /// To write in; none while anybody else has it.
    pub fn get_mut(&mut self) -> Option<&mut Vec<u8>> {
        Arc::get_mut(&mut self.0)
    }

    /// Whether it is the same one, not only the same bytes.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Where these very bytes start in it, when they lie in it.
    #[inline]
    pub fn position(&self, bytes: &[u8]) -> Option<usize> {
        position(bytes, self)
    }
}

/// Where these very bytes start in others, when they lie in those: by address.
#[inline(always)]
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
    fn bytes_are_found_by_where_they_lie() {
        let block = Block::new(vec![7; 10]);
        assert_eq!(block.position(&block[3..5]), Some(3));
        assert_eq!(block.position(&block), Some(0));
        assert_eq!(block.position(&Block::new(vec![7; 10])[3..5]), None, "the same bytes elsewhere");
        let (low, high) = block.split_at(4);
        let low = Block::new(low.to_vec());
        assert_eq!(low.position(high), None);
    }

    #[test]
    fn it_is_written_by_who_has_it_alone() {
        let mut block = Block::new(vec![7]);
        let other = block.clone();
        assert!(block.is(&other) && !block.is(&Block::new(vec![7])));
        assert!(block.get_mut().is_none());
        drop(other);
        assert!(block.get_mut().is_some());
    }
}
