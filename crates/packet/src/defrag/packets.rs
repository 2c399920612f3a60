//! Every packet in a frame: what the frame holds, and what the datagrams hold that its fragments
//! complete.
//!
//! ```text
//! frame ──decode──▶ segment | datagram | nothing ─────────────▶ each
//!                   fragment ─────────────────────────────────▶ each
//!                      │
//!                   Defrag::push ──whole──▶ decode_datagram ──▶ each  (one tunnel further in)
//! ```
//!
//! Next: [`crate::intake`], which turns packets into steps.

use super::{Defrag, FragmentOutcome, WholeDatagram};
use crate::decode::{Decoded, decode_datagram, decode_each};
use crate::frame::{Frame, Stamp};
use crate::segment::Fragment;
use crate::time::Timestamp;

/// One packet of a frame.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Packet<'p, 'a> {
    /// The decoded packet.
    pub decoded: &'p Decoded<'a>,
    /// The reassembled datagram that it lies in; `None` where it lies in the frame itself.
    pub datagram: Option<&'p WholeDatagram>,
}

impl Defrag {
    /// Decodes a frame and hands each packet of it on, in order, fragments included.
    ///
    /// A fragment that completes a datagram is followed by the packet in that datagram. This can be
    /// a fragment of another datagram, one tunnel further in.
    ///
    /// `now` is the engine's time and never goes back.
    pub fn packets(&mut self, frame: &Frame<'_>, now: Timestamp, mut each: impl FnMut(Packet<'_, '_>)) {
        decode_each(frame, |decoded| {
            each(Packet { decoded, datagram: None });
            if let Decoded::Fragment(fragment) = decoded {
                self.packets_of(fragment, now, frame.stamp(), |decoded, datagram| {
                    each(Packet { decoded, datagram: Some(datagram) });
                });
            }
        });
    }

    /// Hands on the packets in the datagrams that a fragment completes, one inside the other, each
    /// with its datagram.
    pub(crate) fn packets_of(
        &mut self,
        fragment: &Fragment<'_>,
        now: Timestamp,
        stamp: Stamp,
        mut each: impl FnMut(&Decoded<'_>, &WholeDatagram),
    ) {
        let mut outcome = self.push(fragment, now, stamp);
        while let FragmentOutcome::Whole(datagram) = outcome {
            let decoded = decode_datagram(&datagram.facts, &datagram.bytes);
            each(&decoded, &datagram);
            let Decoded::Fragment(fragment) = decoded else { return };
            outcome = self.push(&fragment, now, datagram.first);
        }
    }
}
