//! The engine's clock: the time of the frames, made to never go back (policy 23).

use std::time::Duration;

use crate::time::Timestamp;

/// A jump ahead of more than this counts only when a second frame confirms it (policy 23).
const JUMP: Duration = Duration::from_secs(3600);

/// How often connections without packets are looked at, in capture time. A second is coarse beside the time-outs it
/// serves, and crossing its boundary depends on the frames alone.
const TICK_NANOS: u64 = 1_000_000_000;

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
    /// Whether it passed a whole second, so that time-outs are due for a look.
    pub tick: bool,
}

impl Clock {
    /// Reads the time of a frame.
    pub fn read(&mut self, time: Timestamp) -> Reading {
        let Some(now) = self.now else {
            self.now = Some(time);
            return Reading { now: time, tick: false };
        };
        let confirmed = self.unconfirmed.is_some_and(|before| time.max(before).since(time.min(before)) <= JUMP);
        if time.since(now) > JUMP && !confirmed {
            self.unconfirmed = Some(time);
            return Reading { now, tick: false };
        }
        if time <= now {
            return Reading { now, tick: false };
        }
        self.unconfirmed = None;
        self.now = Some(time);
        Reading { now: time, tick: time.as_nanos() / TICK_NANOS != now.as_nanos() / TICK_NANOS }
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

    #[test]
    fn a_tick_is_a_passed_second() {
        let mut clock = Clock::default();
        let ticks = [500, 900, 1_100, 1_200, 2_000].map(|ms| clock.read(Timestamp::from_nanos(ms * 1_000_000)).tick);
        assert_eq!(ticks, [false, false, true, false, true]);
    }
}
