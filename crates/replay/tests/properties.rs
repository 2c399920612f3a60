//! Properties of any conversation: generated ones, sent over a worse network than the one they were
//! made on.
//!
//! Every failure prints the seed of the conversation and the seed of the network. [`check::run`]
//! checks the ledger after each frame.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_engine::fuzzing::check::{self, Checked};
use sniffer_engine::json::Lines;
use sniffer_packet::frame::LinkType;
use sniffer_packet::frame::{OwnedFrame, renumber};
use sniffer_packet::time::Timestamp;
use sniffer_testkit::generate::{GenerateOptions, conversation};
use sniffer_testkit::net::{Perturbation, perturb};
use sniffer_testkit::rng::Rng;
use sniffer_testkit::talk::{Action, Marks, Talk, TalkStep};
use sniffer_testkit::wire::{Way, Wrap};

fn talk(seed: u64) -> Talk {
    conversation(seed, &GenerateOptions::default())
}

fn run(frames: &[OwnedFrame]) -> Checked {
    check::run(frames, Config::default())
}

/// Returns the messages of each client, in order, without what another network may change.
fn essence(checked: &Checked) -> BTreeMap<String, Vec<Value>> {
    let mut connections = BTreeMap::<_, Vec<_>>::new();
    for mut message in checked.json() {
        let fields = message.as_object_mut().unwrap();
        for key in ["timestamp", "latencyMs", "frames", "connection"] {
            fields.remove(key);
        }
        connections.entry(message["destination"].to_string()).or_default().push(message);
    }
    connections
}

/// Checks that the same messages come out of the worse network.
fn check_lossless(seed: u64, network: u64, kinds: &[Perturbation]) -> Result<(), TestCaseError> {
    let frames = talk(seed).frames().unwrap();
    let worse = perturb(frames.clone(), network, kinds);
    prop_assert_eq!(essence(&run(&frames)), essence(&run(&worse)), "{:?}", kinds);
    Ok(())
}

