//! Steps for one shard, so that they can cross to its thread.
//!
//! A plain frame is decoded when it is worked on; any other segment is taken as the intake gave it. Their bytes stay where they were
//! read, where that can be shared. Next: [`super::worker`], which unpacks.

use prefetch_index::prefetch_index;
use sniffer_packet::block::Block;
use sniffer_packet::decode::{Decoded, decode};
use sniffer_packet::defrag::Overlap;
use sniffer_packet::frame::{Frame, LinkType, Stamp};
use sniffer_packet::intake::{Now, Step};
use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::{Checksum, Flags, Segment, TcpOptions};
use sniffer_packet::seq::SeqNumber;
use sniffer_packet::time::Seconds;

/// Segments ahead of the one that is worked on whose bytes are asked for: another core has read them, and every line of them was
/// waited for. With it two threads took 1 to 4 % less, 8 % where much is not HTTP; the same with 1 and 3, and with 4 and 16 lines.
const AHEAD: usize = 2;

/// Lines of a segment that are asked for, and their bytes.
const LINES: usize = 8;
const LINE: usize = 64;

/// Steps in order, and the bytes of their segments.
#[derive(Debug, Default)]
pub(super) struct StepBatch {
    items: Vec<Item>,
    segments: Vec<Packed>,
    /// What they lie in that were not copied.
    blocks: Vec<Block>,
    /// Those that were.
    bytes: Vec<u8>,
    payload: usize,
}

/// A line of a cache, because it is written by one core and read by another.
#[derive(Debug)]
enum Item {
    Tick(Seconds, Now),
    /// A plain frame.
    Frame {
        moment: Now,
        link: LinkType,
        wire_len: u32,
        place: Place,
    },
    /// Which of the segments.
    Segment(u32, Now, Place),
}

/// Where bytes are.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Which of the blocks; copied bytes when there is none of this number.
    block: u32,
    start: u32,
    length: u32,
}

/// A segment, but for its bytes: the whole of it where a checksum can be verified, else its payload.
#[derive(Debug)]
struct Packed {
    src: Endpoint,
    dst: Endpoint,
    seq: SeqNumber,
    ack: SeqNumber,
    flags: Flags,
    window: u16,
    options: TcpOptions,
    payload: u32,
    cut: u32,
    ttl: u8,
    stamp: Stamp,
    overlap: Overlap,
    fragment_frames: Vec<u64>,
}

impl StepBatch {
    pub(super) fn tick(&mut self, passed: Seconds, moment: &Now) {
        self.items.push(Item::Tick(passed, *moment));
    }

    /// Adds a plain frame, whose bytes may lie in a block that will be [shared](Self::share), the one of this number. Says how many
    /// bytes cross with it.
    #[inline(always)]
    pub(super) fn frame(
        &mut self,
        frame: &Frame<'_>,
        payload: usize,
        moment: Now,
        block: Option<(usize, &Block)>,
    ) -> usize {
        let place = self.place(frame.bytes, block);
        self.payload += payload;
        self.items.push(Item::Frame { moment, link: frame.link, wire_len: frame.wire_len, place });
        frame.bytes.len() + size_of::<Item>()
    }

    /// Adds any other segment, as [`Self::frame`] does.
    pub(super) fn segment(
        &mut self,
        segment: &Segment<'_>,
        (stamp, fragment_frames): (Stamp, &[u64]),
        overlap: Overlap,
        moment: &Now,
        block: Option<(usize, &Block)>,
    ) -> usize {
        let bytes = match segment.checksum {
            Checksum::Of(whole) => whole,
            Checksum::Unknown => segment.payload,
        };
        let place = self.place(bytes, block);
        self.payload += segment.payload.len();
        self.items.push(Item::Segment(self.segments.len() as u32, *moment, place));
        self.segments.push(Packed {
            src: segment.src,
            dst: segment.dst,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            window: segment.window,
            options: segment.options,
            payload: segment.payload.len() as u32,
            cut: segment.cut,
            ttl: segment.ttl,
            stamp,
            overlap,
            fragment_frames: fragment_frames.to_vec(),
        });
        bytes.len() + size_of::<Item>() + size_of::<Packed>()
    }

