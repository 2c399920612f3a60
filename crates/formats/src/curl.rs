//! Writes each request as a `curl` command for a POSIX shell, which repeats it to the same server.
//!
//! The command sends what the capture shows and nothing of curl's own: it suppresses the fields
//! that curl would add, and sends the target verbatim. A request that cannot be repeated becomes a
//! comment. Nothing from the wire reaches the shell unquoted.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sniffer_engine::message::{Body, Message};

use crate::target::host_of;
use crate::text::is_unsafe;

/// Largest body passed as an argument. Linux accepts 128 KiB in one argument.
const ARGUMENT_MAX: usize = 64 << 10;

/// Fields that curl writes itself, from the URL and the body it sends.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "host"];

/// Fields that curl adds by default.
const ADDED: [&str; 3] = ["user-agent", "accept", "content-type"];

/// Appends the command for a request, and nothing for a response.
pub(super) fn write(message: &Message, out: &mut Vec<u8>) {
    let (Some(method), Some(target)) = (message.method(), message.target()) else { return };
    if method == "CONNECT" {
        line(out, &format!("# CONNECT {}: opens a tunnel, which is no request to send again", comment(target)));
        return;
    }
    if message.incomplete.is_some() || message.body_truncated {
        line(out, &format!("# {} {}: not whole, its body was cut", comment(method), comment(target)));
    }
    let mut words = vec!["curl".to_owned()];
    let body = message.body.as_bytes();
    match method {
        "HEAD" => words.push("--head".to_owned()),
        "GET" if body.is_empty() => {}
        "POST" if !body.is_empty() => {}
        _ => words.extend(["--request".to_owned(), quoted(method)]),
    }
    if message.version() == "1.0" {
        words.push("--http1.0".to_owned());
    }
    let host = host_of(message).filter(|host| is_plain_host(host));
    let server = message.receiver.to_string();
    // Connects to the captured server, whatever the name resolves to today.
    words.extend(["--connect-to".to_owned(), quoted(&format!("::{server}"))]);
    fields(message, host, &mut words);
    let stdin = content(message, &mut words);
    let authority = host.unwrap_or(&server);
    if target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        words.extend([
            "--globoff".to_owned(),
            "--path-as-is".to_owned(),
            quoted(&format!("http://{authority}{target}")),
        ]);
    } else {
        words.extend(["--request-target".to_owned(), quoted(target), quoted(&format!("http://{authority}/"))]);
    }
    let command = words.join(" ");
    match stdin {
        None => line(out, &command),
        Some(base64) => {
            // Lines of 76 (RFC 2045), so that no editor has to show one line of megabytes.
            line(out, &format!("base64 -d <<'END' | {command}"));
            base64.as_bytes().chunks(76).for_each(|chunk| {
                out.extend_from_slice(chunk);
                out.push(b'\n');
            });
            line(out, "END");
        }
    }
}

/// Adds the captured fields except those that curl writes itself, and suppresses those that curl
/// would add.
fn fields(message: &Message, host: Option<&str>, words: &mut Vec<String>) {
    let fields = message.fields();
    for (name, value) in fields.iter() {
        let own = FRAMING.contains(&name) && !(name == "host" && host != Some(value));
        // curl would read a file of that name. A valid field name has no `@`.
        if own || name.starts_with('@') {
            continue;
        }
        // curl's syntax: `name;` sends a field without a value, `name:` suppresses it.
        let field = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        words.extend(["--header".to_owned(), quoted(&field)]);
    }
    if fields.values("host").next().is_none() {
        words.extend(["--header".to_owned(), quoted("host:")]);
    }
    let has_body = !matches!(message.body, Body::Empty);
    for name in ADDED {
        if fields.values(name).next().is_none() && (has_body || name != "content-type") {
            words.extend(["--header".to_owned(), quoted(&format!("{name}:"))]);
        }
    }
    // curl would announce a large body with `Expect: 100-continue`, and wait.
    if has_body && fields.values("expect").next().is_none() {
        words.extend(["--header".to_owned(), quoted("expect:")]);
    }
}

fn can_be_typed(text: &str) -> bool {
    !text.chars().any(|c| is_unsafe(c) && !is_layout(c))
}

/// Adds the body as an argument. Returns it in base64 if it must come from standard input instead.
fn content(message: &Message, words: &mut Vec<String>) -> Option<String> {
    match &message.body {
        Body::Text(text) if text.as_bytes().len() <= ARGUMENT_MAX && can_be_typed(text.as_str()) => {
            words.extend(["--data-raw".to_owned(), quoted(text.as_str())]);
            None
        }
        Body::Text(_) | Body::Binary(_) => {
            words.extend(["--data-binary".to_owned(), "@-".to_owned()]);
            Some(STANDARD.encode(message.body.as_bytes()))
        }
        _ => None,
    }
}

/// Returns whether a Host value is an authority that can stand in a URL.
fn is_plain_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

/// Quotes a word for the shell if needed. One with characters that a terminal would interpret
/// becomes octal escapes for `printf`.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,+@".contains(&byte);
    if word.chars().any(|c| is_unsafe(c) && !is_layout(c)) {
        let spelled: String =
            word.bytes().map(|b| if plain(b) { char::from(b).into() } else { format!("\\{b:03o}") }).collect();
        return format!("\"$(printf '{spelled}')\"");
    }
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Line feeds and tabs are harmless in quotes, and keep a body readable.
const fn is_layout(c: char) -> bool {
    matches!(c, '\n' | '\t')
}

/// Escapes text for a comment, which must stay on one line.
fn comment(text: &str) -> String {
    crate::text::escape(text).into_owned()
}

fn line(out: &mut Vec<u8>, text: &str) {
    let _ = writeln!(out, "{text}");
}