proptest! {
    // A failure prints both seeds, which are enough to reproduce it.
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_said_is_what_comes_out(seed: u64) {
        let talk = talk(seed);
        let checked = run(&talk.frames().unwrap());
        prop_assert_eq!(talk.differences(&checked.json(), &checked.columns()), Vec::<String>::new(), "{}", talk);
    }

    #[test]
    fn the_same_however_the_stream_is_cut(seed: u64, network: u64) {
        check_lossless(seed, network, &[Perturbation::Resegment])?;
    }

    #[test]
    fn the_same_when_reordered_within_the_waiting_room(seed: u64, network: u64, window in 1_usize..12) {
        check_lossless(seed, network, &[Perturbation::Resegment, Perturbation::Reorder { window }])?;
        check_lossless(seed, network, &[Perturbation::Resegment, Perturbation::ReorderAcks])?;
    }

    #[test]
    fn the_same_with_duplicates(seed: u64, network: u64, window in 0_usize..12) {
        check_lossless(seed, network, &[Perturbation::Resegment, Perturbation::Duplicate { share: 0.4, window }])?;
    }

    /// As in live capture while a link is quiet. A replay of the recording learns the time only
    /// from the next frame, and takes messages in batches.
    #[test]
    fn the_same_when_time_is_told_between_frames(seed: u64, network: u64) {
        let mut frames: Vec<_> = (0..4).flat_map(|n| talk(seed.wrapping_add(n)).frames().unwrap()).collect();
        frames.sort_by_key(|frame| frame.time);
        let mut frames = perturb(frames, network, &[Perturbation::Reorder { window: 4 }, Perturbation::Drop(0.05)]);
        let mut rng = Rng::new(network);
        let mut paused = 0;
        for frame in &mut frames {
            paused += if rng.chance(0.2) { rng.below(7_000) as u64 * 1_000_000 } else { 0 };
            frame.time = Timestamp::from_nanos(frame.time.as_nanos() + paused);
        }
        let mut config = Config::default();
        config.limits.idle_timeout = Duration::from_millis(2_500);
        let (mut told, mut untold) = (Extractor::new(config.clone()), Extractor::new(config));
        let (mut told_lines, mut untold_lines) = (Lines::default(), Lines::default());
        let mut now = Timestamp::ZERO;
        for frame in &frames {
            while frame.time.since(now) > Duration::from_millis(400) && now > Timestamp::ZERO {
                now = Timestamp::from_nanos(now.as_nanos() + 1 + rng.below(400_000_000) as u64);
                told.advance(now, &mut |message| told_lines.push(message));
            }
            now = now.max(frame.time);
            told.push(&frame.as_frame(), &mut |message| told_lines.push(message));
            untold.take(&frame.as_frame(), &mut |message| untold_lines.push(message));
            if rng.chance(0.05) {
                untold.flush(&mut |message| untold_lines.push(message));
                prop_assert!(untold_lines.len() <= told_lines.len());
            }
        }
        told.finish(&mut |message| told_lines.push(message));
        untold.finish(&mut |message| untold_lines.push(message));
        prop_assert_eq!(str::from_utf8(told_lines.as_bytes()).unwrap(), str::from_utf8(untold_lines.as_bytes()).unwrap());
        prop_assert_eq!(told.ledger(), untold.ledger());
    }

    /// Two copies of the capture, cut differently, interleaved frame by frame.
    #[test]
    fn the_same_with_consistent_overlaps(seed: u64, network: u64) {
        let frames = talk(seed).frames().unwrap();
        let mut twice: Vec<_> = frames.iter().cloned().chain(perturb(frames.clone(), network, &[Perturbation::Resegment])).collect();
        twice.sort_by_key(|frame| frame.time);
        renumber(&mut twice);
        prop_assert_eq!(essence(&run(&frames)), essence(&run(&twice)));
    }

    #[test]
    fn the_same_when_sequence_numbers_wrap(seed: u64, network: u64) {
        check_lossless(seed, network, &[Perturbation::Wrap, Perturbation::Resegment])?;
    }

    #[test]
    fn the_same_in_ip_fragments(seed: u64, network: u64, share in 0.1..1.0) {
        check_lossless(seed, network, &[Perturbation::Fragment { share }])?;
    }

    #[test]
    fn the_same_over_any_link_layer(seed: u64) {
        let mut talk = talk(seed);
        let on_ethernet = essence(&run(&talk.frames().unwrap()));
        let links = [LinkType::LINUX_SLL, LinkType::LINUX_SLL2, LinkType::RAW, LinkType::NULL, LinkType::LOOP, LinkType(12)];
        for link in links {
            talk.link = link;
            prop_assert_eq!(&essence(&run(&talk.frames().unwrap())), &on_ethernet, "{:?}", link);
        }
    }

    #[test]
    fn the_same_in_any_tunnel(seed: u64, network: u64, first in 0..TUNNELS.len(), second in OVER_IP..TUNNELS.len()) {
        for wraps in [vec![TUNNELS[first]], vec![TUNNELS[first], TUNNELS[second]]] {
            check_lossless(seed, network, &[Perturbation::Tunnel(wraps)])?;
        }
    }

    #[test]
    fn the_same_over_all_of_it_at_once(seed: u64, network: u64, window in 1_usize..8) {
        let kinds = [
            Perturbation::Wrap,
            Perturbation::Resegment,
            Perturbation::Reorder { window },
            Perturbation::Duplicate { share: 0.2, window },
            Perturbation::Tunnel(vec![Wrap::Vlan(1, 2), Wrap::Vxlan(3, 4)]),
        ];
        check_lossless(seed, network, &kinds)?;
    }

    /// A third party that knows the connection's numbers injects segments; the peer drops all of
    /// them (policies 2 to 4).
    #[test]
    fn the_same_whatever_is_forged_into_it(seed: u64, forger: u64) {
        let honest = talk(seed);
        let mut rng = Rng::new(forger);
        let forged = forge(&honest, &mut rng);
        let worse = Talk { steps: forged, ..honest.clone() };
        let frames = worse.frames().map_err(|error| TestCaseError::fail(format!("{error}\n{worse}")))?;
        prop_assert_eq!(unnamed(&run(&honest.frames().unwrap())), unnamed(&run(&frames)), "{}", worse);
    }

    /// Bodies of known length, with one segment of one body lost: a gap of its exact length,
    /// everything else unchanged.
    #[test]
    fn a_lost_segment_is_one_gap_of_its_length(
        bodies in prop::collection::vec(1_usize..40, 1..5),
        lost in any::<prop::sample::Index>(),
        size in 20_usize..200,
    ) {
        let lost = lost.index(bodies.iter().sum());
        let mut text = String::from("# Generated\n");
        let mut piece = 0;
        let mut hit = 0;
        for (exchange, &pieces) in bodies.iter().enumerate() {
            text += &format!(">>>\n| GET /{exchange} HTTP/1.1\n|\n<<<\n| HTTP/1.1 200 OK\n| Content-Length: {}\n|\n", pieces * size);
            for n in 0..pieces {
                hit = if piece == lost { exchange } else { hit };
                let mark = if piece == lost { " lost" } else { "" };
                text += &format!("<<<{mark}\n| {{{size}*{}}}\\\n", char::from(b'a' + (n % 26) as u8));
                piece += 1;
            }
        }
        let checked = run(&Talk::parse(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?.frames().unwrap());
        prop_assert_eq!(checked.ledger.missing(), size as u64, "{}", text);
        let responses: Vec<_> = checked.messages.iter().filter(|m| m.status().is_some()).collect();
        prop_assert_eq!(responses.len(), bodies.len());
        for (exchange, response) in responses.iter().enumerate() {
            let missing = if exchange == hit { size } else { 0 };
            prop_assert_eq!(response.missing_bytes, missing as u64, "{}", text);
            prop_assert_eq!(response.body_size as usize, bodies[exchange] * size - missing, "{}", text);
            prop_assert_eq!(response.incomplete.is_some(), exchange == hit, "{}", text);
            prop_assert_eq!(response.exchange as usize, exchange, "{}", text);
        }
    }

    /// Any one frame is lost: messages of other connections are unchanged, and every lost byte is
    /// counted.
    #[test]
    fn a_lost_frame_harms_its_own_connection_only(seed: u64, lost in any::<prop::sample::Index>()) {
        let frames = talk(seed).frames().unwrap();
        let lost = lost.index(frames.len());
        let mut fewer = frames.clone();
        fewer.remove(lost);
        let (whole, holed) = (essence(&run(&frames)), essence(&run(&fewer)));
        let harmed = whole.iter().filter(|(client, messages)| holed.get(*client) != Some(*messages)).count();
        prop_assert!(harmed <= 1, "{} connections differ after the loss of frame {}", harmed, lost + 1);
    }

    #[test]
    fn a_truncated_capture_gives_a_prefix_of_the_messages(seed: u64, cut in any::<prop::sample::Index>()) {
        let frames = talk(seed).frames().unwrap();
        let whole = run(&frames).json();
        let mut extractor = Extractor::new(Config::default());
        let mut before = Vec::new();
        for frame in &frames[..cut.index(frames.len())] {
            extractor.push(&frame.as_frame(), &mut |message| before.push(serde_json::to_value(message).unwrap()));
        }
        prop_assert_eq!(&before[..], &whole[..before.len()]);
        let mut cut_off = Vec::new();
        extractor.finish(&mut |message| cut_off.push(message.clone()));
        prop_assert!(cut_off.iter().all(|message| message.incomplete.is_some()), "what was not whole says so");
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        frames in prop::collection::vec((0_u16..300, prop::collection::vec(any::<u8>(), 0..200), any::<u64>()), 0..40),
    ) {
        let frames: Vec<_> = frames
            .into_iter()
            .map(|(link, bytes, nanos)| OwnedFrame {
                number: 0,
                time: Timestamp::from_nanos(nanos),
                precision: sniffer_packet::time::Precision::Nanos,
                link: LinkType(link),
                wire_len: bytes.len() as u32,
                bytes,
            })
            .collect();
        run(&frames);
    }

    /// Real conversations with random changes reach deeper than noise does.
    #[test]
    fn damaged_conversations_never_panic_and_always_balance(
        seed: u64,
        network: u64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..60),
    ) {
        let kinds = [Perturbation::Resegment, Perturbation::Reorder { window: 6 }, Perturbation::Duplicate { share: 0.2, window: 4 }, Perturbation::Drop(0.05)];
        let mut frames = perturb(talk(seed).frames().unwrap(), network, &kinds);
        for (frame, at, byte) in damage {
            if !frames.is_empty() {
                let frame = frame.index(frames.len());
                let bytes = &mut frames[frame].bytes;
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
        }
        run(&frames);
    }
}

/// Every layer that can wrap an IPv4 or IPv6 packet without losing it; those that need an Ethernet
/// header come first.
const TUNNELS: [Wrap; 11] = [
    Wrap::Vlan(1, 2),
    Wrap::QinQ(7, 8),
    Wrap::Mpls(16, 17),
    Wrap::Pppoe,
    Wrap::Gre,
    Wrap::Erspan,
    Wrap::Vxlan(1, 2),
    Wrap::Geneve(3, 4),
    Wrap::GtpU(5, 6),
    Wrap::L2tp,
    Wrap::Ipip,
];
const OVER_IP: usize = 4;

/// Returns the [`essence`] without anomalies: a forgery is named on the message that it would have
/// been part of.
fn unnamed(checked: &Checked) -> BTreeMap<String, Vec<Value>> {
    let mut connections = essence(checked);
    for message in connections.values_mut().flatten() {
        message.as_object_mut().unwrap().remove("anomalies");
    }
    connections
}

/// Returns the steps with forged blocks among those of each connection.
fn forge(talk: &Talk, rng: &mut Rng) -> Vec<TalkStep> {
    let mut steps = Vec::new();
    let mut sent = vec![[0_i64; 2]; talk.connections.len()];
    // One kind per run: a forged SYN with a forged SYN-ACK that answers it is a new connection
    // (policy 4).
    let syn = Marks { syn: true, no_ack: rng.chance(0.5), forged: true, ..Marks::default() };
    for step in &talk.steps {
        if let Action::Send(block) = &step.action {
            let sent = &mut sent[block.connection];
            for _ in 0..rng.below(3) {
                let way = if rng.chance(0.5) { Way::ToServer } else { Way::ToClient };
                let timestamps = talk.connections[block.connection].timestamps;
                let (marks, payload) = forged(timestamps, sent[way.index()], &syn, rng);
                steps.push(Talk::marked(block.connection, way, payload, marks));
            }
            sent[block.way.index()] += block.payload.len() as i64;
        }
        steps.push(step.clone());
    }
    steps
}

/// The text of a forgery, which would show if it were believed.
const FORGED: [&[u8]; 4] =
    [b"GET /forged HTTP/1.1\r\n\r\n", b"HTTP/1.1 666 Forged\r\nContent-Length: 0\r\n\r\n", b"forged", b"0\r\n\r\n"];

/// A block that the peer drops, and why; `sent` bytes of its side came before it.
fn forged(timestamps: bool, sent: i64, syn: &Marks, rng: &mut Rng) -> (Marks, Vec<u8>) {
    let forged = Marks { forged: true, ..Marks::default() };
    let payload = rng.pick(&FORGED).unwrap_or(&FORGED[0]).to_vec();
    // Two forgeries that agree look like lost data. Each takes numbers from its own range;
    // otherwise one pair in eight thousand would agree.
    let far = rng.between(FAR, HALF - FAR) as i64;
    let far_ack = rng.between(HALF + FAR, i32::MAX as usize - FAR) as i64;
    match rng.below(if timestamps { 9 } else { 8 }) {
        0 => (Marks { no_ack: true, ..forged }, payload),
        1 => (Marks { ack_shift: far_ack, ..forged }, payload),
        2 => (Marks { ack_shift: -far_ack, ..forged }, payload),
        3 => (Marks { md5: true, ..forged }, payload),
        4 => (Marks { seq: far, ..forged }, payload),
        5 => (Marks { seq: -far, ..forged }, payload),
        6 => (Marks { rst: true, seq: if rng.chance(0.5) { far } else { 1 }, ..forged }, Vec::new()),
        7 => {
            // The number after a SYN at `sent` is the one that the connection expects next.
            let seq = if rng.chance(0.5) { far } else { sent };
            (Marks { seq, ..syn.clone() }, Vec::new())
        }
        _ => (Marks { tsval: -far, ..forged }, payload),
    }
}

/// Farther than twice any window of these conversations, and as far from the other limits.
const FAR: usize = 1 << 20;

/// Distance between forged sequence and acknowledgement numbers.
const HALF: usize = 1 << 30;
