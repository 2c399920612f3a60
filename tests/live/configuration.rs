//! Errors in the configuration. They need no capture rights: the configuration is checked before
//! anything is opened.

use crate::common::{sniffer, text};

/// Checks that a run with these arguments and variables fails with this code and one line on
/// stderr.
#[track_caller]
fn refused(arguments: &[&str], environment: &[(&str, &str)], code: i32, words: &str) {
    let mut command = sniffer();
    command.env_clear().envs(environment.iter().copied()).arg("live").args(arguments);
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(text(&output.stdout), "");
    assert!(said.starts_with("sniffer: ") && said.trim_end().lines().count() == 1, "one line of ours: {said}");
    assert!(said.contains(words), "{words:?} in {said}");
}

#[test]
fn a_wrong_value_is_reported_with_its_option_or_variable() {
    refused(&[], &[], 1, "ports is missing");
    refused(&["-p", "80,0"], &[], 1, "ports[1] (--port) is 0; a port is an integer from 1 to 65535");
    refused(&["-p", "http"], &[], 1, "ports[0] (--port) is \"http\"");
    refused(&["-p", "-1"], &[], 1, "ports[0] (--port) is -1");
    refused(&[], &[("PORTS", "80 81")], 1, "ports[0] (PORTS) is \"80 81\"");
    refused(
        &["-p", "80", "--sample-rate", "2"],
        &[],
        1,
        "sampleRate (--sample-rate) is 2; it must be a number from 0 to 1",
    );
    refused(&["-p", "80", "--output-url", "collector"], &[], 1, "outputUrl (--output-url) is \"collector\"");
    refused(&["-p", "80", "--snaplen", "-5"], &[], 1, "snaplen (--snaplen) is -5");
    refused(&["-p", "80", "--drain-timeout-ms", "soon"], &[], 1, "drainTimeoutMs (--drain-timeout-ms) is \"soon\"");
    refused(&["-p", "80", "--redact", "a b"], &[], 1, "redactHeaders[0] (--redact) is \"a b\"");
    refused(&["-p", "80", "--prot", "81"], &[], 1, "--port");
    let production = [("PORTS", "80"), ("NODE_ENV", "production"), ("OUTPUT_URL", "http://collector/")];
    refused(&[], &production, 1, "outputUrl (OUTPUT_URL) is \"http://collector/\"; it must be an https URL");
}

#[test]
fn a_missing_interface_lists_those_that_exist_and_arguments_win_over_the_environment() {
    // The values of these variables are wrong, but the arguments override them.
    let environment = [("PORTS", "0"), ("INTERFACE", "lo"), ("SAMPLE_RATE", "7")];
    let arguments = ["-p", "80", "-i", "nowhere0", "--sample-rate", "1"];
    refused(&arguments, &environment, 2, "there is no interface nowhere0; there are: ");
}

#[test]
fn interfaces_lists_loopback() {
    let output = sniffer().arg("interfaces").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let loopback = text(&output.stdout).lines().find(|line| line.starts_with("lo ")).unwrap().to_owned();
    assert!(loopback.contains("loopback"), "{loopback}");
}

#[test]
fn help_shows_every_option() {
    let output = sniffer().args(["live", "--help"]).output().unwrap();
    let help = text(&output.stdout);
    for word in [
        "--port",
        "--interface",
        "--output-url",
        "--stdout",
        "--write-pcap",
        "--sample-rate",
        "--max-body-size",
        "--max-connections",
        "--idle-timeout-ms",
        "--redact",
        "--promiscuous",
        "--buffer-size",
        "--snaplen",
        "--drain-timeout-ms",
        "OUTPUT_URL_AUTH_TOKEN",
        "Exit codes:",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
}

#[test]
#[ignore = "needs capture rights"]
fn a_link_type_that_libpcap_cannot_filter_is_reported_in_its_words() {
    refused(&["-i", "nflog", "-p", "80"], &[], 2, "libpcap rejects the filter \"tcp port 80");
}
