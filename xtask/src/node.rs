//! Installs the dependencies of the npm package, builds it, and runs its tests.
//!
//! Its `package.json` says how it is built.

use std::process::Command;

use crate::steps::{Failed, is_root, run};

/// Minimum major version of Node.
const OLDEST: u32 = 20;

/// Runs the tests, if Node is installed and new enough.
pub(crate) fn test() -> Result<(), Failed> {
    match version() {
        Some(version) if version >= OLDEST => {}
        found => {
            let found = found.map_or_else(|| "there is none".to_owned(), |version| format!("this one is {version}"));
            println!("xtask: not run, for want of node {OLDEST} or later ({found}): the tests of crates/node");
            return Ok(());
        }
    }
    if !is_root() {
        println!("xtask: without capture rights the tests of crates/node that capture are skipped");
    }
    npm(&["ci"])?;
    npm(&["run", "build:debug"])?;
    npm(&["test"])
}

fn npm(arguments: &[&str]) -> Result<(), Failed> {
    run("npm", &[&["--prefix", "crates/node"], arguments].concat())
}

/// Returns the major version of Node, from `v20.1.0`.
fn version() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim_start_matches('v').split('.').next()?.parse().ok()
}
