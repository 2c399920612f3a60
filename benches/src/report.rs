//! The results as a page: `benches/RESULTS.md`.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use sniffer_packet::time::{Precision, Timestamp};

use crate::measure::{Cost, count_lines, spread};
use crate::others::{LIMIT, Other};

/// The results for one capture.
pub(crate) struct ReportRow {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
    pub(crate) frames: u64,
    /// Costs of one thread, the floor, the floor without JSON, reading alone, and the default.
    pub(crate) costs: [Vec<Cost>; 5],
    pub(crate) others: Vec<Other>,
}

#[derive(Default)]
pub(crate) struct ReportTable {
    pub(crate) rows: Vec<ReportRow>,
}

/// Returns how many messages and frames the replay finds, after checking that it gives the same
/// bytes for any number of threads.
pub(crate) fn found(sniffer: &str, path: &str) -> io::Result<(u64, u64)> {
    let expected = output(sniffer, path, "1")?;
    for threads in ["2", "3", "8"] {
        if output(sniffer, path, threads)? != expected {
            return Err(io::Error::other(format!("{path}: {threads} threads give other bytes than one")));
        }
    }
    Ok((expected.lines, expected.frames))
}

/// The output of a replay.
#[derive(PartialEq, Eq)]
struct Output {
    lines: u64,
    /// Hash of the lines.
    hash: u64,
    frames: u64,
}

fn output(sniffer: &str, path: &str, threads: &str) -> io::Result<Output> {
    let mut command = Command::new(sniffer);
    command.args(["replay", "--stats=json", "--threads", threads, path]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut hasher = DefaultHasher::new();
    let from = child.stdout.take().into_iter();
    let lines = from.map(|from| count_lines(from, |bytes| hasher.write(bytes))).sum::<io::Result<u64>>()?;
    let ended = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&ended.stderr);
    let frames = told.split_once("\"frames\":").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    match (ended.status.success(), frames) {
        (true, Some(frames)) => Ok(Output { lines, hash: hasher.finish(), frames }),
        _ => Err(io::Error::other(format!("{path}: the replay failed: {told}"))),
    }
}

impl ReportTable {
    pub(crate) fn text(&self, memory: &[(u64, f64)], linear: &str) -> String {
        let mut text = format!(
            "# Measured\n\nBy `cargo xtask bench`, which says what each column is; medians of runs in turns, with the least and the most.\n\
             {}\n\nEach capture is copied into memory anew before it is measured. CPU is user and system seconds. The *floor* is `benches/src/bin/floor.rs`: read, headers by hand, httparse, JSON with \
             bodies as far as the first segment has them; *flow* is the same without JSON; *read* is `read()` and nothing \
             else, which every tool pays that reads a file. Output goes to /dev/null, with headers \
             and bodies.\n\n## One thread\n\n| capture | MB | messages | CPU s | of the floor | of flow | of read | ns a message | ns a packet | MB/s |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
            machine()
        );
        for row in &self.rows {
            let [one, floor, flow, read, _] = &row.costs;
            let cpu = spread(one.iter().map(|cost| cost.cpu));
            let of = |other: &[Cost]| spread(one.iter().zip(other).map(|(own, other)| own.cpu / other.cpu));
            let (megabytes, [_, median, _]) = (row.bytes as f64 / 1e6, cpu);
            let _ = writeln!(
                text,
                "| {} | {megabytes:.0} | {} | {} | {} | {} | {} | {} | {:.0} | {:.0} |",
                row.name,
                row.messages,
                range(cpu),
                range(of(floor)),
                range(of(flow)),
                range(of(read)),
                match row.messages {
                    0 => "–".to_owned(),
                    messages => format!("{:.0}", median * 1e9 / messages as f64),
                },
                median * 1e9 / row.frames as f64,
                megabytes / median
            );
        }
        text += "\n## Default threads\n\nThe lines are the same bytes for 1, 2, 3 and 8 threads, on each of these captures.\n\n| capture | wall s | of one thread | CPU of one thread | peak MiB | peak MiB, one thread |\n|---|---|---|---|---|---|\n";
        for row in &self.rows {
            let [one, .., all] = &row.costs;
            let of = |of: fn(&Cost) -> f64| spread(all.iter().zip(one).map(|(all, one)| of(all) / of(one)));
            let peak = |costs: &[Cost]| spread(costs.iter().map(|cost| cost.peak_mib))[2];
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {:.0} | {:.0} |",
                row.name,
                range(spread(all.iter().map(|cost| cost.wall))),
                range(of(|cost| cost.wall)),
                range(of(|cost| cost.cpu)),
                peak(all),
                peak(one)
            );
        }
        text += "\n## Other tools\n\nCPU seconds, and how many times those of the replay on one thread, which took turns with each. tshark is asked for start lines only and finds \
                 messages; tcpflow writes bodies to files; Suricata has one thread, no rules and `benches/suricata.yaml`, writes headers \
                 without bodies, and finds exchanges, also those that were never answered or never whole.\n\n\
                 | capture | tool | found | CPU s | times |\n|---|---|---|---|---|\n";
        for row in &self.rows {
            for Other { name, pairs, found } in &row.others {
                let found_text = found.map_or("–".to_owned(), |found| found.to_string());
                let cpu = spread(pairs.iter().map(|[cpu, _]| *cpu))[1];
                let [least, median, most] = spread(pairs.iter().map(|[cpu, own]| cpu / own));
                let _ = match found {
                    _ if pairs.is_empty() => {
                        writeln!(text, "| {} | {name} | – | failed, or not done after {LIMIT} | |", row.name)
                    }
                    // A tool that found nothing has no time.
                    Some(0) => writeln!(text, "| {} | {name} | 0 | {cpu:.2} | – |", row.name),
                    _ => writeln!(
                        text,
                        "| {} | {name} | {found_text} | {cpu:.2} | {median:.1} ({least:.1}–{most:.1}) |",
                        row.name
                    ),
                };
            }
        }
        text += "\n## Memory and the size of the file\n\n| MB | peak MiB |\n|---|---|\n";
        for (bytes, peak) in memory {
            let _ = writeln!(text, "| {:.0} | {peak:.0} |", *bytes as f64 / 1e6);
        }
        let _ = write!(
            text,
            "\n## Growth\n\nTime for one unit, each dimension over two decades: linear where it stays the same. What a capture costs at all is in \
             the first column.\n\n| dimension | | | |\n|---|---|---|---|\n{linear}\n## Captures\n\n"
        );
        for row in &self.rows {
            let _ = writeln!(text, "- **{}**: {}", row.name, row.what);
        }
        text
    }
}

fn range([least, median, most]: [f64; 3]) -> String {
    format!("{median:.2} ({least:.2}–{most:.2})")
}

/// Date and machine.
fn machine() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let date = Timestamp::new(seconds, 0).rfc3339(Precision::Micros).to_string();
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    format!(
        "{}, {}, {cores} cores, {}, {}.",
        date.split('T').next().unwrap_or_default(),
        model.trim_start_matches(['\t', ' ', ':']),
        std::env::consts::OS,
        String::from_utf8_lossy(&rustc).trim()
    )
}
