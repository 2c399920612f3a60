//! Connections that ended a short while ago: so that their late duplicates are not taken for new ones.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::config::Limits;
use crate::decode::{Flags, Segment};
use crate::key::{BUCKETS, FlowKey, Side};
use crate::seq::SeqNumber;

/// Accounted bytes of a remembered connection: key, numbers, map slot and queue place.
const REMEMBERED_BYTES: usize = 160;

#[derive(Debug, Clone, Copy)]
struct Ended {
    next: [Option<SeqNumber>; 2],
    serial: u64,
}

#[derive(Debug)]
pub(super) struct Closed {
    ended: HashMap<FlowKey, Ended, ahash::RandomState>,
    order: VecDeque<(FlowKey, u64)>,
    serial: u64,
    max: usize,
}

/// What a segment without a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remnant {
    /// A late part of a connection that ended.
    Old,
    /// It goes beyond a connection that ended.
    New,
    /// Nothing is remembered between these endpoints.
    Unknown,
}

impl Closed {
    pub(super) fn new(key: [u64; 4], limits: &Limits) -> Self {
        // At most a 32nd of the budget goes to what is over, and each bucket has its share.
        let max = limits.closed_max.min(limits.held_bytes_max / 32 / REMEMBERED_BYTES).div_ceil(BUCKETS);
        let hasher = ahash::RandomState::with_seeds(key[0], key[1], key[2], key[3]);
        Self { ended: HashMap::with_hasher(hasher), order: VecDeque::new(), serial: 0, max }
    }

    /// Accounted bytes.
    pub(super) fn held(&self) -> usize {
        self.order.len() * REMEMBERED_BYTES
    }

    pub(super) fn remember(&mut self, key: FlowKey, next: [Option<SeqNumber>; 2]) {
        if self.max == 0 {
            return;
        }
        while self.order.len() >= self.max {
            if let Some((oldest, serial)) = self.order.pop_front()
                && self.ended.get(&oldest).is_some_and(|ended| ended.serial == serial)
            {
                self.ended.remove(&oldest);
            }
        }
        self.serial += 1;
        self.ended.insert(key, Ended { next, serial: self.serial });
        self.order.push_back((key, self.serial));
    }

    pub(super) fn forget(&mut self, key: &FlowKey) {
        self.ended.remove(key);
    }

    pub(super) fn recall(&self, key: &FlowKey, side: Side, segment: &Segment<'_>) -> Remnant {
        let Some(ended) = self.ended.get(key) else { return Remnant::Unknown };
        if segment.flags.has(Flags::SYN) {
            return Remnant::New;
        }
        let end = segment.seq.add(segment.payload.len() as u32);
        match ended.next[side.index()] {
            _ if segment.payload.is_empty() => Remnant::Old,
            Some(next) if end.offset_from(next) <= 0 => Remnant::Old,
            _ => Remnant::New,
        }
    }
}
