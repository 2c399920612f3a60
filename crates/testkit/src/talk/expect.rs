//! `expect` lines: the author's statements of what must come out, in a form that tests compare.
//!
//! The author derives them from RFCs and stated policies; nothing here ever fills them in from an
//! output. Next: [`Talk::differences`], the comparison; `corpus/TALK.md`, the grammar.

use std::fmt;

use serde_json::Value;

use super::Talk;

const ALLOWED: &str = "request METHOD TARGET [KEY VALUE]…, response STATUS [KEY VALUE]…, no messages, ledger COLUMN N";
const VALUES: &str = "JSON, or one word without spaces, or none for a key that must be absent";

/// Keys that a message must not have unless its line names them, so that no oddity is missed.
pub const ABSENT_UNLESS_NAMED: [&str; 7] =
    ["incomplete", "missingBytes", "anomalies", "bodyEncoding", "bodyTruncated", "contentDecoded", "trailers"];

/// One `expect` line.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Expectation {
    /// The next message of the output.
    Message(ExpectedMessage),
    /// Nothing comes out.
    NoMessages,
    /// A column of the ledger.
    Ledger {
        /// Its name in the ledger's JSON: `missing`, `frameFates.not-tcp`, or a fate such as
        /// `not-http`.
        column: String,
        /// Its value in bytes.
        bytes: u64,
    },
}

/// A message that must come out.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators build it; no invariant")]
pub struct ExpectedMessage {
    /// Line in the text, for error messages; 0 without a text.
    pub line: usize,
    /// Name of its connection, if the line has one.
    pub on: Option<String>,
    /// Keys of the message and their values, `direction` first; `Null` stands for `none`. A dot
    /// leads into `headers`, `trailers`, `receiver` and `destination`.
    pub fields: Vec<(String, Value)>,
}

impl Expectation {
    /// Parses the text after `expect`; the error names what is allowed.
    pub(super) fn parse(line: usize, text: &str) -> Result<Self, String> {
        let (kind, rest) = word(text);
        match kind {
            "request" => {
                let (method, rest) = word(rest);
                let (path, rest) = word(rest);
                if path.is_empty() {
                    return Err(format!("expect request wants a method and a target; allowed: {ALLOWED}"));
                }
                Self::message(line, kind, &[("method", method.into()), ("path", path.into())], rest)
            }
            "response" => {
                let (status, rest) = word(rest);
                let status: u16 = status.parse().map_err(|_| format!("{status:?} is no status; allowed: {ALLOWED}"))?;
                Self::message(line, kind, &[("statusCode", status.into())], rest)
            }
            "no" if rest == "messages" => Ok(Self::NoMessages),
            "ledger" => {
                let (column, number) = word(rest);
                let bytes =
                    number.parse().map_err(|_| format!("{number:?} is no number of bytes; allowed: {ALLOWED}"))?;
                Ok(Self::Ledger { column: column.to_owned(), bytes })
            }
            _ => Err(format!("expect {text:?} is not understood; allowed: {ALLOWED}")),
        }
    }

