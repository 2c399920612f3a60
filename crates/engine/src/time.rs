//! Capture time: nanoseconds since the Unix epoch, as the frames say it.
//!
//! Time is only ever read from frames (or handed in by a live driver); nothing in this crate asks a clock.
//! Next: [`crate::frame`].

use std::fmt;
use std::time::Duration;

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A moment in capture time: nanoseconds since 1970-01-01T00:00:00Z, until the year 2554.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself; also what a frame without a time stamp carries.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From seconds and nanoseconds since the epoch, saturating.
    pub const fn new(secs: u64, nanos: u64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC).saturating_add(nanos))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Microseconds since the epoch, rounded down.
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with the digits of `precision`.
    pub const fn rfc3339(self, precision: Precision) -> Rfc3339 {
        Rfc3339(self, precision)
    }
}

/// How fine the capture's time stamps are; decides the digits of a printed time stamp.
///
/// Eight bytes, for a stamp to be copied in whole words: a byte that is read back as eight stalled twice a packet.
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
    /// Its longest text.
    pub(crate) const LEN_MAX: usize = "2026-02-21T12:00:00.123456789Z".len();

    /// Its text, by hand: the formatting machinery took 150 ns of the microsecond a message has. ASCII.
    pub(crate) fn write(self, into: &mut [u8; Self::LEN_MAX]) -> &[u8] {
        let secs = self.0.0 / NANOS_PER_SEC;
        let (year, month, day) = civil_from_days(secs / 86_400);
        let (fraction, width) = match self.1 {
            Precision::Micros => (self.0.0 % NANOS_PER_SEC / 1_000, 6),
            Precision::Nanos => (self.0.0 % NANOS_PER_SEC, 9),
        };
        let parts = [
            (year, 4, b'-'),
            (month, 2, b'-'),
            (day, 2, b'T'),
            (secs / 3_600 % 24, 2, b':'),
            (secs / 60 % 60, 2, b':'),
            (secs % 60, 2, b'.'),
            (fraction, width, b'Z'),
        ];
        let mut at = 0;
        for (mut number, width, then) in parts {
            for place in into[at..at + width].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
            at += width;
            into[at] = then;
            at += 1;
        }
        &into[..at]
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::LEN_MAX];
        f.write_str(str::from_utf8(self.write(&mut text)).expect("digits and punctuation"))
    }
}

/// Year, month and day of a day count since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms",
/// `civil_from_days`, for days that are not negative).
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as u64;
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
    fn since_never_goes_below_zero() {
        assert_eq!(Timestamp::new(1, 0).since(Timestamp::new(2, 0)), Duration::ZERO);
    }
}
