//! The outcome as JUnit XML, for CI: a test case a capture.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Outcome;

/// The file; an error in one line.
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
            Outcome::New(_) => told(NonSuccessKind::Failure, "no golden file"),
            Outcome::Orphan => told(NonSuccessKind::Failure, "a golden file without its capture"),
            Outcome::Failed(line) => told(NonSuccessKind::Error, line),
        };
        let mut case = TestCase::new(name.as_str(), status);
        case.set_classname("sniffer verify");
        suite.add_test_case(case);
    }
    let mut report = Report::new("sniffer verify");
    report.add_test_suite(suite);
    report.to_string().map_err(|error| format!("cannot write JUnit XML: {error}"))
}

fn told(kind: NonSuccessKind, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message);
    status
}
