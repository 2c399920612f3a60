//! A bad network, seeded: what may happen to a capture on its way, as functions from frames to frames.
//!
//! Every kind but [`Perturbation::Drop`] is lossless: the same conversations, so a sniffer must give the same messages in the
//! same order on each connection (time stamps, frame numbers and connection ids aside). What that promise needs is
//! stated at each kind; it is meant for captures in which nothing is missing and that begin where their connections do:
//! behind a hole, where a segment begins decides what is read, and at a start in mid-stream, what comes first. The
//! network never touches what it does not understand: fragments, tunnelled packets, frames that a snapshot length cut
//! (except where said).
//!
//! The same frames, seed and kinds give the same capture on every machine. Put the seed in every failure message.
//! Next: `dissect` (what is understood), `order`, `segments`, `packets`.

mod dissect;
mod order;
mod packets;
mod segments;

use sniffer_packet::frame::{OwnedFrame, renumber};

use super::rng::Rng;
use super::wire::Wrap;

/// What a bad network does.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Perturbation {
    /// Moves frames up to `window` places later.
    ///
    /// A frame passes frames of its own direction and of other connections only: never a frame of the other direction of its
    /// connection (an answer does not come before what it answers), never a SYN or RST of its connection, never a frame
    /// that is not understood. SYN, RST and such frames do not move. Times stay with the places.
    Reorder {
        /// Most places a frame moves.
        window: usize,
    },
    /// Moves bare acknowledgements before up to two frames of the other direction, within 5 ms: a tap that captures the two
    /// directions apart and so shows an acknowledgement before what it acknowledges. Each direction keeps its order. Policy
    /// 5 allows three packets or 10 ms for it.
    ReorderAcks,
    /// Copies frames up to `window` places later: retransmissions, mirror ports. A copy never passes a SYN or RST of its
    /// connection, and a SYN's or RST's copy stands directly behind it.
    Duplicate {
        /// How many of the frames, 0 to 1.
        share: f64,
        /// Most places between frame and copy.
        window: usize,
    },
    /// Cuts the payload of each direction anew: segments are split, and neighbours merged. Only runs of contiguous data
    /// with nothing of the same connection in between; urgent data and cut frames are left alone.
    Resegment,
    /// Splits segments into IP fragments; a third of the datagrams in reverse order.
    Fragment {
        /// How many of the segments, 0 to 1.
        share: f64,
    },
    /// Shifts each direction's sequence numbers, and everything that refers to them (acknowledgements, SACK), so that they
    /// wrap within its first 3000 bytes. Cut frames too; not between hosts that sent fragments.
    Wrap,
    /// Puts layers around every IP packet, outermost first. A packet that one of them cannot carry stays as it is. Cut frames
    /// too. Lossless as far as the
    /// decoder goes: it may open few tunnels inside each other, and Teredo only around Teredo addresses (2001::/32).
    Tunnel(Vec<Wrap>),
    /// Takes frames out of the capture with this probability. The one that is not lossless.
    Drop(f64),
}

impl Perturbation {
    /// Whether the same messages must come out.
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

/// The capture after a network that does all this, in this order; numbered anew.
pub fn perturb(frames: Vec<OwnedFrame>, seed: u64, kinds: &[Perturbation]) -> Vec<OwnedFrame> {
    let mut seeds = Rng::new(seed);
    let mut frames = frames;
    for kind in kinds {
        // A generator each, so that leaving one kind out does not change what the others do.
        frames = kind.apply(frames, &mut Rng::new(seeds.next_u64()));
    }
    renumber(&mut frames);
    frames
}

#[cfg(test)]
mod tests;
