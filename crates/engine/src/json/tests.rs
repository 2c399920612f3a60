//! Compares lines with serde_json, which writes [`crate::message::shape`] by another path.

use std::net::IpAddr;

use fearless_simd::Level;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use fearless_simd::Simd as _;
use proptest::prelude::*;
use sniffer_packet::frame::Stamp;
use sniffer_packet::key::{Endpoint, FlowId, FlowKey};
use sniffer_packet::time::{Precision, Timestamp};

use super::*;
use crate::anomaly::{Anomaly, AnomalySet};
use crate::event::{Incomplete, Over};
use crate::http::{Direction, Field, Head, StartLine, Version};
use crate::message::{Body, Fields, HeadText, Phase};

/// Returns what serde_json writes, with the additional line ends escaped, and a line feed.
fn expected(message: &Message) -> String {
    let json = serde_json::to_string(message).unwrap();
    json.replace('\u{85}', "\\u0085").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029") + "\n"
}

/// Makes runs of any length of bytes that need escapes and of bytes that do not.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(0_u8..0x30, 0..40),
        prop::collection::vec(b'a'..=b'z', 0..200),
        "[a-z\"\\\\\u{85}\u{2028}\u{2029}é“\u{0}-\u{1f}]{0,90}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn short() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), "[A-Za-z-]{1,12}".prop_map(String::into_bytes), bytes()]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| Endpoint::new(ip, port))
}

