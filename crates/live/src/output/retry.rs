//! What a response (or none) means for a message, and when the message is tried again. Pure
//! functions: no clock, no network.

use std::time::{Duration, SystemTime};

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attempt {
    Delivered,
    /// The message is worth another try. The receiver may have asked for a pause.
    Retry {
        why: String,
        after: Option<Duration>,
    },
    /// The receiver does not want the message.
    Refused {
        why: String,
    },
}

/// Returns what a status code means.
pub(crate) fn judge(status: u16, retry_after: Option<Duration>) -> Attempt {
    let why = format!("status {status}");
    match status {
        200..=299 => Attempt::Delivered,
        408 | 429 | 500..=599 => Attempt::Retry { why, after: retry_after },
        // Redirects are not followed: the token is for the host it was configured for.
        _ => Attempt::Refused { why },
    }
}

/// Returns the pause after this many failed tries: 1 s, 2 s, 4 s, then none, and no more tries.
pub(crate) const fn backoff(failed: u32) -> Option<Duration> {
    match failed {
        1..=3 => Some(Duration::from_secs(1 << (failed - 1))),
        _ => None,
    }
}

/// Returns the pause with regard to what the receiver asked for, which can lengthen it up to `most`.
pub(crate) fn pause(failed: u32, after: Option<Duration>, most: Duration) -> Option<Duration> {
    backoff(failed).map(|backoff| backoff.max(after.unwrap_or_default().min(most)))
}

/// Parses `Retry-After`: seconds or a date (RFC 9110 §10.2.3).
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_status_has_its_meaning() {
        for status in 100..=599 {
            let outcome = judge(status, None);
            match status {
                200..=299 => assert_eq!(outcome, Attempt::Delivered, "{status}"),
                408 | 429 | 500..=599 => assert!(matches!(outcome, Attempt::Retry { .. }), "{status}"),
                _ => assert!(matches!(outcome, Attempt::Refused { .. }), "{status}"),
            }
        }
    }

    #[test]
    fn pauses_double_and_end_after_three() {
        assert_eq!([1, 2, 3].map(|n| backoff(n).unwrap().as_secs()), [1, 2, 4]);
        assert_eq!([0, 4, 5, u32::MAX].map(backoff), [None; 4]);
    }

    #[test]
    fn a_receiver_can_lengthen_a_pause_within_bounds_and_never_shorten_it() {
        let most = Duration::from_secs(10);
        let with = |failed, after| pause(failed, Some(Duration::from_secs(after)), most).map(|pause| pause.as_secs());
        assert_eq!(with(1, 0), Some(1));
        assert_eq!(with(1, 7), Some(7));
        assert_eq!(with(3, 3), Some(4));
        assert_eq!(with(1, 3600), Some(10));
        assert_eq!(with(4, 1), None, "it never adds a try");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("99999999999999", None),
        ] {
            assert_eq!(retry_after(value, now).map(|after| after.as_secs()), seconds, "{value}");
        }
    }
}
