//! The end of a run: by a signal, by itself, and with receivers that do not respond. The last log
//! line accounts for every message.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::common;
use crate::net::{Namespace, pair};
use crate::programs::{Running, Sniffer, nginx, wrk};
use crate::receiver::hanging;

/// Starts a load that lasts until the end of the test.
fn endless(inside: &Namespace) -> Running {
    let mut command = inside.command("wrk");
    Running(command.args(["-t1", "-c4", "-d60s", "http://127.0.0.1/small.json"]).stdout(Stdio::null()).spawn().unwrap())
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn sigterm_under_load_ends_well_with_a_hanging_and_with_a_dead_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let _nginx = nginx(&inside, folder.path());
    hanging(&inside, 9000);
    for receiver in ["http://127.0.0.1:9000/", "http://127.0.0.1:9999/"] {
        let arguments = ["-i", "lo", "-p", "80", "--output-url", receiver, "--drain-timeout-ms", "300"];
        let mut sniffer = Sniffer::start(&inside, &arguments, &[], Stdio::null());
        let load = endless(&inside);
        sniffer.until("message dropped: the output is too slow");
        let last = sniffer.stop();
        drop(load);
        assert_eq!(last["why"], "asked to");
        let dropped = &last["outputs"]["webhook"]["dropped"];
        assert!(dropped["drainTimeout"].as_u64() > Some(0) && dropped["queueFull"].as_u64() > Some(0), "{last:?}");
    }
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let _nginx = nginx(&inside, folder.path());
    hanging(&inside, 9000);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let arguments =
            ["-i", "lo", "-p", "80", "--output-url", "http://127.0.0.1:9000/", "--drain-timeout-ms", "600000"];
        let mut sniffer = Sniffer::start(&inside, &arguments, &[], Stdio::null());
        wrk(&inside, folder.path(), "127.0.0.1");
        sniffer.process.signal(signal);
        sniffer.until("stopping: the capture has ended, outputs are drained");
        sniffer.process.signal(signal);
        assert_eq!(sniffer.process.wait().code(), Some(code));
    }
}

#[test]
#[ignore = "needs capture rights and ip"]
fn an_interface_that_disappears_is_an_error_in_libpcaps_words() {
    let (client, server) = pair();
    let mut sniffer = Sniffer::start(&server, &["-i", "vs", "-p", "80"], &[], Stdio::null());
    client.ip(&["link", "del", "vc"]);
    let last = sniffer.ended(2);
    assert!(last["why"].as_str().unwrap().contains("disappeared"), "{last:?}");
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn a_closed_standard_output_ends_it_when_it_was_the_last_output() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let _nginx = nginx(&inside, folder.path());
    let mut sniffer = Sniffer::start(&inside, &["-i", "lo", "-p", "80"], &[], Stdio::piped());
    let load = endless(&inside);
    let mut stdout = BufReader::new(sniffer.process.0.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    let last = sniffer.ended(0);
    assert_eq!(last["why"], "the last output was closed");
    drop(load);
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn a_closed_standard_output_ends_only_itself_when_there_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let _nginx = nginx(&inside, folder.path());
    let recording = folder.path().join("recording");
    let arguments = ["-i", "lo", "-p", "80", "--write-pcap", recording.to_str().unwrap()];
    let mut sniffer = Sniffer::start(&inside, &arguments, &[], Stdio::piped());
    drop(sniffer.process.0.stdout.take());
    wrk(&inside, folder.path(), "127.0.0.1");
    sniffer.until("standard output was closed by its reader");
    let last = sniffer.stop();
    assert_eq!((&last["why"], &last["unrecorded"]), (&"asked to".into(), &0.into()));
    let replayed = common::replay(["-p", "80", recording.to_str().unwrap()]);
    assert_eq!(last["messages"], common::messages(&replayed.stdout).len());
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn a_reader_that_stops_reading_holds_up_neither_the_capture_nor_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let _nginx = nginx(&inside, folder.path());
    let arguments = ["-i", "lo", "-p", "80", "--drain-timeout-ms", "300"];
    // Nobody reads from this pipe or closes it.
    let mut sniffer = Sniffer::start(&inside, &arguments, &[], Stdio::piped());
    let load = endless(&inside);
    sniffer.until("message dropped: the output is too slow");
    let last = sniffer.stop();
    let dropped = &last["outputs"]["stdout"]["dropped"];
    assert!(dropped["queueFull"].as_u64() > Some(0) && dropped["drainTimeout"].as_u64() > Some(0), "{last:?}");
    drop(load);
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn a_full_disk_under_standard_output_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let _nginx = nginx(&inside, folder.path());
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut sniffer = Sniffer::start(&inside, &["-i", "lo", "-p", "80"], &[], Stdio::from(full));
    wrk(&inside, folder.path(), "127.0.0.1");
    let last = sniffer.ended(2);
    assert!(last["why"].as_str().unwrap().contains("No space left on device"), "{last:?}");
}

#[test]
#[ignore = "needs capture rights, ip, setpriv and setcap"]
fn without_capture_rights_it_names_the_remedy_and_with_the_capability_root_is_not_needed() {
    let inside = Namespace::new();
    // A folder that the user nobody can read.
    let folder = tempfile::Builder::new().prefix("sniffer").tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let binary = folder.path().join("sniffer");
    std::fs::copy(common::binary(), &binary).unwrap();
    let nobody = || {
        let mut command = inside.command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&binary);
        command.args(["live", "-i", "lo", "-p", "80"]);
        command
    };
    let output = nobody().output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("Operation not permitted") && said.contains("setcap cap_net_raw+ep"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");

    assert!(Command::new("setcap").arg("cap_net_raw+ep").arg(&binary).status().unwrap().success());
    let mut sniffer = Sniffer::spawn(nobody(), &[], Stdio::null());
    sniffer.until("started");
    sniffer.stop();
}
