//! Prints the engine's ledger, as a table or as JSON: where every byte of TCP payload went.
//!
//! The last line of the table distinguishes "saw nothing" from "lost something". Nothing is counted
//! here. Next: the engine's `ledger`.

use sniffer_engine::anomaly::Anomaly;
use sniffer_engine::ledger::{Fate, Ledger};
use sniffer_packet::fate::FrameFate;

use crate::text::{count, grouped};

/// Formats the ledger as one line of JSON.
pub fn json(ledger: &Ledger) -> String {
    serde_json::to_string(ledger).unwrap_or_default() + "\n"
}

/// Formats the ledger as a table whose last line is the verdict. `damaged` says that an input ended
/// early.
pub fn table(ledger: &Ledger, damaged: bool) -> String {
    let mut rows = Rows::default();
    rows.total("frames", ledger.frames(), "");
    for &fate in FrameFate::ALL {
        rows.part(fate.name(), ledger.frames_with(fate), ledger.frames());
    }
    rows.total("connections", ledger.connections(), "");
    rows.part("evicted", ledger.evicted(), ledger.connections());
    rows.total("messages", ledger.messages(), "");
    rows.total("payload", ledger.payload(), "bytes of TCP payload in the frames, of which:");
    for &fate in Fate::ALL {
        rows.part(fate.name(), ledger.bytes(fate), ledger.payload());
    }
    let sum = Fate::ALL.iter().map(|&fate| ledger.bytes(fate)).sum::<u64>();
    let verdict = match ledger.balance() {
        0 => "= payload: every byte is accounted for".to_owned(),
        rest => format!("{rest} bytes without a fate: please report this as a bug"),
    };
    rows.total("sum", sum, &verdict);
    rows.total("missing", ledger.missing(), "bytes known to be missing from the capture");
    let anomalies = Anomaly::ALL.iter().map(|&anomaly| ledger.anomalies(anomaly)).sum::<u64>();
    rows.total("anomalies", anomalies, "");
    for &anomaly in Anomaly::ALL {
        rows.part(anomaly.name(), ledger.anomalies(anomaly), 0);
    }
    format!("{}{}\n", rows.text, verdict_of(ledger, damaged))
}

#[derive(Default)]
struct Rows {
    text: String,
}

impl Rows {
    fn total(&mut self, name: &str, number: u64, remark: &str) {
        let row = format!("{name:<28}{:>15}  {remark}", grouped(number));
        self.text.push_str(row.trim_end());
        self.text.push('\n');
    }

    /// Adds a row with its share of `whole`, unless the number is zero.
    fn part(&mut self, name: &str, number: u64, whole: u64) {
        if number == 0 {
            return;
        }
        let share = if whole == 0 { String::new() } else { share(number, whole) };
        let row = format!("  {name:<26}{:>15}  {share}", grouped(number));
        self.text.push_str(row.trim_end());
        self.text.push('\n');
    }
}

/// Formats a part in percent. A part that is not exactly zero or all is never rounded to it.
fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 / whole as f64 * 100.0;
    match percent {
        _ if part == whole => "100 %".to_owned(),
        ..0.1 => "<0.1 %".to_owned(),
        99.9.. => ">99.9 %".to_owned(),
        _ => format!("{percent:.1} %"),
    }
}

/// Returns the verdict in one sentence: nothing seen, something lost, or nothing lost.
pub(crate) fn verdict_of(ledger: &Ledger, damaged: bool) -> String {
    let mut lost = Vec::new();
    let mut say = |number: u64, words: &str| {
        if number > 0 {
            lost.push(format!("{} {words}", grouped(number)));
        }
    };
    let malformed = [FrameFate::UnknownLinkType, FrameFate::MalformedLink, FrameFate::MalformedTunnel]
        .into_iter()
        .chain([FrameFate::MalformedIp, FrameFate::MalformedTcp, FrameFate::TooDeep]);
    say(ledger.missing(), "bytes were missing from the capture");
    say(ledger.bytes(Fate::Unparseable), "bytes could not be read as HTTP");
    say(ledger.bytes(Fate::Evicted), "bytes were given up for the memory budget");
    say(ledger.bytes(Fate::Late), "bytes came after they had been given up");
    say(malformed.map(|fate| ledger.frames_with(fate)).sum(), "frames could not be decoded");
    if damaged {
        lost.push("what stood behind the damage".to_owned());
    }
    match (ledger.messages(), lost.is_empty()) {
        (0, true) => format!("Saw nothing: {}.", nothing(ledger)),
        (0, false) => format!("Saw nothing ({}), and lost something: {}.", nothing(ledger), lost.join(", ")),
        (_, true) => format!("Lost nothing{}.", unread(ledger)),
        (_, false) => format!("Lost something: {}{}.", lost.join(", "), unread(ledger)),
    }
}

/// Returns the names and counts of the anomalies that were seen, in the order of output.
pub(crate) fn anomalies(ledger: &Ledger) -> Vec<(&'static str, u64)> {
    let all = Anomaly::ALL.iter().map(|&anomaly| (anomaly.name(), ledger.anomalies(anomaly)));
    all.filter(|&(_, number)| number > 0).collect()
}

/// Lists the payload that was received but not read as HTTP/1: other protocols, other ports.
fn unread(ledger: &Ledger) -> String {
    let parts: Vec<_> = [Fate::Tls, Fate::Http2, Fate::Tunnel, Fate::NotHttp, Fate::Filtered, Fate::SampledOut]
        .into_iter()
        .filter(|&fate| ledger.bytes(fate) > 0)
        .map(|fate| format!("{} {}", share(ledger.bytes(fate), ledger.payload()), fate.name()))
        .collect();
    if parts.is_empty() { String::new() } else { format!("; not read: {}", parts.join(", ")) }
}

/// Explains from the ledger why there was no message.
pub fn nothing(ledger: &Ledger) -> String {
    let mut line = format!("no HTTP message in {}", count(ledger.frames(), "frame"));
    if ledger.frames() == 0 {
        return line;
    }
    if ledger.frames_with(FrameFate::Tcp) == 0 && ledger.payload() == 0 {
        return line + ", none of them TCP";
    }
    if ledger.payload() > 0 && ledger.bytes(Fate::Filtered) == ledger.payload() {
        return line + &format!(": all {} of TCP payload are on other ports", count(ledger.payload(), "byte"));
    }
    line += &format!(", {}", count(ledger.connections(), "TCP connection"));
    if ledger.payload() == 0 {
        return line + " without payload";
    }
    let mut fates: Vec<_> = Fate::ALL.iter().map(|&fate| (ledger.bytes(fate), fate)).filter(|&(n, _)| n > 0).collect();
    fates.sort_by_key(|&(number, _)| std::cmp::Reverse(number));
    let parts: Vec<_> =
        fates.iter().take(3).map(|&(n, fate)| format!("{} {}", share(n, ledger.payload()), fate.name())).collect();
    line + &format!(", {} of payload: {}", count(ledger.payload(), "byte"), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_all() {
        let cases = [(0, 10, "<0.1 %"), (1, 10_000, "<0.1 %"), (1, 3, "33.3 %"), (9_999, 10_000, ">99.9 %")];
        for (part, whole, text) in cases.into_iter().chain([(7, 7, "100 %")]) {
            assert_eq!(share(part, whole), text);
        }
    }

    #[test]
    fn an_empty_capture_saw_nothing_and_lost_nothing() {
        assert_eq!(verdict_of(&Ledger::default(), false), "Saw nothing: no HTTP message in 0 frames.");
    }
}
