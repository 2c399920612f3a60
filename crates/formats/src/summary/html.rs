//! The summary as one self-contained HTML page: no script, no external resource.
//!
//! Text from the wire is always [escaped](Escaped). Next: `charts` for the charts, `page.css` for
//! the styles.

use std::fmt::{Display, Formatter, Result, Write};

use sniffer_engine::ledger::Ledger;

use super::charts::{latencies, over_time, statuses};
use super::{CLASSES, Endpoint, Group, Groups, SummaryReport};
use crate::accounts;
use crate::text::{duration, grouped, size};

/// Maximum rows of a table. Nobody reads a page with all [`super::ENDPOINTS_MAX`].
const ROWS: usize = 200;

pub(super) fn write(report: &SummaryReport, ledger: &Ledger, damaged: bool, out: &mut Vec<u8>) {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(report, ledger, damaged, &mut page);
    out.extend_from_slice(page.as_bytes());
}

fn write_page(report: &SummaryReport, ledger: &Ledger, damaged: bool, page: &mut String) -> Result {
    let total = &report.total;
    header(report, &accounts::verdict_of(ledger, damaged), page)?;
    cards(report, page)?;
    section(page, "Over time", |page| over_time(&report.timeline, page))?;
    page.push_str("<div class=\"two\">\n");
    section(page, "Status", |page| statuses(total, &report.statuses, page))?;
    section(page, "Latency", |page| latencies(&total.latency, page))?;
    page.push_str("</div>\n");
    section(page, "Hosts", |page| table(page, "Host", &report.hosts, total))?;
    section(page, "Endpoints", |page| table(page, "Endpoint", &report.endpoints, total))?;
    losses(report, ledger, page)?;
    page.push_str("</body>\n</html>\n");
    Ok(())
}

/// Writes the head of the document and the page's header: names, time span and verdict.
fn header(report: &SummaryReport, verdict: &str, page: &mut String) -> Result {
    let names = Escaped(&report.names);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{names} – sniffer</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<header><h1>{names}</h1>\n",
        include_str!("page.css")
    )?;
    if let Some((from, to)) = report.span {
        let precision = Default::default();
        let length = duration(to.since(from).as_nanos() as u64);
        writeln!(page, "<p>{} – {} ({length})</p>", from.rfc3339(precision), to.rfc3339(precision))?;
    }
    let look = if verdict.starts_with("Lost nothing") { "well" } else { "odd" };
    writeln!(page, "<p class=\"{look}\">{}</p></header>", Escaped(verdict))
}

/// Writes the figures of the whole capture.
fn cards(report: &SummaryReport, page: &mut String) -> Result {
    let total = &report.total;
    page.push_str("<section class=\"cards\">\n");
    card(page, &grouped(total.exchanges), "exchanges")?;
    card(page, &grouped(report.connections.len() as u64), "connections")?;
    let failed = total.classes[3] + total.classes[4];
    let share = if total.exchanges == 0 { 0.0 } else { failed as f64 / total.exchanges as f64 * 100.0 };
    card(page, &format!("{share:.1} %"), "4xx and 5xx")?;
    for (percent, name) in [(50.0, "latency p50"), (90.0, "latency p90"), (99.0, "latency p99")] {
        card(page, &total.percentile(percent).map_or_else(|| "–".to_owned(), duration), name)?;
    }
    card(page, &size(total.request_bytes), "bodies up")?;
    card(page, &size(total.response_bytes), "bodies down")?;
    page.push_str("</section>\n");
    Ok(())
}

/// Writes the incomplete messages and the anomalies, if there are any.
fn losses(report: &SummaryReport, ledger: &Ledger, page: &mut String) -> Result {
    let odd = report.incomplete.iter().map(|(why, number)| (format!("incomplete: {why}"), *number));
    let odd: Vec<_> =
        odd.chain(accounts::anomalies(ledger).into_iter().map(|(name, n)| (name.to_owned(), n))).collect();
    if odd.is_empty() {
        return Ok(());
    }
    section(page, "Losses and anomalies", |page| {
        page.push_str("<table><tbody>\n");
        for (name, number) in &odd {
            writeln!(page, "<tr><td>{}</td><td>{}</td></tr>", Escaped(name), grouped(*number))?;
        }
        page.push_str("</tbody></table>\n");
        Ok(())
    })
}

fn card(page: &mut String, value: &str, name: &str) -> Result {
    writeln!(page, "<div><b>{}</b><span>{name}</span></div>", Escaped(value))
}

fn section(page: &mut String, title: &str, inside: impl FnOnce(&mut String) -> Result) -> Result {
    writeln!(page, "<section><h2>{title}</h2>")?;
    inside(page)?;
    page.push_str("</section>\n");
    Ok(())
}

/// A key that names a row of a table.
trait Named {
    fn cell(&self) -> String;
}

impl Named for String {
    fn cell(&self) -> String {
        Escaped(self).to_string()
    }
}

impl Named for Endpoint {
    fn cell(&self) -> String {
        let Self { method, host, path } = self;
        format!("<b>{}</b> <i>{}</i>{}", Escaped(method), Escaped(host), Escaped(path))
    }
}

/// Writes a table with columns for the classes of status that occur in `total`.
fn table<K: Ord + Clone + Named>(page: &mut String, title: &str, groups: &Groups<K>, total: &Group) -> Result {
    let classes: Vec<_> = (0..CLASSES.len()).filter(|&class| total.classes[class] > 0).collect();
    write!(page, "<div class=\"wide\"><table><thead><tr><th>{title}</th><th>exchanges</th>")?;
    for &class in &classes {
        write!(page, "<th>{}</th>", CLASSES[class])?;
    }
    page.push_str("<th>p50</th><th>p90</th><th>p99</th><th>up</th><th>down</th></tr></thead><tbody>\n");
    let rows = groups.busiest();
    for (name, group) in rows.iter().take(ROWS) {
        row(page, &name.cell(), group, &classes)?;
    }
    if rows.len() > ROWS {
        writeln!(page, "<tr><td>… and {} more</td></tr>", grouped((rows.len() - ROWS) as u64))?;
    }
    if groups.other.exchanges > 0 {
        row(page, "all that came after the table was full", &groups.other, &classes)?;
    }
    page.push_str("</tbody></table></div>\n");
    Ok(())
}

fn row(page: &mut String, name: &str, group: &Group, classes: &[usize]) -> Result {
    write!(page, "<tr><td>{name}</td><td>{}</td>", grouped(group.exchanges))?;
    for &class in classes {
        match group.classes[class] {
            0 => page.push_str("<td class=\"none\">–</td>"),
            number => write!(page, "<td class=\"c{class}\">{}</td>", grouped(number))?,
        }
    }
    for percent in [50.0, 90.0, 99.0] {
        write!(page, "<td>{}</td>", group.percentile(percent).map_or_else(|| "–".to_owned(), duration))?;
    }
    writeln!(page, "<td>{}</td><td>{}</td></tr>", size(group.request_bytes), size(group.response_bytes))
}

/// Text escaped for HTML, also inside quotes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for c in crate::text::escape(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
