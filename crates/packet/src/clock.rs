//! The engine's clock: the time of the frames, kept from going back (policy 23).

use std::time::Duration;

use crate::time::{Seconds, Timestamp};

/// Longest jump ahead that counts without a second frame that confirms it (policy 23).
const JUMP: Duration = Duration::from_secs(3600);

/// Capture time that only moves forward.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    now: Option<Timestamp>,
    /// Time of a jump ahead that no second frame has confirmed.
    unconfirmed: Option<Timestamp>,
}

/// The clock after it has read the time of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The clock's time.
    pub now: Timestamp,
    /// The whole seconds that it passed, if any.
    pub passed: Option<Seconds>,
}

impl Clock {
    /// Reads the time of a frame.
    pub fn read(&mut self, time: Timestamp) -> Reading {
        let Some(now) = self.now else {
            self.now = Some(time);
            return Reading { now: time, passed: None };
        };
        let confirmed = |before: Timestamp| time.max(before).since(time.min(before)) <= JUMP;
        if time > now.after(JUMP) && !self.unconfirmed.is_some_and(confirmed) {
            self.unconfirmed = Some(time);
            return Reading { now, passed: None };
        }
        if time <= now {
            return Reading { now, passed: None };
        }
        self.unconfirmed = None;
        self.now = Some(time);
        Reading { now: time, passed: Seconds::between(now, time) }
    }

    /// Lets time pass without a frame, to the last whole second before `time`. Returns the seconds
    /// that passed.
    ///
    /// It passes at most an hour, because it confirms no jump: a replay of the same frames does not
    /// either.
    pub fn advance(&mut self, time: Timestamp) -> Option<Seconds> {
        let before = self.now?;
        let second = Timestamp::new(time.as_secs(), 0);
        if second <= before || second.since(before) > JUMP {
            return None;
        }
        self.now = Some(second);
        Seconds::between(before, second)
    }

    /// The clock's time; zero before the first frame.
    pub fn now(&self) -> Timestamp {
        self.now.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back_and_jumps_only_when_a_second_frame_confirms_it() {
        let hour = 3600;
        let mut clock = Clock::default();
        for (frame, now) in [
            (100, 100),
            (50, 100),
            (101, 101),
            (101 + 2 * hour, 101),
            (102, 102),
            (102 + hour, 102 + hour),
            (10 * hour, 102 + hour),
            (10 * hour + 1, 10 * hour + 1),
        ] {
            assert_eq!(clock.read(Timestamp::new(frame, 0)).now, Timestamp::new(now, 0), "after {frame}");
        }
    }

    #[test]
    fn a_second_frame_near_the_first_confirms_a_jump() {
        let day = 86_400;
        for (frames, now) in [
            // Two frames in a row.
            (&[100, day, day + 1][..], day + 1),
            // The second a little before the first: the clock takes the earlier of the two.
            (&[100, day + 5, day], day),
            // Frames of the old time come between: two clocks are mixed, and the old one counts.
            (&[100, day, 101, 102, day + 1], 102),
            // Two jumps to different times: neither confirms the other.
            (&[100, day, 9 * day], 100),
            (&[100, day, 9 * day, 101], 101),
            // A frame before the unconfirmed jump does not confirm it.
            (&[100, day, 50, 90], 100),
            // Exactly an hour is no jump.
            (&[100, 3_700], 3_700),
            (&[100, 3_701], 100),
            // The first frame has nothing to jump from.
            (&[day], day),
            (&[day, 100, 101], day),
        ] {
            let mut clock = Clock::default();
            for &at in frames {
                clock.read(Timestamp::new(at, 0));
            }
            assert_eq!(clock.now(), Timestamp::new(now, 0), "{frames:?}");
        }
    }

    fn millis(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn each_whole_second_is_passed_once() {
        let mut clock = Clock::default();
        let passed = [500, 900, 1_100, 1_200, 2_000, 2_001, 5_999]
            .map(|ms| clock.read(millis(ms)).passed.map(|passed| (passed.first, passed.last)));
        assert_eq!(passed, [None, None, Some((1, 1)), None, Some((2, 2)), None, Some((3, 5))]);
    }

    #[test]
    fn time_without_frames_passes_the_seconds_that_the_next_frame_would() {
        let (mut advanced, mut idle) = (Clock::default(), Clock::default());
        assert_eq!(advanced.advance(millis(9_000)), None, "there is no time before the first frame");
        let mut seen = Vec::new();
        advanced.read(millis(500));
        idle.read(millis(500));
        for ms in [700, 1_400, 1_900, 4_200, 3_000] {
            seen.extend(advanced.advance(millis(ms)).map(|passed| (passed.first, passed.last)));
        }
        assert_eq!(seen, [(1, 1), (2, 4)]);
        assert_eq!(advanced.read(millis(4_300)), Reading { now: millis(4_300), passed: None });
        assert_eq!(idle.read(millis(4_300)).passed, Some(Seconds { first: 1, last: 4 }));
        assert_eq!(advanced.advance(Timestamp::new(5 + 3_600, 0)), None, "only frames confirm a jump");
    }
}
