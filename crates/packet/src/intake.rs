//! The first half of an engine: turns frames into steps for the connections, in order.
//!
//! It owns the clock and the waiting fragments, which belong to no connection. One engine can take
//! the steps, or several shards, each with connections of its own. For shards it need not decode a
//! frame that a peek can assign ([`Intake::share`]).

use crate::block::Block;
use crate::clock::Clock;
use crate::datagram::Datagram;
use crate::decode::{self, Decoded, Layer, Peek, Skipped};
use crate::defrag::{Defrag, DefragLimits, FragmentFrames, Overlap, Packet, WholeDatagram};
use crate::fate::FrameFate;
use crate::frame::{Frame, Stamp};
use crate::segment::Segment;
use crate::time::{Seconds, Timestamp};

/// One thing that the connections have to take.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "the engine must take every step")]
pub enum Step<'s, 'a> {
    /// The fate of a frame, to be counted. Comes once a frame, before its segments.
    Frame(FrameFate),
    /// The clock passed whole seconds before the frame: every connection checks its time-outs.
    Tick(Seconds),
    /// A segment, for the connection that it belongs to.
    Segment {
        /// The segment.
        segment: &'s Segment<'a>,
        /// The frame that carried its first byte.
        stamp: Stamp,
        /// Overlap among the fragments of its datagram.
        overlap: Overlap,
        /// The frames that carried its datagram, if frames are tracked and there were several.
        fragment_frames: &'s [u64],
        /// The shared block that its bytes lie in, if there is one.
        block: Option<&'s Block>,
    },
    /// A UDP datagram that is not a tunnel.
    Datagram {
        /// The datagram.
        datagram: &'s Datagram<'a>,
        /// The frame that carried its first byte.
        stamp: Stamp,
    },
}

/// The moment at which a step happens.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "three facts about a moment; no invariant")]
pub struct Now {
    /// The frame that is being pushed; for time that passes before it, the previous one.
    pub frame: Stamp,
    /// The engine's clock.
    pub now: Timestamp,
    /// Number of segments handed on so far. It orders the activity of connections.
    pub segment_number: u64,
}

/// Options of an [`Intake`].
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "built from the engine's configuration; no invariant")]
pub struct PacketConfig {
    /// Limits on waiting IP fragments.
    pub defrag: DefragLimits,
    /// Key of the hash maps whose keys come from the wire.
    pub hash_key: [u64; 4],
    /// Remember which frames carried the fragments of a datagram.
    pub track_frames: bool,
}

/// The stage that turns frames into steps.
#[derive(Debug)]
pub struct Intake {
    clock: Clock,
    defrag: Defrag,
    /// `None` if frames are not tracked.
    fragment_frames: Option<FragmentFrames>,
    moment: Now,
}

impl Intake {
    /// Makes an intake that has seen no frame.
    pub fn new(config: &PacketConfig) -> Self {
        Self {
            clock: Clock::default(),
            defrag: Defrag::new(config.defrag, config.hash_key),
            fragment_frames: config.track_frames.then(|| FragmentFrames::new(config.hash_key)),
            moment: Now::default(),
        }
    }

    /// Takes the next frame and hands on its steps.
    #[inline]
    pub fn push(&mut self, frame: &Frame<'_>, mut to: impl FnMut(Step<'_, '_>, &Now)) {
        self.arrive(frame, &mut to);
        self.open(frame, to);
    }

    /// Like [`Self::push`], but peeks at a plain frame and leaves its decoding to the shard that
    /// owns the connection. Returns the peek and the moment of the segment.
    ///
    /// The thread that shares frames out needs nothing else that decoding finds.
    #[inline(always)] // hot: see NOTES#intake
    pub fn share(&mut self, frame: &Frame<'_>, mut to: impl FnMut(Step<'_, '_>, &Now)) -> Option<(Peek, Now)> {
        let now = self.arrive(frame, &mut to);
        let Some(peek) = decode::peek(frame) else {
            self.open(frame, to);
            return None;
        };
        to(Step::Frame(FrameFate::Tcp), &self.moment);
        self.moment.segment_number += 1;
        // Built from registers: reading `self.moment` back stalls on store forwarding
        // (NOTES#intake).
        Some((peek, Now { frame: frame.stamp(), now, segment_number: self.moment.segment_number }))
    }

