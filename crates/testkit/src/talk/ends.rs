//! The two ends of a connection as they really are: what was sent, what arrived, what is owed.
//!
//! It decides the acknowledgement numbers, so that they are true; it never drops a segment for being implausible, for
//! `forged` and `dropped` say that. Positions are 64-bit: 0 is the SYN, 1 the first byte. Next: [`super::render`].

/// One end of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct TalkEnd {
    /// Where its next byte goes; 0 before the SYN.
    pub(super) next: i64,
    /// Its previous block: where it started and its bytes, for `again`.
    pub(super) last: (i64, Vec<u8>),
    /// What it received of the other end's stream.
    pub(super) received: Received,
    /// It received something that it has not answered.
    pub(super) owes_ack: bool,
    /// It sent a FIN.
    pub(super) finished: bool,
    /// The last timestamp value it received.
    pub(super) echo: u32,
    /// Number of IP packets it sent: the next identification.
    pub(super) packets: u16,
}

/// What arrived, as a prefix and what lies beyond it.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    /// All before this position is there; 0: nothing, not even the SYN.
    pub(super) next: i64,
    /// Ranges beyond `next`, not sorted.
    beyond: Vec<(i64, i64)>,
}

impl Received {
    /// Takes in the positions `start..end`.
    pub(super) fn add(&mut self, start: i64, end: i64) {
        match self.beyond.last_mut() {
            // The common case behind a hole, kept short so that a long stream there stays one range.
            Some(last) if last.1 == start => last.1 = end.max(start),
            _ if end > self.next => self.beyond.push((start, end)),
            _ => {}
        }
        while let Some(found) = self.beyond.iter().position(|(start, _)| *start <= self.next) {
            let (_, end) = self.beyond.swap_remove(found);
            self.next = self.next.max(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_a_hole_counts_once_the_hole_is_filled() {
        let mut received = Received::default();
        for (start, end, next) in [(0, 1, 1), (5, 9, 1), (12, 14, 1), (1, 6, 9), (1, 3, 9), (9, 12, 14)] {
            received.add(start, end);
            assert_eq!(received.next, next, "after {start}..{end}");
        }
        assert!(received.beyond.is_empty());
    }
}
