//! Runs the ignored tests, which need more than Rust: `#[ignore = "needs tshark"]`,
//! `#[ignore = "needs capture rights, nginx and wrk"]`.
//!
//! Plain `cargo test` skips them. Here they run if their needs are installed, or can be installed
//! as root with apt-get. It always prints which tests run and which do not. A new need must be
//! added to [`NEEDS`].

use std::collections::BTreeMap;

use crate::steps::{Failed, cargo, files, install, is_root, top, works};

/// The needs of tests.
const NEEDS: [(&str, Need); 10] = [
    ("tshark", Need::Program { check: &["tshark", "--version"], package: "tshark" }),
    ("tcpdump", Need::Program { check: &["tcpdump", "--version"], package: "tcpdump" }),
    ("curl", Need::Program { check: &["curl", "--version"], package: "curl" }),
    ("nginx", Need::Program { check: &["nginx", "-v"], package: "nginx-light" }),
    // wrk has no option that exits with success.
    ("wrk", Need::Program { check: &["which", "wrk"], package: "wrk" }),
    ("ip", Need::Program { check: &["ip", "-V"], package: "iproute2" }),
    ("ethtool", Need::Program { check: &["ethtool", "--version"], package: "ethtool" }),
    ("setpriv", Need::Program { check: &["setpriv", "--version"], package: "util-linux" }),
    ("setcap", Need::Program { check: &["setcap", "-h"], package: "libcap2-bin" }),
    ("capture rights", Need::CaptureRights),
];

enum Need {
    Program {
        check: &'static [&'static str],
        package: &'static str,
    },
    /// Root, where network namespaces can be created.
    CaptureRights,
}

impl Need {
    /// Returns whether the need is met, after trying to install it.
    fn is_met(&self) -> Result<bool, Failed> {
        match self {
            Self::Program { check, package } => Ok(works(check[0], &check[1..]) || install(package)?),
            Self::CaptureRights => Ok(is_root() && works("unshare", &["--net", "true"])),
        }
    }
}

/// Finds the ignored tests and runs those whose needs are met, one at a time: they share interfaces
/// and ports.
pub(crate) fn run_all() -> Result<(), Failed> {
    for (needs, tests) in ignored() {
        let mut missing = Vec::new();
        for name in parts(&needs) {
            let need = NEEDS.iter().find(|(known, _)| *known == name).map(|(_, need)| need);
            let need =
                need.ok_or_else(|| Failed(format!("{}: a need that xtask does not know: {name}", tests.join(", "))))?;
            if !need.is_met()? {
                missing.push(name);
            }
        }
        if !missing.is_empty() {
            println!("xtask: not run, for want of {}: {}", missing.join(", "), tests.join(", "));
            continue;
        }
        let mut arguments = vec!["test", "--workspace", "--all-features", "--", "--ignored", "--test-threads=1"];
        arguments.extend(tests.iter().map(String::as_str));
        cargo(&arguments)?;
        println!("xtask: run with {needs}: {}", tests.join(", "));
    }
    Ok(())
}

/// Splits a list of needs: "capture rights, nginx and wrk".
fn parts(needs: &str) -> Vec<&str> {
    needs.split(", ").flat_map(|part| part.split(" and ")).map(str::trim).collect()
}

/// Returns the names of the ignored tests by their needs.
fn ignored() -> BTreeMap<String, Vec<String>> {
    let mut tests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in ["src", "tests", "crates"] {
        for path in files(&top().join(folder), &|name| name.ends_with(".rs")) {
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            for (program, test) in needs(&source) {
                tests.entry(program).or_default().push(test);
            }
        }
    }
    tests
}

/// Returns need and name of every ignored test in a source text that states its need.
fn needs(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in source.split("#[ignore = \"needs ").skip(1) {
        let program = part.split('"').next().unwrap_or_default();
        let test = part.split_once("fn ").and_then(|(_, rest)| rest.split('(').next());
        if let Some(test) = test {
            found.push((program.to_owned(), test.trim().to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{needs, parts};

    #[test]
    fn a_test_states_its_need() {
        let source = "#[test]\n#[ignore = \"needs tshark\"]\nfn agrees() {}\n#[ignore = \"slow\"]\nfn other() {}\n";
        assert_eq!(needs(source), [("tshark".to_owned(), "agrees".to_owned())]);
    }

    #[test]
    fn a_need_may_have_several_parts() {
        assert_eq!(parts("tshark"), ["tshark"]);
        assert_eq!(parts("capture rights, nginx and wrk"), ["capture rights", "nginx", "wrk"]);
    }
}
