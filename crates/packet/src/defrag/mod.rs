//! Puts IP datagrams together from their fragments: bounded in memory, datagrams, fragments and time.
//!
//! IPv4: the copy that came first wins (policy 8). IPv6: a datagram whose fragments overlap is discarded, and so is all
//! that still comes of it (RFC 8200 §4.5, RFC 5722). It never looks into the payload and never gives a part of a datagram
//! away; what was never completed is counted. Next: [`crate::decode::decode_datagram`], for what comes out;
//! `pieces` for the holes, `fragment_frames` for the frames that a datagram came in.

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
pub use outcome::{DefragLimits, DefragStats, Discarded, FragmentOutcome, Overlap, WholeDatagram};
pub use packets::Packet;
use pieces::{FragmentPieces, PieceInserted};

/// What a waiting datagram is charged for beside its pieces: key, queue entry, table slot and the struct itself, rounded up.
const DATAGRAM_COST: usize = 256;

/// Where waiting fragments are kept.
#[derive(Debug)]
pub struct Defrag {
    limits: DefragLimits,
    /// Never iterated: what the hash key is shows nowhere.
    waiting: HashMap<Key, Waiting, RandomState>,
    /// Every datagram in `waiting`, by age, and some that have left it. Time never goes back, so this is also the order
    /// in which they time out.
    by_age: VecDeque<(Key, u64)>,
    /// Number of the next datagram; tells an entry of `by_age` from a later datagram with the same key.
    next_serial: u64,
    held_bytes: usize,
    stats: DefragStats,
}

/// What identifies a datagram.
///
/// IPv4: source, destination, protocol, identification (RFC 791 §2.3). IPv6: without the protocol, since only the first
/// fragment's next header counts (RFC 8200 §4.5). And the depth: the same fragment seen inside and outside a tunnel
/// belongs to two datagrams, each of which somebody receives, and a made-up one in a tunnel must not spoil a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: u8,
    depth: u8,
}

/// A datagram that is not whole yet.
#[derive(Debug)]
struct Waiting {
    serial: u64,
    since: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    Collecting(Box<Collecting>),
    /// Discarded; what still comes of it is discarded too, until its time is up.
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
    /// Empty. `hash_key` is random where attackers may choose addresses; it never shows in what comes out.
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

    /// Takes a fragment in. `now` is the engine's time and never goes back; `stamp` is the fragment's frame.
    pub fn push(&mut self, fragment: &Fragment<'_>, now: Timestamp, stamp: Stamp) -> FragmentOutcome {
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

    /// Gives up what has waited longer than the limit.
    pub fn clear_expired(&mut self, now: Timestamp) {
        while let Some(&(key, serial)) = self.by_age.front() {
            match self.waiting.get(&key) {
                Some(waiting) if waiting.serial == serial => {
                    if now.since(waiting.since) < self.limits.timeout {
                        return;
                    }
                    self.by_age.pop_front();
                    let given_up = self.give_up(key);
                    self.stats.timed_out += u64::from(given_up);
                }
                _ => drop(self.by_age.pop_front()),
            }
        }
    }

    /// Gives up everything that waits: the capture has ended.
    pub fn finish(&mut self) {
        while let Some((key, serial)) = self.by_age.pop_front() {
            if self.is_current(key, serial) {
                let given_up = self.give_up(key);
                self.stats.unfinished += u64::from(given_up);
            }
        }
    }

    /// Accounted memory in bytes: payload that waits and what it costs to keep it.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// What happened so far.
    pub fn stats(&self) -> DefragStats {
        self.stats
    }

    /// Why this fragment cannot belong to any datagram.
    fn refusal(&mut self, fragment: &Fragment<'_>) -> Option<Discarded> {
        let len = u64::from(fragment.cut) + as_u64(fragment.bytes.len());
        // The IPv4 total length counts the header, at least 20 bytes of it; the IPv6 payload length does not.
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

    /// Counts what became of a fragment, and takes the datagram out when it is done with.
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
                // Not reached: it was just inserted into. Nothing is lost by answering.
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

    /// Frees what a datagram holds. IPv6 leaves a mark, so that what still comes of it is known; the 16-bit IPv4 ids come
    /// round too soon for that.
    fn discard(&mut self, key: Key) {
        if key.src.is_ipv4() {
            self.give_up(key);
            return;
        }
        let Some(waiting) = self.waiting.get_mut(&key) else { return };
        if let State::Collecting(datagram) = std::mem::replace(&mut waiting.state, State::Poisoned) {
            self.held_bytes -= datagram.cost();
            self.stats.lost_bytes += as_u64(datagram.pieces.captured_bytes());
        }
    }

    /// Takes a datagram out; the queue's entry goes stale and is dropped later.
    fn remove(&mut self, key: Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(&key)?;
        self.held_bytes -= DATAGRAM_COST;
        if let State::Collecting(datagram) = &waiting.state {
            self.held_bytes -= datagram.cost();
        }
        Some(waiting)
    }

    /// Takes a datagram out and counts its bytes as lost; whether there was still something to lose.
    fn give_up(&mut self, key: Key) -> bool {
        match self.remove(key) {
            Some(Waiting { state: State::Collecting(datagram), .. }) => {
                self.stats.lost_bytes += as_u64(datagram.pieces.captured_bytes());
                true
            }
            _ => false,
        }
    }

    /// Back within the limits: the oldest go. The youngest stays, so that every datagram alone has its chance.
    fn shrink(&mut self) {
        while self.waiting.len() > 1
            && (self.held_bytes > self.limits.held_bytes_max || self.waiting.len() > self.limits.datagrams_max)
        {
            let Some((key, serial)) = self.by_age.pop_front() else { return };
            if self.is_current(key, serial) {
                let given_up = self.give_up(key);
                self.stats.evicted += u64::from(given_up);
            }
        }
        // Stale entries behind an old datagram: swept when they are more than half, so a push pays for two entries at most.
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
        // The first fragment speaks for all (RFC 8200 §4.5).
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
