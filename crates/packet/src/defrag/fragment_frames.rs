//! The frames that each reassembled datagram came in, for captures that track frames. Later stages
//! know a datagram by one frame, that of its first byte.
//!
//! It does not know what was in the frames. The intake keeps one for datagrams in datagrams. A
//! shard keeps one for each bucket of connections, and adds the frames to messages when they are
//! output. Next: [`crate::intake`].

use std::collections::VecDeque;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::defrag::WholeDatagram;
use crate::key::BUCKETS;

/// Most frame numbers remembered; the oldest datagrams are forgotten first. Arbitrary: half a
/// mebibyte.
const NUMBERS_MAX: usize = 65_536;

/// The frames of datagrams that came in more than one.
#[derive(Debug)]
pub struct FragmentFrames {
    /// By the frame of the datagram's first byte. Never iterated.
    frames: HashMap<u64, Vec<u64>, RandomState>,
    order: VecDeque<u64>,
    numbers: usize,
    numbers_max: usize,
}

impl FragmentFrames {
    /// Makes one that remembers nothing yet.
    pub(crate) fn new(key: [u64; 4]) -> Self {
        Self::with_max(key, NUMBERS_MAX)
    }

    /// Makes one for the connections of one bucket, with its share of the frame numbers.
    pub fn of_bucket(key: [u64; 4]) -> Self {
        Self::with_max(key, NUMBERS_MAX / BUCKETS)
    }

    fn with_max(key: [u64; 4], numbers_max: usize) -> Self {
        let hasher = RandomState::with_seeds(key[0], key[1], key[2], key[3]);
        Self { frames: HashMap::with_hasher(hasher), order: VecDeque::new(), numbers: 0, numbers_max }
    }

    /// Remembers a datagram. Its fragments may have come in datagrams themselves, one tunnel
    /// further out.
    pub(crate) fn remember(&mut self, datagram: &WholeDatagram) {
        let mut frames = datagram.frames.clone();
        self.add_to(&mut frames);
        self.note(datagram.first.number, frames);
    }

    /// Remembers that the datagram known by `first` came in these frames.
    pub fn note(&mut self, first: u64, frames: Vec<u64>) {
        self.numbers += frames.len();
        match self.frames.insert(first, frames) {
            Some(before) => self.numbers -= before.len(),
            None => self.order.push_back(first),
        }
        while self.numbers > self.numbers_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers -= self.frames.remove(&oldest).map_or(0, |frames| frames.len());
        }
    }

    /// The frames of the datagram known by `first`.
    pub(crate) fn of(&self, first: u64) -> &[u64] {
        self.frames.get(&first).map_or(&[], Vec::as_slice)
    }

    /// Adds to these frames the other frames of the datagrams known by them; sorted, without
    /// duplicates.
    pub fn add_to(&self, frames: &mut Vec<u64>) {
        let more: Vec<u64> = frames.iter().filter_map(|number| self.frames.get(number)).flatten().copied().collect();
        if !more.is_empty() {
            frames.extend(more);
            frames.sort_unstable();
            frames.dedup();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::defrag::Overlap;
    use crate::frame::Stamp;
    use crate::segment::DatagramFacts;

    fn datagram(first: u64, frames: &[u64]) -> WholeDatagram {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let facts = DatagramFacts { src: ip, dst: ip, protocol: 6, ttl: 64, depth: 0, cut: 0 };
        let first = Stamp { number: first, ..Stamp::default() };
        WholeDatagram { facts, bytes: Vec::new(), overlap: Overlap::None, first, frames: frames.to_vec() }
    }

    #[test]
    fn a_frame_stands_for_all_frames_of_its_datagram() {
        let mut fragment_frames = FragmentFrames::new([1, 2, 3, 4]);
        fragment_frames.remember(&datagram(5, &[7, 5, 6]));
        // Fragments in fragments: the outer datagram is known by its own first frame.
        fragment_frames.remember(&datagram(5, &[5, 9]));
        fragment_frames.remember(&datagram(20, &[20, 21]));
        for (frames, all) in [(vec![1, 5, 8], vec![1, 5, 6, 7, 8, 9]), (vec![20], vec![20, 21]), (vec![3], vec![3])] {
            let mut got = frames;
            fragment_frames.add_to(&mut got);
            assert_eq!(got, all);
        }
        assert_eq!(fragment_frames.numbers, 4 + 2, "each number is counted once");
    }

    #[test]
    fn it_is_filled_before_it_forgets() {
        let mut fragment_frames = FragmentFrames::new([1, 2, 3, 4]);
        let oldest = |fragment_frames: &FragmentFrames| {
            let mut frames = vec![0];
            fragment_frames.add_to(&mut frames);
            frames
        };
        for first in 0..NUMBERS_MAX as u64 / 2 {
            fragment_frames.remember(&datagram(10 * first, &[10 * first, 10 * first + 1]));
        }
        assert_eq!((fragment_frames.numbers, oldest(&fragment_frames)), (NUMBERS_MAX, vec![0, 1]));
        fragment_frames.remember(&datagram(9_999_999, &[9_999_999]));
        assert_eq!((fragment_frames.numbers, oldest(&fragment_frames)), (NUMBERS_MAX - 1, vec![0]));
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let mut fragment_frames = FragmentFrames::new([1, 2, 3, 4]);
        for first in 0..100_000 {
            fragment_frames.remember(&datagram(10 * first, &[10 * first, 10 * first + 1]));
        }
        assert!(fragment_frames.numbers <= NUMBERS_MAX && fragment_frames.order.len() <= NUMBERS_MAX / 2);
        let (mut old, mut new) = (vec![0], vec![999_990]);
        fragment_frames.add_to(&mut old);
        fragment_frames.add_to(&mut new);
        assert_eq!((old, new), (vec![0], vec![999_990, 999_991]));
    }
}
