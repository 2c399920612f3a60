//! The true state of the two ends of a connection: bytes sent, bytes received, acknowledgements
//! owed.
//!
//! It gives truthful acknowledgement numbers. It never drops an implausible segment; the marks
//! `forged` and `dropped` do. Positions are 64-bit: 0 is the SYN, 1 the first byte. Next:
//! [`super::render`].

/// One end of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct TalkEnd {
    /// Position of its next byte; 0 before the SYN.
    pub(super) next: i64,
    /// Start and bytes of its previous block, for `again`.
    pub(super) last: (i64, Vec<u8>),
    /// Parts of the other end's stream that it has received.
    pub(super) received: Received,
    /// It has received something that it has not acknowledged.
    pub(super) owes_ack: bool,
    /// It has sent a FIN.
    pub(super) finished: bool,
    /// The last timestamp value that it received.
    pub(super) echo: u32,
    /// Number of IP packets that it has sent, which is the next identification.
    pub(super) packets: u16,
}

/// Received parts of a stream: a prefix, and the ranges after the first hole.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    /// End of the prefix; 0 if nothing has come, not even the SYN.
    pub(super) next: i64,
    /// Ranges after `next`, not sorted.
    after_hole: Vec<(i64, i64)>,
}

impl Received {
    /// Adds the positions `start..end`.
    pub(super) fn add(&mut self, start: i64, end: i64) {
        match self.after_hole.last_mut() {
            // The common case after a hole: a long stream there stays one range.
            Some(last) if last.1 == start => last.1 = end.max(start),
            _ if end > self.next => self.after_hole.push((start, end)),
            _ => {}
        }
        while let Some(found) = self.after_hole.iter().position(|(start, _)| *start <= self.next) {
            let (_, end) = self.after_hole.swap_remove(found);
            self.next = self.next.max(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_after_a_hole_count_once_it_is_filled() {
        let mut received = Received::default();
        for (start, end, next) in [(0, 1, 1), (5, 9, 1), (12, 14, 1), (1, 6, 9), (1, 3, 9), (9, 12, 14)] {
            received.add(start, end);
            assert_eq!(received.next, next, "after {start}..{end}");
        }
        assert!(received.after_hole.is_empty());
    }
}
