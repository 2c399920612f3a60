//! Captures of real programs, if the machine can make them: `benches/real.sh`.
//!
//! What nginx served is the truth about each capture. Before anything is measured, the replay must
//! find as many requests, each with its response and nothing cut, also over a bad line.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// A capture of real traffic.
pub(crate) struct Real {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) path: PathBuf,
}

/// Name of the row, file, description.
const ALL: [(&str, &str, &str); 5] = [
    ("real api", "api.pcap", "wrk on 300 connections that are kept, JSON of 0.3–4 KiB, GET and POST"),
    ("real bulk", "bulk.pcap", "curl, bodies of 1–50 MB both ways, by length and in chunks"),
    ("real churn", "churn.pcap", "wrk, one exchange a connection"),
    ("real lossy", "lossy.pcap", "real api behind 2.5 % loss, 1.5 % duplicates, 3 % reordering; TCP repairs it"),
    ("real mixed", "mixed.pcapng", "three quarters iperf3 and TLS, one quarter wrk as in real api; pcapng"),
];

/// Exit code of the script if a program or root is missing.
const LACKING: i32 = 69;

/// Makes the captures that do not exist, and checks that the replay finds everything in them.
/// Returns none if they cannot be made.
pub(crate) fn captures(folder: &Path, program: &dyn Fn(&str) -> String) -> io::Result<Vec<Real>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("real.sh");
    match Command::new("bash").arg(script).arg(folder).arg(program("bridge")).status() {
        Ok(status) if status.success() => {}
        Ok(status) if status.code() == Some(LACKING) => return Ok(Vec::new()),
        Ok(status) => return Err(io::Error::other(format!("real.sh: {status}"))),
        Err(_) => {
            eprintln!("no real traffic: bash is missing");
            return Ok(Vec::new());
        }
    }
    ALL.into_iter()
        .map(|(name, file, what)| {
            let path = folder.join(file);
            let truth = std::fs::read_to_string(path.with_extension("truth"))?;
            let served = truth.trim().parse().map_err(io::Error::other)?;
            check(&program("sniffer"), &path, served)?;
            let what = format!("{what}. nginx served {served} requests; the replay finds them, each with its answer");
            Ok(Real { name, what, path })
        })
        .collect()
}

/// The fields of a line of the replay that matter here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    direction: &'a str,
    status_code: Option<u16>,
    incomplete: Option<&'a str>,
    connection: &'a str,
    exchange: u64,
}

/// The findings in the lines of a replay.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    requests: usize,
    /// Number of exchanges that are not one request with one final response.
    unpaired: usize,
    /// Number of incomplete messages.
    cut: usize,
}

impl Found {
    fn of(mut lines: impl BufRead) -> io::Result<Self> {
        let (mut found, mut bytes) = (Self::default(), Vec::new());
        // Number of requests and final responses of each exchange.
        let mut exchanges = HashMap::<(String, u64), [u32; 2]>::new();
        while lines.read_until(b'\n', &mut bytes)? > 0 {
            let line: Line<'_> = serde_json::from_slice(&bytes)?;
            found.cut += usize::from(line.incomplete.is_some());
            let counts = exchanges.entry((line.connection.to_owned(), line.exchange)).or_default();
            match (line.direction, line.status_code) {
                ("request", _) => {
                    counts[0] += 1;
                    found.requests += 1;
                }
                (_, Some(100..=199)) => {}
                _ => counts[1] += 1,
            }
            bytes.clear();
        }
        found.unpaired = exchanges.values().filter(|counts| **counts != [1, 1]).count();
        Ok(found)
    }
}

/// Fails if the replay does not find this many requests, each with its response.
fn check(sniffer: &str, path: &Path, served: usize) -> io::Result<()> {
    let mut child = Command::new(sniffer).arg("replay").arg(path).stdout(Stdio::piped()).spawn()?;
    let lines = child.stdout.take().map(|from| BufReader::with_capacity(1 << 20, from));
    let found = lines.map_or_else(|| Ok(Found::default()), Found::of)?;
    let status = child.wait()?;
    match status.success() && found == (Found { requests: served, unpaired: 0, cut: 0 }) {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{}: nginx served {served} requests, the replay finds {}, {} exchanges that are no pair, {} messages that were cut \
             ({status})",
            path.display(),
            found.requests,
            found.unpaired,
            found.cut
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(direction: &str, status: Option<u16>, incomplete: bool, connection: &str, exchange: u64) -> String {
        let status = status.map_or(String::new(), |status| format!(r#""statusCode":{status},"#));
        let incomplete = if incomplete { r#""incomplete":"gap","# } else { "" };
        format!(
            r#"{{"direction":"{direction}",{status}{incomplete}"connection":"{connection}","exchange":{exchange}}}"#
        ) + "\n"
    }

    #[test]
    fn only_one_request_with_one_final_answer_is_a_pair() {
        let request = |connection, exchange| line("request", None, false, connection, exchange);
        let answer = |connection, exchange| line("response", Some(200), false, connection, exchange);
        let interim = line("response", Some(100), false, "a", 1);
        for (lines, requests, unpaired, cut) in [
            (vec![], 0, 0, 0),
            (vec![request("a", 1), answer("a", 1)], 1, 0, 0),
            (vec![request("a", 1), interim.clone(), answer("a", 1)], 1, 0, 0),
            (vec![request("a", 1), interim], 1, 1, 0),
            (vec![request("a", 1), request("a", 2), answer("a", 1), answer("a", 2)], 2, 0, 0),
            // A response of another connection or exchange does not count.
            (vec![request("a", 1), answer("b", 1)], 1, 2, 0),
            (vec![request("a", 1), answer("a", 2)], 1, 2, 0),
            (vec![request("a", 1), request("a", 1), answer("a", 1)], 2, 1, 0),
            (vec![request("a", 1), line("response", Some(200), true, "a", 1)], 1, 0, 1),
        ] {
            let found = Found::of(lines.concat().as_bytes()).unwrap();
            assert_eq!(found, Found { requests, unpaired, cut }, "{lines:?}");
        }
        assert!(Found::of(&b"no line of the replay\n"[..]).is_err());
    }
}
