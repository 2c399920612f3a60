//! A layer that has several exchanges open at once, as HTTP/2 has: events made by hand, the
//! messages that come of them.

use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::{Endpoint, FlowId, FlowKey, Side};
use sniffer_packet::time::Timestamp;

use super::Collector;
use crate::anomaly::AnomalySet;
use crate::config::Config;
use crate::event::{About, Completion, Event, Flow, Over, Sink};
use crate::http::{Direction, Field, Head, StartLine, Version};
use crate::message::Message;

/// An event of a message, as a layer reports it.
#[derive(Debug, Clone, Copy)]
enum Says {
    Head,
    Body(&'static str),
    Trailers(&'static str),
    Missing(u64),
    End,
    Interim(u32),
}
use Direction::{Request, Response};
use Says::{Body, End, Interim, Missing, Trailers};

fn flow() -> Flow {
    let end = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let (key, _) = FlowKey::of(&end(1), &end(2));
    Flow { id: FlowId::default(), slot: 3, key, first: Stamp::default(), server: Side::High, server_by_syn: true }
}

fn say(collector: &mut Collector, flow: &Flow, number: u64, exchange: u32, direction: Direction, says: Says) {
    let stamp = Stamp { number, time: Timestamp::from_nanos(number * 1_000), ..Stamp::default() };
    let about = About { flow, exchange, direction, stamp };
    let name = exchange.to_string();
    let head = Head {
        start: match direction {
            Request => StartLine::Request { method: b"GET", target: name.as_bytes() },
            Response => StartLine::Response { status: if let Interim(_) = says { 103 } else { 200 }, reason: b"" },
        },
        version: Version::Http2,
        scheme: (direction == Request).then_some(&b"https"[..]),
        authority: (direction == Request).then_some(&b"a.test:8443"[..]),
        fields: &[],
        raw: b"",
    };
    let frames = &[stamp];
    let end = |own| Event::End {
        about,
        completion: Completion::Complete,
        anomalies: AnomalySet::EMPTY,
        over: Over { own, below: 0 },
    };
    match says {
        Says::Head => collector.event(Event::Head { about, head, frames, latency_nanos: None, interim: 0 }),
        Interim(interim) => {
            collector.event(Event::Head { about, head, frames, latency_nanos: None, interim });
            collector.event(end(false));
        }
        Body(text) => collector.event(Event::Body { about, bytes: text.as_bytes() }),
        Trailers(value) => {
            let fields = &[Field { name: b"t", value: value.as_bytes() }];
            collector.event(Event::Trailers { about, fields });
        }
        Missing(bytes) => collector.event(Event::Missing { about, bytes }),
        End => collector.event(end(true)),
    }
}

fn run(script: &[(u32, Direction, Says)]) -> Vec<Message> {
    let (flow, mut collector) = (flow(), Collector::new(&Config::default()));
    for (number, &(exchange, direction, says)) in (1..).zip(script) {
        say(&mut collector, &flow, number, exchange, direction, says);
    }
    let held = collector.held();
    collector.event(Event::Closed { flow: &flow });
    assert_eq!(held, 0, "nothing is open any more");
    let mut messages = Vec::new();
    collector.drain(|message| messages.push(message.clone()));
    messages
}

fn shown(message: &Message) -> String {
    let body = String::from_utf8_lossy(message.body.as_bytes()).into_owned();
    let trailers: String = message.trailers.iter().map(|(name, value)| format!(" {{{name}={value}}}")).collect();
    let direction = if message.direction == Request { ">" } else { "<" };
    format!("{direction}{} {body}{trailers} -{}", message.exchange, message.missing_bytes)
}

/// RFC 9113 §5: frames of any streams may be interleaved.
#[test]
fn messages_of_several_exchanges_are_open_at_once_and_nothing_of_one_comes_into_another() {
    let messages = run(&[
        (0, Request, Says::Head),
        (1, Request, Says::Head),
        (1, Request, Body("one")),
        (0, Request, Body("ze")),
        (5, Request, Says::Head),
        (1, Request, End),
        (5, Request, Missing(7)),
        (0, Request, Body("ro")),
        (1, Response, Says::Head),
        (0, Response, Says::Head),
        (0, Response, Body("a")),
        (1, Response, Body("b")),
        (1, Response, Trailers("x")),
        (0, Request, Trailers("y")),
        (1, Response, End),
        (5, Request, Body("five")),
        (0, Response, End),
        (5, Request, End),
        (0, Request, End),
    ]);
    let mut shown: Vec<_> = messages.iter().map(shown).collect();
    shown.sort();
    assert_eq!(shown, ["<0 a -0", "<1 b {t=x} -0", ">0 zero {t=y} -0", ">1 one -0", ">5  -7"]);
}

#[test]
fn interim_responses_of_interleaved_exchanges_keep_their_own_numbers() {
    let messages = run(&[
        (0, Response, Interim(0)),
        (1, Response, Interim(0)),
        (0, Response, Interim(1)),
        (1, Response, Says::Head),
        (1, Response, End),
        (0, Response, Interim(2)),
    ]);
    let numbers: Vec<_> =
        messages.iter().map(|message| (message.exchange, message.interim, message.over.own)).collect();
    assert_eq!(
        numbers,
        [(0, 0, false), (1, 0, false), (0, 1, false), (1, 0, true), (0, 2, false)],
        "exchange, interim responses before it, over"
    );
}

/// RFC 9113 §8.3.1: `:scheme` and `:authority` are no fields, and no Host field is made of them.
#[test]
fn scheme_authority_and_version_of_http2_are_in_the_message_and_in_its_json() {
    let messages = run(&[(0, Request, Says::Head), (0, Request, End)]);
    let json = serde_json::to_string(&messages[0]).unwrap();
    assert!(json.contains(r#""method":"GET","path":"0","scheme":"https","authority":"a.test:8443""#), "{json}");
    assert!(json.contains(r#""httpVersion":"2","headers":{}"#), "{json}");
}

/// The last frame of an 802.11 aggregate and a long pause end many exchanges of one connection at
/// once.
#[test]
fn shedding_names_the_body_of_one_exchange_among_many() {
    let (flow, mut collector) = (flow(), Collector::new(&Config::default()));
    let large: &'static str = Box::leak("x".repeat(5_000).into_boxed_str());
    for exchange in 0..3 {
        say(&mut collector, &flow, 1, exchange, Response, Says::Head);
        say(&mut collector, &flow, 1, exchange, Response, Body(large));
    }
    let places: Vec<_> = collector.bodies().collect();
    assert_eq!(places.len(), 3);
    collector.shed_body(places[1].2);
    for exchange in 0..3 {
        say(&mut collector, &flow, 2, exchange, Response, End);
    }
    let mut sizes = Vec::new();
    collector.drain(|message| sizes.push(message.body.as_bytes().len()));
    assert_eq!(sizes, [5_000, 0, 5_000]);
}
