//! Describes the differences between two lists of messages: the message, the field, the place in
//! the body.
//!
//! Messages are aligned by their endpoints and start lines, so that a missing message does not make
//! all later ones differ. Next: the crate `similar`, which aligns messages and the lines of bodies.

use serde_json::{Map, Value};
use similar::{Algorithm, DiffOp, TextDiff, capture_diff_slices};

use super::golden::Golden;

/// Maximum number of messages described; the rest is counted.
const MESSAGES_MAX: usize = 20;
/// Maximum lines shown of the difference of two bodies.
const LINES_MAX: usize = 12;
/// Maximum bytes of a body whose lines are compared. Of a larger one only the place is named.
const TEXT_MAX: usize = 64 << 10;
/// Maximum characters shown of a value.
const VALUE_MAX: usize = 100;

/// Returns the lines of the report; none if nothing differs.
pub(super) fn lines(golden: &Golden, found: &Golden) -> Vec<String> {
    let ids = |golden: &Golden| golden.messages.iter().map(identity).collect::<Vec<_>>();
    let mut reports: Vec<Vec<String>> = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &ids(golden), &ids(found)) {
        let (old, new) = match op {
            DiffOp::Equal { old_index, new_index, len } => (old_index..old_index + len, new_index..new_index + len),
            DiffOp::Delete { old_index, old_len, new_index } => (old_index..old_index + old_len, new_index..new_index),
            DiffOp::Insert { old_index, new_index, new_len } => (old_index..old_index, new_index..new_index + new_len),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                (old_index..old_index + old_len, new_index..new_index + new_len)
            }
        };
        let paired = old.len().min(new.len());
        for (old, new) in old.clone().zip(new.clone()) {
            let differences = fields(&golden.messages[old], &found.messages[new]);
            if !differences.is_empty() {
                let title = vec![format!("message {}, {}{}:", new + 1, name(&found.messages[new]), frames(found, new))];
                reports.push(title.into_iter().chain(differences).collect());
            }
        }
        let missing =
            old.skip(paired).map(|old| format!("message {} is missing: {}", old + 1, name(&golden.messages[old])));
        reports.extend(missing.map(|line| vec![line]));
        let new = new
            .skip(paired)
            .map(|new| format!("message {} is new: {}{}", new + 1, name(&found.messages[new]), frames(found, new)));
        reports.extend(new.map(|line| vec![line]));
    }
    let more = reports.len().saturating_sub(MESSAGES_MAX);
    let mut lines: Vec<String> = reports.into_iter().take(MESSAGES_MAX).flatten().collect();
    if more > 0 {
        lines.push(format!("… and {more} more messages differ"));
    }
    if golden.end != found.end {
        let end = |end: &Option<Value>| end.as_ref().map_or_else(|| "all well".to_owned(), Value::to_string);
        lines.push(format!("the end: {} → {}", end(&golden.end), end(&found.end)));
    }
    lines
}

/// Returns the keys by which two messages count as the same one.
fn identity(message: &Value) -> String {
    let ends = ["direction", "destination", "receiver", "method", "path", "statusCode"];
    ends.iter().map(|key| message.get(key).map(Value::to_string).unwrap_or_default() + " ").collect()
}

/// Names a message: `request GET /a` or `response 200`.
fn name(message: &Value) -> String {
    let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
    match message.get("statusCode") {
        Some(status) => format!("response {status}"),
        None => format!("request {} {}", text("method"), cut(text("path"))),
    }
}

/// Names the frames of a message: ` (frames 40–44)`.
fn frames(golden: &Golden, at: usize) -> String {
    match &golden.frames[at][..] {
        [] => String::new(),
        [one] => format!(" (frame {one})"),
        [first, .., last] => format!(" (frames {first}–{last})"),
    }
}

fn fields(old: &Value, new: &Value) -> Vec<String> {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return vec!["  not an object".to_owned()] };
    let mut lines = Vec::new();
    let empty = Map::new();
    for key in keys(old, new) {
        match key.as_str() {
            "headers" | "trailers" => {
                let inside = |fields: &Map<String, Value>| fields.get(key).and_then(Value::as_object).cloned();
                let (old, new) = (inside(old), inside(new));
                let (old, new) = (old.as_ref().unwrap_or(&empty), new.as_ref().unwrap_or(&empty));
                let kind = key.trim_end_matches('s');
                lines.extend(
                    keys(old, new).filter_map(|name| change(&format!("{kind} {name}"), old.get(name), new.get(name))),
                );
                let common = |a: &Map<String, Value>, b: &Map<String, Value>| {
                    a.keys().filter(|name| b.contains_key(*name)).cloned().collect::<Vec<_>>()
                };
                if common(old, new) != common(new, old) {
                    lines.push(format!("  {key} in another order: {}", common(new, old).join(", ")));
                }
            }
            "body" => lines.extend(body(old, new)),
            // Compared with the body.
            "bodyEncoding" if old.contains_key("body") && new.contains_key("body") => {}
            key => lines.extend(change(key, old.get(key), new.get(key))),
        }
    }
    lines
}

/// Returns the keys of both: those of `new` in order, then those that only `old` has.
fn keys<'a>(old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> impl Iterator<Item = &'a String> {
    new.keys().chain(old.keys().filter(|key| !new.contains_key(*key)))
}

fn change(what: &str, old: Option<&Value>, new: Option<&Value>) -> Option<String> {
    let shown = |value: &Value| cut(&value.to_string());
    match (old, new) {
        (None, Some(new)) => Some(format!("  {what} added: {}", shown(new))),
        (Some(old), None) => Some(format!("  {what} removed: {}", shown(old))),
        (Some(old), Some(new)) if old != new => Some(format!("  {what}: {} → {}", shown(old), shown(new))),
        _ => None,
    }
}

/// Describes where bodies differ; for text, also the lines around it.
fn body(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let (old_body, new_body) = (bytes(old), bytes(new));
    if old_body == new_body {
        return Vec::new();
    }
    let at = old_body.iter().zip(&new_body).take_while(|(old, new)| old == new).count();
    let mut lines = vec![format!("  body differs at byte {at} (was {} bytes, is {})", old_body.len(), new_body.len())];
    if let (Ok(old), Ok(new)) = (std::str::from_utf8(&old_body), std::str::from_utf8(&new_body))
        && old.len().max(new.len()) <= TEXT_MAX
    {
        let diff = TextDiff::from_lines(old, new);
        let text = diff.unified_diff().context_radius(1).to_string();
        let mut shown: Vec<_> = text.lines().map(|line| format!("    {}", cut(line))).collect();
        if shown.len() > LINES_MAX {
            shown.truncate(LINES_MAX);
            shown.push("    …".to_owned());
        }
        lines.extend(shown);
    }
    lines
}

fn bytes(message: &Map<String, Value>) -> Vec<u8> {
    use base64::Engine as _;
    let text = message.get("body").and_then(Value::as_str).unwrap_or_default();
    match message.contains_key("bodyEncoding") {
        // Somebody may have edited the golden file: then the text itself is compared.
        true => base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_else(|_| text.into()),
        false => text.into(),
    }
}

fn cut(text: &str) -> String {
    sniffer_formats::text::cut(text, VALUE_MAX).into_owned()
}
