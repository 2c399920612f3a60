//! Overlaps: retransmissions that differ from delivered bytes, and which copy the peer took.
//!
//! `cut_delivered` in [`super::connection`] asks here. Bytes that still wait for earlier ones are
//! compared in [`crate::reassembly`].

pub(crate) mod evidence;
pub(crate) mod history;
pub(crate) mod memory;
mod segments;
