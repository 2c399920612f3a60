//! Reassembles IP datagrams from their fragments: bounded in memory, datagrams, fragments and time.
//!
//! IPv4: the first copy of a byte wins (policy 8). IPv6: a datagram whose fragments overlap is
//! discarded, with all its later fragments (RFC 8200 §4.5, RFC 5722). It never looks into the
//! payload and never hands out an incomplete datagram; it counts these. Next: `packets`, which
//! decodes a datagram; `pieces` for the holes; `fragment_frames` for the frames that a datagram
//! came in.

mod fragment_frames;
mod outcome;
mod packets;
mod pieces;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::IpAddr;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::frame::Stamp;
use crate::segment::{DatagramFacts, Fragment};
use crate::time::Timestamp;
pub use fragment_frames::FragmentFrames;
pub use outcome::{DefragLimits, DefragStats, Overlap, WholeDatagram};
pub(crate) use outcome::{Discarded, FragmentOutcome};
pub use packets::Packet;
use pieces::{FragmentPieces, PieceInserted};

/// Cost of a waiting datagram without its pieces: key, queue entry, table slot and the struct,
/// rounded up.
const DATAGRAM_COST: usize = 256;

/// The defragmenter: holds waiting fragments.
#[derive(Debug)]
pub struct Defrag {
    limits: DefragLimits,
    /// Never iterated, so that the hash key does not show in the output.
    waiting: HashMap<Key, Waiting, RandomState>,
    /// Every datagram in `waiting`, by age, and stale entries of some that have left it. Time never
    /// goes back, so this is also the order in which they time out.
    by_age: VecDeque<(Key, u64)>,
    /// Number of the next datagram. It distinguishes an entry of `by_age` from a later datagram
    /// with the same key.
    next_serial: u64,
    held_bytes: usize,
    stats: DefragStats,
}

/// Identity of a datagram.
///
/// IPv4: source, destination, protocol, identification (RFC 791 §2.3). IPv6: without the protocol,
/// because only the first fragment's next header counts (RFC 8200 §4.5). And the depth: a fragment
/// seen inside and outside a tunnel belongs to two datagrams with two receivers, and a forged one
/// in a tunnel must not spoil a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: u8,
    depth: u8,
}

/// A datagram that is not complete.
#[derive(Debug)]
struct Waiting {
    serial: u64,
    since: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    Collecting(Box<Collecting>),
    /// Discarded; its later fragments are discarded too, until it times out.
    Poisoned,
}

#[derive(Debug)]
struct Collecting {
    pieces: FragmentPieces,
    facts: DatagramFacts,
    frames: Vec<u64>,
    first: Stamp,
    overlap: Overlap,
}

impl Defrag {
    /// Makes an empty one. `hash_key` should be random where attackers may choose addresses; the
    /// output does not depend on it.
    pub fn new(limits: DefragLimits, hash_key: [u64; 4]) -> Self {
        let [a, b, c, d] = hash_key;
        Self {
            limits,
            waiting: HashMap::with_hasher(RandomState::with_seeds(a, b, c, d)),
            by_age: VecDeque::new(),
            next_serial: 0,
            held_bytes: 0,
            stats: DefragStats::default(),
        }
    }

    /// Takes a fragment. `now` is the engine's time and never goes back; `stamp` is the fragment's
    /// frame.
    pub(crate) fn push(&mut self, fragment: &Fragment<'_>, now: Timestamp, stamp: Stamp) -> FragmentOutcome {
        self.clear_expired(now);
        self.stats.fragments += 1;
        if let Some(reason) = self.refusal(fragment) {
            self.stats.lost_bytes += as_u64(fragment.bytes.len());
            return FragmentOutcome::Discarded(reason);
        }
        let key = Key::of(fragment);
        let serial = self.next_serial;
        let waiting = self.waiting.entry(key).or_insert_with(|| Waiting::new(fragment, now, stamp, serial));
        if waiting.serial == serial {
            self.next_serial += 1;
            self.held_bytes += DATAGRAM_COST;
            self.by_age.push_back((key, serial));
        }
        let State::Collecting(datagram) = &mut waiting.state else {
            self.stats.lost_bytes += as_u64(fragment.bytes.len());
            return FragmentOutcome::Discarded(Discarded::Poisoned);
        };
        let before = datagram.cost();
        let outcome = datagram.insert(fragment, stamp, self.limits.fragments_max);
        self.held_bytes = self.held_bytes + datagram.cost() - before;
        let outcome = self.account(key, fragment, outcome);
        self.shrink();
        outcome
    }

