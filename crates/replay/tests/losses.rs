//! Losses at every place (policy 15): every message that comes out of a capture with missing frames
//! was really sent.
//!
//! The reference is the complete capture, whose messages [`properties`](properties.rs) compares
//! with the generated ones. Frames keep their numbers when others are removed, so a message is
//! identified by the frames that carried it. Every failure prints the seed of the conversation and
//! the lost frames.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sniffer_engine::config::Config;
use sniffer_engine::fuzzing::check;
use sniffer_engine::http::Direction;
use sniffer_engine::message::Message;
use sniffer_packet::frame::OwnedFrame;
use sniffer_testkit::generate::{GenerateOptions, conversation};
use sniffer_testkit::rng::Rng;

/// Small, so that a person can read a failure.
const OPTIONS: GenerateOptions = GenerateOptions { connections_max: 2, exchanges_max: 4, body_max: 120 };

/// A direction of a connection, by the client's port: each client of a conversation has its own.
type Way = (u16, Direction);

/// A complete capture and its messages, those of each direction in order.
struct Truth {
    frames: Vec<OwnedFrame>,
    messages: BTreeMap<Way, Vec<Message>>,
}

fn run(frames: &[OwnedFrame]) -> BTreeMap<Way, Vec<Message>> {
    let mut config = Config::default();
    (config.track_frames, config.decode_content) = (true, false);
    let mut messages = BTreeMap::<_, Vec<_>>::new();
    for message in check::run(frames, config).messages {
        messages.entry((message.destination.port, message.direction)).or_default().push(message);
    }
    // In stream order: a message that is cut may come out late.
    messages.values_mut().for_each(|way| way.sort_by_key(|message| message.started.number));
    messages
}

/// Returns the TCP payload of a frame that the generator wrote: Ethernet, IPv4 or IPv6, TCP.
fn payload(frame: &OwnedFrame) -> &[u8] {
    let ip = &frame.bytes[14..];
    let (header, end) = if ip[0] >> 4 == 4 {
        (usize::from(ip[0] & 15) * 4, usize::from(u16::from_be_bytes([ip[2], ip[3]])))
    } else {
        (40, 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]])))
    };
    let tcp = &ip[header..end];
    &tcp[usize::from(tcp[12] >> 4) * 4..]
}

/// Without its handshake, a connection is picked up midstream, where any token is a method.
fn is_handshake(frame: &OwnedFrame) -> bool {
    let tcp = if frame.bytes[14] >> 4 == 4 { &frame.bytes[34..] } else { &frame.bytes[54..] };
    tcp[13] & 2 != 0
}

impl Truth {
    fn new(seed: u64) -> Self {
        let frames = conversation(seed, &OPTIONS).frames().unwrap();
        Self { messages: run(&frames), frames }
    }

    fn payload(&self, number: u64) -> &[u8] {
        payload(self.frames.iter().find(|frame| frame.number == number).unwrap())
    }

    /// Checks what must hold for the messages if these frames are lost.
    fn check(&self, lost: &BTreeSet<u64>) -> Result<(), String> {
        let fewer: Vec<_> =
            self.frames.iter().filter(|frame| is_handshake(frame) || !lost.contains(&frame.number)).cloned().collect();
        let got = run(&fewer);
        let none = Vec::new();
        for (way, got) in &got {
            if !self.quotes(*way, got) {
                self.nothing_is_invented(got, self.messages.get(way).unwrap_or(&none))?;
            }
        }
        for (way, truth) in &self.messages {
            let got = got.get(way).unwrap_or(&none);
            if !self.quotes(*way, got) {
                self.what_can_be_found_is(truth, got, lost)?;
            }
        }
        self.answers_are_to_their_requests(&got)
    }

