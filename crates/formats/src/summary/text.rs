//! The summary as plain text, without colours: it looks the same on a terminal, in a file and in a
//! mail.

use std::io::Write;

use sniffer_engine::ledger::Ledger;

use super::{CLASSES, Group, SummaryReport};
use crate::accounts;
use crate::text::{count, cut, duration, escape, grouped, size};

/// Maximum rows of a table; the HTML page shows more.
const ROWS: usize = 20;
/// Columns of the longest bar.
const BAR: u64 = 40;
/// Columns for the name of a row.
const NAME: usize = 52;

pub(super) fn write(report: &SummaryReport, ledger: &Ledger, damaged: bool, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = page(report, ledger, damaged, out);
}

fn page(report: &SummaryReport, ledger: &Ledger, damaged: bool, out: &mut Vec<u8>) -> std::io::Result<()> {
    overview(report, &accounts::verdict_of(ledger, damaged), out)?;
    statuses(report, out)?;
    let hosts = report.hosts.busiest().into_iter().map(|(host, group)| (host.clone(), group));
    table("Hosts", hosts, &report.hosts.other, out)?;
    let name = |endpoint: &super::Endpoint| format!("{:<7} {}{}", endpoint.method, endpoint.host, endpoint.path);
    let endpoints = report.endpoints.busiest().into_iter().map(|(endpoint, group)| (name(endpoint), group));
    table("Endpoints", endpoints, &report.endpoints.other, out)?;
    let odd = accounts::anomalies(ledger);
    if !odd.is_empty() {
        writeln!(out, "\nAnomalies")?;
        odd.iter().try_for_each(|(name, number)| writeln!(out, "  {name:<28}{:>10}", grouped(*number)))?;
    }
    Ok(())
}

/// Writes the figures of the whole capture.
fn overview(report: &SummaryReport, verdict: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    let total = &report.total;
    writeln!(out, "{}", escape(&report.names))?;
    if let Some((from, to)) = report.span {
        let precision = Default::default();
        let nanos = to.since(from).as_nanos() as u64;
        writeln!(out, "{} – {}  ({})", from.rfc3339(precision), to.rfc3339(precision), duration(nanos))?;
    }
    writeln!(out)?;
    let more = if report.connections.len() == super::CONNECTIONS_MAX { "more than " } else { "" };
    let connections = grouped(report.connections.len() as u64);
    writeln!(out, "exchanges    {} on {more}{connections} connections", grouped(total.exchanges))?;
    writeln!(out, "bodies       {} up, {} down", size(total.request_bytes), size(total.response_bytes))?;
    if let Some(median) = total.percentile(50.0) {
        let rest = [90.0, 99.0, 100.0].map(|p| duration(total.percentile(p).unwrap_or_default()));
        writeln!(out, "latency      p50 {}, p90 {}, p99 {}, most {}", duration(median), rest[0], rest[1], rest[2])?;
    }
    if report.without_request > 0 {
        writeln!(out, "unpaired     {} without a request", count(report.without_request, "response"))?;
    }
    for (why, number) in &report.incomplete {
        writeln!(out, "incomplete   {}: {why}", count(*number, "message"))?;
    }
    writeln!(out, "accounts     {verdict}")
}

/// Writes a bar per class of status, with the codes in it.
fn statuses(report: &SummaryReport, out: &mut Vec<u8>) -> std::io::Result<()> {
    let total = &report.total;
    writeln!(out, "\nStatus")?;
    let most = total.classes.iter().copied().max().unwrap_or_default().max(1);
    for (class, &number) in CLASSES.iter().zip(&total.classes).filter(|(_, number)| **number > 0) {
        let length = usize::try_from((number * BAR).div_ceil(most)).unwrap_or_default();
        let codes: Vec<_> = report
            .statuses
            .iter()
            .filter(|(code, _)| class.as_bytes()[0] == b'0' + (**code / 100) as u8)
            .map(|(code, number)| format!("{code}×{}", grouped(*number)))
            .collect();
        let bar = "█".repeat(length);
        let row = format!("  {class:<12}{:>10}  {bar}  {}", grouped(number), codes.join(" "));
        writeln!(out, "{}", row.trim_end())?;
    }
    Ok(())
}

fn table<'a>(
    title: &str,
    rows: impl ExactSizeIterator<Item = (String, &'a Group)>,
    other: &Group,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let all = rows.len();
    writeln!(
        out,
        "\n{title:<width$}{:>10}{:>8}{:>8}{:>10}{:>10}{:>10}{:>11}",
        "exchanges",
        "4xx",
        "5xx",
        "p50",
        "p90",
        "p99",
        "down",
        width = NAME + 2
    )?;
    for (name, group) in rows.take(ROWS) {
        row(&name, group, out)?;
    }
    if all > ROWS {
        writeln!(out, "  … and {} more", grouped((all - ROWS) as u64))?;
    }
    if other.exchanges > 0 {
        row("(all that came after the table was full)", other, out)?;
    }
    Ok(())
}

fn row(name: &str, group: &Group, out: &mut Vec<u8>) -> std::io::Result<()> {
    let name = escape(name);
    let name = cut(&name, NAME);
    let pad = " ".repeat(NAME.saturating_sub(crate::text::columns(&name)));
    let [p50, p90, p99] = [50.0, 90.0, 99.0].map(|p| group.percentile(p).map_or_else(|| "–".to_owned(), duration));
    let [four, five] = [group.classes[3], group.classes[4]].map(|n| if n == 0 { "–".to_owned() } else { grouped(n) });
    let down = size(group.response_bytes);
    let exchanges = grouped(group.exchanges);
    writeln!(out, "  {name}{pad}{exchanges:>10}{four:>8}{five:>8}{p50:>10}{p90:>10}{p99:>10}{down:>11}")
}
