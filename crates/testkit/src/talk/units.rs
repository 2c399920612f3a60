//! Small values in the text: durations, dates, numbers. Next: [`super::parse`].

use sniffer_packet::time::Timestamp;

/// Units of time, longest name first, so that `ms` is not read as `m`.
const UNITS: [(&str, i64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
pub(super) const DURATION_ALLOWED: &str = "a whole number and a unit: ns, us, ms, s, m or h, at most 100 years";
const HUNDRED_YEARS: i64 = 100 * 365 * 24 * 3_600_000_000_000;

/// Parses a duration such as `5s` or `-10ms` into nanoseconds.
pub(super) fn duration(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let nanos = number.parse::<i64>().ok()?.checked_mul(unit)?;
    (nanos.unsigned_abs() <= HUNDRED_YEARS as u64).then_some(nanos)
}

/// Writes a duration in the longest unit that gives a whole number.
pub(super) fn duration_text(nanos: i64) -> String {
    let unit = UNITS.iter().rev().find(|(_, size)| nanos % size == 0).copied().unwrap_or(("ns", 1));
    let (name, size) = if nanos == 0 { ("s", 1) } else { unit };
    format!("{}{name}", nanos / size)
}

pub(super) const DATE_ALLOWED: &str = "RFC 3339 in UTC, 1970 to 2105: 2026-01-01T00:00:00Z, with up to 9 decimals";

/// Parses a date such as `2026-01-01T00:00:00.5Z`.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let three = |text: &str, separator: char| -> Option<[u64; 3]> {
        let mut parts = text.split(separator).map(number);
        let three = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(three)
    };
    let [year, month, day] = three(date, '-')?;
    let [hour, minute, second] = three(time, ':')?;
    // The seconds of pcap end in 2106.
    let sane = (1970..2106).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !sane || hour > 23 || minute > 59 || second > 59 || fraction.len() > 9 {
        return None;
    }
    let nanos = number(fraction)? * 10_u64.pow(9 - fraction.len() as u32);
    let secs = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Timestamp::new(secs, nanos))
}

/// Days since 1970-01-01 (H. Hinnant, `days_from_civil`), for years that are not before 1970.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Parses a whole number, decimal or with 0x before it.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use sniffer_packet::time::Precision;

    use super::*;

    #[test]
    fn durations_there_and_back() {
        for text in ["5s", "10ms", "-3us", "7ns", "2m", "36h", "0s"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        assert_eq!(duration_text(duration("90s").unwrap()), "90s");
        for text in ["", "5", "s", "5 s", "5d", "999999999999h", "1.5s", "5sec"] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn dates_there_and_back() {
        for text in ["2026-01-01T00:00:00.000000Z", "2000-02-29T23:59:59.250000Z", "1970-01-01T00:00:00.000000Z"] {
            assert_eq!(date(text).unwrap().rfc3339(Precision::Micros).to_string(), text);
        }
        assert_eq!(date("2026-01-01T00:00:00Z"), Some(super::super::START));
        for text in ["", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "9999-01-01T00:00:00Z", "--T::Z"]
        {
            assert_eq!(date(text), None, "{text:?}");
        }
    }
}
