//! Live equals replay: the live output is, byte for byte, the output of a replay of its own
//! recording. A simultaneous recording by tcpdump gives the same messages, except for what depends
//! on its timestamps.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::bridge::{Bridge, Tags, Trouble};
use crate::common::{self, messages, text};
use crate::net::{Namespace, join, pair};
use crate::programs::{PATIENCE, Sniffer, end_tcpdump, lost_nothing, nginx, tcpdump, wrk};

/// The fields that live redacts by default.
const REDACTED: &str = "authorization,cookie,proxy-authorization,set-cookie";

/// Runs a load while the sniffer and tcpdump capture on one interface, and compares their results.
/// Returns the messages and the last log line.
#[track_caller]
fn compared(
    inside: &Namespace,
    interface: &str,
    folder: &Path,
    load: impl FnOnce(),
) -> (Vec<Map<String, Value>>, Map<String, Value>) {
    let path = |name: &str| folder.join(name);
    let (live, recording, other) = (path("live.jsonl"), path("live.pcapng"), path("tcpdump.pcap"));
    let beside = tcpdump(inside, interface, &other);
    let arguments = ["-i", interface, "-p", "80", "--stdout", "--write-pcap", recording.to_str().unwrap()];
    let mut sniffer = Sniffer::start(inside, &arguments, &[], Stdio::from(File::create(&live).unwrap()));
    load();
    let last = sniffer.stop();
    let printed = std::fs::read(&live).unwrap();
    // On SIGINT tcpdump discards packets it has not read yet, so this waits until it has all.
    let replay = || common::replay(["-p", "80", "--redact", REDACTED, other.to_str().unwrap()]);
    let until = Instant::now() + PATIENCE;
    while replay().stdout.split(|&byte| byte == b'\n').count() < printed.split(|&byte| byte == b'\n').count() {
        assert!(Instant::now() < until, "tcpdump saw fewer messages");
        std::thread::sleep(Duration::from_millis(50));
    }
    end_tcpdump(beside);
    lost_nothing(&last);

    let replayed = common::replay(["-p", "80", "--redact", REDACTED, recording.to_str().unwrap()]);
    assert_eq!(text(&replayed.stderr), "");
    assert!(printed == replayed.stdout, "a replay of the recording prints something else: see {}", folder.display());
    assert!(!text(&printed).contains("hush"), "a redacted value is in the output");

    let (live, other) = (messages(&printed), messages(&replay().stdout));
    assert!(!live.is_empty());
    let (live_content, other_content) = (contents(&live), contents(&other));
    // One recording ends a little later than the other, so messages open at the end differ.
    let at_the_end = |of: &[Map<String, Value>]| {
        of.iter().any(|m| m.get("incomplete").is_some_and(|why| why == "end" || why == "closed"))
    };
    for (key, content) in live_content.iter().filter(|(_, content)| !at_the_end(content)) {
        assert!(other_content.contains_key(key), "{key} is not in tcpdump's recording");
        assert!(content == &other_content[key], "{key} differs from tcpdump's");
    }
    assert!(live_content.len().abs_diff(other_content.len()) <= 8);
    (live, last)
}

/// Makes a client (10.6.0.1) and a server (10.6.0.2) with a namespace between them, whose
/// interfaces `m1` and `m2` a bridge must join.
fn apart() -> (Namespace, Namespace, Namespace) {
    let (client, middle, server) = (Namespace::new(), Namespace::new(), Namespace::new());
    join((&client, "vc"), (&middle, "m1"));
    join((&middle, "m2"), (&server, "vs"));
    for (side, interface, address) in [(&client, "vc", "10.6.0.1/24"), (&server, "vs", "10.6.0.2/24")] {
        side.up(interface, &[address]);
        // The bridge must see frames with checksums and of wire size, without offloading.
        for feature in ["tx", "gso", "gro"] {
            crate::net::run(&["ip", "netns", "exec", &side.name, "ethtool", "-K", interface, feature, "off"]);
        }
    }
    middle.up("m1", &[]);
    middle.up("m2", &[]);
    (client, middle, server)
}

/// Groups messages by client, exchange and direction, without the keys that depend on the
/// recording.
fn contents(messages: &[Map<String, Value>]) -> BTreeMap<String, Vec<Map<String, Value>>> {
    let mut contents: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for message in messages {
        let mut message = message.clone();
        for stamped in ["timestamp", "latencyMs", "connection", "frames"] {
            message.remove(stamped);
        }
        let key = format!("{} {} {}", message["destination"], message["exchange"], message["direction"]);
        contents.entry(key).or_default().push(message);
    }
    contents
}

#[test]
#[ignore = "needs capture rights, ip, nginx, wrk and tcpdump"]
fn live_equals_replay_on_veth() {
    let folder = tempfile::tempdir().unwrap();
    let (client, server) = pair();
    let _nginx = nginx(&server, folder.path());
    let (messages, last) = compared(&server, "vs", folder.path(), || wrk(&client, folder.path(), "10.9.0.2"));
    assert!(messages.iter().any(|message| message.contains_key("contentDecoded")));
    assert!(messages.iter().any(|message| message.contains_key("bodyEncoding")));
    assert_eq!(last["ledger"]["missing"], 0);
}

#[test]
#[ignore = "needs capture rights, ip, nginx, wrk and tcpdump"]
fn live_equals_replay_on_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let _nginx = nginx(&inside, folder.path());
    compared(&inside, "lo", folder.path(), || wrk(&inside, folder.path(), "127.0.0.1"));
}

