//! The engine's clock: the time of the frames, made to never go back (policy 23).

use std::time::Duration;

use crate::time::{Seconds, Timestamp};

/// A jump ahead of more than this counts only when a second frame confirms it (policy 23).
const JUMP: Duration = Duration::from_secs(3600);

/// Capture time that only moves forward.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    now: Option<Timestamp>,
    /// A jump ahead that waits for a second frame.
    unconfirmed: Option<Timestamp>,
}

/// What the time of a frame did to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The clock.
    pub now: Timestamp,
    /// What it passed, if any.
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

    /// Lets time pass without a frame, to the last whole second before `time`: what it passed.
    ///
    /// Never more than an hour, for it confirms no jump: neither does a replay of the same frames.
    pub fn advance(&mut self, time: Timestamp) -> Option<Seconds> {
        let before = self.now?;
        let second = Timestamp::new(time.as_secs(), 0);
        if second <= before || second.since(before) > JUMP {
            return None;
        }
        self.now = Some(second);
        Seconds::between(before, second)
    }

    /// The clock; zero before the first frame.
    pub fn now(&self) -> Timestamp {
        self.now.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back_and_believes_a_jump_only_when_told_twice() {
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
    fn what_confirms_a_jump_is_a_second_frame_near_the_first() {
        let day = 86_400;
        for (frames, now) in [
            // Two frames in a row.
            (&[100, day, day + 1][..], day + 1),
            // The second a little before the first: it is the later of what both say that is not believed.
            (&[100, day + 5, day], day),
            // The clock went on between: two clocks are mixed here, and the one that most connections live by is believed.
            (&[100, day, 101, 102, day + 1], 102),
            // Each from another future: neither confirms the other.
            (&[100, day, 9 * day], 100),
            (&[100, day, 9 * day, 101], 101),
            // Backwards from what is not believed is no confirmation.
            (&[100, day, 50, 90], 100),
            // Exactly an hour is no jump.
            (&[100, 3_700], 3_700),
            (&[100, 3_701], 100),
            // The first frame of all has nothing to jump from.
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
    fn whole_seconds_are_passed_each_once() {
        let mut clock = Clock::default();
        let passed = [500, 900, 1_100, 1_200, 2_000, 2_001, 5_999]
            .map(|ms| clock.read(millis(ms)).passed.map(|passed| (passed.first, passed.last)));
        assert_eq!(passed, [None, None, Some((1, 1)), None, Some((2, 2)), None, Some((3, 5))]);
    }

    #[test]
    fn time_without_frames_passes_the_seconds_that_the_next_frame_would() {
        let (mut told, mut untold) = (Clock::default(), Clock::default());
        assert_eq!(told.advance(millis(9_000)), None, "there is no time before the first frame");
        let mut seen = Vec::new();
        told.read(millis(500));
        untold.read(millis(500));
        for ms in [700, 1_400, 1_900, 4_200, 3_000] {
            seen.extend(told.advance(millis(ms)).map(|passed| (passed.first, passed.last)));
        }
        assert_eq!(seen, [(1, 1), (2, 4)]);
        assert_eq!(told.read(millis(4_300)), Reading { now: millis(4_300), passed: None });
        assert_eq!(untold.read(millis(4_300)).passed, Some(Seconds { first: 1, last: 4 }));
        assert_eq!(told.advance(Timestamp::new(5 + 3_600, 0)), None, "a jump is the frames' to tell");
    }
}
