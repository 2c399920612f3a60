//! Compares real captures with lists of the messages that tshark finds, an independent expectation.
//!
//! `corpus/real/expect.py` writes the lists. Where tshark is wrong, it corrects the list, and the
//! page of the capture has the reason.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Rows of tshark that we do not report by decision: capture, row, count and reason. The page of
/// the capture documents it.
const DECIDED: &[(&str, &str, usize, &str)] = &[(
    "nginx-snaplen.pcap",
    "response 200 OK 0 -",
    5,
    "a head whose end was cut off is counted as unparseable, never reported in part",
)];

/// The columns of a row: direction, method or status, target or reason, body length, and SHA-256 of
/// the body or `-`.
type Row = [String; 5];

#[test]
fn messages_are_those_that_tshark_finds() {
    let mut disagreements = String::new();
    let mut captures = 0;
    for entry in fs::read_dir(common::capture("real")).unwrap() {
        let path = entry.unwrap().path();
        let Some(list) = path.to_str().unwrap().strip_suffix(".tshark.tsv") else { continue };
        captures += 1;
        let (want, have) = (expected(&path), found(Path::new(list)));
        for (row, wanted) in &want {
            let had = have.get(row).copied().unwrap_or(0);
            let decided = DECIDED.iter().find(|(name, r, ..)| list.ends_with(name) && *r == row.join(" "));
            let wanted = wanted - decided.map_or(0, |&(_, _, count, _)| count);
            if had < wanted {
                let _ = writeln!(disagreements, "{list}: {} missing of {}", wanted - had, row.join(" "));
            }
        }
        for (row, had) in &have {
            let wanted = want.get(row).copied().unwrap_or(0);
            if *had > wanted {
                let _ = writeln!(disagreements, "{list}: {} too many of {}", had - wanted, row.join(" "));
            }
        }
    }
    assert!(captures >= 12, "the corpus holds real captures");
    assert!(disagreements.is_empty(), "\n{disagreements}");
}

/// Reads a list as a multiset: tshark orders messages by dissection, we by their last byte.
fn expected(list: &Path) -> BTreeMap<Row, usize> {
    let mut rows = BTreeMap::new();
    for line in fs::read_to_string(list).unwrap().lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [_frame, _stream, row @ ..] = columns.as_slice() else { panic!("{line}") };
        let row: Row = std::array::from_fn(|column| row[column].to_owned());
        *rows.entry(row).or_default() += 1;
    }
    rows
}

fn found(capture: &Path) -> BTreeMap<Row, usize> {
    let output = common::sniffer()
        .args(["replay", "--format", "jsonl", "--no-decode", "--max-body-size", "67108864", "--frames"])
        .arg(capture)
        .assert()
        .success()
        .get_output()
        .clone();
    let mut rows = BTreeMap::new();
    for message in common::messages(&output.stdout) {
        let field = |key: &str| {
            message.get(key).map_or(String::new(), |value| match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        };
        let body = common::body(&message);
        let hash = if body.is_empty() { "-".to_owned() } else { common::sha256(&body) };
        let direction = field("direction");
        let row = match direction.as_str() {
            "request" => [direction, field("method"), field("path"), body.len().to_string(), hash],
            _ => [direction, field("statusCode"), field("reason"), body.len().to_string(), hash],
        };
        *rows.entry(row).or_default() += 1;
    }
    rows
}
