//! A seeded bad network: perturbations of a capture, as functions from frames to frames.
//!
//! Every kind except [`Perturbation::Drop`] is lossless: a sniffer must give the same messages in
//! the same order on each connection, apart from time stamps, frame numbers and connection ids.
//! Each kind states what this needs. The promise holds for captures without gaps that contain the
//! beginning of each connection: after a gap the start of a segment decides what is read, and in
//! mid-stream the first segment does. The network never changes frames that it does not understand:
//! fragments, tunnelled packets, and, unless a kind says otherwise, frames that a snapshot length
//! cut.
//!
//! The same frames, seed and kinds give the same capture on every machine. Put the seed in every
//! failure message. Next: `dissect` (which frames it understands), `order`, `segments`, `packets`.

mod dissect;
mod order;
mod packets;
mod segments;

use sniffer_packet::frame::{OwnedFrame, renumber};

use super::rng::Rng;
use super::wire::Wrap;

/// One kind of perturbation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Perturbation {
    /// Moves frames up to `window` places later.
    ///
    /// A frame passes only frames of its own direction and of other connections. It never passes a
    /// frame of the other direction of its connection (an answer stays after its question), a SYN
    /// or RST of its connection, or a frame that is not understood. SYN, RST and such frames do not
    /// move. Times stay with the places.
    Reorder {
        /// Most places a frame moves.
        window: usize,
    },
    /// Moves bare acknowledgements before up to two frames of the other direction, within 5 ms:
    /// like a tap that captures the directions separately and shows an acknowledgement before its
    /// data. Each direction keeps its order. Policy 5 allows three packets or 10 ms for it.
    ReorderAcks,
    /// Copies frames up to `window` places later: retransmissions, mirror ports. A copy never
    /// passes a SYN or RST of its connection, and the copy of a SYN or RST comes directly after it.
    Duplicate {
        /// Share of the frames, 0 to 1.
        share: f64,
        /// Most places between frame and copy.
        window: usize,
    },
    /// Resegments each direction: splits segments and merges neighbours. Only in runs of contiguous
    /// data without other frames of the connection in between; urgent data and cut frames stay.
    Resegment,
    /// Splits segments into IP fragments; a third of the datagrams in reverse order.
    Fragment {
        /// Share of the segments, 0 to 1.
        share: f64,
    },
    /// Shifts each direction's sequence numbers, with acknowledgements and SACK, so that they wrap
    /// within its first 3000 bytes. Cut frames too; not between hosts that sent fragments.
    Wrap,
    /// Puts layers around every IP packet, outermost first. A packet that one of them cannot carry
    /// stays as it is. Cut frames too. Lossless within the limits of the decoder: it opens few
    /// tunnels inside each other, and Teredo only around Teredo addresses (2001::/32).
    Tunnel(Vec<Wrap>),
    /// Removes frames with this probability. The only kind that is not lossless.
    Drop(f64),
}

impl Perturbation {
    /// Returns whether the same messages must come out.
    pub const fn is_lossless(&self) -> bool {
        !matches!(self, Self::Drop(_))
    }

    fn apply(&self, frames: Vec<OwnedFrame>, rng: &mut Rng) -> Vec<OwnedFrame> {
        match self {
            Self::Reorder { window } => order::reorder(frames, *window, rng),
            Self::ReorderAcks => order::reorder_acks(frames, rng),
            Self::Duplicate { share, window } => order::duplicate(frames, *share, *window, rng),
            Self::Resegment => segments::resegment(frames, rng),
            Self::Fragment { share } => packets::fragment(frames, *share, rng),
            Self::Wrap => packets::wrap(frames, rng),
            Self::Tunnel(wraps) => packets::tunnel(frames, wraps),
            Self::Drop(share) => frames.into_iter().filter(|_| !rng.chance(*share)).collect(),
        }
    }
}

/// Applies these kinds to a capture, in this order, and renumbers the frames.
pub fn perturb(frames: Vec<OwnedFrame>, seed: u64, kinds: &[Perturbation]) -> Vec<OwnedFrame> {
    let mut seeds = Rng::new(seed);
    let mut frames = frames;
    for kind in kinds {
        // One generator each, so that leaving out a kind does not change the others.
        frames = kind.apply(frames, &mut Rng::new(seeds.next_u64()));
    }
    renumber(&mut frames);
    frames
}

#[cfg(test)]
mod tests;
