//! One HTTP message: its bytes, and the message that must come out (RFC 9112).
//!
//! Both are made from the same choices. Next: [`super::conversation`].

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::rng::Rng;
use crate::talk::{ExpectedMessage, payload::gzip};

/// Framing of a body (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GeneratedFraming {
    /// No body: HEAD, 1xx, 204, 304, a request without framing fields.
    None,
    Length,
    Chunked,
    Close,
}

/// A message before it becomes bytes.
#[derive(Debug, Clone)]
pub(super) struct GeneratedMessage {
    /// Method of the request; empty in a response.
    pub(super) method: String,
    pub(super) framing: GeneratedFraming,
    start_line: String,
    fields: Vec<(String, String)>,
    /// Bytes of the body on the wire, chunk by chunk.
    body: Vec<u8>,
    /// All bytes after the head, framing included.
    rest: Vec<u8>,
    /// Direction and start line as keys of the message.
    truth: Vec<(String, Value)>,
    trailers: Vec<(String, String)>,
    /// The content before it was compressed.
    plain: Option<Vec<u8>>,
    exchange: usize,
}

const REASONS: [(u16, &str); 8] = [
    (200, "OK"),
    (201, "Created"),
    (204, "No Content"),
    (206, "Partial Content"),
    (304, "Not Modified"),
    (404, "Not Found"),
    (500, "Internal Server Error"),
    (599, ""),
];

impl GeneratedMessage {
    pub(super) fn request(exchange: usize, body_max: usize, rng: &mut Rng) -> Self {
        let method =
            *rng.pick(&["GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "PATCH", "X-any!"]).unwrap_or(&"GET");
        let target = target(rng);
        let version = if rng.chance(0.1) { "1.0" } else { "1.1" };
        let mut message = Self::new(exchange, format!("{method} {target} HTTP/{version}"), method);
        message.truth =
            truth("request", [("method", method.into()), ("path", target.into()), ("httpVersion", version.into())]);
        message.fields.push(("Host".into(), "a.test".into()));
        let framing = match method {
            "GET" | "HEAD" => GeneratedFraming::None,
            _ if version == "1.0" || rng.chance(0.6) => GeneratedFraming::Length,
            _ if rng.chance(0.8) => GeneratedFraming::Chunked,
            _ => GeneratedFraming::None,
        };
        message.fill(framing, body_max, rng);
        message
    }

    /// Makes the final response to a request with this method.
    pub(super) fn response(exchange: usize, method: &str, may_close: bool, body_max: usize, rng: &mut Rng) -> Self {
        let (status, reason) = *rng.pick(&REASONS).unwrap_or(&(200, "OK"));
        let version = if rng.chance(0.1) { "1.0" } else { "1.1" };
        let mut message = Self::responding(exchange, status, reason, version);
        if method == "HEAD" || matches!(status, 204 | 304) {
            if status != 204 && rng.chance(0.5) {
                // The length that the body would have had (RFC 9110 §8.6).
                message.fields.push(("Content-Length".into(), rng.below(10_000).to_string()));
            }
            message.fill(GeneratedFraming::None, 0, rng);
            return message;
        }
        let framing = match rng.below(3) {
            0 if may_close => GeneratedFraming::Close,
            1 if version == "1.1" => GeneratedFraming::Chunked,
            _ => GeneratedFraming::Length,
        };
        message.fill(framing, body_max, rng);
        message
    }

    /// Makes a 1xx response.
    pub(super) fn interim(exchange: usize, status: u16, rng: &mut Rng) -> Self {
        let reason = if status == 100 { "Continue" } else { "Early Hints" };
        let mut message = Self::responding(exchange, status, reason, "1.1");
        message.fill(GeneratedFraming::None, 0, rng);
        message
    }

    fn responding(exchange: usize, status: u16, reason: &str, version: &str) -> Self {
        let mut message = Self::new(exchange, format!("HTTP/{version} {status} {reason}"), "");
        let phrase = if reason.is_empty() { Value::Null } else { reason.into() };
        message.truth =
            truth("response", [("statusCode", status.into()), ("reason", phrase), ("httpVersion", version.into())]);
        message
    }

    fn new(exchange: usize, start_line: String, method: &str) -> Self {
        Self {
            method: method.to_owned(),
            framing: GeneratedFraming::None,
            start_line,
            fields: Vec::new(),
            body: Vec::new(),
            rest: Vec::new(),
            truth: Vec::new(),
            trailers: Vec::new(),
            plain: None,
            exchange,
        }
    }

    /// Adds fields and a body in this framing.
    fn fill(&mut self, framing: GeneratedFraming, body_max: usize, rng: &mut Rng) {
        self.framing = framing;
        for _ in 0..rng.below(5) {
            self.fields.push(field(rng));
        }
        if framing == GeneratedFraming::None {
            return;
        }
        let content = content(body_max, rng);
        self.body = content.clone();
        if !content.is_empty() && rng.chance(0.15) {
            self.fields.push(("Content-Encoding".into(), "gzip".into()));
            self.body.clear();
            gzip(&content, &mut self.body);
            self.plain = Some(content);
        }
        self.rest = self.body.clone();
        if framing == GeneratedFraming::Length {
            self.fields.push(("Content-Length".into(), self.body.len().to_string()));
        } else if framing == GeneratedFraming::Chunked {
            self.fields.push(("Transfer-Encoding".into(), "chunked".into()));
            self.chunk(rng);
        }
        let at = rng.below(self.fields.len());
        self.fields.rotate_left(at);
    }

    /// Splits the body into chunks (RFC 9112 §7.1).
    fn chunk(&mut self, rng: &mut Rng) {
        self.rest.clear();
        let most = rng.between(1, self.body.len().max(1));
        let mut at = 0;
        while at < self.body.len() {
            let stop = (at + rng.between(1, most).max(self.body.len() / 50)).min(self.body.len());
            let size = stop - at;
            let size = match rng.below(3) {
                0 => format!("{size:x}"),
                1 => format!("{size:X}"),
                _ => format!("{size:06x}"),
            };
            let extension = ["", "", "; q=1", ";name=\"quoted; \\\" text\""][rng.below(4)];
            self.rest.extend(format!("{size}{extension}\r\n").as_bytes());
            self.rest.extend(&self.body[at..stop]);
            self.rest.extend(b"\r\n");
            at = stop;
        }
        self.rest.extend(b"0\r\n");
        if rng.chance(0.3) {
            self.trailers = (0..rng.between(1, 3)).map(|_| field(rng)).collect();
        }
        for (name, value) in &self.trailers {
            self.rest.extend(format!("{name}: {value}\r\n").as_bytes());
        }
        self.rest.extend(b"\r\n");
    }

    pub(super) const fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// The same request, waiting for a 100 before its body.
    pub(super) fn expecting_continue(mut self) -> Self {
        self.fields.push(("Expect".into(), "100-continue".into()));
        self
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.start_line);
        self.fields.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head += "\r\n";
        head.into_bytes()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [self.head(), self.rest.clone()].concat()
    }

    /// Splits it into the head, and the rest with the expected message.
    pub(super) fn split(self) -> (Vec<u8>, (Vec<u8>, ExpectedMessage)) {
        (self.head(), (self.rest.clone(), self.truth()))
    }

    /// The message that must come out.
    pub(super) fn truth(&self) -> ExpectedMessage {
        let mut fields = self.truth.clone();
        let mut add = |key: &str, value: Value| fields.push((key.to_owned(), value));
        add("headers", object(&self.fields));
        if !self.trailers.is_empty() {
            add("trailers", object(&self.trailers));
        }
        let content = self.plain.as_ref().unwrap_or(&self.body);
        match std::str::from_utf8(content) {
            Ok("") => add("body", Value::Null),
            Ok(text) => add("body", text.into()),
            Err(_) => {
                add("body", STANDARD.encode(content).into());
                add("bodyEncoding", "base64".into());
            }
        }
        add("bodySize", self.body.len().into());
        if self.plain.is_some() {
            add("contentDecoded", true.into());
        }
        add("exchange", self.exchange.into());
        ExpectedMessage { line: 0, on: None, fields }
    }
}

fn truth(direction: &str, start: [(&str, Value); 3]) -> Vec<(String, Value)> {
    let first = ("direction".to_owned(), direction.into());
    std::iter::once(first).chain(start.map(|(key, value)| (key.to_owned(), value))).collect()
}

/// Makes an object with names in lower case; several values make a list.
fn object(fields: &[(String, String)]) -> Value {
    let mut object = Map::new();
    for (name, value) in fields {
        let value = Value::from(value.as_str());
        match object.get_mut(&name.to_lowercase()) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.clone(), value]),
            None => drop(object.insert(name.to_lowercase(), value)),
        }
    }
    object.into()
}

