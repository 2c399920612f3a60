//! Writes the outcome as JUnit XML, for CI: one test case per capture.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Outcome;

/// Returns the content of the file. An error is one line.
pub(super) fn xml(folder: &Path, outcomes: &[(String, Outcome)]) -> Result<String, String> {
    let mut suite = TestSuite::new(folder.display().to_string());
    for (name, outcome) in outcomes {
        let status = match outcome {
            Outcome::Same => TestCaseStatus::success(),
            Outcome::Differs(lines) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(lines.first().map_or("", String::as_str)).set_description(lines.join("\n"));
                status
            }
            Outcome::New(_) => non_success(NonSuccessKind::Failure, "no golden file"),
            Outcome::Orphan => non_success(NonSuccessKind::Failure, "a golden file without its capture"),
            Outcome::Failed(line) => non_success(NonSuccessKind::Error, line),
        };
        let mut case = TestCase::new(name.as_str(), status);
        case.set_classname("sniffer verify");
        suite.add_test_case(case);
    }
    let mut report = Report::new("sniffer verify");
    report.add_test_suite(suite);
    report.to_string().map_err(|error| format!("cannot write JUnit XML: {error}"))
}

fn non_success(kind: NonSuccessKind, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message);
    status
}
