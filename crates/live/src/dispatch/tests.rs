//! From batches of packets to envelopes: redaction, the key of each message, what is not reported,
//! and the accounts. There is no interface and no thread: the packets are made of talks.

use crossbeam_channel::bounded;
use serde_json::{Value, json};
use sniffer_packet::time::Timestamp;
use sniffer_testkit::talk::Talk;

use super::*;
use crate::capture::batch::CapturedPacket;
use crate::config::Values;
use crate::output::queue::{Queue, Reason};

/// What one output received of a conversation.
struct Got {
    /// Keys and messages, in order.
    envelopes: Vec<(String, Value)>,
    dispatcher: Dispatcher,
}

fn dispatcher(config: Value) -> (Dispatcher, Arc<Queue>) {
    let mut values = Values::default();
    values.set_value("ports", json!([80]));
    config.as_object().unwrap().iter().for_each(|(name, value)| values.set_value(name, value.clone()));
    let config = Arc::new(LiveConfig::new(&values, &|_| None).unwrap());
    let queue = Queue::new();
    let output = Output { name: "stdout", queue: Arc::clone(&queue), wants_message: false };
    let (spare, _) = bounded(1);
    let dispatcher = Dispatcher::new(Parts {
        config,
        link: LinkType::ETHERNET,
        outputs: Arc::new([output]),
        counters: Arc::default(),
        own: Arc::default(),
        recorder: None,
        spare,
    });
    (dispatcher, queue)
}

/// Returns the packets of a conversation as one batch.
fn batch(talk: &str) -> PacketBatch {
    let mut batch = PacketBatch::default();
    for frame in Talk::parse(talk).unwrap().frames().unwrap() {
        let captured = frame.bytes.len() as u32;
        batch.push(CapturedPacket { time: frame.time, captured, wire_len: frame.wire_len }, &frame.bytes);
    }
    batch
}

fn got(config: Value, talk: &str) -> Got {
    let (mut dispatcher, queue) = dispatcher(config);
    let (ring, batches) = bounded(1);
    ring.send(batch(talk)).unwrap();
    drop(ring);
    dispatcher.run(&batches);
    queue.close();
    let mut envelopes = Vec::new();
    while let Some(ticket) = queue.take() {
        let envelope = ticket.envelope();
        let key = envelope.key.to_string();
        let (_, key) = key.split_once('-').unwrap();
        envelopes.push((key.to_owned(), serde_json::from_slice(&envelope.line).unwrap()));
        ticket.delivered();
    }
    assert_eq!(dispatcher.ledger().balance(), 0);
    Got { envelopes, dispatcher }
}

const CONTINUED: &str = "\
>>>
| POST / HTTP/1.1
| Host: a.test
| Authorization: Bearer hush
| Expect: 100-continue
| Content-Length: 5
|

<<<
| HTTP/1.1 100 Continue
|
| HTTP/1.1 103 Early Hints
|

>>>
| hello\\

<<<
| HTTP/1.1 200 OK
| Set-Cookie: hush
| Content-Length: 0
|

>>>
| GET /next HTTP/1.1
| Host: a.test
|

<<<
| HTTP/1.1 204 No Content
|
";

#[test]
fn every_message_has_its_own_key_and_1xx_are_counted() {
    let got = got(json!({}), CONTINUED);
    let keys: Vec<_> = got.envelopes.iter().map(|(key, _)| key.as_str()).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    let expected = ["0-request", "0-response-0", "0-response-1", "0-response-2", "1-request", "1-response-0"];
    assert_eq!(sorted, expected, "{keys:?}");
    let status = |key: &str| got.envelopes.iter().find(|(k, _)| k == key).unwrap().1["statusCode"].clone();
    assert_eq!(["0-response-0", "0-response-1", "0-response-2"].map(status), [100, 103, 200].map(Value::from));
}

#[test]
fn secrets_are_hidden_before_any_output_and_the_list_can_be_changed() {
    let text = |config: Value| format!("{:?}", got(config, CONTINUED).envelopes);
    let hidden = text(json!({}));
    assert!(!hidden.contains("hush") && hidden.contains("[REDACTED]") && hidden.contains("a.test"));
    let other = text(json!({"redactHeaders": ["host"]}));
    assert!(other.contains("hush") && !other.contains("a.test"));
    assert!(text(json!({"redactHeaders": []})).contains("a.test"));
}

#[test]
fn posts_of_a_sniffer_and_their_answers_are_not_reported() {
    let talk = CONTINUED.replace("| Host: a.test\n| Authorization", "| Sniffer-Schema: 1\n| Authorization");
    let got = got(json!({}), &talk);
    assert!(got.envelopes.is_empty(), "{:?}", got.envelopes);
    assert_eq!(got.dispatcher.ledger().messages(), 6, "the ledger has them all the same");
}

#[test]
fn own_traffic_is_counted_and_sampled_out_traffic_too() {
    for (config, fate) in [(json!({"sampleRate": 0}), Fate::SampledOut), (json!({"ports": [81]}), Fate::Filtered)] {
        let got = got(config, CONTINUED);
        assert!(got.envelopes.is_empty());
        let ledger = got.dispatcher.ledger();
        assert_eq!(ledger.bytes(fate), ledger.payload());
    }
}

#[test]
fn a_connection_is_open_until_it_closes() {
    let (mut dispatcher, _queue) = dispatcher(json!({}));
    dispatcher.batch(batch(CONTINUED));
    assert_eq!(dispatcher.connections_open(), 1);
    let mut quiet = PacketBatch::default();
    quiet.quiet_until = Some(Timestamp::new(1_767_225_600 + 400, 0));
    dispatcher.batch(quiet);
    assert_eq!(dispatcher.connections_open(), 0, "idle for 300 s, although no packet came");
}

#[test]
fn an_output_that_takes_nothing_costs_its_own_messages_only() {
    let (mut dispatcher, queue) = dispatcher(json!({}));
    queue.end(Reason::OutputEnded);
    dispatcher.batch(batch(CONTINUED));
    let tally = queue.tally();
    assert_eq!((tally.emitted, tally.dropped(Reason::OutputEnded), tally.queued), (6, 6, 0));
    assert_eq!(dispatcher.ledger().messages(), 6);
}
