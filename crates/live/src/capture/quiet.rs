//! How far capture time has come when no packets do.
//!
//! The last packet's time plus the monotonic time since it was read, less what the kernel may still hold back: a later
//! packet never has an earlier time, so that live gives what a replay of the recording gives. Steps of the wall clock do
//! not matter: it is not asked.

use std::time::{Duration, Instant};

use sniffer_packet::time::Timestamp;

/// The last packet, by both clocks.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    last: Option<(Timestamp, Instant)>,
}

impl Quiet {
    /// A packet with this time was read now.
    pub(super) fn packet(&mut self, time: Timestamp, now: Instant) {
        self.last = Some((time, now));
    }

    /// Nothing that was captured before this moment is still to come; `None` before the first packet.
    pub(super) fn until(&self, now: Instant, held_back: Duration) -> Option<Timestamp> {
        let (time, read) = self.last?;
        let since = now.saturating_duration_since(read).checked_sub(held_back)?;
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Some(Timestamp::from_nanos(time.as_nanos().saturating_add(nanos)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_from_the_last_packet_by_the_monotonic_clock() {
        let start = Instant::now();
        let held_back = Duration::from_millis(10);
        let at = |ms| start + Duration::from_millis(ms);
        let mut quiet = Quiet::default();
        assert_eq!(quiet.until(at(0), held_back), None, "before the first packet there is no time");
        quiet.packet(Timestamp::new(1000, 0), at(0));
        assert_eq!(quiet.until(at(9), held_back), None);
        assert_eq!(quiet.until(at(510), held_back), Some(Timestamp::new(1000, 500_000_000)));
        // The wall clock was set back by an hour: the packets say so, and nothing else.
        quiet.packet(Timestamp::new(900, 0), at(600));
        assert_eq!(quiet.until(at(1610), held_back), Some(Timestamp::new(901, 0)));
    }
}