#[test]
#[ignore = "needs capture rights, ip, nginx, wrk and tcpdump"]
fn live_equals_replay_over_ipv6() {
    let folder = tempfile::tempdir().unwrap();
    let (client, server) = pair();
    let _nginx = nginx(&server, folder.path());
    let (messages, _) = compared(&server, "vs", folder.path(), || wrk(&client, folder.path(), "[fd09::2]"));
    assert_eq!(messages[0]["receiver"]["ip"], "fd09::2");
}

#[test]
#[ignore = "needs capture rights, ip, nginx, wrk and tcpdump"]
fn live_equals_replay_on_any() {
    let folder = tempfile::tempdir().unwrap();
    let (client, server) = pair();
    let _nginx = nginx(&server, folder.path());
    compared(&server, "any", folder.path(), || wrk(&client, folder.path(), "10.9.0.2"));
}

#[test]
#[ignore = "needs capture rights, ip, nginx, wrk and tcpdump"]
fn frames_that_a_bridge_shows_twice_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let (client, server) = pair();
    server.ip(&["addr", "flush", "dev", "vs"]);
    server.ip(&["link", "add", "br0", "type", "bridge"]);
    server.ip(&["link", "set", "vs", "master", "br0"]);
    server.up("br0", &["10.9.0.2/24"]);
    let _nginx = nginx(&server, folder.path());
    let (messages, last) = compared(&server, "any", folder.path(), || wrk(&client, folder.path(), "10.9.0.2"));
    let bytes = &last["ledger"]["bytes"];
    let number = |name: &str| bytes[name].as_u64().unwrap_or(0);
    assert_eq!(number("duplicate"), number("head") + number("body") + number("framing"), "each came twice: {bytes}");
    let whole = messages.iter().filter(|message| !message.contains_key("incomplete")).count();
    assert!(whole + 8 >= messages.len(), "but for what was open at the end, all is whole");
}

#[test]
#[ignore = "needs capture rights, ip, ethtool, nginx, wrk and tcpdump"]
fn live_equals_replay_under_a_vlan_tag() {
    let folder = tempfile::tempdir().unwrap();
    let (client, middle, server) = apart();
    // Two bridges tag the frames on the wire between them: this works without VLAN interfaces.
    join((&middle, "t1"), (&middle, "t2"));
    middle.up("t1", &[]);
    middle.up("t2", &[]);
    let _bridges = [
        Bridge::between(&middle, ("m1", Tags::None), ("t1", Tags::Vlan(7)), Trouble::default()),
        Bridge::between(&middle, ("t2", Tags::Vlan(7)), ("m2", Tags::None), Trouble::default()),
    ];
    let _nginx = nginx(&server, folder.path());
    for interface in ["t1", "t2"] {
        compared(&middle, interface, folder.path(), || wrk(&client, folder.path(), "10.6.0.2"));
    }
}

#[test]
#[ignore = "needs capture rights, ip, nginx, wrk and tcpdump"]
fn live_equals_replay_of_ip_fragments() {
    let folder = tempfile::tempdir().unwrap();
    let (client, router, server) = (Namespace::new(), Namespace::new(), Namespace::new());
    join((&client, "vc"), (&router, "r1"));
    join((&router, "r2"), (&server, "vs"));
    client.up("vc", &["10.7.1.1/24"]);
    router.up("r1", &["10.7.1.2/24"]);
    router.up("r2", &["10.7.2.2/24"]);
    server.up("vs", &["10.7.2.1/24"]);
    client.ip(&["route", "add", "default", "via", "10.7.1.2"]);
    server.ip(&["route", "add", "default", "via", "10.7.2.2"]);
    router.sysctl("net.ipv4.ip_forward=1");
    // The router fragments packets over 600 bytes; without path MTU discovery it may fragment all.
    router.ip(&["route", "change", "10.7.1.0/24", "dev", "r1", "src", "10.7.1.2", "mtu", "lock", "600"]);
    client.sysctl("net.ipv4.ip_no_pmtu_disc=1");
    server.sysctl("net.ipv4.ip_no_pmtu_disc=1");
    let _nginx = nginx(&server, folder.path());
    let (_, last) = compared(&client, "vc", folder.path(), || wrk(&client, folder.path(), "10.7.2.1"));
    assert!(last["ledger"]["frameFates"]["fragment"].as_u64() > Some(10), "there were fragments: {last:?}");
    assert_eq!(last["ledger"]["missing"], 0);
}

#[test]
#[ignore = "needs capture rights, ip, ethtool, nginx, wrk and tcpdump"]
fn live_equals_replay_over_a_bad_network() {
    let folder = tempfile::tempdir().unwrap();
    let (client, middle, server) = apart();
    let trouble = Trouble { loss: 0.01, duplicates: 0.01, reordered: 0.03, seed: 42 };
    let bridge = Bridge::between(&middle, ("m1", Tags::None), ("m2", Tags::None), trouble);
    let _nginx = nginx(&server, folder.path());
    // Captured on the client's side, before the loss: every retransmission shows.
    let (messages, last) = compared(&client, "vc", folder.path(), || wrk(&client, folder.path(), "10.6.0.2"));
    let counts = bridge.end();
    assert!(counts.lost > 0 && counts.duplicated > 0 && counts.reordered > 0, "{counts:?}");
    assert!(last["ledger"]["bytes"]["duplicate"].as_u64() > Some(0));
    assert!(messages.iter().filter(|message| message.contains_key("incomplete")).count() <= 8, "{last:?}");
}