    fn message(line: usize, direction: &str, first: &[(&str, Value)], rest: &str) -> Result<Self, String> {
        let mut fields = vec![("direction".to_owned(), direction.into())];
        fields.extend(first.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let (mut on, mut rest) = (None, rest);
        while !rest.is_empty() {
            let (key, behind) = word(rest);
            let (value, behind) = value(behind).ok_or_else(|| format!("{key:?} wants a value: {VALUES}"))?;
            match (key, &value) {
                ("on", Value::String(name)) => on = Some(name.clone()),
                _ => fields.push((key.to_owned(), value)),
            }
            rest = behind;
        }
        Ok(Self::Message(ExpectedMessage { line, on, fields }))
    }
}

/// Splits off the first word.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// Splits off the first value.
fn value(text: &str) -> Option<(Value, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if let Some(Ok(value)) = values.next() {
        let rest = &text[values.byte_offset()..];
        if rest.is_empty() || rest.starts_with(char::is_whitespace) {
            return Some((value, rest.trim_start()));
        }
    }
    match word(text) {
        ("", _) => None,
        ("none", rest) => Some((Value::Null, rest)),
        (word, _) if word.starts_with(['"', '[', '{']) => None,
        (word, rest) => Some((word.into(), rest)),
    }
}

impl Talk {
    /// Compares an output with the expectations and returns one line for each difference.
    /// `messages` are the messages as JSON, in order; `ledger` is the ledger as a JSON object.
    pub fn differences(&self, messages: &[Value], ledger: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        let mut expected_count = 0;
        let mut counted = false;
        for expectation in &self.expectations {
            match expectation {
                Expectation::Message(expected) => {
                    match messages.get(expected_count) {
                        Some(message) => differences.extend(expected.differences(self, message)),
                        None => differences.push(format!("line {}: missing: {expected}", expected.line)),
                    }
                    expected_count += 1;
                    counted = true;
                }
                Expectation::NoMessages => counted = true,
                Expectation::Ledger { column, bytes } => {
                    let found = ledger_column(ledger, column);
                    if found != *bytes {
                        differences.push(format!("ledger {column}: {bytes} expected, {found} found"));
                    }
                }
            }
        }
        if counted {
            let unexpected = messages.iter().skip(expected_count);
            differences.extend(unexpected.map(|message| format!("not expected: {message}")));
        }
        differences
    }
}

impl ExpectedMessage {
    /// Compares a message with this expectation and returns the differences.
    pub fn differences(&self, talk: &Talk, message: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        let mut differ = |key: &str, expected: &Value, found: &Value| {
            differences.push(format!("line {}: {key}: {expected} expected, {found} found", self.line));
        };
        for (key, expected) in &self.fields {
            let found = lookup(message, key);
            if !same(expected, found) {
                differ(key, expected, found);
            }
        }
        for key in ABSENT_UNLESS_NAMED {
            let named = self.fields.iter().any(|(name, _)| name.split('.').next() == Some(key));
            if !named && !message[key].is_null() {
                differ(key, &Value::Null, &message[key]);
            }
        }
        if let Some(name) = &self.on {
            let connection = talk.connections.iter().find(|connection| connection.name == *name);
            let ends = connection.map_or([Value::Null, Value::Null], |c| {
                [c.server, c.client].map(|end| serde_json::to_value(end).unwrap_or_default())
            });
            for (key, expected) in ["receiver", "destination"].into_iter().zip(&ends) {
                if message[key] != *expected {
                    differ(key, expected, &message[key]);
                }
            }
        }
        differences
    }
}

/// Returns the value of a key. The part after the first dot is one key, because header names may
/// contain dots.
fn lookup<'a>(message: &'a Value, key: &str) -> &'a Value {
    match key.split_once('.') {
        Some((outer, inner)) => &message[outer][inner],
        None => &message[key],
    }
}

/// Returns a column of the ledger: by its whole name (`missing`, `frameFates.not-tcp` in a flat
/// object), in a table (`frameFates`, then `not-tcp`), or as a fate of bytes (`not-http`). Missing
/// columns are zero.
fn ledger_column(ledger: &Value, column: &str) -> u64 {
    let nested = column.split_once('.').map(|(table, column)| &ledger[table][column]);
    let found = [Some(&ledger[column]), nested, Some(&ledger["bytes"][column])];
    found.into_iter().flatten().find_map(Value::as_u64).unwrap_or(0)
}

/// Compares two values. Lists are compared as sets, because the order of anomalies has no meaning,
/// and a word equals a list of itself.
fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().all(|one| found.contains(one))
        }
        // 1 equals 1.0.
        (Value::Number(expected), Value::Number(found)) => expected.as_f64() == found.as_f64(),
        (Value::String(_), Value::Array(found)) => found.len() == 1 && found[0] == *expected,
        _ => expected == found,
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::NoMessages => f.write_str("no messages"),
            Self::Ledger { column, bytes } => write!(f, "ledger {column} {bytes}"),
        }
    }
}

