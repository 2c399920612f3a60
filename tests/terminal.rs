//! Output on a terminal: `pretty` fits its width and has colours unless they are disabled.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Runs the binary on a terminal of this width, which must succeed, and returns its output.
#[track_caller]
fn seen(columns: u16, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let (code, text) = run(columns, environment, arguments);
    assert_eq!(code, Some(0), "{text}");
    text
}

/// Runs the binary on a terminal and returns its exit code and output.
fn run(columns: u16, environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.as_bytes())).unwrap();
    tcsetwinsize(&terminal, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let mut command = Command::new(common::binary());
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color").envs(environment.iter().copied()).args(arguments);
    let mut child = command
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal.try_clone().unwrap())
        .stdin(terminal)
        .spawn()
        .unwrap();
    // Without this handle, the terminal closes when the child exits.
    drop(command);
    let reader = std::thread::spawn(move || {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        let mut file = File::from(controller);
        // On Linux, reading from a closed terminal is an error.
        while let Ok(read @ 1..) = file.read(&mut piece) {
            bytes.extend_from_slice(&piece[..read]);
        }
        bytes
    });
    let code = child.wait().unwrap().code();
    (code, common::text(&reader.join().unwrap()).replace("\r\n", "\n"))
}

/// Removes colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').unwrap_or_else(|| panic!("only colours: {part:?}")).1)
}

#[test]
fn no_line_is_wider_than_the_terminal_and_start_lines_stay() {
    let path = common::capture("real/nginx-redirects.pcap");
    let path = path.to_str().unwrap();
    for columns in [60, 80, 120] {
        let page = plain(&seen(columns, &[], &["replay", path]));
        assert!(page.lines().count() > 5, "{page}");
        for line in page.lines() {
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
        }
        assert!(page.contains("GET /old") && page.contains("301 ") && page.contains("169 B  155 µs"), "{page}");
    }
    assert!(plain(&seen(120, &[], &["replay", path])).contains("301 Moved Permanently"));
}

#[test]
fn colours_are_on_unless_disabled() {
    let path = common::capture("real/nginx-redirects.pcap");
    let path = path.to_str().unwrap();
    assert!(seen(100, &[], &["replay", path]).contains("\x1b[36m301"));
    assert!(!seen(100, &[("NO_COLOR", "1")], &["replay", path]).contains('\x1b'));
    assert!(!seen(100, &[], &["replay", "-f", "summary", path]).contains('\x1b'));
}

#[test]
fn a_capture_is_not_written_to_a_terminal() {
    let talk = common::capture("tcp/a-hole-in-a-body-is-a-gap-of-its-length.talk");
    let path = talk.to_str().unwrap();
    let (code, said) = run(100, &[], &["talk", path]);
    assert_eq!(
        (code, said.as_str()),
        (Some(1), "sniffer: a capture is nothing for a terminal: give -o FILE, or a pipe\n")
    );
}
