//! Which segment carried each range of the retained bytes.

use std::collections::VecDeque;

use super::evidence::Provenance;

/// Number of segments remembered. It covers the whole history for segments as long as Ethernet
/// allows; of shorter ones, only the last.
pub(super) const SEGMENTS_MAX: usize = 64;

/// One segment of the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct SegmentMeta {
    pub(super) len: u32,
    pub(super) provenance: Provenance,
}

/// The last segments, oldest first; at most [`SEGMENTS_MAX`].
#[derive(Debug, Default)]
pub(super) enum Segments {
    #[default]
    None,
    /// Most messages, and a flood of unfinished heads, need no more than one.
    One(SegmentMeta),
    Many(VecDeque<SegmentMeta>),
}

impl Segments {
    /// Adds a segment; the oldest makes room. hot: see NOTES#history
    #[inline(always)]
    pub(super) fn push(&mut self, segment: SegmentMeta) {
        match self {
            Self::None => *self = Self::One(segment),
            Self::One(first) => {
                let mut many = VecDeque::new();
                push(&mut many, *first);
                push(&mut many, segment);
                *self = Self::Many(many);
            }
            Self::Many(many) => push(many, segment),
        }
    }

    /// Iterates from the newest to the oldest.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SegmentMeta> {
        let (first, rest) = match self {
            Self::None => (&[][..], &[][..]),
            Self::One(segment) => (std::slice::from_ref(segment), &[][..]),
            Self::Many(many) => many.as_slices(),
        };
        first.iter().chain(rest).rev()
    }

    /// Returns the accounted bytes on the heap, by use. A queue of one counts as none, as if it
    /// were stored in place.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Many(many) if many.len() > 1 => heap_size(many.len()),
            _ => 0,
        }
    }

    /// Returns the most bytes that may be allocated, used or not.
    pub(super) const fn resident(&self) -> usize {
        if matches!(self, Self::Many(_)) { heap_size(SEGMENTS_MAX) } else { 0 }
    }

    /// Drops the segments and keeps the memory.
    pub(super) fn clear(&mut self) {
        match self {
            Self::None | Self::One(_) => *self = Self::None,
            Self::Many(many) => many.clear(),
        }
    }
}

#[inline(always)] // hot: see NOTES#history
fn push(many: &mut VecDeque<SegmentMeta>, segment: SegmentMeta) {
    if many.len() == SEGMENTS_MAX {
        many.pop_front();
    }
    grow(many, 1);
    many.push_back(segment);
}

pub(super) const fn heap_size(segments: usize) -> usize {
    size_of::<VecDeque<SegmentMeta>>() + segments * size_of::<SegmentMeta>()
}

/// Makes room for `more` elements. It grows by a quarter and does not double: many queues that grow
/// in step must not take twice what is accounted for them.
pub(super) fn grow<T>(queue: &mut VecDeque<T>, more: usize) {
    if queue.capacity() - queue.len() < more {
        queue.reserve_exact(more.max(queue.len() / 4));
    }
}
