//! Fuzzes messages as JSON: for any conversation, the text conforms to `message.schema.json`.
//!
//! The keys, their order, their kinds and which are required come from the schema itself. Next:
//! [`crate::message`].

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;

use super::ordered::Ordered;
use super::streams::{Cuts, run, steps};
use crate::message::Message;

/// Runs two streams as [`super::http1`] does, then writes every message and reads it back.
///
/// # Panics
/// If a text is not JSON, does not conform to the schema, or differs from the message.
pub fn json(data: &[u8]) {
    let (config, steps) = steps(data);
    for message in run(&config, &steps, Cuts::Segments).messages {
        check(&message);
    }
}

static SCHEMA: LazyLock<Ordered> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../message.schema.json")).expect("the schema is JSON")
});

fn check(message: &Message) {
    let text = serde_json::to_string(message).expect("a message is JSON");
    assert!(!text.contains('\n'), "one message is one line: {text}");
    let json: Ordered = serde_json::from_str(&text).expect("what was written can be read");
    assert_sound(&json, &text);
    let known = SCHEMA.get("properties").expect("the schema has properties").object();
    let mut order = known.iter();
    for (key, value) in json.object() {
        let schema = order.find(|(name, _)| name == key).map(|(_, schema)| schema);
        let schema = schema.unwrap_or_else(|| unreachable!("{key} is unknown or out of order: {text}"));
        if let Some(kind) = schema.get("type").and_then(Ordered::text) {
            let kind = if kind == "integer" { "number" } else { kind };
            assert_eq!(value.kind(), kind, "{key} in {text}");
        }
        if let (Some(Ordered::List(names)), Some(_)) = (schema.get("enum"), value.text()) {
            assert!(names.contains(value), "{key} in {text}");
        }
    }
    let Some(Ordered::List(required)) = SCHEMA.get("required") else { unreachable!("the schema requires keys") };
    for key in required.iter().filter_map(Ordered::text) {
        assert!(json.get(key).is_some(), "{key} is required: {text}");
    }
    for key in ["headers", "trailers"] {
        for (name, value) in json.get(key).map_or(&[][..], Ordered::object) {
            assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "{name} is not in lower case: {text}");
            assert!(matches!(value, Ordered::Text(_) | Ordered::List(_)), "{name} in {text}");
        }
    }
    check_body(message, &json, &text);
}

/// Checks that the body is as long as `bodySize` says, unless another key says why it is not.
fn check_body(message: &Message, json: &Ordered, text: &str) {
    let body = json.get("body").map(|body| body.text().expect("a body is text"));
    let len = match (body, json.get("bodyEncoding").and_then(Ordered::text)) {
        (Some(body), Some(_)) => {
            base64::engine::general_purpose::STANDARD.decode(body).expect("the body is base64").len()
        }
        (Some(body), None) => body.len(),
        (None, _) => 0,
    };
    let excused =
        ["contentDecoded", "bodyTruncated", "incomplete", "missingBytes"].iter().any(|key| json.get(key).is_some());
    assert!(excused || len as u64 == message.body_size, "{len} bytes of body: {text}");
}

/// Checks that there is no null and no repeated key.
fn assert_sound(json: &Ordered, text: &str) {
    match json {
        Ordered::Null => unreachable!("a null in {text}"),
        Ordered::List(list) => list.iter().for_each(|value| assert_sound(value, text)),
        Ordered::Object(entries) => {
            let keys: BTreeSet<_> = entries.iter().map(|(key, _)| key).collect();
            assert_eq!(keys.len(), entries.len(), "a key comes twice in {text}");
            entries.iter().for_each(|(_, value)| assert_sound(value, text));
        }
        Ordered::Bool | Ordered::Number(_) | Ordered::Text(_) => {}
    }
}
