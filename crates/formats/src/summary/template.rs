//! Turns paths into endpoints: ids become placeholders, so that a million orders are one row.
//!
//! It recognises ids by their form alone. The query is left out.

use crate::target::path_of;

/// Minimum length of a segment of digits and letters that counts as an id.
const TOKEN_MIN: usize = 20;
/// Maximum characters kept of a path, a host or a method.
const NAME_MAX: usize = 200;
/// Minimum length of a segment that counts as a hexadecimal number.
const HEX_MIN: usize = 8;

/// `/orders/4711/items/9?full=1` becomes `/orders/{n}/items/{n}`.
pub(super) fn of(target: &str) -> String {
    let path = path_of(target);
    let path = path.split('?').next().unwrap_or(path);
    let segments: Vec<_> = path.split('/').map(segment).collect();
    short(&segments.join("/"))
}

/// Cuts a name, so that the names of all groups stay small.
pub(super) fn short(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Replaces a segment that is an id, also one before an extension: `4711.json`.
fn segment(text: &str) -> String {
    if let Some(name) = placeholder(text) {
        return name.to_owned();
    }
    match text.rsplit_once('.') {
        Some((stem, end)) => match placeholder(stem) {
            Some(name) => format!("{name}.{end}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

fn placeholder(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let all = |is: fn(&u8) -> bool| bytes.iter().all(is);
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let shape: String = bytes.iter().map(|byte| if byte.is_ascii_digit() { 'd' } else { char::from(*byte) }).collect();
    if digits == 0 {
        return None;
    }
    let dashes_at: Vec<_> = text.match_indices('-').map(|(at, _)| at).collect();
    match () {
        () if digits == bytes.len() => Some("{n}"),
        () if shape == "dddd-dd-dd" => Some("{date}"),
        () if bytes.len() == 36 && dashes_at == [8, 13, 18, 23] && all(|b| b.is_ascii_hexdigit() || *b == b'-') => {
            Some("{uuid}")
        }
        () if bytes.len() >= HEX_MIN && all(u8::is_ascii_hexdigit) => Some("{hex}"),
        () if bytes.len() >= TOKEN_MIN && all(|b| b.is_ascii_alphanumeric() || b"-_=.~%".contains(b)) => {
            Some("{token}")
        }
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn ids_become_placeholders() {
        for (target, template) in [
            ("/", "/"),
            ("/orders/4711/items/9?full=1", "/orders/{n}/items/{n}"),
            ("/v1/users", "/v1/users"),
            ("/u/550e8400-e29b-41d4-a716-446655440000", "/u/{uuid}"),
            ("/blob/deadbeef01", "/blob/{hex}"),
            ("/deadbeef", "/deadbeef"),
            ("/img/123.jpg", "/img/{n}.jpg"),
            ("/app.9f8e7d6c5b4a.js", "/app.9f8e7d6c5b4a.js"),
            ("/report/2026-02-21", "/report/{date}"),
            ("/s/eyJhbGciOiJIUzI1NiJ9abc", "/s/{token}"),
            ("http://a.test/x/1", "/x/{n}"),
            ("*", "*"),
        ] {
            assert_eq!(of(target), template);
        }
    }
}
