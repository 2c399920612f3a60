//! A batch of steps for one shard, which can cross to another thread.
//!
//! A plain frame crosses undecoded; any other segment crosses as the intake decoded it. Their bytes
//! stay in the input block if it can be shared. Next: [`super::worker`], which unpacks a batch.

use prefetch_index::prefetch_index;
use sniffer_engine::budget::growth_max;
use sniffer_packet::block::Block;
use sniffer_packet::decode::{Decoded, decode};
use sniffer_packet::defrag::Overlap;
use sniffer_packet::frame::{Frame, LinkType, Stamp};
use sniffer_packet::intake::{Now, Step};
use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::{Checksum, Flags, Segment, TcpOptions};
use sniffer_packet::seq::SeqNumber;
use sniffer_packet::time::Seconds;

/// Number of segments ahead whose bytes are prefetched: another core has read them, so each cache
/// line of them would be a miss. hot: see NOTES#prefetch
const AHEAD: usize = 2;

/// Cache lines of a segment that are prefetched.
const LINES: usize = 8;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Steps in order, and the bytes of their segments.
#[derive(Debug, Default)]
pub(super) struct StepBatch {
    items: Vec<Item>,
    segments: Vec<Packed>,
    /// Blocks that hold the bytes which were not copied.
    blocks: Vec<Block>,
    /// Bytes that were copied.
    bytes: Vec<u8>,
    payload: usize,
}

/// One step. It has the size of a cache line, because one core writes it and another reads it.
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
    /// Any other segment, by its index in `segments`.
    Segment(u32, Now, Place),
}

/// The place of a frame's or segment's bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Index of the block; the bytes were copied if there is no such block.
    block: u32,
    start: u32,
    length: u32,
}

/// A segment without its bytes. They are the whole segment if its checksum can be verified, else
/// its payload.
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
    /// Adds a passing of time. Returns how many bytes cross with it.
    pub(super) fn tick(&mut self, passed: Seconds, moment: &Now) -> usize {
        self.items.push(Item::Tick(passed, *moment));
        size_of::<Item>()
    }

    /// Adds a plain frame. Its bytes may lie in the block of this number, which will be
    /// [shared](Self::share). Returns how many bytes cross with it.
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

    /// Adds any other segment. Returns how many bytes cross with it.
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

    /// Shares the blocks that hold the bytes which were not copied.
    pub(super) fn share(&mut self, blocks: &[Block]) {
        self.blocks.extend_from_slice(blocks);
    }

    /// Returns the place of the bytes: in the block if they lie in it, else copied.
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

    /// Calls `to` with every step, as the intake gave it or would have given it.
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
                    // By reference: moving it would stall on store forwarding. hot: see NOTES#steps
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

    /// Returns the bytes at a place, and their block if they were not copied.
    #[inline(always)]
    fn bytes_of(&self, place: Place) -> (Option<&Block>, &[u8]) {
        let block = self.blocks.get(place.block as usize);
        let all = block.map_or(self.bytes.as_slice(), |block| block);
        (block, &all[place.start as usize..][..place.length as usize])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the most that its steps can add to the accounts: see [`super::estimate`].
    pub(super) fn cost(&self) -> usize {
        growth_max(self.payload, self.items.len())
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
            // Bytes with a header are longer than the payload.
            checksum: if bytes.len() > payload.len() { Checksum::Of(bytes) } else { Checksum::Unknown },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_frame_crosses_as_one_cache_line() {
        assert_eq!(size_of::<Item>(), LINE);
    }
}
