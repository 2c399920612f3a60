//! Overlaps: retransmissions that differ from what was delivered, and which copy the peer took.

pub(crate) mod evidence;
pub(crate) mod history;
pub(crate) mod memory;
mod segments;
