//! Steps for one shard, so that they can cross to its thread.
//!
//! A plain frame is decoded here, when it is worked on; any other segment is taken as the intake gave it. Their bytes stay where they
//! were read, where that can be shared. Next: [`super::worker`], which unpacks.

use std::net::{IpAddr, Ipv4Addr};

use prefetch_index::prefetch_index;
use sniffer_engine::anomaly::Anomaly;
use sniffer_engine::block::Block;
use sniffer_engine::decode::{Checksum, Decoded, Flags, Glance, Options, Segment, decode};
use sniffer_engine::frame::{Frame, LinkType, Stamp};
use sniffer_engine::intake::{Moment, Step};
use sniffer_engine::key::Endpoint;
use sniffer_engine::seq::SeqNumber;
use sniffer_engine::time::Seconds;

/// Segments ahead of the one that is worked on whose bytes are asked for: another core has read them, and every line of them was
/// waited for. With it two threads took 1 to 4 % less, 8 % where much is not HTTP; the same with 1 and 3, and with 4 and 16 lines.
const AHEAD: usize = 2;

/// Lines of a segment that are asked for, and their bytes.
const LINES: usize = 8;
const LINE: usize = 64;

/// Steps in order, and the bytes of their segments.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    items: Vec<Item>,
    segments: Vec<Packed>,
    /// What they lie in that were not copied.
    blocks: Vec<Block>,
    /// Those that were.
    bytes: Vec<u8>,
    /// Who sent to whom, where that is not IPv4.
    others: Vec<[Endpoint; 2]>,
    payload: usize,
}

/// Small, because it is written by one core and read by another.
#[derive(Debug)]
enum Item {
    Tick(Seconds, Moment),
    /// A plain frame, nobody has decoded it.
    Frame(Moment, Whole, Place),
    /// Which of the segments.
    Segment(u32, Moment, Place),
}

/// What there is to say of a frame besides its moment and its bytes.
#[derive(Debug, Clone, Copy)]
struct Whole {
    link: LinkType,
    wire_len: u32,
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
    ends: Ends,
    options: Options,
    seq: SeqNumber,
    ack: SeqNumber,
    cut: u32,
    payload: u32,
    window: u16,
    flags: Flags,
    ttl: u8,
    fragments: Option<Box<Fragments>>,
}

/// Who sent it, and to whom.
#[derive(Debug, Clone, Copy)]
enum Ends {
    V4 {
        ips: [u32; 2],
        ports: [u16; 2],
    },
    /// Which of the others.
    Other(u32),
}

/// What there is to say of a segment that came in fragments.
#[derive(Debug)]
struct Fragments {
    stamp: Stamp,
    odd: Option<Anomaly>,
    carriers: Vec<u64>,
}

impl Ends {
    #[inline(always)]
    fn new(src: Endpoint, dst: Endpoint, others: &mut Vec<[Endpoint; 2]>) -> Self {
        match (src.ip, dst.ip) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                Self::V4 { ips: [from.to_bits(), to.to_bits()], ports: [src.port, dst.port] }
            }
            _ => {
                others.push([src, dst]);
                Self::Other((others.len() - 1) as u32)
            }
        }
    }

    #[inline(always)]
    fn end(&self, at: usize, others: &[[Endpoint; 2]]) -> Endpoint {
        match self {
            Self::V4 { ips, ports } => Endpoint::new(IpAddr::V4(Ipv4Addr::from_bits(ips[at])), ports[at]),
            Self::Other(other) => others[*other as usize][at],
        }
    }
}

impl Parcel {
    pub(super) fn tick(&mut self, passed: Seconds, moment: &Moment) {
        self.items.push(Item::Tick(passed, *moment));
    }

