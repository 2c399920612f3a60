//! `cargo xtask score FOLDER`: runs the release binary on captures of other projects, with the
//! scorer in the same folder.
//!
//! The captures are not part of this project; without them nothing is scored. Accepted differences
//! and their reasons are in `corpus/EXPECTED.toml`. The caller names the folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use crate::steps::{Failed, cargo, run, top};

/// The arguments with which the scorer runs the sniffer: whole bodies, with their content codings.
const REPLAY: [&str; 7] = ["replay", "--format", "jsonl", "--no-decode", "--max-body-size", "67108864", "{pcap}"];

/// An accepted difference.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    missing: u64,
    extra: u64,
    reason: String,
}

/// The scorer's result.
#[derive(Debug, Deserialize)]
struct Scored {
    captures: Vec<Capture>,
}

/// The scorer's result for one capture.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Capture {
    path: String,
    exact: bool,
    missing: u64,
    extra: u64,
    body_bad: u64,
    body_none: u64,
    error: Option<String>,
}

/// The summary and the complaints; without complaints the score passes.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    summary: String,
    complaints: Vec<String>,
}

/// Builds the binary, runs the scorer, and compares its result with the accepted differences.
pub(crate) fn score(folder: Option<&str>) -> Result<(), Failed> {
    let folder = folder.ok_or_else(|| Failed("xtask: score needs the folder of the captures".to_owned()))?;
    if !Path::new(folder).is_dir() {
        println!("score: {folder} is not here, so nothing was scored");
        return Ok(());
    }
    let folder = fs::canonicalize(folder).map_err(|error| Failed(format!("xtask: {folder}: {error}")))?;
    let accepted = accepted(&read(&top().join("corpus/EXPECTED.toml"))?)?;
    cargo(&["build", "--release", "-p", "sniffer"])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), |target| top().join(target));
    let result = target.join("score.json");
    // An old result must not pass for this one.
    match fs::remove_file(&result) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Failed(format!("xtask: {}: {error}", result.display())));
        }
        _ => {}
    }
    let (scorer, binary) = (folder.join("score.py"), target.join("release/sniffer"));
    let [scorer, json, binary] = [&scorer, &result, &binary].map(|path| path.display().to_string());
    let mut arguments = vec![scorer.as_str(), "--json", json.as_str(), "--", binary.as_str()];
    arguments.extend(REPLAY);
    // The scorer fails unless every capture is right. If it wrote no result, the next step fails.
    let ended = run("python3", &arguments);
    let scored = match fs::read_to_string(&result) {
        Ok(text) => scored(&text)?,
        Err(error) => {
            let why = ended.err().map_or_else(|| error.to_string(), |Failed(why)| why);
            return Err(Failed(format!("score: the scorer gave no result: {why}")));
        }
    };
    let verdict = judge(&accepted, &scored);
    println!("{}", verdict.summary);
    match verdict.complaints[..] {
        [] => Ok(()),
        _ => Err(Failed(verdict.complaints.join("\n"))),
    }
}

fn read(path: &Path) -> Result<String, Failed> {
    fs::read_to_string(path).map_err(|error| Failed(format!("xtask: {}: {error}", path.display())))
}

fn accepted(text: &str) -> Result<BTreeMap<String, Accepted>, Failed> {
    let accepted: BTreeMap<String, Accepted> =
        toml::from_str(text).map_err(|error| Failed(format!("corpus/EXPECTED.toml: {error}")))?;
    match accepted.iter().find(|(_, accepted)| accepted.reason.trim().is_empty()) {
        Some((path, _)) => Err(Failed(format!("corpus/EXPECTED.toml: {path} has no reason"))),
        None => Ok(accepted),
    }
}

fn scored(text: &str) -> Result<Vec<Capture>, Failed> {
    let scored: Scored =
        serde_json::from_str(text).map_err(|error| Failed(format!("score: the scorer's result is broken: {error}")))?;
    Ok(scored.captures)
}

/// Compares the captures that differ with the accepted differences.
fn judge(accepted: &BTreeMap<String, Accepted>, captures: &[Capture]) -> Verdict {
    let mut complaints = Vec::new();
    let (mut right, mut wrong) = (0, 0);
    for capture in captures {
        if capture.exact {
            right += 1;
        } else if !accepted.get(&capture.path).is_some_and(|accepted| accepted.covers(capture)) {
            wrong += 1;
            complaints.push(format!("  {}", capture.difference()));
        }
    }
    if captures.is_empty() {
        complaints.push("  there was no capture".to_owned());
    }
    for path in accepted.keys() {
        match captures.iter().find(|capture| capture.path == *path) {
            Some(capture) if !capture.exact => {}
            Some(_) => complaints.push(format!("  {path} is right now: take it out of corpus/EXPECTED.toml")),
            None => complaints.push(format!("  {path} is no capture: take it out of corpus/EXPECTED.toml")),
        }
    }
    let (all, differ) = (captures.len(), captures.len() - right - wrong);
    Verdict {
        summary: format!("score: {right} of {all} captures exactly right, {differ} differ for a reason, {wrong} wrong"),
        complaints,
    }
}

