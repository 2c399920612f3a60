//! HTTP Archive 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>): one entry per exchange.
//!
//! An exchange is held until its final response, within the limits of `exchange`, so entries come
//! in the order in which exchanges ended. Without a final response the status is 0, as browsers
//! write it. Unknown values are written as the format prescribes: sizes -1, times 0. Next:
//! `exchange`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sniffer_engine::message::{Body, Fields, Message};

use crate::exchange::{Exchanges, Whole};
use crate::target::host_of;

/// The archive being written.
#[derive(Default)]
pub(crate) struct Har {
    exchanges: Exchanges,
    begun: bool,
}

impl Har {
    pub(crate) fn message(&mut self, message: &mut Message, out: &mut Vec<u8>) {
        let Self { exchanges, begun } = self;
        exchanges.push(message, &Whole, &mut |exchange| entries(exchange, begun, out));
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let Self { exchanges, begun } = self;
        exchanges.finish(&Whole, &mut |exchange| entries(exchange, begun, out));
        begin(begun, out);
        out.extend_from_slice(b"\n]}}\n");
    }
}

/// Writes the start of the archive once. Returns whether this call wrote it.
fn begin(begun: &mut bool, out: &mut Vec<u8>) -> bool {
    if std::mem::replace(begun, true) {
        return false;
    }
    let creator = Creator { name: "sniffer", version: env!("CARGO_PKG_VERSION") };
    out.extend_from_slice(b"{\"log\":{\"version\":\"1.2\",\"creator\":");
    json(&creator, out);
    out.extend_from_slice(b",\"pages\":[],\"entries\":[");
    true
}

/// Writes an entry. Its comment lists the interim responses (1xx), which HAR has no field for.
fn entries(exchange: &[Message], begun: &mut bool, out: &mut Vec<u8>) {
    let first = begin(begun, out);
    out.extend_from_slice(if first { b"\n" } else { b",\n" });
    if let Some(entry) = Entry::of(exchange) {
        json(&entry, out);
    }
}

fn json(value: &impl Serialize, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(&mut *out, value);
    debug_assert!(written.is_ok(), "string keys only, and a vector takes every byte");
}

#[derive(Serialize)]
struct Creator {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    started_date_time: String,
    time: f64,
    request: Request<'a>,
    response: Response<'a>,
    cache: Empty,
    timings: Timings,
    #[serde(rename = "serverIPAddress")]
    server_ip_address: String,
    connection: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
}

#[derive(Serialize)]
struct Empty {}

/// A capture shows one phase: from the request's last byte to the response's first.
#[derive(Serialize)]
struct Timings {
    send: f64,
    wait: f64,
    receive: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    method: &'a str,
    url: String,
    http_version: String,
    cookies: Vec<Pair<'a>>,
    headers: Vec<Pair<'a>>,
    query_string: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_data: Option<PostData<'a>>,
    headers_size: i64,
    body_size: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    status: u16,
    status_text: &'a str,
    http_version: String,
    cookies: Vec<Pair<'a>>,
    headers: Vec<Pair<'a>>,
    content: Content<'a>,
    #[serde(rename = "redirectURL")]
    redirect_url: &'a str,
    headers_size: i64,
    body_size: i64,
}

#[derive(Serialize)]
struct Pair<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostData<'a> {
    mime_type: &'a str,
    params: [Empty; 0],
    text: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    comment: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    size: u64,
    mime_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
}

impl<'a> Entry<'a> {
    /// Makes an entry from the messages of one exchange, or `None` if there are none.
    fn of(exchange: &'a [Message]) -> Option<Self> {
        let first = exchange.first()?;
        let request = exchange.iter().find(|message| message.method().is_some());
        let last = exchange.iter().rev().find(|message| message.status().is_some_and(|s| s >= 200 || s == 101));
        let mut remarks = Vec::new();
        if request.is_none() {
            remarks.push("the request is not in the capture".to_owned());
        }
        if last.is_none() {
            remarks.push("the final response is not in the capture".to_owned());
        }
        let interim = exchange.iter().filter_map(|message| message.status()).filter(|s| *s < 200 && *s != 101);
        remarks.extend(interim.map(|status| format!("interim response {status}")));
        for message in request.into_iter().chain(last) {
            let of = if message.method().is_some() { "request" } else { "response" };
            remarks.extend(message.incomplete.map(|why| format!("{of} incomplete: {}", why.name())));
            remarks.extend(message.anomalies.iter().map(|anomaly| format!("{of}: {}", anomaly.name())));
        }
        let wait = last.and_then(|message| message.latency_nanos).unwrap_or_default() as f64 / 1e6;
        Some(Self {
            started_date_time: first.started.time.rfc3339(first.started.precision).to_string(),
            time: wait,
            request: Request::of(first, request),
            response: Response::of(first, last),
            cache: Empty {},
            timings: Timings { send: 0.0, wait, receive: 0.0 },
            server_ip_address: first.receiver.ip.to_string(),
            connection: first.connection.to_string(),
            comment: remarks.join("; "),
        })
    }
}

