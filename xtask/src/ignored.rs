//! Tests that need a program which is not Rust's: `#[ignore = "needs tshark"]`.
//!
//! Plain `cargo test` leaves them out; here they run wherever their program is, or can be installed as root with apt-get.
//! Which were run and which were not is always said.

use std::collections::BTreeMap;

use crate::steps::{Failed, cargo, files, run, top, works};

/// Programs that tests may need, and the Debian package that has each.
const PACKAGES: [(&str, &str); 3] = [("tshark", "tshark"), ("tcpdump", "tcpdump"), ("curl", "curl")];

/// Finds the ignored tests and runs those whose need can be met.
pub(crate) fn run_all() -> Result<(), Failed> {
    for (program, tests) in ignored() {
        if !works(&program, &["--version"]) && !install(&program)? {
            println!("xtask: not run, for want of {program}: {}", tests.join(", "));
            continue;
        }
        let mut arguments = vec!["test", "--workspace", "--all-features", "--", "--ignored"];
        arguments.extend(tests.iter().map(String::as_str));
        cargo(&arguments)?;
        println!("xtask: run with {program}: {}", tests.join(", "));
    }
    Ok(())
}

/// The ignored tests by the program they need.
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

/// `(program, test)` of every ignored test in a source text that states its need.
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

fn install(program: &str) -> Result<bool, Failed> {
    let Some((_, package)) = PACKAGES.iter().find(|(known, _)| *known == program) else { return Ok(false) };
    let root = std::process::Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !root || !works("apt-get", &["--version"]) {
        return Ok(false);
    }
    println!("xtask: {program} is missing; installing the package {package}");
    run("apt-get", &["install", "--yes", "--no-install-recommends", package])?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::needs;

    #[test]
    fn a_test_states_its_need() {
        let source = "#[test]\n#[ignore = \"needs tshark\"]\nfn agrees() {}\n#[ignore = \"slow\"]\nfn other() {}\n";
        assert_eq!(needs(source), [("tshark".to_owned(), "agrees".to_owned())]);
    }
}