impl Accepted {
    /// Returns whether the capture differs exactly as accepted. Bodies must agree, and it must not
    /// have failed.
    fn covers(&self, capture: &Capture) -> bool {
        (self.missing, self.extra, 0, 0) == (capture.missing, capture.extra, capture.body_bad, capture.body_none)
            && capture.error.is_none()
    }
}

impl Capture {
    fn difference(&self) -> String {
        let Self { path, missing, extra, body_bad, body_none, error, .. } = self;
        let counts =
            format!("{missing} missing, {extra} extra, {body_bad} bodies that differ, {body_none} bodies not given");
        match error {
            Some(error) => format!("{path}: {counts}; {error}"),
            None => format!("{path}: {counts}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str = "[\"a/x.pcap\"]\nmissing = 1\nextra = 2\nreason = \"a decision\"\n";

    fn capture(path: &str, counts: [u64; 4]) -> Capture {
        let [missing, extra, body_bad, body_none] = counts;
        let exact = counts == [0; 4];
        Capture { path: path.to_owned(), exact, missing, extra, body_bad, body_none, error: None }
    }

    #[track_caller]
    fn check(captures: &[Capture], summary: &str, complaints: &[&str]) {
        let accepted = accepted(EXPECTED).unwrap_or_else(|Failed(why)| unreachable!("{why}"));
        let verdict = judge(&accepted, captures);
        assert_eq!(verdict.summary, format!("score: {summary}"));
        let said: Vec<_> = verdict.complaints.iter().map(|line| line.trim_start()).collect();
        assert_eq!(said, complaints);
    }

    #[test]
    fn a_listed_difference_passes_and_any_other_fails() {
        let listed = || capture("a/x.pcap", [1, 2, 0, 0]);
        check(
            &[listed(), capture("b.pcap", [0; 4])],
            "1 of 2 captures exactly right, 1 differ for a reason, 0 wrong",
            &[],
        );
        check(
            &[listed(), capture("b.pcap", [0, 1, 0, 0])],
            "0 of 2 captures exactly right, 1 differ for a reason, 1 wrong",
            &["b.pcap: 0 missing, 1 extra, 0 bodies that differ, 0 bodies not given"],
        );
        for counts in [[1, 1, 0, 0], [1, 2, 1, 0], [1, 2, 0, 1]] {
            let verdict = judge(&accepted(EXPECTED).unwrap_or_default(), &[capture("a/x.pcap", counts)]);
            assert_eq!(verdict.complaints.len(), 1, "{counts:?}");
        }
        let failed = Capture { error: Some("exit -11".to_owned()), ..listed() };
        assert_eq!(judge(&accepted(EXPECTED).unwrap_or_default(), &[failed]).complaints.len(), 1);
    }

    #[test]
    fn an_entry_that_is_not_needed_any_more_fails() {
        check(
            &[capture("a/x.pcap", [0; 4])],
            "1 of 1 captures exactly right, 0 differ for a reason, 0 wrong",
            &["a/x.pcap is right now: take it out of corpus/EXPECTED.toml"],
        );
        check(
            &[capture("b.pcap", [0; 4])],
            "1 of 1 captures exactly right, 0 differ for a reason, 0 wrong",
            &["a/x.pcap is no capture: take it out of corpus/EXPECTED.toml"],
        );
    }

    #[test]
    fn no_capture_at_all_fails() {
        let verdict = judge(&BTreeMap::new(), &[]);
        assert_eq!(verdict.summary, "score: 0 of 0 captures exactly right, 0 differ for a reason, 0 wrong");
        assert_eq!(verdict.complaints, ["  there was no capture"]);
    }

    #[test]
    fn an_entry_has_counts_and_a_reason_and_nothing_else() {
        for broken in [
            "[\"x\"]\nmissing = 1\nextra = 2\n",
            "[\"x\"]\nmissing = 1\nextra = 2\nreason = \" \"\n",
            "[\"x\"]\nmissing = 1\nextra = 2\nreason = \"r\"\nbodies = 1\n",
            "[\"x\"]\nmissing = -1\nextra = 2\nreason = \"r\"\n",
        ] {
            assert!(accepted(broken).is_err(), "{broken}");
        }
        let project = include_str!("../../corpus/EXPECTED.toml");
        assert!(accepted(project).is_ok());
    }

    #[test]
    fn the_result_is_read_as_the_scorer_writes_it() {
        let text = r#"{"totals": {}, "captures": [{"path": "a.pcap", "exact": false, "error": null, "seconds": 0.1,
            "required": 2, "matched": 1, "missing": 1, "extra": 0, "bodyBad": 0, "bodyNone": 0, "tags": []}]}"#;
        let captures = scored(text).unwrap_or_default();
        assert_eq!(captures.len(), 1);
        assert_eq!(captures[0].difference(), "a.pcap: 1 missing, 0 extra, 0 bodies that differ, 0 bodies not given");
        assert!(scored("").is_err() && scored("{}").is_err());
    }
}
