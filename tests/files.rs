//! Broken input files, and output files: the messages before the damage come out, and one line
//! reports the rest.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;

use common::{capture, messages, replay, text};

const KEEPALIVE: &str = "real/nginx-keepalive.pcap";

/// Checks that a replay of this file fails with one line that contains these words and the file
/// name.
#[track_caller]
fn fails(path: &Path, words: &[&str]) {
    let output = replay([path]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(text(&output.stdout), "");
    assert!(said.starts_with("sniffer: ") && said.trim_end().lines().count() == 1, "one line of ours: {said}");
    for word in words.iter().copied().chain([path.file_name().unwrap().to_str().unwrap()]) {
        assert!(said.contains(word), "{word:?} in {said}");
    }
}

#[test]
fn files_that_are_no_captures_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    fails(&folder.path().join("nowhere.pcap"), &["cannot open"]);
    fails(folder.path(), &["directory"]);
    fails(&file("empty.pcap", b""), &["empty"]);
    fails(&file("notes.txt", b"Dear all,\n"), &["not a capture", "text"]);
    fails(&file("archive.pcap", b"PK\x03\x04aaaaaaaa"), &["zip"]);
    fails(&file("short.pcap", &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0]), &["cut short"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.pcap");
    fs::copy(capture(KEEPALIVE), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_err() {
        fails(&path, &["cannot open", "ermission"]);
    }
    // Root may read every file, so there is nothing to check.
}

#[test]
fn control_characters_in_a_file_name_do_not_reach_the_terminal() {
    let output = replay(["no\x1b[2Jwhere.pcap"]);
    assert!(text(&output.stderr).contains("no\\x1b[2Jwhere.pcap"));
}

#[test]
fn a_header_without_packets_is_fine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quiet.pcap");
    fs::write(&path, common::pcap(1, &[])).unwrap();
    let output = replay([&path]);
    assert_eq!((output.status.code(), text(&output.stdout), text(&output.stderr)), (Some(0), "", ""));
}

#[test]
fn damage_costs_only_what_comes_after_it() {
    let whole = fs::read(capture(KEEPALIVE)).unwrap();
    let want = replay([capture(KEEPALIVE)]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pcap");
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let output = replay([&path]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("damaged in record ") && said.contains(" at byte ") && said.contains("cut short"), "{said}");
    let stats = replay(["--stats".as_ref(), "-o".as_ref(), "/dev/null".as_ref(), path.as_os_str()]);
    assert!(text(&stats.stderr).contains("\nLost something: what stood behind the damage.\n"), "{stats:?}");
    let complete: Vec<_> = messages(&output.stdout).into_iter().filter(|m| !m.contains_key("incomplete")).collect();
    let want = messages(&want.stdout);
    assert!(!complete.is_empty() && complete.len() < want.len());
    assert_eq!(complete[..], want[..complete.len()], "a prefix of what the whole file gives");
}

#[test]
fn a_damaged_file_among_several_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.pcap");
    fs::write(&path, b"").unwrap();
    let output = replay([capture(KEEPALIVE).as_path(), &path]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(messages(&output.stdout).len(), 12);
    assert!(text(&output.stderr).contains("empty.pcap"));
}

#[test]
fn an_unknown_link_type_is_an_error_only_when_nothing_else_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (unknown, known) = (folder.path().join("unknown.pcap"), folder.path().join("known.pcap"));
    fs::write(&unknown, common::pcap(147, &[vec![0; 60], vec![0; 60]])).unwrap();
    let request = common::segment(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    fs::write(&known, common::pcap(101, &[request])).unwrap();
    let alone = replay([&unknown]);
    let said = "sniffer: link type 147 is not supported: 2 frames of";
    assert_eq!(alone.status.code(), Some(2));
    assert_eq!(text(&alone.stderr), format!("{said} 2 skipped\n"));
    let both = replay([&unknown, &known]);
    assert_eq!(both.status.code(), Some(0));
    assert_eq!(text(&both.stderr), format!("{said} 3 skipped\n"));
    assert_eq!(messages(&both.stdout).len(), 1);
}

#[test]
fn compression_does_not_change_the_output() {
    let whole = fs::read(capture(KEEPALIVE)).unwrap();
    let want = replay([capture(KEEPALIVE)]).stdout;
    let folder = tempfile::tempdir().unwrap();
    // The name does not show the compression; the content does.
    let path = folder.path().join("packed");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &whole).unwrap();
    fs::write(&path, gzip.finish().unwrap()).unwrap();
    assert_eq!(replay([&path]).stdout, want);
}

#[test]
fn output_to_a_file_is_what_standard_output_gets() {
    let want = replay([capture(KEEPALIVE)]).stdout;
    assert_eq!(replay(["-o".as_ref(), "-".as_ref(), capture(KEEPALIVE).as_os_str()]).stdout, want);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    for _ in 0..2 {
        let output = replay(["-o".as_ref(), path.as_os_str(), capture(KEEPALIVE).as_os_str()]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""));
        assert_eq!(fs::read(&path).unwrap(), want);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
    }
    // A damaged input gives an output file too.
    let cut = folder.path().join("cut.pcap");
    fs::write(&cut, &fs::read(capture(KEEPALIVE)).unwrap()[..2000]).unwrap();
    fs::remove_file(&path).unwrap();
    let output = replay(["-o".as_ref(), path.as_os_str(), cut.as_os_str()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!messages(&fs::read(&path).unwrap()).is_empty());
}

#[cfg(unix)]
#[test]
fn output_keeps_links_and_permissions() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    fs::write(&target, b"old").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&target, &link).unwrap();
    replay(["-o".as_ref(), link.as_os_str(), capture(KEEPALIVE).as_os_str()]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(messages(&fs::read(&target).unwrap()).len(), 12);
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn output_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("no/such/folder/out.jsonl")] {
        let output = replay(["-o".as_ref(), path.as_os_str(), capture(KEEPALIVE).as_os_str()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("sniffer: cannot write to {}: ", path.display())), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn output_never_replaces_an_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap");
    fs::copy(capture(KEEPALIVE), &path).unwrap();
    let output = replay(["-o".as_ref(), path.as_os_str(), path.as_os_str()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("input"));
    assert_eq!(fs::read(&path).unwrap(), fs::read(capture(KEEPALIVE)).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one_line_and_exit_2() {
    let output = replay(["-o".as_ref(), "/dev/full".as_ref(), capture(KEEPALIVE).as_os_str()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("sniffer: cannot write to /dev/full: No space left"), "{output:?}");
    assert_eq!(text(&output.stderr).lines().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_device_is_written_directly() {
    let output = replay(["-o".as_ref(), "/dev/stdout".as_ref(), capture(KEEPALIVE).as_os_str()]);
    assert_eq!(messages(&output.stdout).len(), 12);
}