    /// Drops datagrams that have waited as long as the limit.
    pub(crate) fn clear_expired(&mut self, now: Timestamp) {
        while let Some(&(key, serial)) = self.by_age.front() {
            match self.waiting.get(&key) {
                Some(waiting) if waiting.serial == serial => {
                    if now.since(waiting.since) < self.limits.timeout {
                        return;
                    }
                    self.by_age.pop_front();
                    let abandoned = self.abandon(key);
                    self.stats.timed_out += u64::from(abandoned);
                }
                _ => drop(self.by_age.pop_front()),
            }
        }
    }

    /// Drops everything that waits, because the capture has ended.
    pub fn finish(&mut self) {
        while let Some((key, serial)) = self.by_age.pop_front() {
            if self.is_current(key, serial) {
                let abandoned = self.abandon(key);
                self.stats.unfinished += u64::from(abandoned);
            }
        }
    }

    /// Accounted memory in bytes: waiting payload and the overhead of keeping it.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The counters so far.
    pub fn stats(&self) -> DefragStats {
        self.stats
    }

    /// Returns the reason why a fragment cannot belong to any datagram.
    fn refusal(&mut self, fragment: &Fragment<'_>) -> Option<Discarded> {
        let len = u64::from(fragment.cut) + as_u64(fragment.bytes.len());
        // The IPv4 total length counts the header, at least 20 bytes of it; the IPv6 payload length
        // does not.
        let end_max = if fragment.src.is_ipv6() { 65_535 } else { 65_515 };
        if len == 0 || !fragment.offset.is_multiple_of(8) || (fragment.more && !len.is_multiple_of(8)) {
            self.stats.malformed_fragments += 1;
            Some(Discarded::Malformed)
        } else if u64::from(fragment.offset) + len > end_max {
            self.stats.too_big_fragments += 1;
            Some(Discarded::TooBig)
        } else {
            None
        }
    }

    /// Counts the outcome of a fragment, and removes its datagram if it is complete or discarded.
    fn account(&mut self, key: Key, fragment: &Fragment<'_>, inserted: PieceInserted) -> FragmentOutcome {
        match inserted {
            PieceInserted::Waiting => FragmentOutcome::Waiting,
            PieceInserted::Whole => match self.remove(key) {
                Some(Waiting { state: State::Collecting(datagram), .. }) => {
                    let datagram = datagram.into_whole();
                    self.stats.assembled += 1;
                    self.stats.assembled_cut += u64::from(datagram.facts.cut > 0);
                    self.stats.conflicting += u64::from(datagram.overlap == Overlap::Conflicting);
                    FragmentOutcome::Whole(datagram)
                }
                // Unreachable: the fragment was just inserted into it.
                _ => FragmentOutcome::Waiting,
            },
            PieceInserted::Refused(reason) => {
                let bytes = as_u64(fragment.bytes.len());
                match reason {
                    Discarded::Duplicate => self.stats.duplicate_fragments += 1,
                    Discarded::Contradictory if fragment.src.is_ipv4() => {
                        self.stats.malformed_fragments += 1;
                        self.stats.lost_bytes += bytes;
                    }
                    Discarded::TooMany => {
                        self.stats.too_many += 1;
                        self.stats.lost_bytes += bytes;
                        self.discard(key);
                    }
                    _ => {
                        self.stats.overlapping += 1;
                        self.stats.lost_bytes += bytes;
                        self.discard(key);
                    }
                }
                FragmentOutcome::Discarded(reason)
            }
        }
    }

