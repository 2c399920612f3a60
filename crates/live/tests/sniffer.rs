//! The life of a sniffer, as a program that embeds one sees it: on loopback, with a server and a
//! client of the test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;
use sniffer_live::config::Values;
use sniffer_live::output::{MessageBatch, Reason};
use sniffer_live::sniffer::Extras;
use sniffer_live::{LiveConfig, RunEnd, Sniffer, StartError};

/// Longer than any step takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a sniffer of one port on loopback with this callback.
fn sniffer(port: u16, callback: impl Fn(MessageBatch) + Send + Sync + 'static) -> Arc<Sniffer> {
    let mut values = Values::default();
    values.set_value("ports", json!([port]));
    values.set_value("interface", json!("lo"));
    values.set_value("drainTimeoutMs", json!(300));
    let mut extras = Extras::default();
    extras.callback = Some(Arc::new(callback));
    Arc::new(Sniffer::new(LiveConfig::new(&values, &|_| None).unwrap(), extras))
}

/// Returns a callback that passes paths and status codes on.
fn reporting() -> (impl Fn(MessageBatch) + Send + Sync + 'static, Receiver<String>) {
    let (sender, told) = channel();
    let sender = Mutex::new(sender);
    let callback = move |batch: MessageBatch| {
        for message in batch.messages() {
            let what = message.target().map_or_else(|| format!("{:?}", message.status()), str::to_owned);
            let _ = sender.lock().unwrap().send(what);
        }
        batch.delivered();
    };
    (callback, told)
}

/// Starts a server that answers every request, on its own port.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                    if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

fn get(port: u16, path: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        let mut piece = [0; 256];
        let read = stream.read(&mut piece).unwrap();
        answer.extend_from_slice(&piece[..read]);
    }
}

#[test]
#[ignore = "needs capture rights"]
fn it_starts_stops_and_starts_again() {
    let port = server();
    let (callback, told) = reporting();
    let sniffer = sniffer(port, callback);
    assert!(!sniffer.is_running() && sniffer.wait().is_none());
    sniffer.stop();
    for path in ["/first", "/second"] {
        sniffer.start().unwrap();
        assert!(sniffer.is_running());
        assert_eq!(sniffer.start(), Err(StartError::AlreadyRunning));
        get(port, path);
        sniffer.stop();
        assert!(!sniffer.is_running());
        sniffer.stop();
        let report = sniffer.wait().unwrap();
        assert_eq!(report.end, RunEnd::Stopped);
        assert_eq!(report.ledger.balance(), 0);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [path, "Some(200)"]);
        get(port, "/unseen");
    }
}

#[test]
#[ignore = "needs capture rights"]
fn stop_is_safe_from_anywhere_at_any_time() {
    let port = server();
    let (callback, _told) = reporting();
    let sniffer = sniffer(port, callback);
    let over = Arc::new(AtomicBool::new(false));
    let stoppers: Vec<_> = (0..4)
        .map(|_| {
            let (sniffer, over) = (Arc::clone(&sniffer), Arc::clone(&over));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    sniffer.stop();
                }
            })
        })
        .collect();
    for _ in 0..10 {
        match sniffer.start() {
            Ok(()) => drop(sniffer.wait()),
            Err(error) => assert_eq!(error, StartError::AlreadyRunning),
        }
    }
    over.store(true, Ordering::Relaxed);
    stoppers.into_iter().for_each(|stopper| stopper.join().unwrap());
    assert!(!sniffer.is_running());
}

#[test]
#[ignore = "needs capture rights"]
fn two_run_side_by_side() {
    let port = server();
    let ((one, told_one), (other, told_other)) = (reporting(), reporting());
    let (one, other) = (sniffer(port, one), sniffer(port, other));
    one.start().unwrap();
    other.start().unwrap();
    get(port, "/both");
    one.stop();
    other.stop();
    for told in [told_one, told_other] {
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["/both", "Some(200)"]);
    }
}

#[test]
#[ignore = "needs capture rights"]
fn a_callback_that_keeps_its_batches_is_abandoned_at_the_end_and_counted() {
    let port = server();
    let (keep, kept) = channel();
    let keep = Mutex::new(keep);
    let sniffer = sniffer(port, move |batch| keep.lock().unwrap().send(batch).unwrap());
    sniffer.start().unwrap();
    get(port, "/kept");
    let batch = kept.recv_timeout(PATIENCE).unwrap();
    sniffer.stop();
    let report = sniffer.wait().unwrap();
    let (name, tally) = report.outputs[0];
    assert_eq!((name, tally.emitted, tally.queued, tally.delivered), ("callback", 2, 0, 0));
    assert_eq!(tally.dropped(Reason::DrainTimeout), 2);
    // A batch that is settled too late changes nothing.
    batch.delivered();
    assert_eq!(sniffer.outputs()[0].1, tally);
}

#[test]
#[ignore = "needs capture rights"]
fn the_accounts_balance_while_it_runs() {
    let port = server();
    let (callback, told) = reporting();
    let sniffer = sniffer(port, callback);
    sniffer.start().unwrap();
    let requests = thread::spawn(move || (0..200).for_each(|_| get(port, "/x")));
    let mut messages = 0;
    while messages < 400 {
        let (_, tally) = sniffer.outputs()[0];
        assert_eq!(tally.emitted, tally.delivered + tally.dropped_in_all() + tally.queued, "{tally:?}");
        messages += told.try_iter().count();
    }
    requests.join().unwrap();
    sniffer.stop();
    assert_eq!(sniffer.outputs()[0].1.delivered, 400);
}

#[test]
fn a_missing_interface_is_named_with_those_that_exist() {
    let mut values = Values::default();
    values.set_value("ports", json!([80]));
    values.set_value("interface", json!("nowhere0"));
    let sniffer = Sniffer::new(LiveConfig::new(&values, &|_| None).unwrap(), Extras::default());
    let error = sniffer.start().unwrap_err();
    assert_eq!(error.code(), "INTERFACE_NOT_FOUND");
    let StartError::InterfaceNotFound { name, known } = error else { panic!("{error}") };
    assert_eq!(name, "nowhere0");
    assert!(known.iter().any(|name| name == "lo"), "{known:?}");
    assert!(!sniffer.is_running());
}
