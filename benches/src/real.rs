//! Captures of real programs that talk, where the machine can make them: `benches/real.sh`.
//!
//! What nginx served is the truth about each, and the replay is held to it before anything is measured: as many requests, each
//! with its answer, nothing cut, also behind a bad line.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// A capture of real traffic.
pub(crate) struct Real {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) path: PathBuf,
}

/// Name of the row, file, what it is.
const ALL: [(&str, &str, &str); 5] = [
    ("real api", "api.pcap", "wrk on 300 connections that are kept, JSON of 0.3–4 KiB, GET and POST"),
    ("real bulk", "bulk.pcap", "curl, bodies of 1–50 MB both ways, by length and in chunks"),
    ("real churn", "churn.pcap", "wrk, one exchange a connection"),
    ("real lossy", "lossy.pcap", "real api behind 2.5 % loss, 1.5 % duplicates, 3 % reordering; TCP repairs it"),
    ("real mixed", "mixed.pcapng", "three quarters iperf3 and TLS, one quarter wrk as in real api; pcapng"),
];

/// What the script ends with where it lacks a program, or root.
const LACKING: i32 = 69;

/// Makes the captures that are not there, and sees that the replay finds all that is in them; none where they cannot be made.
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

/// What matters here of a line of the replay.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    direction: &'a str,
    status_code: Option<u16>,
    incomplete: Option<&'a str>,
    connection: &'a str,
    exchange: u64,
}

/// Fails where the replay does not find so many requests, or one of them without its answer.
fn check(sniffer: &str, path: &Path, served: usize) -> io::Result<()> {
    let mut child = Command::new(sniffer).arg("replay").arg(path).stdout(Stdio::piped()).spawn()?;
    // Requests and final answers of each exchange.
    let mut exchanges = HashMap::<(String, u64), [u32; 2]>::new();
    let mut cut = 0;
    if let Some(from) = child.stdout.take() {
        let (mut from, mut bytes) = (BufReader::with_capacity(1 << 20, from), Vec::new());
        while from.read_until(b'\n', &mut bytes)? > 0 {
            let line: Line<'_> = serde_json::from_slice(&bytes)?;
            cut += usize::from(line.incomplete.is_some());
            let counts = exchanges.entry((line.connection.to_owned(), line.exchange)).or_default();
            match (line.direction, line.status_code) {
                ("request", _) => counts[0] += 1,
                (_, Some(100..=199)) => {}
                _ => counts[1] += 1,
            }
            bytes.clear();
        }
    }
    let status = child.wait()?;
    let requests: u32 = exchanges.values().map(|[requests, _]| requests).sum();
    let unpaired = exchanges.values().filter(|counts| **counts != [1, 1]).count();
    match status.success() && requests as usize == served && unpaired == 0 && cut == 0 {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{}: nginx served {served} requests, the replay finds {requests}, {unpaired} exchanges that are no pair, {cut} messages \
             that were cut ({status})",
            path.display()
        ))),
    }
}
