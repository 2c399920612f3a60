//! Capture time: nanoseconds since the Unix epoch, as recorded with the frames.
//!
//! Time comes from frames, or from a live driver; nothing in this crate reads a clock.
//! Next: [`crate::frame`].

use std::fmt;
use std::time::Duration;

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A moment in capture time: nanoseconds since 1970-01-01T00:00:00Z, until the year 2554.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself; also the time of a frame without a time stamp.
    pub const ZERO: Self = Self(0);

    /// Makes a moment of nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Makes a moment of seconds and nanoseconds since the epoch, saturating.
    pub const fn new(secs: u64, nanos: u64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC).saturating_add(nanos))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / NANOS_PER_SEC
    }

    /// Microseconds since the epoch, rounded down.
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Seconds since the epoch, rounded up.
    pub const fn as_secs_up(self) -> u64 {
        self.0.div_ceil(NANOS_PER_SEC)
    }

    /// The moment `wait` later, saturating.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns whether at least `wait` has passed since `earlier`.
    ///
    /// Every packet calls it; it does not divide, as making a [`Duration`] does.
    pub const fn is_after(self, earlier: Self, wait: Duration) -> bool {
        self.0.saturating_sub(earlier.0) as u128 >= wait.as_nanos()
    }

    /// Its text in RFC 3339, in UTC, with the digits of `precision`.
    pub const fn rfc3339(self, precision: Precision) -> Rfc3339 {
        Rfc3339(self, precision)
    }
}

/// Whole seconds that passed. Time-outs are checked at each of them.
///
/// Because each whole second counts by itself, it makes no difference whether time passes without
/// frames or with the next frame. The time-outs are much longer than a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a range that can be copied")]
pub struct Seconds {
    /// The first second, since the epoch.
    pub first: u64,
    /// The last second, not before the first.
    pub last: u64,
}

impl Seconds {
    /// The whole seconds after `before`, up to `now`; `None` if there are none.
    pub fn between(before: Timestamp, now: Timestamp) -> Option<Self> {
        let passed = Self { first: before.as_secs() + 1, last: now.as_secs() };
        (passed.first <= passed.last).then_some(passed)
    }
}

/// Precision of a capture's time stamps; decides the digits of a printed time.
///
/// Eight bytes wide, so that a stamp is copied in whole words. hot: see NOTES#stamp
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u64)]
#[expect(clippy::exhaustive_enums, reason = "the output knows exactly these two widths")]
pub enum Precision {
    /// Six digits: microseconds or coarser.
    #[default]
    Micros,
    /// Nine digits: anything finer than a microsecond.
    Nanos,
}

/// Displays a [`Timestamp`] as RFC 3339, for example `2026-02-21T12:00:00.123456Z`.
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339(Timestamp, Precision);

impl Rfc3339 {
    /// Length of the longest text.
    pub const LEN_MAX: usize = "2026-02-21T12:00:00.123456789Z".len();

    /// Writes its text in ASCII and returns the length. By hand, because every message has a time.
    /// hot: see NOTES#rfc3339
    pub fn write(self, into: &mut [u8; Self::LEN_MAX]) -> usize {
        let (secs, nanos) = (self.0.0 / NANOS_PER_SEC, (self.0.0 % NANOS_PER_SEC) as u32);
        let (days, of_day) = (secs / 86_400, (secs % 86_400) as u32);
        let (year, month, day) = civil_from_days(days as u32);
        *into = *b"YYYY-MM-DDThh:mm:ss.mmmuuunnnZ";
        let date = eight_digits([year / 100, year % 100, month, day]);
        let time = eight_digits([of_day / 3_600, of_day / 60 % 60, of_day % 60, nanos / 10_000_000]);
        let rest = eight_digits([nanos / 100_000 % 100, nanos / 1_000 % 100, nanos / 10 % 100, nanos % 10 * 10]);
        into[..4].copy_from_slice(&date[..4]);
        for (place, digits) in [(5, &date[4..6]), (8, &date[6..]), (11, &time[..2]), (14, &time[2..4])] {
            into[place..place + 2].copy_from_slice(digits);
        }
        for (place, digits) in [(17, &time[4..6]), (20, &time[6..])] {
            into[place..place + 2].copy_from_slice(digits);
        }
        into[22..29].copy_from_slice(&rest[..7]);
        match self.1 {
            Precision::Nanos => Self::LEN_MAX,
            Precision::Micros => {
                into[26] = b'Z';
                27
            }
        }
    }
}

/// Returns the digits of four numbers below 100, one after the other.
#[inline(always)] // hot: see NOTES#rfc3339
pub const fn eight_digits([a, b, c, d]: [u32; 4]) -> [u8; 8] {
    let numbers = a as u64 | (b as u64) << 16 | (c as u64) << 32 | (d as u64) << 48;
    // 103 / 1024 is a little more than a tenth: exact, rounded down, below 179.
    let tens = (numbers * 103) >> 10 & 0x000f_000f_000f_000f;
    let ones = numbers - tens * 10;
    (tens | ones << 8 | u64::from_le_bytes([b'0'; 8])).to_le_bytes()
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::LEN_MAX];
        let length = self.write(&mut text);
        f.write_str(str::from_utf8(&text[..length]).expect("digits and punctuation"))
    }
}

/// Year, month and day of a day count since 1970-01-01 (H. Hinnant, "chrono-compatible low-level
/// date algorithms", `civil_from_days`, for days that are not negative).
const fn civil_from_days(days: u32) -> (u32, u32, u32) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as u32;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_print_as_rfc_3339() {
        // Expected values: `date -u -d @SECONDS +%FT%TZ`.
        for (secs, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_771_675_200, "2026-02-21T12:00:00"),
            (4_107_542_399, "2100-02-28T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            let at = Timestamp::new(secs, 123_456_789);
            assert_eq!(at.rfc3339(Precision::Micros).to_string(), format!("{text}.123456Z"));
            assert_eq!(at.rfc3339(Precision::Nanos).to_string(), format!("{text}.123456789Z"));
        }
    }

    #[test]
    fn any_number_below_100_has_its_digits() {
        for number in 0..100 {
            let text = format!("{number:02}{:02}{number:02}00", 99 - number);
            assert_eq!(eight_digits([number, 99 - number, number, 0]), text.as_bytes());
        }
    }

    #[test]
    fn since_never_goes_below_zero() {
        assert_eq!(Timestamp::new(1, 0).since(Timestamp::new(2, 0)), Duration::ZERO);
    }

    #[test]
    fn a_wait_ends_when_all_of_it_has_passed() {
        let (second, start) = (Duration::from_secs(1), Timestamp::new(7, 5));
        assert!(!Timestamp::new(8, 4).is_after(start, second));
        assert!(Timestamp::new(8, 5).is_after(start, second));
        assert!(!Timestamp::ZERO.is_after(start, second), "time that went back");
        assert!(!Timestamp::from_nanos(u64::MAX).is_after(start, Duration::MAX));
    }
}