    /// Moves the clock to the frame and returns it.
    #[inline(always)] // hot: see NOTES#intake
    fn arrive(&mut self, frame: &Frame<'_>, to: &mut impl FnMut(Step<'_, '_>, &Now)) -> Timestamp {
        let reading = self.clock.read(frame.time);
        if let Some(passed) = reading.passed {
            self.tick(passed, to);
        }
        self.moment.now = reading.now;
        self.moment.frame = frame.stamp();
        reading.now
    }

    /// Decodes a frame and hands on its fate, then what is in it.
    #[inline(always)] // hot: see NOTES#intake
    fn open(&mut self, frame: &Frame<'_>, mut to: impl FnMut(Step<'_, '_>, &Now)) {
        let Self { defrag, fragment_frames, moment, .. } = self;
        let mut counted = false;
        defrag.packets(
            frame,
            moment.now,
            #[inline(always)]
            |Packet { decoded, datagram, .. }| {
                if let Some(datagram) = datagram {
                    return reassembled(decoded, datagram, fragment_frames.as_mut(), moment, &mut to);
                }
                // A frame is counted once, by the first packet in it.
                if !std::mem::replace(&mut counted, true) {
                    to(Step::Frame(frame_fate(decoded)), moment);
                }
                let stamp = frame.stamp();
                match decoded {
                    Decoded::Segment(segment) => {
                        moment.segment_number += 1;
                        let block = frame.block;
                        to(
                            Step::Segment { segment, stamp, overlap: Overlap::None, fragment_frames: &[], block },
                            moment,
                        );
                    }
                    Decoded::Datagram(datagram) => to(Step::Datagram { datagram, stamp }, moment),
                    Decoded::Fragment(_) | Decoded::Skipped(_) => {}
                }
            },
        );
    }

    /// Lets time pass without a frame.
    pub fn advance(&mut self, now: Timestamp, mut to: impl FnMut(Step<'_, '_>, &Now)) {
        if let Some(passed) = self.clock.advance(now) {
            self.tick(passed, &mut to);
        }
    }

    /// Ends the capture: drops all waiting fragments. Returns the last moment.
    pub fn finish(&mut self) -> Now {
        self.defrag.finish();
        self.moment
    }

    /// The current moment.
    pub const fn moment(&self) -> Now {
        self.moment
    }

    /// Accounted bytes held in waiting fragments.
    pub fn held(&self) -> usize {
        self.defrag.held_bytes()
    }

    fn tick(&mut self, passed: Seconds, to: &mut impl FnMut(Step<'_, '_>, &Now)) {
        self.moment.now = Timestamp::new(passed.last, 0);
        self.defrag.clear_expired(self.moment.now);
        to(Step::Tick(passed), &self.moment);
    }
}

/// Hands on what is in a reassembled datagram.
fn reassembled(
    decoded: &Decoded<'_>,
    datagram: &WholeDatagram,
    mut fragment_frames: Option<&mut FragmentFrames>,
    moment: &mut Now,
    to: &mut impl FnMut(Step<'_, '_>, &Now),
) {
    if let Some(fragment_frames) = &mut fragment_frames {
        fragment_frames.remember(datagram);
    }
    let (stamp, overlap) = (datagram.first, datagram.overlap);
    match decoded {
        Decoded::Segment(segment) => {
            moment.segment_number += 1;
            let fragment_frames = fragment_frames.map_or(&[][..], |frames| frames.of(stamp.number));
            to(Step::Segment { segment, stamp, overlap, fragment_frames, block: None }, moment);
        }
        Decoded::Datagram(datagram) => to(Step::Datagram { datagram, stamp }, moment),
        Decoded::Fragment(_) | Decoded::Skipped(_) => {}
    }
}

const fn frame_fate(decoded: &Decoded<'_>) -> FrameFate {
    match decoded {
        Decoded::Segment(_) => FrameFate::Tcp,
        Decoded::Datagram(_) => FrameFate::NotTcp,
        Decoded::Fragment(_) => FrameFate::Fragment,
        Decoded::Skipped(why) => match why {
            Skipped::NotTcp => FrameFate::NotTcp,
            Skipped::UnknownLinkType => FrameFate::UnknownLinkType,
            Skipped::TooDeep => FrameFate::TooDeep,
            Skipped::Malformed(layer) => match layer {
                Layer::Link => FrameFate::MalformedLink,
                Layer::Tunnel => FrameFate::MalformedTunnel,
                Layer::Ip => FrameFate::MalformedIp,
                Layer::Tcp => FrameFate::MalformedTcp,
            },
        },
    }
}
