//! The block that connections keep delivered bytes of without copying them, and which connections those are.
//!
//! It is one block at a time: of others nothing is lent until [`Flows::release_block`](super::Flows::release_block).

use std::num::NonZeroU32;

use sniffer_packet::block::Block;

use super::table::FlowTable;

#[derive(Debug, Default)]
pub(super) struct Lent {
    block: Option<Block>,
    /// Slots of connections that were lent some of it; those that ended since have none.
    to: Vec<u32>,
}

impl Lent {
    /// Where these bytes end in the block, when the connection of this slot may keep them by that.
    #[inline]
    pub(super) fn lend(&mut self, bytes: &[u8], block: &Block, slot: u32) -> Option<NonZeroU32> {
        if !self.block.get_or_insert_with(|| block.clone()).is(block) {
            return None;
        }
        let end = block.position(bytes)? + bytes.len();
        let end = NonZeroU32::new(u32::try_from(end).ok()?)?;
        // Most lend several times in a row; that one is here more than once does not matter.
        if self.to.last() != Some(&slot) {
            self.to.push(slot);
        }
        Some(end)
    }

    pub(super) fn block(&self) -> &[u8] {
        self.block.as_deref().unwrap_or_default()
    }

    /// Has everything copied that was lent.
    pub(super) fn release_block(&mut self, table: &mut FlowTable) {
        let Some(block) = self.block.take() else { return };
        for slot in self.to.drain(..) {
            if let Some(entry) = table.get_mut(slot) {
                entry.tcp.copy_lent(&block);
            }
        }
    }
}