    /// Frees what a datagram holds. IPv6 leaves a mark that discards its later fragments; 16-bit
    /// IPv4 ids are reused too soon for that.
    fn discard(&mut self, key: Key) {
        if key.src.is_ipv4() {
            self.abandon(key);
            return;
        }
        let Some(waiting) = self.waiting.get_mut(&key) else { return };
        if let State::Collecting(datagram) = std::mem::replace(&mut waiting.state, State::Poisoned) {
            self.held_bytes -= datagram.cost();
            self.stats.lost_bytes += as_u64(datagram.pieces.captured_bytes());
        }
    }

    /// Removes a datagram; its entry in the queue goes stale and is dropped later.
    fn remove(&mut self, key: Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(&key)?;
        self.held_bytes -= DATAGRAM_COST;
        if let State::Collecting(datagram) = &waiting.state {
            self.held_bytes -= datagram.cost();
        }
        Some(waiting)
    }

    /// Removes a datagram and counts its bytes as lost. Returns whether it was still collecting.
    fn abandon(&mut self, key: Key) -> bool {
        match self.remove(key) {
            Some(Waiting { state: State::Collecting(datagram), .. }) => {
                self.stats.lost_bytes += as_u64(datagram.pieces.captured_bytes());
                true
            }
            _ => false,
        }
    }

    /// Evicts the oldest datagrams until the limits hold. The youngest stays, so that any single
    /// datagram can complete.
    fn shrink(&mut self) {
        while self.waiting.len() > 1
            && (self.held_bytes > self.limits.held_bytes_max || self.waiting.len() > self.limits.datagrams_max)
        {
            let Some((key, serial)) = self.by_age.pop_front() else { return };
            if self.is_current(key, serial) {
                let abandoned = self.abandon(key);
                self.stats.evicted += u64::from(abandoned);
            }
        }
        // Stale entries queue up after an old datagram. Swept when they are more than half of all,
        // so the sweep costs a push at most two entries.
        if self.by_age.len() > 2 * self.waiting.len() + 64 {
            let waiting = &self.waiting;
            self.by_age.retain(|(key, serial)| waiting.get(key).is_some_and(|waiting| waiting.serial == *serial));
        }
    }

    fn is_current(&self, key: Key, serial: u64) -> bool {
        self.waiting.get(&key).is_some_and(|waiting| waiting.serial == serial)
    }
}

impl Key {
    fn of(fragment: &Fragment<'_>) -> Self {
        let &Fragment { src, dst, id, protocol, depth, .. } = fragment;
        Self { src, dst, id, protocol: if src.is_ipv6() { 0 } else { protocol }, depth }
    }
}

impl Waiting {
    fn new(fragment: &Fragment<'_>, now: Timestamp, stamp: Stamp, serial: u64) -> Self {
        let &Fragment { src, dst, protocol, ttl, depth, .. } = fragment;
        let facts = DatagramFacts { src, dst, protocol, ttl, depth, cut: 0 };
        let collecting = Collecting {
            pieces: FragmentPieces::default(),
            facts,
            frames: Vec::new(),
            first: stamp,
            overlap: Overlap::None,
        };
        Self { serial, since: now, state: State::Collecting(Box::new(collecting)) }
    }
}

impl Collecting {
    fn cost(&self) -> usize {
        self.pieces.cost() + self.frames.len() * size_of::<u64>()
    }

    fn insert(&mut self, fragment: &Fragment<'_>, stamp: Stamp, fragments_max: usize) -> PieceInserted {
        if self.frames.len() >= fragments_max {
            return PieceInserted::Refused(Discarded::TooMany);
        }
        self.frames.push(stamp.number);
        let had_start = self.pieces.has_start();
        let inserted = self.pieces.insert(fragment, &mut self.overlap);
        // The first fragment's header counts for the datagram (RFC 8200 §4.5).
        if !had_start && self.pieces.has_start() {
            self.facts.protocol = fragment.protocol;
            self.facts.ttl = fragment.ttl;
            self.first = stamp;
        }
        inserted
    }

    fn into_whole(self) -> WholeDatagram {
        let (bytes, cut) = self.pieces.join();
        let facts = DatagramFacts { cut, ..self.facts };
        WholeDatagram { facts, bytes, overlap: self.overlap, first: self.first, frames: self.frames }
    }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
