//! Steps for one shard, copied so that they can cross to its thread.
//!
//! It decodes nothing: a segment is copied as the intake gave it. Next: [`super::worker`], which unpacks.

use sniffer_engine::anomaly::Anomaly;
use sniffer_engine::decode::{Checksum, Flags, Options, Segment};
use sniffer_engine::frame::Stamp;
use sniffer_engine::intake::{Moment, Step};
use sniffer_engine::key::Endpoint;
use sniffer_engine::seq::SeqNumber;
use sniffer_engine::time::Seconds;

/// Steps in order, and the bytes of their segments.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    items: Vec<(Moment, Item)>,
    bytes: Vec<u8>,
    payload: usize,
}

#[derive(Debug)]
enum Item {
    Tick(Seconds),
    Segment(Packed),
}

/// A segment whose bytes are in the parcel: the whole of it where a checksum can be verified, else its payload.
#[derive(Debug)]
struct Packed {
    src: Endpoint,
    dst: Endpoint,
    seq: SeqNumber,
    ack: SeqNumber,
    flags: Flags,
    window: u16,
    options: Options,
    cut: u32,
    ttl: u8,
    whole: bool,
    payload: u32,
    end: usize,
    stamp: Stamp,
    odd: Option<Anomaly>,
    carriers: Vec<u64>,
}

impl Parcel {
    pub(super) fn tick(&mut self, passed: Seconds, moment: &Moment) {
        self.items.push((*moment, Item::Tick(passed)));
    }

    pub(super) fn segment(
        &mut self,
        segment: &Segment<'_>,
        (stamp, carriers): (Stamp, &[u64]),
        odd: Option<Anomaly>,
        moment: &Moment,
    ) {
        let (whole, bytes) = match segment.checksum {
            Checksum::Of(whole) => (true, whole),
            Checksum::Unknown => (false, segment.payload),
        };
        self.bytes.extend_from_slice(bytes);
        self.payload += segment.payload.len();
        let packed = Packed {
            src: segment.src,
            dst: segment.dst,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            window: segment.window,
            options: segment.options,
            cut: segment.cut,
            ttl: segment.ttl,
            whole,
            payload: segment.payload.len() as u32, // a frame has at most 16 MiB
            end: self.bytes.len(),
            stamp,
            odd,
            carriers: carriers.to_vec(),
        };
        self.items.push((*moment, Item::Segment(packed)));
    }

    /// Every step, as the intake gave it.
    pub(super) fn each(&self, mut to: impl FnMut(Step<'_, '_>, &Moment)) {
        let mut start = 0;
        for (moment, item) in &self.items {
            let step = match item {
                Item::Tick(passed) => Step::Tick(*passed),
                Item::Segment(packed) => {
                    let bytes = &self.bytes[start..packed.end];
                    start = packed.end;
                    let segment = Segment {
                        src: packed.src,
                        dst: packed.dst,
                        seq: packed.seq,
                        ack: packed.ack,
                        flags: packed.flags,
                        window: packed.window,
                        options: packed.options,
                        payload: &bytes[bytes.len() - packed.payload as usize..],
                        cut: packed.cut,
                        ttl: packed.ttl,
                        checksum: if packed.whole { Checksum::Of(bytes) } else { Checksum::Unknown },
                    };
                    let Packed { stamp, odd, ref carriers, .. } = *packed;
                    to(Step::Segment { segment: &segment, stamp, odd, carriers }, moment);
                    continue;
                }
            };
            to(step, moment);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What it takes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.items.len() * size_of::<(Moment, Item)>()
    }

    /// What its segments can add to the accounts, besides doubling what was held before: see [`super::bound`].
    pub(super) fn cost(&self) -> usize {
        super::bound::cost(self.payload, self.items.len())
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        self.payload = 0;
    }
}
