//! The capture time while no packets come.
//!
//! It is the time of the last packet, plus the monotonic time since that packet was read, less the
//! time that the kernel may hold packets back. No later packet has an earlier time, so a replay of
//! the recording gives the output of the live run. The wall clock is not read, so its steps do not
//! matter.

use std::time::{Duration, Instant};

use sniffer_packet::time::Timestamp;

/// The time of the last packet, by both clocks.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    last: Option<(Timestamp, Instant)>,
}

impl Quiet {
    /// Notes that a packet with this time was read now.
    pub(super) fn packet(&mut self, time: Timestamp, now: Instant) {
        self.last = Some((time, now));
    }

    /// Returns the time before which no more packets come; `None` before the first packet.
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
        // The wall clock was set back: the packets show it, and the capture time follows them.
        quiet.packet(Timestamp::new(900, 0), at(600));
        assert_eq!(quiet.until(at(1610), held_back), Some(Timestamp::new(901, 0)));
    }
}