prop_compose! {
    fn message()(
        time: u64,
        nanos: bool,
        (receiver, destination) in (endpoint(), endpoint()),
        (request, method, target, status) in (any::<bool>(), short(), short(), 100_u16..1000),
        fields in prop::collection::vec((short(), short()), 0..12),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        trailers in prop::collection::vec((short(), short()), 0..3),
        body in bytes(),
        (body_size, missing_bytes) in (any::<u64>(), prop_oneof![Just(0), any::<u64>()]),
        (content_decoded, body_truncated, cut) in any::<(bool, bool, bool)>(),
        odd in prop::collection::vec(prop::sample::select(Anomaly::ALL), 0..4),
        id: u32,
        exchange: u32,
        latency in prop::option::of(prop_oneof![0_u64..2_000, 0_u64..1 << 53, (0_u64..90_000).prop_map(|ms| ms * 1_000_000)]),
        frames in prop::collection::vec(any::<u64>(), 0..4),
    ) -> Message {
        let mut fields = fields;
        for again in again {
            if !fields.is_empty() {
                fields.push(again.get(&fields).clone());
            }
        }
        let lines = |fields: &[(Vec<u8>, Vec<u8>)], use_them: &mut dyn FnMut(&[Field<'_>])| {
            use_them(&fields.iter().map(|(name, value)| Field { name, value }).collect::<Vec<_>>());
        };
        let mut head = None;
        lines(&fields, &mut |fields| {
            let start = match request {
                true => StartLine::Request { method: &method, target: &target },
                false => StartLine::Response { status, reason: &target },
            };
            head = Some(HeadText::new(&Head { start, version: Version::Http11, scheme: None, authority: None, fields, raw: b"" }));
        });
        let mut kept = Fields::default();
        lines(&trailers, &mut |fields| kept = Fields::new(fields));
        Message {
            started: Stamp {
                number: 1,
                time: Timestamp::from_nanos(time),
                precision: if nanos { Precision::Nanos } else { Precision::Micros },
            },
            direction: if request { Direction::Request } else { Direction::Response },
            receiver,
            destination,
            head: head.unwrap(),
            trailers: kept,
            body: Body::new(body, cut),
            body_size,
            content_decoded,
            body_truncated,
            incomplete: cut.then_some(Incomplete::Gap),
            missing_bytes,
            anomalies: odd.into_iter().fold(AnomalySet::EMPTY, |mut set, one| { set.insert(one); set }),
            connection: FlowId::new(&FlowKey::of(&receiver, &destination).0, &id.to_be_bytes(), time, 0),
            connection_first: 1,
            exchange,
            interim: 0,
            over: Over::default(),
            latency_nanos: latency,
            frames,
            completed_by: 0,
            phase: Phase::default(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_is_what_serde_writes(message in message()) {
        let mut line = b"before".to_vec();
        message.write_line(&mut line);
        prop_assert_eq!(str::from_utf8(&line[6..]).unwrap(), expected(&message));
        prop_assert_eq!(&line[..6], b"before", "what stood before is left alone");
        for level in levels() {
            let mut lines = Lines::default();
            lines.level = level;
            lines.push(&message);
            lines.push(&message);
            prop_assert_eq!(str::from_utf8(lines.as_bytes()).unwrap(), expected(&message).repeat(2), "{:?}", level);
        }
    }
}

/// Returns this processor's SIMD level and all lower ones. The last is the table, if there is a
/// level without shuffles.
fn levels() -> Vec<Level> {
    let best = Level::new();
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return [
        best.as_avx512().map(|it| it.level()),
        best.as_avx2().map(|it| it.level()),
        best.as_sse4_2().map(|it| it.level()),
        best.as_sse2().map(|it| it.level()),
    ]
    .into_iter()
    .flatten()
    .collect();
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    return vec![best];
}

/// Returns a string as JSON, after checking that every level writes it as serde_json does.
#[track_caller]
fn check(text: &str) {
    let expected = serde_json::to_string(text).unwrap();
    for level in levels() {
        let mut lines = Lines::default();
        lines.level = level;
        lines.text(text.as_bytes());
        assert_eq!(str::from_utf8(lines.as_bytes()).unwrap(), expected, "{level:?}");
    }
}

#[test]
fn every_byte_is_escaped_at_every_place_of_a_chunk() {
    for byte in 0..0x80_u8 {
        for before in 0..150 {
            check(&format!("{:-<before$}{}{:+<after$}", "", char::from(byte), "", after = before % 37));
        }
    }
}

#[test]
fn every_byte_is_escaped_at_every_place_of_a_short_text() {
    for byte in 0..0x80_u8 {
        for length in 1..20 {
            for place in 0..length {
                check(&format!("{:a<place$}{}{:z<after$}", "", char::from(byte), "", after = length - place - 1));
            }
        }
    }
}

#[test]
fn any_of_eight_bytes_are_escaped_at_every_place_of_a_chunk() {
    for marks in 0..=u8::MAX {
        for before in [0, 8, 16, 24, 100] {
            let eight: String = (0..8).map(|bit| if marks >> bit & 1 == 1 { '"' } else { 'x' }).collect();
            check(&format!("{:\n<before$}{eight}{:->after$}", "", "", after = before % 33));
        }
    }
}

#[test]
fn text_of_nothing_but_the_longest_escapes_fits() {
    for length in [0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 1_000, 1_023, 1_024, 1_025, 100_000] {
        check(&"\u{1}".repeat(length));
        check(&"\"".repeat(length));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_is_the_same_whatever_the_processor_can_do(bytes in bytes()) {
        check(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_head_of_any_size_is_an_object_of_its_fields() {
    let value = "\u{1}\"é".repeat(40);
    for count in [0, 1, 2, 11, 12, 60, 200] {
        let names: Vec<_> = (0..count).map(|n| format!("x-{n}")).collect();
        for value in ["", "plain", &value] {
            let fields = names.iter().map(|name| Field { name: name.as_bytes(), value: value.as_bytes() });
            let fields = Fields::new(&fields.collect::<Vec<_>>());
            for level in levels() {
                let mut lines = Lines::default();
                lines.level = level;
                lines.fields(&fields);
                assert_eq!(str::from_utf8(lines.as_bytes()).unwrap(), serde_json::to_string(&fields).unwrap());
            }
        }
    }
}

#[test]
fn numbers_of_any_length_have_their_digits() {
    let powers = (0..20).map(|exponent| 10_u64.pow(exponent));
    for number in powers.flat_map(|power| [power - 1, power, power + 1, power.saturating_mul(7)]).chain([u64::MAX]) {
        let mut room = [0; 24];
        let length = write_number(number, &mut room);
        assert_eq!(str::from_utf8(&room[..length]).unwrap(), number.to_string());
    }
}

#[test]
fn endpoints_are_written_as_serde_has_them() {
    let longest = "1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap();
    let octets = (0..=u8::MAX).map(|octet| IpAddr::from([octet, 255 - octet, octet / 10, octet / 3]));
    for ip in octets.chain([longest, IpAddr::from([0; 16])]) {
        for port in [0, 9, 80, 9_999, 10_000, u16::MAX] {
            let (endpoint, mut room) = (Endpoint::new(ip, port), [0; 96]);
            let length = small(Value::Endpoint(&endpoint), &mut room);
            assert_eq!(str::from_utf8(&room[..length]).unwrap(), serde_json::to_string(&endpoint).unwrap());
        }
    }
}

#[test]
fn no_line_ends_inside_a_line() {
    for text in [
        "",
        "plain",
        "é\u{85}é",
        "\u{2028}",
        "a\u{2029}\u{85}\u{2028}b",
        "“quoted” â\u{80}",
        "\u{c2}\u{e2}\n\r\u{b}\u{c}",
    ] {
        let mut lines = Lines::default();
        lines.append(|out| {
            out.extend_from_slice(b"before\xc2\x85");
            serde_json::to_writer(out, text).unwrap();
        });
        lines.escape_line_ends(8);
        let out = lines.as_bytes();
        let json = str::from_utf8(&out[8..]).unwrap();
        assert!(!json.contains(['\u{85}', '\u{2028}', '\u{2029}', '\n', '\r', '\u{b}', '\u{c}']), "{json}");
        assert_eq!(serde_json::from_str::<String>(json).unwrap(), text);
        assert!(out.starts_with(b"before\xc2\x85"), "what stood before is left alone");
    }
}
