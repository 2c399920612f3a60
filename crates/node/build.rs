//! Linker arguments of an addon, and advice if libpcap's development files are missing: the linker
//! only prints `cannot find -lpcap`.

use std::env;
use std::process::Command;

fn main() {
    napi_build::setup();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBPCAP_LIBDIR");
    println!("cargo::rerun-if-env-changed=PKG_CONFIG_PATH");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    // The search path for another target is known only to the user who cross-compiles.
    let crossing = env::var("HOST") != env::var("TARGET");
    if target("OS") == "linux" && !crossing && env::var_os("LIBPCAP_LIBDIR").is_none() && !pkg_config() && !linker() {
        println!(
            "cargo::error=libpcap's development files are missing; install them (Debian, Ubuntu: apt-get install libpcap-dev; \
             Fedora: dnf install libpcap-devel; Alpine: apk add libpcap-dev) or set LIBPCAP_LIBDIR"
        );
    }
}

fn pkg_config() -> bool {
    let output = Command::new("pkg-config").args(["--exists", "libpcap"]).status();
    output.is_ok_and(|status| status.success())
}

/// The compiler prints the path of a library that it finds, and otherwise the bare name.
fn linker() -> bool {
    ["libpcap.so", "libpcap.a"].iter().any(|name| {
        let output = Command::new("cc").arg(format!("-print-file-name={name}")).output();
        output.is_ok_and(|output| output.stdout.starts_with(b"/"))
    })
}
