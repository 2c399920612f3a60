//! Each request as a command for a POSIX shell, to be sent again to the server it went to.
//!
//! The command sends what the capture shows and nothing of curl's own: fields that curl would add are taken out, the target
//! goes out as it came in. What cannot be sent again is said in a comment. Nothing from the wire reaches the shell
//! unquoted.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sniffer_engine::message::{Body, Message};

use crate::target::host_of;
use crate::text::is_unsafe;

/// Bytes of a body that still go into an argument; Linux takes 128 KiB in one.
const ARGUMENT_MAX: usize = 64 << 10;

/// Fields that say how this one message was framed: curl writes its own.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "host"];

/// Fields that curl adds unless told not to.
const ADDED: [&str; 3] = ["user-agent", "accept", "content-type"];

/// Appends the command of a request; responses have none.
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
    // Sent to where it went, whatever the name says today.
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
            // Lines of 76 as RFC 2045 has them, so that an editor is not asked for one line of megabytes.
            line(out, &format!("base64 -d <<'END' | {command}"));
            base64.as_bytes().chunks(76).for_each(|chunk| {
                out.extend_from_slice(chunk);
                out.push(b'\n');
            });
            line(out, "END");
        }
    }
}

/// The fields as they came, without those that curl has to write itself and with those left out that it would add.
fn fields(message: &Message, host: Option<&str>, words: &mut Vec<String>) {
    let fields = message.fields();
    for (name, value) in fields.iter() {
        let own = FRAMING.contains(&name) && !(name == "host" && host != Some(value));
        // curl would read a file of that name; no field name has an `@` in it.
        if own || name.starts_with('@') {
            continue;
        }
        // `name;` is how curl is told to send a field without a value; `name:` would take it out.
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
    // curl announces a large body with it and waits; who did not do that then does not do it now.
    if has_body && fields.values("expect").next().is_none() {
        words.extend(["--header".to_owned(), quoted("expect:")]);
    }
}

fn can_be_typed(text: &str) -> bool {
    !text.chars().any(|c| is_unsafe(c) && !is_layout(c))
}

/// The body as an argument, or else what must come from standard input, in base64.
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

/// A Host value that is an authority and can stand in a URL.
fn is_plain_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

/// In single quotes where it must be; what a terminal would obey is spelled out for `printf`.
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

/// Line ends and tabs do no harm, and make a body readable.
const fn is_layout(c: char) -> bool {
    matches!(c, '\n' | '\t')
}

/// Text for a comment, which ends with its line.
fn comment(text: &str) -> String {
    crate::text::escape(text).into_owned()
}

fn line(out: &mut Vec<u8>, text: &str) {
    let _ = writeln!(out, "{text}");
}