fn field(rng: &mut Rng) -> (String, String) {
    let name = *rng.pick(&["X-A", "x-b", "Accept", "ETag", "Set-Cookie", "__proto__", "Vary"]).unwrap_or(&"X-A");
    let value = *rng
        .pick(&["1", "", "two words", "a: b; c=\"d\"", "text/html,*/*;q=0.8", "gr\u{fc}n", "W/\"0815\""])
        .unwrap_or(&"1");
    (name.to_owned(), value.to_owned())
}

fn target(rng: &mut Rng) -> String {
    let forms = ["/", "/a/b?c=d&e=%20", "http://a.test:8080/x", "*", "//x/../y", "/caf\u{e9}"];
    match rng.chance(0.5) {
        true => format!("/{:x}", rng.next_u64()),
        false => (*rng.pick(&forms).unwrap_or(&"/")).to_owned(),
    }
}

/// Makes text, bytes, or text that looks like the next message.
fn content(max: usize, rng: &mut Rng) -> Vec<u8> {
    let len = rng.below(max.saturating_add(1));
    match rng.below(4) {
        0 => (0..len).map(|_| rng.next_u64() as u8).collect(),
        1 => {
            let trap =
                b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nGET /not the next message HTTP/1.1\r\n\r\n0\r\n\r\n";
            trap.iter().copied().cycle().take(len.min(4 * trap.len())).collect()
        }
        _ => (b'a'..=b'z').cycle().skip(rng.below(26)).take(len).collect(),
    }
}
