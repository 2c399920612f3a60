//! Fuzzes HTTP/1 with two byte streams. The output must not depend on how they are cut.
//!
//! Next: [`crate::http1`].

use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::{Endpoint, FlowId, FlowKey, Side};
use sniffer_packet::time::{Precision, Timestamp};
use sniffer_testkit::talk::{Action, Talk};
use sniffer_testkit::wire::Way;

use super::input::FuzzInput;
use crate::app::Stack;
use crate::collect::Collector;
use crate::config::Config;
use crate::context::Context;
use crate::event::{Event, Flow, Sink};
use crate::ledger::Ledger;
use crate::message::Message;
use crate::stream::{Delivery, EndCause, GapCause, StreamBytes};

/// Sizes of pieces, besides whole segments: 1, and two that cut line ends in other places.
const SIZES: [usize; 3] = [1, 3, 17];

/// Runs two streams through the HTTP layer, whole and in pieces.
///
/// After a loss, reading resumes only where a segment starts with a start line, and a piece need
/// not have a whole one. So pieces are compared without any marked start of a segment, where a lost
/// direction stays lost.
///
/// # Panics
/// If a byte has no fate or two, or if messages, accounts or other events depend on the pieces.
pub fn http1(data: &[u8]) {
    let (config, steps) = steps(data);
    run(&config, &steps, Cuts::Segments);
    let whole = run(&config, &steps, Cuts::Unmarked(usize::MAX));
    let shown = whole.shown();
    for size in SIZES {
        let pieces = run(&config, &steps, Cuts::Unmarked(size));
        assert!(shown == pieces.shown(), "in pieces of {size}: {}\nwhole: {shown}", pieces.shown());
        assert!(whole.ledger == pieces.ledger, "in pieces of {size}: {:?}\nwhole: {:?}", pieces.ledger, whole.ledger);
    }
}

/// The delivery of a segment's bytes: at once or in pieces.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cuts {
    /// At once, as segments.
    Segments,
    /// In pieces of at most this size, none marked as the start of a segment.
    Unmarked(usize),
}

/// Encodes a conversation as input of [`http1`] and [`super::json()`]: a segment for every block.
pub fn talk_as_streams(talk: &Talk) -> Vec<u8> {
    let mut input = vec![0];
    for step in &talk.steps {
        if let Action::Send(block) = &step.action {
            for segment in block.payload.chunks(usize::from(u16::MAX)).take(4) {
                input.push(u8::from(block.way == Way::ToClient));
                input.extend((segment.len() as u16).to_le_bytes());
                input.extend(segment);
            }
        }
    }
    input
}

/// One event of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum StreamStep<'a> {
    Segment(Side, &'a [u8]),
    Gap(Side, u64, GapCause),
    End(Side, EndCause),
}

/// Reads `limits: u8`, then steps: `side and kind: u8`, and by kind a segment (`len: u16`, bytes),
/// a gap (`len: u16`) or an end.
pub(super) fn steps(data: &[u8]) -> (Config, Vec<StreamStep<'_>>) {
    let mut input = FuzzInput(data);
    let limits = input.u8();
    let mut config = Config { track_frames: true, ..Config::default() };
    if limits & 1 == 1 {
        (config.limits.head_bytes_max, config.limits.head_fields_max) = (64, 3);
    }
    if limits & 2 == 2 {
        config.limits.body_bytes_max = 50;
    }
    if limits & 4 == 4 {
        config.limits.pipeline_max = 2;
    }
    config.decode_content = limits & 8 == 0;
    let mut steps = Vec::new();
    let mut ended = [false; 2];
    while !input.is_empty() && steps.len() < 200 {
        let about = input.u8();
        let side = if about & 1 == 0 { Side::Low } else { Side::High };
        let cause = match about >> 4 & 3 {
            0 => EndCause::Fin,
            1 => EndCause::Reset,
            2 => EndCause::Idle,
            _ => EndCause::Evicted,
        };
        let step = match about >> 1 & 7 {
            6 => {
                let cause = if about & 16 == 0 { GapCause::Lost } else { GapCause::Snaplen };
                StreamStep::Gap(side, u64::from(input.u16()) + 1, cause)
            }
            7 => StreamStep::End(side, cause),
            _ => {
                let len = usize::from(input.u16());
                StreamStep::Segment(side, input.take(len))
            }
        };
        if !ended[side.index()] {
            ended[side.index()] = matches!(step, StreamStep::End(..));
            steps.push(step);
        }
    }
    let open = [Side::Low, Side::High].into_iter().filter(|side| !ended[side.index()]);
    steps.extend(open.map(|side| StreamStep::End(side, EndCause::EndOfCapture)));
    (config, steps)
}

/// The messages, accounts and other events of a run.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) messages: Vec<Message>,
    other: Vec<String>,
    ledger: Ledger,
}

impl Ran {
    fn shown(&self) -> String {
        format!("{}\n{:?}", serde_json::to_string(&self.messages).expect("messages are JSON"), self.other)
    }
}

struct Both {
    collector: Collector,
    other: Vec<String>,
}

impl Sink for Both {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Recognised { protocol, .. } => self.other.push(format!("{protocol:?}")),
            Event::Anomaly { anomaly, .. } => self.other.push(anomaly.name().to_owned()),
            _ => self.collector.event(event),
        }
    }
}

/// Runs the steps through a [`Stack`] and a [`Collector`].
pub(super) fn run(config: &Config, steps: &[StreamStep<'_>], pieces: Cuts) -> Ran {
    let (size, boundary) = match pieces {
        Cuts::Segments => (usize::MAX, true),
        Cuts::Unmarked(size) => (size, false),
    };
    let mut both = Both { collector: Collector::new(config), other: Vec::new() };
    let (mut ledger, mut connection) = (Ledger::default(), Stack::default());
    let port = |port| Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let (key, _) = FlowKey::of(&port(1), &port(2));
    let mut flow =
        Flow { id: FlowId::default(), slot: 0, key, first: Stamp::default(), server: Side::High, server_by_syn: false };
    for (number, step) in (1..).zip(steps) {
        let time = Timestamp::from_nanos(1_000_000_000 + number * 1_000_000);
        let stamp = Stamp { number, time, precision: Precision::Micros };
        if let StreamStep::Segment(_, bytes) = step {
            ledger.tcp_mut().0.receive(bytes.len());
        }
        let (account, counts) = ledger.tcp_mut();
        let mut cx = Context { flow: &mut flow, config, account, counts, sink: &mut both, stamp };
        match *step {
            StreamStep::Segment(side, bytes) => {
                for bytes in bytes.chunks(size) {
                    connection.deliver(side, Delivery::Bytes(StreamBytes { bytes, stamp, boundary }), &mut cx);
                }
            }
            StreamStep::Gap(side, bytes, cause) => {
                connection.deliver(side, Delivery::Gap { missing: bytes, cause }, &mut cx)
            }
            StreamStep::End(side, cause) => connection.deliver(side, Delivery::End(cause), &mut cx),
        }
        assert_eq!(ledger.balance(), connection.held_payload() as i128, "bytes without a fate after step {number}");
    }
    assert_eq!(ledger.balance(), 0, "bytes without a fate at the end");
    let mut messages = Vec::new();
    both.collector.drain(|message| messages.push(message.clone()));
    assert_eq!(ledger.messages(), messages.len() as u64, "every message that was counted came out");
    assert_eq!(both.collector.held(), 0, "nothing is held after the end");
    Ran { messages, other: both.other, ledger }
}
