//! The segments that brought the bytes kept of a stream: how many each, where they are, where they came from.
//!
//! Bytes that lie in a [block](sniffer_packet::block) are lent from it. What comes behind lent bytes is lent, or everything is copied
//! first. Next: [`super::history`], which keeps what is copied.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use sniffer_packet::decode::HeaderSum;
use sniffer_packet::segment::{Checksum, Segment};

use super::evidence::{ChecksumVerdict, Provenance};

/// Segments that are known: all, when they are as long as Ethernet lets them be; of smaller ones the last.
pub(in crate::tcp) const SEGMENTS_MAX: usize = 64;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(in crate::tcp) struct SegmentMeta {
    pub(in crate::tcp) len: u32,
    pub(in crate::tcp) kept: Kept,
}

/// Where its bytes are, and what else is known of it.
#[derive(Debug, Clone, Copy)]
pub(in crate::tcp) enum Kept {
    Copied(Provenance),
    Lent {
        /// Where they end in the block.
        end: NonZeroU32,
        /// Bytes of the TCP header before them; 0 where the checksum cannot be known.
        header_len: u8,
        ttl: u8,
    },
}

impl SegmentMeta {
    /// A whole segment, whose payload ends there in the block.
    pub(in crate::tcp) fn lent(segment: &Segment<'_>, end: NonZeroU32) -> Self {
        let len = segment.payload.len();
        let header_len = match segment.checksum {
            Checksum::Of(whole) => (whole.len() - len) as u8, // 20–60
            Checksum::Unknown => 0,
        };
        Self { len: len as u32, kept: Kept::Lent { end, header_len, ttl: segment.ttl } }
    }

    /// How many bytes of it are lent.
    fn lends(&self) -> usize {
        match self.kept {
            Kept::Copied(_) => 0,
            Kept::Lent { .. } => self.len as usize,
        }
    }

    /// Its bytes that are lent.
    pub(in crate::tcp) fn lent_bytes<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        match self.kept {
            Kept::Copied(_) => &[],
            Kept::Lent { end, .. } => &block[(end.get() - self.len) as usize..end.get() as usize],
        }
    }

    /// Makes it one whose bytes were copied.
    fn was_copied(&mut self, block: &[u8]) {
        if let Kept::Lent { end, header_len, ttl } = self.kept {
            let start = (end.get() - self.len) as usize;
            let header = &block[start - usize::from(header_len)..start];
            self.kept = Kept::Copied(Provenance { ttl, checksum: ChecksumVerdict::of(HeaderSum::of(header)) });
        }
    }
}

/// The oldest first; at most [`SEGMENTS_MAX`].
#[derive(Debug, Default)]
pub(in crate::tcp) enum Segments {
    #[default]
    None,
    /// As of most messages, and of a flood of unfinished heads.
    One(SegmentMeta),
    Many(Box<Many>),
}

#[derive(Debug, Default)]
pub(in crate::tcp) struct Many {
    queue: VecDeque<SegmentMeta>,
    /// Bytes of all that are lent.
    lent: usize,
}

impl Segments {
    /// Adds one; gives back the oldest when they were too many. Inlined, so that it is written where it stays: read back from where it
    /// had just been written in pieces, it stalled for a fiftieth of a replay of large bodies.
    #[inline(always)]
    pub(in crate::tcp) fn push(&mut self, brought: SegmentMeta) -> Option<SegmentMeta> {
        match self {
            Self::None => {
                *self = Self::One(brought);
                None
            }
            Self::One(first) => {
                let mut many = Box::<Many>::default();
                many.push(*first);
                many.push(brought);
                *self = Self::Many(many);
                None
            }
            Self::Many(many) => many.push(brought),
        }
    }

    /// The newest first.
    pub(in crate::tcp) fn iter(&self) -> impl Iterator<Item = &SegmentMeta> {
        let (first, rest) = match self {
            Self::None => (&[][..], &[][..]),
            Self::One(brought) => (std::slice::from_ref(brought), &[][..]),
            Self::Many(many) => many.queue.as_slices(),
        };
        first.iter().chain(rest).rev()
    }

    /// Bytes that are lent.
    #[inline]
    pub(in crate::tcp) fn lent(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(brought) => brought.lends(),
            Self::Many(many) => many.lent,
        }
    }

    /// Has those bytes copied. They are of the last segments.
    pub(in crate::tcp) fn copy_lent(&mut self, block: &[u8], mut copy: impl FnMut(&[u8])) {
        let mut each = |brought: &mut SegmentMeta| {
            copy(brought.lent_bytes(block));
            brought.was_copied(block);
        };
        match self {
            Self::None => {}
            Self::One(brought) => each(brought),
            Self::Many(many) => {
                let first = many.queue.partition_point(|brought| brought.lends() == 0);
                many.queue.range_mut(first..).for_each(each);
                many.lent = 0;
            }
        }
    }

    /// Accounted bytes beyond those of one.
    pub(in crate::tcp) fn held(&self) -> usize {
        match self {
            Self::Many(many) if many.queue.len() > 1 => held_by_many(many.queue.len()),
            _ => 0,
        }
    }

    /// Bytes they take at most beyond those of one, used or not.
    pub(in crate::tcp) fn resident(&self) -> usize {
        if matches!(self, Self::Many(_)) { held_by_many(SEGMENTS_MAX) } else { 0 }
    }

    /// Leaves nothing but their memory.
    pub(in crate::tcp) fn clear(&mut self) {
        match self {
            Self::None | Self::One(_) => *self = Self::None,
            Self::Many(many) => {
                many.queue.clear();
                many.lent = 0;
            }
        }
    }
}

impl Many {
    #[inline(always)]
    fn push(&mut self, brought: SegmentMeta) -> Option<SegmentMeta> {
        let oldest = if self.queue.len() == SEGMENTS_MAX { self.queue.pop_front() } else { None };
        if let Some(oldest) = &oldest {
            self.lent -= oldest.lends();
        }
        grow(&mut self.queue, 1);
        self.lent += brought.lends();
        self.queue.push_back(brought);
        oldest
    }
}

fn held_by_many(places: usize) -> usize {
    size_of::<Many>() + places * size_of::<SegmentMeta>()
}

/// Room for more, by a quarter and not twofold: many that grow in step must not take twice what is accounted for them.
pub(in crate::tcp) fn grow<T>(queue: &mut VecDeque<T>, more: usize) {
    if queue.capacity() - queue.len() < more {
        queue.reserve_exact(more.max(queue.len() / 4));
    }
}
