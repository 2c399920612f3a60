//! Indents JSON for reading: the same tokens in the same order, with line ends and indentation.
//!
//! It never rewrites a number, a string or the order of keys, so that the text can be compared with
//! the wire. Next: `pretty`.

use serde::de::IgnoredAny;

/// Spaces per level.
const STEP: usize = 2;

/// Returns the indented text, or `None` if it is not an object or array.
pub(crate) fn indented(text: &str) -> Option<String> {
    let text = text.trim();
    // The parser refuses more than 128 levels; that bounds the indentation.
    if !text.starts_with(['{', '[']) || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut level = 0;
    // True right after an opening bracket: a line ends there unless the bracket closes at once.
    let mut opened = false;
    // `Some` inside a string; true if the next character is escaped.
    let mut string: Option<bool> = None;
    for c in text.chars() {
        if let Some(escaped) = string {
            out.push(c);
            string = if c == '"' && !escaped { None } else { Some(c == '\\' && !escaped) };
            continue;
        }
        if c.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(c, '}' | ']');
        level -= usize::from(closes);
        if opened != closes {
            new_line(&mut out, level);
        }
        opened = matches!(c, '{' | '[');
        level += usize::from(opened);
        out.push(c);
        match c {
            '"' => string = Some(false),
            ',' => new_line(&mut out, level),
            ':' => out.push(' '),
            _ => {}
        }
    }
    Some(out)
}

fn new_line(out: &mut String, level: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', level * STEP));
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn tokens_stay_as_they_are() {
        let text = r#"{"b":1.50,"a":[1,{"x y":"q\"z\\"},[ ]],"e":{}, "t" : true}"#;
        let want = "{\n  \"b\": 1.50,\n  \"a\": [\n    1,\n    {\n      \"x y\": \"q\\\"z\\\\\"\n    },\n    []\n  ],\n  \
                    \"e\": {},\n  \"t\": true\n}";
        assert_eq!(indented(text).as_deref(), Some(want));
        for other in ["", "plain", "12", "{\"a\":}", "[1] x", &"[".repeat(1000)] {
            assert_eq!(indented(other), None, "{other}");
        }
    }
}
