//! The values of the filters: their syntax, and what each of them matches.
//!
//! Every value is checked when it is parsed; an error names the allowed forms. Next: `filter`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use ipnet::IpNet;
use sniffer_formats::target::{path_of, without_port};
use sniffer_packet::key::Endpoint;
use sniffer_packet::time::Timestamp;

/// A pattern for hosts: `api.test`, `*.test`, `api.test:8080`.
#[derive(Debug, Clone)]
pub(crate) struct Host(String);

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.is_empty() || text.contains(['/', ' ']) {
            true => Err("a host is a name such as api.test, *.test or api.test:8080".to_owned()),
            false => Ok(Self(text.to_ascii_lowercase())),
        }
    }
}

impl Host {
    /// A pattern without a port matches any port.
    pub(super) fn matches(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        glob(&self.0, &authority) || glob(&self.0, without_port(&authority))
    }
}

/// A pattern for paths: `/api/*`. With a `?` in it, it is compared with the query too.
#[derive(Debug, Clone)]
pub(crate) struct Path(String);

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.starts_with(['/', '*']) {
            true => Ok(Self(text.to_owned())),
            false => Err("a path begins with / or *, such as /api/*".to_owned()),
        }
    }
}

impl Path {
    pub(super) fn matches(&self, target: &str) -> bool {
        let target = path_of(target);
        let seen = if self.0.contains('?') { target } else { target.split('?').next().unwrap_or(target) };
        glob(&self.0, seen)
    }
}

/// A range of status codes: `404`, `5xx`, `400-499`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statuses {
    low: u16,
    high: u16,
}

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a status is 404, 5xx or 400-499".to_owned();
        let number = |text: &str| -> Result<u16, String> {
            text.parse().ok().filter(|status| (100..1000).contains(status)).ok_or_else(wrong)
        };
        let class = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"));
        let (low, high) = match (class, text.split_once('-')) {
            (Some(class), _) => match class.parse::<u16>() {
                Ok(class @ 1..=9) => (class * 100, class * 100 + 99),
                _ => return Err(wrong()),
            },
            (None, Some((low, high))) => (number(low)?, number(high)?),
            (None, None) => (number(text)?, number(text)?),
        };
        if low > high { Err(wrong()) } else { Ok(Self { low, high }) }
    }
}

impl Statuses {
    pub(super) fn matches(self, status: u16) -> bool {
        (self.low..=self.high).contains(&status)
    }
}

/// A set of endpoints: addresses, a port, or both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    net: Option<IpNet>,
    port: Option<u16>,
}

impl FromStr for Ends {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(end) = text.parse::<SocketAddr>() {
            return Ok(Self { net: Some(end.ip().into()), port: Some(end.port()) });
        }
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self { net: Some(net), port: None });
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self { net: Some(ip.into()), port: None });
        }
        match text.strip_prefix(':').map(str::parse) {
            Some(Ok(port)) => Ok(Self { net: None, port: Some(port) }),
            _ => Err("an address is 10.0.0.1, 10.0.0.0/8, 10.0.0.1:80, [::1]:80 or :80".to_owned()),
        }
    }
}

impl Ends {
    pub(super) fn matches(&self, end: Endpoint) -> bool {
        self.net.is_none_or(|net| net.contains(&end.ip)) && self.port.is_none_or(|port| port == end.port)
    }
}

/// Parses a moment in UTC.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let whole = if text.contains(['T', ' ']) { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let since_epoch =
        humantime::parse_rfc3339_weak(&whole).ok().and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    match since_epoch {
        Some(time) => Ok(Timestamp::new(time.as_secs(), u64::from(time.subsec_nanos()))),
        None => Err("a time is UTC: 2026-02-21T12:00:00Z, with decimals if wanted, or 2026-02-21".to_owned()),
    }
}

/// Returns whether the text matches the pattern, in which `*` stands for any text, also none.
///
/// Each part is searched from the left once, without backtracking.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    let mut rest = rest;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text, matches) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a*", "/a", true),
            ("/a*", "/ab/c", true),
            ("*", "", true),
            ("*.test", "api.test", true),
            ("*.test", "test", false),
            ("/a*b*c", "/aXbbYc", true),
            ("/a*b*c", "/aXcYb", false),
            ("/ab*ba", "/aba", false),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_host_matches_with_any_port_unless_it_has_one() {
        let matches = |pattern: &str, host: &str| pattern.parse::<Host>().unwrap().matches(host);
        assert!(matches("API.test", "api.TEST:8080") && matches("api.test:8080", "api.test:8080"));
        assert!(!matches("api.test:80", "api.test:8080") && !matches("api.test", "xapi.test"));
        assert!(matches("[::1]", "[::1]:80") && !matches("[::1]", "[::2]:80"));
    }

    #[test]
    fn a_path_leaves_the_query_out_unless_it_has_one() {
        let matches = |pattern: &str, target: &str| pattern.parse::<Path>().unwrap().matches(target);
        assert!(matches("/a", "/a?b=c") && matches("/a?b=*", "/a?b=c") && !matches("/a?x=*", "/a?b=c"));
        assert!(matches("/a", "http://h.test/a?b") && matches("/", "http://h.test") && matches("*", "*"));
        assert!("a/b".parse::<Path>().is_err());
    }

    #[test]
    fn statuses_are_numbers_classes_and_ranges() {
        let matches = |pattern: &str, status: u16| pattern.parse::<Statuses>().map(|s| s.matches(status));
        assert_eq!([matches("404", 404), matches("404", 405), matches("5xx", 599)], [Ok(true), Ok(false), Ok(true)]);
        assert_eq!([matches("400-404", 404), matches("400-404", 399)], [Ok(true), Ok(false)]);
        for wrong in ["", "xx", "5x", "0xx", "99", "1000", "500-400", "a-b", "-1"] {
            assert!(wrong.parse::<Statuses>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ends_are_hosts_nets_and_ports() {
        let matches = |pattern: &str, end: &str| {
            let end: SocketAddr = end.parse().unwrap();
            pattern.parse::<Ends>().map(|ends| ends.matches(Endpoint::new(end.ip(), end.port())))
        };
        for (pattern, end, wanted) in [
            ("10.0.0.1", "10.0.0.1:80", true),
            ("10.0.0.1:81", "10.0.0.1:80", false),
            ("10.0.0.0/8", "10.9.9.9:80", true),
            ("10.0.0.0/8", "11.0.0.1:80", false),
            (":80", "[::1]:80", true),
            ("[::1]:80", "[::1]:80", true),
            ("::1", "[::1]:80", true),
            ("[::1]", "[::2]:80", false),
        ] {
            assert_eq!(matches(pattern, end), Ok(wanted), "{pattern} on {end}");
        }
        assert!("example.test".parse::<Ends>().is_err() && ":x".parse::<Ends>().is_err());
    }

    #[test]
    fn a_moment_is_utc() {
        assert_eq!(moment("2026-02-21T12:00:00.5Z").unwrap(), Timestamp::new(1_771_675_200, 500_000_000));
        assert_eq!(moment("2026-02-21 12:00:00").unwrap(), Timestamp::new(1_771_675_200, 0));
        assert_eq!(moment("2026-02-21").unwrap(), Timestamp::new(1_771_632_000, 0));
        assert!(moment("yesterday").is_err() && moment("1900-01-01").is_err());
    }
}