    /// Returns the directions for which nothing is promised. Policy 15 resynchronises at a segment
    /// that starts with a start line, even in a body that quotes HTTP. If a HEAD was lost, the
    /// length of its response counts, and the bytes after it are body unless a segment starts with
    /// a complete start line.
    fn quotes(&self, way: Way, got: &[Message]) -> bool {
        let truth = self.messages.get(&way).map_or(&[][..], Vec::as_slice);
        got.iter().any(|message| match truth.iter().find(|real| real.started == message.started) {
            None => {
                let (segment, start) = (self.payload(message.started.number), start(message));
                segment.starts_with(start.as_bytes()) || start.as_bytes().starts_with(segment)
            }
            Some(_) => self
                .real(message)
                .is_some_and(|real| real.body_size == 0 && message.body_size + message.missing_bytes > 0),
        })
    }

    fn starts_segment(&self, message: &Message) -> bool {
        self.payload(message.started.number).starts_with(start(message).as_bytes())
    }

    /// Every message was sent, as far as its bytes were captured.
    fn nothing_is_invented(&self, got: &[Message], truth: &[Message]) -> Result<(), String> {
        let mut truth = truth.iter();
        for message in got {
            // Order holds, so messages that were skipped do not come again.
            let Some(real) = truth.find(|real| real.started == message.started && start(real) == start(message)) else {
                return Err(format!("invented: {}", brief(message)));
            };
            let same_head = real.fields().iter().eq(message.fields().iter());
            let (body, whole) = (message.body.as_bytes(), real.body.as_bytes());
            let right = if message.incomplete.is_none() && message.anomalies.is_empty() {
                body == whole && message.body_size == real.body_size && message.trailers.iter().eq(real.trailers.iter())
            } else {
                whole.starts_with(body)
                    // A FIN that was lost and acknowledged looks like one more byte.
                    && message.body_size + message.missing_bytes <= real.body_size.max(declared(message)) + 1
                    && !message.body_truncated
            };
            if !same_head || !right {
                return Err(format!("not what was said: {} but {}", brief(message), brief(real)));
            }
            // From the request's last byte to the response's first, or no duration at all.
            if message.latency_nanos.is_some() && message.latency_nanos != real.latency_nanos {
                return Err(format!("latency: {} but {}", brief(message), brief(real)));
            }
        }
        Ok(())
    }

    /// A message that was captured completely comes out if its start is known: no byte before it
    /// was lost, or a segment starts with its start line.
    fn what_can_be_found_is(&self, truth: &[Message], got: &[Message], lost: &BTreeSet<u64>) -> Result<(), String> {
        let mut in_step = true;
        let mut frame_before = 0;
        for real in truth {
            let intact = real.frames.iter().all(|number| !lost.contains(number));
            let first_in_frame = std::mem::replace(&mut frame_before, real.started.number) != real.started.number;
            let found_anew = first_in_frame && is_strict(real) && self.starts_segment(real);
            if intact && (in_step || found_anew) {
                let found = got.iter().find(|message| message.started == real.started && start(real) == start(message));
                // If the request was a HEAD that was lost, the length of the response means
                // nothing. Without a length, only a close ends it.
                let needs_more = until_close(real) || (real.body_size == 0 && declared(real) > 0);
                match found {
                    None => return Err(format!("not found: {}", brief(real))),
                    Some(message) if message.incomplete.is_some() && !needs_more => {
                        return Err(format!("found, but not whole: {}", brief(message)));
                    }
                    Some(_) => in_step = !needs_more,
                }
            } else {
                in_step = false;
            }
        }
        Ok(())
    }

    /// A response shares the exchange of its own request, or of none.
    fn answers_are_to_their_requests(&self, got: &BTreeMap<Way, Vec<Message>>) -> Result<(), String> {
        for (way, responses) in got.iter().filter(|(way, _)| way.1 == Direction::Response) {
            let requests = got.get(&(way.0, Direction::Request)).map_or(&[][..], Vec::as_slice);
            for response in responses {
                let Some(request) = requests
                    .iter()
                    .find(|request| request.exchange == response.exchange && request.connection == response.connection)
                else {
                    continue;
                };
                let (real, asked) = (self.real(response), self.real(request));
                if let (Some(real), Some(asked)) = (real, asked)
                    && real.exchange != asked.exchange
                {
                    return Err(format!("{} answers {}", start(response), start(request)));
                }
            }
        }
        Ok(())
    }