impl<'a> Request<'a> {
    fn of(first: &Message, request: Option<&'a Message>) -> Self {
        let Some(message) = request else {
            return Self {
                method: "UNKNOWN",
                url: format!("http://{}/", first.receiver),
                http_version: version(first),
                cookies: Vec::new(),
                headers: Vec::new(),
                query_string: Vec::new(),
                post_data: None,
                headers_size: -1,
                body_size: -1,
            };
        };
        let fields = message.fields();
        let target = message.target().unwrap_or_default();
        Self {
            method: message.method().unwrap_or_default(),
            url: url(message),
            http_version: version(message),
            cookies: fields.values("cookie").flat_map(|value| value.split(';')).filter_map(cookie).collect(),
            headers: pairs(fields),
            query_string: query(target),
            post_data: PostData::of(message),
            headers_size: -1,
            body_size: size(message.body_size),
        }
    }
}

impl<'a> Response<'a> {
    fn of(first: &Message, last: Option<&'a Message>) -> Self {
        let Some(message) = last else {
            return Self {
                status: 0,
                status_text: "",
                http_version: version(first),
                cookies: Vec::new(),
                headers: Vec::new(),
                content: Content { size: 0, mime_type: "", text: None, encoding: None, comment: String::new() },
                redirect_url: "",
                headers_size: -1,
                body_size: -1,
            };
        };
        let fields = message.fields();
        Self {
            status: message.status().unwrap_or_default(),
            status_text: message.reason().unwrap_or_default(),
            http_version: version(message),
            cookies: fields.values("set-cookie").filter_map(|v| cookie(v.split(';').next()?)).collect(),
            headers: pairs(fields),
            content: Content::of(message),
            redirect_url: fields.values("location").next().unwrap_or_default(),
            headers_size: -1,
            body_size: size(message.body_size),
        }
    }
}

impl<'a> PostData<'a> {
    /// HAR has no `encoding` field for posted data, so the comment says that it is base64.
    fn of(message: &'a Message) -> Option<Self> {
        let (text, comment) = match &message.body {
            Body::Text(text) => (Cow::Borrowed(text.as_str()), ""),
            Body::Binary(bytes) => (Cow::Owned(STANDARD.encode(bytes)), "base64"),
            _ => return None,
        };
        Some(Self { mime_type: mime_type(message), params: [], text, comment })
    }
}

impl<'a> Content<'a> {
    fn of(message: &'a Message) -> Self {
        let (text, encoding) = match &message.body {
            Body::Text(text) => (Some(Cow::Borrowed(text.as_str())), None),
            Body::Binary(bytes) => (Some(Cow::Owned(STANDARD.encode(bytes))), Some("base64")),
            _ => (None, None),
        };
        // The decoded length if all of it is there, else the length on the wire.
        let decoded = message.content_decoded && !message.body_truncated;
        let size = if decoded { message.body.as_bytes().len() as u64 } else { message.body_size };
        let comment = if message.body_truncated { "cut by --max-body-size".to_owned() } else { String::new() };
        Self { size, mime_type: mime_type(message), text, encoding, comment }
    }
}

/// The version as HAR writes it: `HTTP/1.1`, `HTTP/2`.
fn version(message: &Message) -> String {
    format!("HTTP/{}", message.version())
}

fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn mime_type(message: &Message) -> &str {
    message.fields().values("content-type").next().unwrap_or("application/octet-stream")
}

fn pairs(fields: &Fields) -> Vec<Pair<'_>> {
    fields.iter().map(|(name, value)| Pair { name, value }).collect()
}

fn cookie(pair: &str) -> Option<Pair<'_>> {
    let (name, value) = pair.trim().split_once('=')?;
    Some(Pair { name, value })
}

/// Returns the absolute URL of a request (RFC 9110 §7.1).
fn url(message: &Message) -> String {
    let target = message.target().unwrap_or_default();
    if target.contains("://") && !target.starts_with('/') {
        return target.to_owned();
    }
    let server = message.receiver.to_string();
    let host = host_of(message).filter(|host| !host.is_empty()).unwrap_or(&server);
    let path = if target.starts_with('/') { target } else { "/" };
    format!("http://{host}{path}")
}

/// Returns the names and values of the query, not decoded.
fn query(target: &str) -> Vec<Pair<'_>> {
    let Some((_, query)) = target.split_once('?') else { return Vec::new() };
    let query = query.split('#').next().unwrap_or(query);
    let pair = |pair| {
        let (name, value) = str::split_once(pair, '=').unwrap_or((pair, ""));
        Pair { name, value }
    };
    query.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}