    /// Adds a segment, whose bytes may lie in a block that will be [shared](Self::share), the one of this number. Says how many bytes
    /// cross with it.
    pub(super) fn segment(
        &mut self,
        segment: &Segment<'_>,
        (stamp, carriers): (Stamp, &[u64]),
        odd: Option<Anomaly>,
        moment: &Moment,
        block: Option<(usize, &Block)>,
    ) -> usize {
        let bytes = match segment.checksum {
            Checksum::Of(whole) => whole,
            Checksum::Unknown => segment.payload,
        };
        let usual = odd.is_none() && carriers.is_empty() && stamp == moment.frame;
        let place = self.place(bytes, block);
        self.payload += segment.payload.len();
        let ends = Ends::new(segment.src, segment.dst, &mut self.others);
        let item = Item::Segment(self.segments.len() as u32, *moment, place);
        self.segments.push(Packed {
            ends,
            options: segment.options,
            seq: segment.seq,
            ack: segment.ack,
            cut: segment.cut,
            payload: segment.payload.len() as u32,
            window: segment.window,
            flags: segment.flags,
            ttl: segment.ttl,
            fragments: (!usual).then(|| Box::new(Fragments { stamp, odd, carriers: carriers.to_vec() })),
        });
        self.items.push(item);
        bytes.len() + size_of::<Item>() + size_of::<Packed>()
    }

    /// Adds a frame with a segment that nobody has decoded, as [`Self::segment`] does.
    #[inline(always)]
    pub(super) fn frame(
        &mut self,
        frame: &Frame<'_>,
        glance: Glance,
        moment: Moment,
        block: Option<(usize, &Block)>,
    ) -> usize {
        let place = self.place(frame.bytes, block);
        self.payload += glance.payload;
        let whole = Whole { link: frame.link, wire_len: frame.wire_len };
        self.items.push(Item::Frame(moment, whole, place));
        frame.bytes.len() + size_of::<Item>()
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
        let start = self.bytes.len() as u32; // a parcel is sent before it has many of the longest frames
        self.bytes.extend_from_slice(bytes);
        Place { block: u32::MAX, start, length }
    }

    /// Every step, as the intake gave it or would have.
    pub(super) fn each(&self, mut to: impl FnMut(Step<'_, '_>, &Moment)) {
        for (at, item) in self.items.iter().enumerate() {
            if let Some(Item::Frame(.., place) | Item::Segment(.., place)) = self.items.get(at + AHEAD) {
                let (_, bytes) = self.bytes_of(*place);
                (0..bytes.len()).step_by(LINE).take(LINES).for_each(|line| prefetch_index(bytes, line));
            }
            match item {
                Item::Tick(passed, moment) => to(Step::Tick(*passed), moment),
                Item::Frame(moment, Whole { link, wire_len }, place) => {
                    let (block, bytes) = self.bytes_of(*place);
                    let Stamp { number, time, precision } = moment.frame;
                    let frame = Frame::new(number, time, *link, bytes).with_wire_len(*wire_len);
                    // By reference: moved, it was read back in wide words where it was just written in narrow ones, and waited for that.
                    let decoded = decode(&frame.with_precision(precision));
                    let Decoded::Segment(segment) = &decoded else { unreachable!("a glance at it saw a segment") };
                    to(Step::Segment { segment, stamp: moment.frame, odd: None, carriers: &[], block }, moment);
                }
                Item::Segment(number, moment, place) => {
                    let packed = &self.segments[*number as usize];
                    let (block, bytes) = self.bytes_of(*place);
                    let segment = packed.segment(bytes, &self.others);
                    let (stamp, odd, carriers) = match packed.fragments.as_deref() {
                        None => (moment.frame, None, &[][..]),
                        Some(Fragments { stamp, odd, carriers }) => (*stamp, *odd, carriers.as_slice()),
                    };
                    to(Step::Segment { segment: &segment, stamp, odd, carriers, block }, moment);
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

    /// What its segments can add to the accounts, besides doubling what was held before: see [`super::bound`].
    pub(super) fn cost(&self) -> usize {
        super::bound::cost(self.payload, self.items.len())
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.segments.clear();
        self.blocks.clear();
        self.bytes.clear();
        self.others.clear();
        self.payload = 0;
    }
}

impl Packed {
    fn segment<'a>(&self, bytes: &'a [u8], others: &[[Endpoint; 2]]) -> Segment<'a> {
        // With its header it is longer than its payload.
        let whole = bytes.len() > self.payload as usize;
        Segment {
            src: self.ends.end(0, others),
            dst: self.ends.end(1, others),
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            options: self.options,
            payload: &bytes[bytes.len() - self.payload as usize..],
            cut: self.cut,
            ttl: self.ttl,
            checksum: if whole { Checksum::Of(bytes) } else { Checksum::Unknown },
        }
    }
}
