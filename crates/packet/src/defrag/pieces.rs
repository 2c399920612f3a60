//! The pieces of one datagram: RFC 815 turned around, a sorted list of the pieces instead of the
//! holes.
//!
//! The list is as long as there are fragments; there is no buffer of the length that an attacker
//! claims. It knows neither limits nor time. Next: [`super::Defrag`].

use super::{Discarded, Overlap};
use crate::segment::Fragment;

/// Cost of one piece without its bytes: the struct, and the header and rounding of its allocation.
const PIECE_COST: usize = size_of::<Piece>() + 16;

/// The pieces of a datagram that have come.
///
/// Invariants: pieces are sorted and disjoint; each ends at or before `end`; `claimed` and
/// `captured` are the sums over them.
#[derive(Debug, Default)]
pub(super) struct FragmentPieces {
    list: Vec<Piece>,
    /// Length of the datagram's payload, once its last fragment has come.
    end: Option<u32>,
    /// Bytes of the pieces on the wire.
    claimed: u32,
    /// Bytes of the pieces that were captured.
    captured: usize,
}

/// One piece. `bytes.len() <= len`: a snapshot length cut the rest.
#[derive(Debug)]
struct Piece {
    offset: u32,
    len: u32,
    bytes: Vec<u8>,
}

/// The outcome of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceInserted {
    /// There are still holes.
    Waiting,
    /// The datagram is complete.
    Whole,
    /// The fragment brought nothing new, or was refused.
    Refused(Discarded),
}

impl Piece {
    fn stop(&self) -> u32 {
        self.offset + self.len
    }

    /// The captured bytes that lie in `from..to`.
    fn captured(&self, from: u32, to: u32) -> &[u8] {
        captured_part(&self.bytes, self.offset, from, to)
    }
}

impl FragmentPieces {
    /// Inserts a fragment, and raises `overlap` if it repeats bytes. `fragment.offset` plus its
    /// length is below 2¹⁶.
    pub(super) fn insert(&mut self, fragment: &Fragment<'_>, overlap: &mut Overlap) -> PieceInserted {
        let start = fragment.offset;
        let captured = u32::try_from(fragment.bytes.len()).unwrap_or(u32::MAX);
        let stop = start.saturating_add(captured).saturating_add(fragment.cut);
        let highest = self.list.last().map_or(0, Piece::stop);
        let contradicts = match self.end {
            Some(end) => stop > end || (!fragment.more && stop != end),
            None => !fragment.more && highest > stop,
        };
        if contradicts {
            *overlap = Overlap::Conflicting;
            return PieceInserted::Refused(Discarded::Contradictory);
        }
        let at = self.list.partition_point(|piece| piece.stop() <= start);
        let touched = self.list.get(at).filter(|piece| piece.offset < stop);
        let refused = match touched {
            None => {
                self.fill(at, fragment, start, stop);
                None
            }
            Some(piece) => {
                let same_place = piece.offset == start && piece.stop() == stop;
                let same_bytes = agree(piece.captured(start, stop), fragment.bytes);
                let same_end = fragment.more == (self.end != Some(stop));
                if same_place && same_bytes && same_end {
                    // A copy of the whole fragment: a bridge, a retransmission below IP, a capture
                    // on `any`. RFC 8200 §4.5 lets it pass in IPv6 too.
                    Some(Discarded::Duplicate)
                } else if fragment.src.is_ipv6() {
                    return PieceInserted::Refused(Discarded::Overlapping);
                } else {
                    self.fill_holes(at, fragment, start..stop, overlap)
                }
            }
        };
        if !fragment.more {
            self.end = Some(stop);
        }
        if self.end == Some(self.claimed) {
            return PieceInserted::Whole;
        }
        refused.map_or(PieceInserted::Waiting, PieceInserted::Refused)
    }

    /// Returns whether the piece with the datagram's first byte has come.
    pub(super) fn has_start(&self) -> bool {
        self.list.first().is_some_and(|piece| piece.offset == 0)
    }

    /// Number of captured bytes held.
    pub(super) fn captured_bytes(&self) -> usize {
        self.captured
    }

    /// Accounted memory in bytes.
    pub(super) fn cost(&self) -> usize {
        self.captured + self.list.len() * PIECE_COST
    }

    /// Returns the payload up to the first byte that was not captured, and the number of bytes from
    /// there on.
    pub(super) fn join(self) -> (Vec<u8>, u32) {
        let mut bytes = Vec::with_capacity(self.captured);
        for piece in &self.list {
            bytes.extend_from_slice(&piece.bytes);
            if piece.captured(piece.offset, piece.stop()).len() < usize::try_from(piece.len).unwrap_or(usize::MAX) {
                break;
            }
        }
        let have = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        (bytes, self.claimed.saturating_sub(have))
    }

    /// IPv4: keeps the pieces, and takes from the fragment only what fills holes. Returns a reason
    /// if it fills none.
    ///
    /// ```text
    /// pieces    ▓▓▓▓▓▓▓▓        ▓▓▓▓
    /// fragment      xxxxyyyyyyyyxxxxyyyy     x is compared, y is taken
    /// ```
    fn fill_holes(
        &mut self,
        mut at: usize,
        fragment: &Fragment<'_>,
        range: std::ops::Range<u32>,
        overlap: &mut Overlap,
    ) -> Option<Discarded> {
        let mut refused = Some(Discarded::Duplicate);
        let mut next = range.start;
        while next < range.end {
            match self.list.get(at) {
                Some(piece) if piece.offset <= next => {
                    let to = piece.stop().min(range.end);
                    let new = captured_part(fragment.bytes, range.start, next, to);
                    let same = agree(piece.captured(next, to), new);
                    *overlap = (*overlap).max(if same { Overlap::Consistent } else { Overlap::Conflicting });
                    next = to;
                }
                other => {
                    let to = other.map_or(range.end, |piece| piece.offset.min(range.end));
                    self.fill(at, fragment, next, to);
                    refused = None;
                    next = to;
                }
            }
            at += 1;
        }
        refused
    }

    /// Inserts the fragment's bytes in `from..to`, which is a hole, as piece number `at`.
    fn fill(&mut self, at: usize, fragment: &Fragment<'_>, from: u32, to: u32) {
        let bytes = captured_part(fragment.bytes, fragment.offset, from, to).to_vec();
        self.claimed += to - from;
        self.captured += bytes.len();
        self.list.insert(at, Piece { offset: from, len: to - from, bytes });
    }
}

/// The part of `bytes`, which start at `offset`, that lies in `from..to`; shorter if they were cut.
/// `offset <= from <= to`.
fn captured_part(bytes: &[u8], offset: u32, from: u32, to: u32) -> &[u8] {
    let index = |at: u32| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(index(from)..index(to)).unwrap_or_default()
}

/// Returns whether two captures of the same range agree, up to the end of the shorter one.
fn agree(one: &[u8], other: &[u8]) -> bool {
    let both = one.len().min(other.len());
    one.get(..both) == other.get(..both)
}
