//! Runs programs at the top of the project and prints them first.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use walkdir::{DirEntry, WalkDir};

/// An error message.
pub(crate) struct Failed(pub(crate) String);

/// Returns the top folder of the project.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Prints and runs a cargo command.
pub(crate) fn cargo(arguments: &[&str]) -> Result<(), Failed> {
    run("cargo", arguments)
}

/// Prints and runs a command.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), Failed> {
    println!("xtask: {program} {}", arguments.join(" "));
    quietly(program, arguments)
}

/// Runs a command without printing it, for those with many arguments.
pub(crate) fn quietly(program: &str, arguments: &[&str]) -> Result<(), Failed> {
    match Command::new(program).args(arguments).current_dir(top()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failed(format!("xtask: {program} {}: {status}", arguments.first().unwrap_or(&"")))),
        Err(error) => Err(Failed(format!("xtask: cannot run {program}: {error}"))),
    }
}

/// Returns whether a command runs and exits with success.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    output.is_ok_and(|status| status.success())
}

/// Returns whether the user is root.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Installs a Debian package if root and apt-get are at hand. Returns whether it was installed.
pub(crate) fn install(package: &str) -> Result<bool, Failed> {
    if !is_root() || !works("apt-get", &["--version"]) {
        return Ok(false);
    }
    println!("xtask: installing the package {package}");
    if run("apt-get", &["install", "--yes", "--no-install-recommends", package]).is_ok() {
        return Ok(true);
    }
    // The package lists may be outdated or missing.
    run("apt-get", &["update"])?;
    run("apt-get", &["install", "--yes", "--no-install-recommends", package])?;
    Ok(true)
}

/// Ensures that the headers of libpcap are installed, for live capture.
pub(crate) fn libpcap() -> Result<(), Failed> {
    if works("pcap-config", &["--version"]) || works("pkg-config", &["--exists", "libpcap"]) {
        return Ok(());
    }
    println!("xtask: the headers of libpcap are missing");
    match install("libpcap-dev")? {
        true => Ok(()),
        false => Err(Failed("xtask: live capture needs the headers of libpcap: install libpcap-dev".to_owned())),
    }
}

/// Ensures that a component of the toolchain is installed.
pub(crate) fn component(name: &str) -> Result<(), Failed> {
    let command = name.trim_start_matches("rust");
    if works("cargo", &[command, "--version"]) {
        return Ok(());
    }
    println!("xtask: {name} is missing, adding it to the toolchain");
    run("rustup", &["component", "add", name])
}

/// Returns the files under a folder with a wanted name, sorted. Skips build output, and does not
/// follow symbolic links.
pub(crate) fn files(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let is_output = |entry: &DirEntry| ["target", ".git", "node_modules"].iter().any(|name| entry.file_name() == *name);
    let entries =
        WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(|entry| !is_output(entry)).flatten();
    let files = entries.filter(|entry| entry.file_type().is_file() && wanted(&entry.file_name().to_string_lossy()));
    files.map(DirEntry::into_path).collect()
}
