//! From the ticks of a time stamp to nanoseconds since 1970.
//!
//! It never fails: times before 1970 or after 2554 are clamped. Next: [`super::pcapng`].

use sniffer_packet::time::{Precision, Timestamp};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// The unit and offset of an interface's time stamps.
///
/// Source: if_tsresol (9) and if_tsoffset (14), draft-ietf-opsawg-pcapng section 4.2. Resolutions
/// finer than a nanosecond are read too; pcap-file refuses them.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimestampUnit {
    unit: Unit,
    /// Seconds to add to every time stamp.
    offset_secs: i64,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    /// A tick is this many nanoseconds.
    Nanos(u64),
    /// A tick is `10^-exponent` seconds, finer than a nanosecond.
    Decimal(u32),
    /// A tick is `2^-exponent` seconds.
    Binary(u32),
}

impl TimestampUnit {
    /// Microseconds, the default of the format.
    pub(super) const MICROS: Self = Self { unit: Unit::Nanos(1_000), offset_secs: 0 };

    /// The unit with the resolution of if_tsresol: a negative power of two if the highest bit is set,
    /// else of ten.
    pub(super) fn with_resolution(self, if_tsresol: u8) -> Self {
        let exponent = u32::from(if_tsresol & 0x7f);
        let unit = match if_tsresol & 0x80 != 0 {
            true => Unit::Binary(exponent),
            false if exponent <= 9 => Unit::Nanos(10u64.pow(9 - exponent)),
            false => Unit::Decimal(exponent),
        };
        Self { unit, ..self }
    }

    /// The unit with the offset of if_tsoffset, in seconds.
    pub(super) fn with_offset_secs(self, offset_secs: i64) -> Self {
        Self { offset_secs, ..self }
    }

    /// Returns `Nanos` if a tick is shorter than a microsecond.
    pub(super) fn precision(self) -> Precision {
        let finer = match self.unit {
            Unit::Nanos(nanos) => nanos < 1_000,
            Unit::Decimal(_) => true,
            // 2^-19 s is 1.9 µs, 2^-20 s is 0.95 µs.
            Unit::Binary(exponent) => exponent >= 20,
        };
        if finer { Precision::Nanos } else { Precision::Micros }
    }

    /// Converts the ticks of a time stamp.
    #[inline]
    pub(super) fn at(self, ticks: u64) -> Timestamp {
        let nanos = match self.unit {
            Unit::Nanos(nanos) => ticks.saturating_mul(nanos),
            Unit::Decimal(exponent) => match 10u64.checked_pow(exponent - 9) {
                Some(ticks_per_nano) => ticks / ticks_per_nano,
                None => 0,
            },
            // At most 2^64 * 2^30, so the product fits; at most 127 places, so the shift is defined.
            Unit::Binary(exponent) => {
                u64::try_from((u128::from(ticks) * u128::from(NANOS_PER_SEC)) >> exponent).unwrap_or(u64::MAX)
            }
        };
        let offset = self.offset_secs.unsigned_abs().saturating_mul(NANOS_PER_SEC);
        Timestamp::from_nanos(match self.offset_secs < 0 {
            true => nanos.saturating_sub(offset),
            false => nanos.saturating_add(offset),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds() {
        let binary = 0x80;
        for (resolution, offset, ticks, nanos, precision) in [
            (0, 0, 7, 7_000_000_000, Precision::Micros),
            (3, 0, 7, 7_000_000, Precision::Micros),
            (6, 0, 1_771_675_200_123_456, 1_771_675_200_123_456_000, Precision::Micros),
            (7, 0, 17_716_752_001_234_567, 1_771_675_200_123_456_700, Precision::Nanos),
            (9, 0, 1_771_675_200_123_456_789, 1_771_675_200_123_456_789, Precision::Nanos),
            (12, 0, 1_234_567_890_999, 1_234_567_890, Precision::Nanos),
            (28, 0, u64::MAX, 1, Precision::Nanos), // 2^64 / 10^19 = 1.8
            (127, 0, u64::MAX, 0, Precision::Nanos),
            (binary, 0, 3, 3_000_000_000, Precision::Micros),
            (binary | 10, 0, 1024 + 512, 1_500_000_000, Precision::Micros),
            (binary | 19, 0, 1, 1_907, Precision::Micros),
            (binary | 20, 0, 1, 953, Precision::Nanos),
            (binary | 32, 0, (1_771_675_200 << 32) | 0x8000_0000, 1_771_675_200_500_000_000, Precision::Nanos),
            (binary | 127, 0, u64::MAX, 0, Precision::Nanos),
            (6, 1_771_675_200, 5, 1_771_675_200_000_005_000, Precision::Micros),
            (6, -2, 3_000_000, 1_000_000_000, Precision::Micros),
            (6, -2, 1, 0, Precision::Micros),
            (6, i64::MIN, 1, 0, Precision::Micros),
            (6, i64::MAX, 1, u64::MAX, Precision::Micros),
            (0, 0, u64::MAX, u64::MAX, Precision::Micros),
        ] {
            let clock = TimestampUnit::MICROS.with_resolution(resolution).with_offset_secs(offset);
            assert_eq!(clock.at(ticks).as_nanos(), nanos, "if_tsresol {resolution:#x}, offset {offset}, {ticks} ticks");
            assert_eq!(clock.precision(), precision, "if_tsresol {resolution:#x}");
        }
    }
}