    /// What the bytes lie in that were not copied.
    pub(super) fn share(&mut self, blocks: &[Block]) {
        self.blocks.extend_from_slice(blocks);
    }

    /// Where bytes are found again: in the block, when they lie in it.
    #[inline(always)]
    fn place(&mut self, bytes: &[u8], block: Option<(usize, &Block)>) -> Place {
        let length = bytes.len() as u32; // a frame has at most 16 MiB
        if let Some((number, block)) = block
            && let Some(start) = block.position(bytes)
        {
            return Place { block: number as u32, start: start as u32, length };
        }
        let start = self.bytes.len() as u32; // a batch is sent before it has many of the longest frames
        self.bytes.extend_from_slice(bytes);
        Place { block: u32::MAX, start, length }
    }

    /// Every step, as the intake gave it or would have.
    pub(super) fn each(&self, mut to: impl FnMut(Step<'_, '_>, &Now)) {
        for (at, item) in self.items.iter().enumerate() {
            if let Some(Item::Frame { place, .. } | Item::Segment(_, _, place)) = self.items.get(at + AHEAD) {
                let (_, bytes) = self.bytes_of(*place);
                (0..bytes.len()).step_by(LINE).take(LINES).for_each(|line| prefetch_index(bytes, line));
            }
            match item {
                Item::Tick(passed, moment) => to(Step::Tick(*passed), moment),
                Item::Frame { moment, link, wire_len, place } => {
                    let (block, bytes) = self.bytes_of(*place);
                    let Stamp { number, time, precision } = moment.frame;
                    let frame = Frame::new(number, time, *link, bytes).with_wire_len(*wire_len);
                    // By reference: moved, it was read back in wide words where it was just written in narrow ones, and two threads
                    // waited for that 3 to 5 % of their time.
                    let decoded = decode(&frame.with_precision(precision));
                    let Decoded::Segment(segment) = &decoded else { unreachable!("a peek at it saw a segment") };
                    to(
                        Step::Segment {
                            segment,
                            stamp: moment.frame,
                            overlap: Overlap::None,
                            fragment_frames: &[],
                            block,
                        },
                        moment,
                    );
                }
                Item::Segment(number, moment, place) => {
                    let (block, bytes) = self.bytes_of(*place);
                    let packed = &self.segments[*number as usize];
                    let Packed { stamp, overlap, fragment_frames, .. } = packed;
                    let segment = &packed.segment(bytes);
                    to(Step::Segment { segment, stamp: *stamp, overlap: *overlap, fragment_frames, block }, moment);
                }
            }
        }
    }

    /// What a segment or frame lies in, where that was not copied, and its bytes.
    #[inline(always)]
    fn bytes_of(&self, place: Place) -> (Option<&Block>, &[u8]) {
        let block = self.blocks.get(place.block as usize);
        let all = block.map_or(self.bytes.as_slice(), |block| block);
        (block, &all[place.start as usize..][..place.length as usize])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What its segments can add to the accounts, besides doubling what was held before: see [`super::estimate`].
    pub(super) fn cost(&self) -> usize {
        super::estimate::cost(self.payload, self.items.len())
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.segments.clear();
        self.blocks.clear();
        self.bytes.clear();
        self.payload = 0;
    }
}

impl Packed {
    fn segment<'a>(&self, bytes: &'a [u8]) -> Segment<'a> {
        let payload = &bytes[bytes.len() - self.payload as usize..];
        Segment {
            src: self.src,
            dst: self.dst,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            options: self.options,
            payload,
            cut: self.cut,
            ttl: self.ttl,
            // With its header it is longer than its payload.
            checksum: if bytes.len() > payload.len() { Checksum::Of(bytes) } else { Checksum::Unknown },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_crosses_for_a_plain_frame_is_a_line_of_a_cache() {
        assert_eq!(size_of::<Item>(), LINE);
    }
}
