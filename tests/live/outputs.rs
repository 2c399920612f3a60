//! The outputs: webhook and standard output get the same messages, our own posts are not posted
//! again, and no secret is logged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use crate::bridge::enter;
use crate::common::{message, messages};
use crate::net::Namespace;
use crate::programs::{Sniffer, nginx, wrk};
use crate::receiver::{hanging, willing};

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn webhook_and_standard_output_get_the_same_messages_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let posts = willing(&inside, 9000);
    let _nginx = nginx(&inside, folder.path());
    let lines = folder.path().join("lines");
    let arguments = ["-i", "lo", "-p", "80", "--stdout", "--output-url", "http://127.0.0.1:9000/in?key=pssst"];
    let environment = [("OUTPUT_URL_AUTH_TOKEN", "s3cret"), ("POD_NAME", "api-1"), ("NODE_NAME", "n1")];
    let mut sniffer = Sniffer::start(&inside, &arguments, &environment, Stdio::from(File::create(&lines).unwrap()));
    assert_eq!((&sniffer.logged[0]["pod"], &sniffer.logged[0]["loopback"]), (&"api-1".into(), &true.into()));
    wrk(&inside, folder.path(), "127.0.0.1");
    let last = sniffer.stop();

    let printed = std::fs::read_to_string(&lines).unwrap();
    let posts: Vec<_> = posts.try_iter().collect();
    assert_eq!(last["outputs"]["webhook"]["delivered"], posts.len());
    assert_eq!(last["outputs"]["stdout"]["delivered"], printed.lines().count());
    // Several posts are in flight at once. Their order holds within each connection.
    let by_connection = |lines: &mut dyn Iterator<Item = &str>| {
        let mut connections: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in lines {
            connections.entry(message(line)["connection"].to_string()).or_default().push(line.to_owned());
        }
        connections
    };
    let posted = by_connection(&mut posts.iter().map(|post| post.body.as_str()));
    assert!(posted == by_connection(&mut printed.lines()), "the webhook got something else");
    let mut keys: Vec<_> = posts.iter().map(|post| header(&post.head, "idempotency-key")).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), posts.len(), "each message has a key of its own");
    for post in &posts {
        assert_eq!(header(&post.head, "authorization"), "Bearer s3cret");
        assert_eq!(header(&post.head, "sniffer-schema"), "1");
        assert!(!post.body.contains("s3cret") && !post.body.contains("hush"));
    }
    let log = format!("{:?}", sniffer.logged);
    for secret in ["s3cret", "pssst", "hush", "Sylter", "xxxx"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn our_own_posts_are_counted_and_not_posted_again() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let posts = willing(&inside, 9000);
    let _nginx = nginx(&inside, folder.path());
    // The name resolves to an IPv4 and an IPv6 address.
    let arguments = ["-i", "lo", "-p", "80,9000", "--output-url", "http://localhost:9000/"];
    let mut sniffer = Sniffer::start(&inside, &arguments, &[], Stdio::null());
    wrk(&inside, folder.path(), "127.0.0.1");
    let last = sniffer.stop();
    let posts: Vec<_> = posts.try_iter().map(|post| message(&post.body)).collect();
    assert!(!posts.is_empty() && posts.iter().all(|post| post["receiver"]["port"] == 80));
    assert_eq!(last["messages"], posts.len());
    assert!(last["ledger"]["bytes"]["own-traffic"].as_u64() > Some(0), "{last:?}");
    assert!(
        sniffer
            .logged
            .iter()
            .any(|line| line["message"].as_str().unwrap().starts_with("the webhook's port is watched"))
    );
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn posts_that_come_by_another_address_are_not_posted_again() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let posts = willing(&inside, 9000);
    // The webhook is reached through a relay, like a service address. Its own port is watched, the
    // relay's is not.
    enter(&inside, || {
        let listener = TcpListener::bind("127.0.0.1:9001").unwrap();
        for near in listener.incoming().map_while(Result::ok) {
            let far = TcpStream::connect("127.0.0.1:9000").unwrap();
            let ends = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
            for (mut from, mut to) in ends {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    let _nginx = nginx(&inside, folder.path());
    let arguments = ["-i", "lo", "-p", "80,9000", "--output-url", "http://127.0.0.1:9001/"];
    let mut sniffer = Sniffer::start(&inside, &arguments, &[], Stdio::null());
    wrk(&inside, folder.path(), "127.0.0.1");
    sniffer.stop();
    let posts: Vec<_> = posts.try_iter().map(|post| message(&post.body)).collect();
    assert!(!posts.is_empty() && posts.iter().all(|post| post["receiver"]["port"] == 80));
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn a_hanging_webhook_does_not_hold_up_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    hanging(&inside, 9000);
    let _nginx = nginx(&inside, folder.path());
    let lines = folder.path().join("lines");
    let arguments =
        ["-i", "lo", "-p", "80", "--stdout", "--output-url", "http://127.0.0.1:9000/", "--drain-timeout-ms", "200"];
    let mut sniffer = Sniffer::start(&inside, &arguments, &[], Stdio::from(File::create(&lines).unwrap()));
    wrk(&inside, folder.path(), "127.0.0.1");
    let last = sniffer.stop();
    let printed = messages(&std::fs::read(&lines).unwrap());
    assert_eq!(last["messages"], printed.len());
    assert_eq!(last["outputs"]["webhook"]["dropped"]["drainTimeout"], printed.len());
}

#[test]
#[ignore = "needs capture rights, ip, nginx and wrk"]
fn sampling_takes_whole_connections() {
    let folder = tempfile::tempdir().unwrap();
    let inside = Namespace::new();
    let _nginx = nginx(&inside, folder.path());
    let lines = folder.path().join("lines");
    let arguments = ["-i", "lo", "-p", "80", "--sample-rate", "0.5"];
    let mut sniffer = Sniffer::start(&inside, &arguments, &[], Stdio::from(File::create(&lines).unwrap()));
    // With 24 connections, choosing all or none is very unlikely.
    (0..6).for_each(|_| wrk(&inside, folder.path(), "127.0.0.1"));
    let last = sniffer.stop();
    assert!(last["ledger"]["bytes"]["sampled-out"].as_u64() > Some(0));
    let (requests, responses): (Vec<_>, Vec<_>) =
        messages(&std::fs::read(&lines).unwrap()).into_iter().partition(|message| message["direction"] == "request");
    assert!(!requests.is_empty() && requests.len().abs_diff(responses.len()) <= 24, "both directions agree");
}

#[test]
#[ignore = "needs capture rights and ip"]
fn an_idle_connection_times_out_without_any_packet() {
    let inside = Namespace::new();
    let arguments = ["-i", "lo", "-p", "80", "--idle-timeout-ms", "100"];
    let mut sniffer = Sniffer::start(&inside, &arguments, &[], Stdio::piped());
    let open = enter(&inside, || {
        let listener = TcpListener::bind("127.0.0.1:80").unwrap();
        let mut client = TcpStream::connect("127.0.0.1:80").unwrap();
        client.write_all(b"POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
        (listener, client)
    });
    let _open = open.join().unwrap();
    let mut line = String::new();
    BufReader::new(sniffer.process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let message = message(&line);
    assert_eq!((&message["path"], &message["incomplete"]), (&"/slow".into(), &"idle".into()));
    sniffer.stop();
}

#[test]
#[ignore = "needs capture rights and ip"]
fn other_protocols_are_logged_once_per_connection() {
    let inside = Namespace::new();
    let mut sniffer = Sniffer::start(&inside, &["-i", "lo", "-p", "80"], &[], Stdio::null());
    enter(&inside, || {
        let listener = TcpListener::bind("127.0.0.1:80").unwrap();
        let mut client = TcpStream::connect("127.0.0.1:80").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        for _ in 0..5 {
            client.write_all(b"SSH-2.0-hush\r\n").unwrap();
            server.read_exact(&mut [0; 14]).unwrap();
        }
    })
    .join()
    .unwrap();
    let last = sniffer.stop();
    assert_eq!(last["ledger"]["bytes"]["not-http"], 70);
    let said = sniffer.logged.iter().filter(|line| line["message"] == "not HTTP on a watched port").count();
    assert_eq!(said, 1, "{:?}", sniffer.logged);
    assert!(!format!("{:?}", sniffer.logged).contains("hush"));
}
