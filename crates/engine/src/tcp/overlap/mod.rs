//! Copies of delivered bytes: which of two that differ the peer took.

pub(crate) mod evidence;
pub(crate) mod history;
pub(crate) mod segments;