impl fmt::Display for ExpectedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_request = self.fields.first().is_some_and(|(_, direction)| direction == "request");
        for (n, (key, value)) in self.fields.iter().enumerate() {
            // Only the start line has words without keys.
            match (n, key.as_str(), value) {
                (0, "direction", Value::String(direction)) => f.write_str(direction)?,
                (1, "method", Value::String(word)) | (2, "path", Value::String(word)) if is_request => {
                    write!(f, " {word}")?;
                }
                (1, "statusCode", status) => write!(f, " {status}")?,
                (_, key, Value::Null) => write!(f, " {key} none")?,
                (_, key, value) => write!(f, " {key} {value}")?,
            }
        }
        self.on.iter().try_for_each(|name| write!(f, " on {}", Value::from(name.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn talk(expectations: &str) -> Talk {
        let lines = expectations.lines().map(|line| format!("expect {line}\n"));
        Talk::parse(&("connection [a] port=8080\n".to_owned() + &lines.collect::<String>())).unwrap()
    }

    fn response() -> Value {
        json!({
            "direction": "response", "statusCode": 200, "body": "hello", "bodySize": 5, "latencyMs": 1.0, "headers": {"x.y": ["1", "2"]},
            "receiver": {"ip": "10.0.0.2", "port": 8080}, "destination": {"ip": "10.0.0.1", "port": 40_000},
        })
    }

    #[test]
    fn a_message_is_compared_by_the_expected_keys() {
        for (line, differs) in [
            ("response 200", ""),
            (r#"response 200 body "hello" bodySize 5 on a"#, ""),
            (r#"response 200 headers.x.y ["1","2"] method none"#, ""),
            ("response 200 body hello", ""),
            ("response 404", "statusCode: 404 expected, 200 found"),
            ("response 200 body none", "body: null expected, \"hello\" found"),
            ("response 200 incomplete gap", "incomplete: \"gap\" expected, null found"),
            ("request GET /", "direction: \"request\" expected, \"response\" found"),
            ("no messages", "not expected: "),
            ("response 200\nresponse 200", "line 3: missing: response 200"),
            ("ledger head 5", ""),
            ("ledger head 6", "ledger head: 6 expected, 5 found"),
            ("ledger tail 6", "ledger tail: 6 expected, 0 found"),
            ("ledger missing 7", ""),
            ("ledger frameFates.tcp 1", ""),
            ("ledger anomalies.bare-lf 2", ""),
            ("ledger frameFates.not-tcp 1", "ledger frameFates.not-tcp: 1 expected, 0 found"),
            ("response 200 latencyMs 1", ""),
        ] {
            let ledger = json!({"missing": 7, "bytes": {"head": 5}, "frameFates": {"tcp": 1}, "anomalies.bare-lf": 2});
            let found = talk(line).differences(&[response()], &ledger).join("\n");
            assert!(found.contains(differs) && found.is_empty() == differs.is_empty(), "{line:?}: {found:?}");
        }
    }

    #[test]
    fn an_unexpected_oddity_is_a_difference() {
        let mut message = response();
        message["anomalies"] = json!(["bare-lf", "obs-fold"]);
        for (line, ok) in [
            ("response 200", false),
            (r#"response 200 anomalies ["obs-fold","bare-lf"]"#, true),
            ("response 200 anomalies bare-lf", false),
        ] {
            assert_eq!(talk(line).differences(std::slice::from_ref(&message), &json!({})).is_empty(), ok, "{line:?}");
        }
    }

    #[test]
    fn the_error_for_a_wrong_line_names_what_is_allowed() {
        for line in [
            "",
            "request GET",
            "response abc",
            "no message",
            "ledger x y",
            "response 200 body",
            "response 200 body \"x",
        ] {
            let error = Talk::parse(&format!("expect {line}")).unwrap_err();
            assert!(error.what.contains("allowed: ") || error.what.contains("wants a value"), "{line:?}: {error}");
        }
    }
}
