//! Exchanges over time, in at most [`BINS_MAX`] bins however long the capture is.
//!
//! Bins are aligned to the epoch, so the order of exchanges does not matter. They widen by 2 and 5
//! in turn.

use std::collections::BTreeMap;

use sniffer_packet::time::Timestamp;

use super::CLASSES;

/// Maximum number of bins: a page has room for this many.
const BINS_MAX: u64 = 120;
/// Width of the finest bins: a millisecond.
const FINEST: u64 = 1_000_000;

/// The number of exchanges per bin and class of status.
pub(super) struct StatusTimeline {
    /// Width of a bin in nanoseconds.
    pub(super) width: u64,
    bins: BTreeMap<u64, [u64; CLASSES.len()]>,
    by_five: bool,
}

impl Default for StatusTimeline {
    fn default() -> Self {
        Self { width: FINEST, bins: BTreeMap::new(), by_five: false }
    }
}

impl StatusTimeline {
    pub(super) fn add(&mut self, time: Timestamp, class: usize) {
        self.bins.entry(time.as_nanos() / self.width).or_default()[class] += 1;
        while self.bins().len() as u64 > BINS_MAX {
            let factor = if self.by_five { 5 } else { 2 };
            self.by_five = !self.by_five;
            self.width *= factor;
            for (bin, counts) in std::mem::take(&mut self.bins) {
                let into = self.bins.entry(bin / factor).or_default();
                into.iter_mut().zip(counts).for_each(|(into, count)| *into += count);
            }
        }
    }

    /// Returns the numbers of the first and the last bin.
    fn range(&self) -> Option<(u64, u64)> {
        Some((*self.bins.first_key_value()?.0, *self.bins.last_key_value()?.0))
    }

    /// Returns the start and the counts of each bin, empty ones included.
    pub(super) fn bins(&self) -> impl ExactSizeIterator<Item = (Timestamp, [u64; CLASSES.len()])> {
        let (first, last) = self.range().map_or((1, 0), |range| range);
        let count = usize::try_from((last + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        (0..count).map(move |at| {
            let bin = first + at as u64;
            (Timestamp::from_nanos(bin * self.width), self.bins.get(&bin).copied().unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_widen_and_keep_every_count() {
        let mut timeline = StatusTimeline::default();
        for second in [500, 3, 86_400, 3, 7] {
            timeline.add(Timestamp::new(second, 5), 1);
        }
        let bins: Vec<_> = timeline.bins().collect();
        assert!(bins.len() <= 120 && bins.len() >= 12, "{}", bins.len());
        assert_eq!(bins.iter().map(|(_, counts)| counts[1]).sum::<u64>(), 5);
        assert_eq!(bins[0].1[1], 4, "all before {}", timeline.width);
        assert_eq!(timeline.width, 1_000_000_000_000);
    }
}
