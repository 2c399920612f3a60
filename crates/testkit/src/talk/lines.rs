//! The lines of the text: comments, directives, and the payload lines of a directive.
//!
//! It knows no directive by name. Next: [`super::parse`], which does.

use super::payload::append_line;
use super::{BLOCK_MAX, PAYLOAD_MAX, TEXT_MAX, TalkError};

/// A directive and the payload lines below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    /// Line of the directive, counted from 1.
    pub(super) line: usize,
    /// The directive, without spaces around it.
    pub(super) text: &'a str,
    /// Bytes of its payload lines; `None` without any (`|\` alone is an empty payload).
    pub(super) payload: Option<Vec<u8>>,
}

/// Returns the comments above the first directive, and all directives.
pub(super) fn entries(text: &str) -> Result<(Vec<&str>, Vec<Directive<'_>>), TalkError> {
    if text.len() > TEXT_MAX {
        let what = format!("the text has {} bytes; at most {TEXT_MAX} are read", text.len());
        return Err(TalkError::new(0, what));
    }
    let mut comments = Vec::new();
    let mut entries: Vec<Directive<'_>> = Vec::new();
    let mut total = 0;
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(text) = text.strip_prefix('|') {
            let text = match text.strip_prefix(' ') {
                Some(text) => text,
                None if text.is_empty() || text == "\\" => text,
                None => return Err(TalkError::new(line, "a space must follow the bar: `| text`")),
            };
            let Some(entry) = entries.last_mut() else {
                return Err(TalkError::new(line, "payload without a speaker; write `>>>` or `<<<` above it"));
            };
            let payload = entry.payload.get_or_insert_default();
            let before = payload.len();
            append_line(text, payload, BLOCK_MAX).map_err(|what| TalkError::new(line, what))?;
            total += payload.len() - before;
            if total > PAYLOAD_MAX {
                return Err(TalkError::new(line, format!("all payload together grows beyond {PAYLOAD_MAX} bytes")));
            }
        } else if let Some(comment) = text.strip_prefix('#') {
            if entries.is_empty() {
                comments.push(comment.trim());
            }
        } else if !text.trim().is_empty() {
            entries.push(Directive { line, text: text.trim(), payload: None });
        }
    }
    Ok((comments, entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_belongs_to_the_directive_above_it() {
        let (comments, entries) = entries("# a\n#\n>>>\n| x\n|\n# not part\n| y\\\n\n  pause 1s  \n").unwrap();
        assert_eq!(comments, ["a", ""]);
        let expected = Directive { line: 3, text: ">>>", payload: Some(b"x\r\n\r\ny".to_vec()) };
        assert_eq!(entries, [expected, Directive { line: 9, text: "pause 1s", payload: None }]);
    }

    #[test]
    fn a_line_of_no_kind_is_refused_with_its_number() {
        for (text, line) in [("| x", 1), ("\n>>>\n|x", 3), (">>>\n| {5000000*x}", 2), (">>>\n| \\q", 2)] {
            assert_eq!(entries(text).unwrap_err().line, line, "{text:?}");
        }
        assert!(entries(&"#".repeat(TEXT_MAX + 1)).is_err());
        let much = format!(">>>\n| {{{}*x}}\\\n", BLOCK_MAX).repeat(PAYLOAD_MAX / BLOCK_MAX + 1);
        assert_eq!(entries(&much).unwrap_err().line, 18);
    }
}