    fn real(&self, message: &Message) -> Option<&Message> {
        let way = (message.destination.port, message.direction);
        self.messages.get(&way)?.iter().find(|real| real.started == message.started && start(real) == start(message))
    }

    fn try_losing(&self, seed: u64, lost: &BTreeSet<u64>) {
        if let Err(why) = self.check(lost) {
            let mut dump = String::new();
            for frame in &self.frames {
                let mark = if lost.contains(&frame.number) { " LOST" } else { "" };
                let bytes = payload(frame);
                let ip = &frame.bytes[14..];
                let tcp = if ip[0] >> 4 == 4 { &ip[20..] } else { &ip[40..] };
                let from = u16::from_be_bytes([tcp[0], tcp[1]]);
                let text = bytes.escape_ascii().to_string();
                writeln!(dump, "{} from {from}{mark}: {:.200}", frame.number, text).unwrap();
            }
            panic!("seed {seed}, without frames {lost:?}: {why}\n{dump}");
        }
    }
}

/// Returns the start line up to the status.
fn start(message: &Message) -> String {
    match message.status() {
        Some(status) => format!("HTTP/{} {status}", message.version()),
        None => {
            let (method, path) = (message.method().unwrap(), message.target().unwrap());
            format!("{method} {path} HTTP/{}", message.version())
        }
    }
}

fn brief(message: &Message) -> String {
    let Message { body_size, missing_bytes, incomplete, anomalies, frames, latency_nanos, .. } = message;
    let odd: Vec<_> = anomalies.iter().map(|anomaly| anomaly.name()).collect();
    let start = start(message);
    format!(
        "{start} of {body_size}+{missing_bytes} {incomplete:?} {odd:?} latency {latency_nanos:?} in frames {frames:?}"
    )
}

/// Returns whether its start line allows resynchronisation: a method in capitals, a target without
/// spaces.
fn is_strict(message: &Message) -> bool {
    message.method().is_none_or(|method| method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-'))
        && message.target().is_none_or(|path| !path.contains(' '))
}

/// Returns the value of Content-Length.
fn declared(message: &Message) -> u64 {
    message.fields().values("content-length").next().map_or(0, |value| value.parse().unwrap())
}

fn until_close(message: &Message) -> bool {
    let fields = message.fields();
    message.status().is_some_and(|status| status >= 200 && status != 204 && status != 304)
        && fields.values("content-length").next().is_none()
        && fields.values("transfer-encoding").next().is_none()
}

const SEEDS: std::ops::Range<u64> = 0..40;

#[test]
fn any_one_frame_may_be_lost() {
    for seed in SEEDS {
        let truth = Truth::new(seed);
        for frame in &truth.frames {
            truth.try_losing(seed, &BTreeSet::from([frame.number]));
        }
    }
}

#[test]
fn any_run_of_frames_may_be_lost() {
    for seed in SEEDS {
        let truth = Truth::new(seed);
        for length in [2, 3, 5, 12] {
            for run in truth.frames.windows(length) {
                truth.try_losing(seed, &run.iter().map(|frame| frame.number).collect());
            }
        }
    }
}

#[test]
fn any_frames_may_be_lost() {
    for seed in SEEDS {
        let truth = Truth::new(seed);
        let mut rng = Rng::new(seed);
        for share in [0.01, 0.03, 0.1, 0.3, 0.6].repeat(8) {
            let lost = truth.frames.iter().filter(|_| rng.chance(share)).map(|frame| frame.number).collect();
            truth.try_losing(seed, &lost);
        }
    }
}
