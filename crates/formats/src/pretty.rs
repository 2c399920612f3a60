//! A readable line per message; with `-v`, headers and bodies below it.
//!
//! A response stands below its request and does not repeat the endpoints. For that, a request from
//! a file waits for its response, within the limits of `exchange`; messages from a pipe are shown
//! at once. Text from the wire is always escaped: see `text`. Times are UTC.
//!
//! ```text
//! ── 2026-11-23 UTC ──
//! 08:51:02.123456  127.0.0.1:43210 → 127.0.0.1:80 #0  GET /index.html
//! 08:51:02.123700                  ←                  200 OK  48 B  244 µs
//! ```

use std::io::Write;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use sniffer_engine::message::{Body, Fields, Message};
use sniffer_packet::key::FlowId;

use crate::exchange::{Exchanges, Whole};
use crate::json::indented;
use crate::text::{columns, cut, duration, escape, size};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const ODD: Style = AnsiColor::Yellow.on_default();
const CUT: Style = AnsiColor::Red.on_default().bold();

/// Minimum columns for a request-target, however narrow the terminal.
const TARGET_MIN: usize = 12;

/// Minimum columns for the start line. With less room, the text before it is shortened.
const START_MIN: usize = 30;

/// Length of `08:51:02.123`.
const MILLIS: usize = 12;

/// Maximum rows, of 16 bytes each, shown for a binary body.
const HEX_ROWS: usize = 16;

/// Writes messages as readable text.
pub struct Pretty {
    /// The exchanges that wait to be whole; `None` when messages are shown at once.
    exchanges: Option<Exchanges>,
    page: Page,
}

/// The layout, and the state that the next line depends on.
struct Page {
    colours: bool,
    width: Option<usize>,
    verbose: bool,
    /// Date of the previous message.
    day: String,
    /// Exchange of the previous message.
    exchange: Option<(FlowId, u32)>,
}

/// A piece of a line with its style.
type Span = (Style, String);

impl Pretty {
    /// Writes for a terminal, or plain text otherwise. With `at_once`, no message waits.
    pub fn new(terminal: bool, verbose: bool, at_once: bool) -> Self {
        // Respects NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM=dumb.
        let choice = AutoStream::choice(&std::io::stdout());
        let width = terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| usize::from(width.0));
        let colours = terminal && choice != ColorChoice::Never;
        let page = Page { colours, width, verbose, day: String::new(), exchange: None };
        Self { exchanges: (!at_once).then(Exchanges::default), page }
    }

    /// Appends a message, or holds it until its exchange is whole.
    pub(crate) fn message(&mut self, message: &mut Message, out: &mut Vec<u8>) {
        let Self { exchanges, page } = self;
        match exchanges {
            None => page.write(message, out),
            Some(exchanges) => {
                exchanges.push(message, &Whole, &mut |exchange| exchange.iter().for_each(|m| page.write(m, out)));
            }
        }
    }

    /// Appends the messages that still wait.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let Self { exchanges, page } = self;
        if let Some(exchanges) = exchanges {
            exchanges.finish(&Whole, &mut |exchange| exchange.iter().for_each(|m| page.write(m, out)));
        }
    }
}

impl Page {
    fn write(&mut self, message: &Message, out: &mut Vec<u8>) {
        let at = message.started.time.rfc3339(message.started.precision).to_string();
        let (day, time) = at.trim_end_matches('Z').split_once('T').unwrap_or(("", &at));
        if day != self.day {
            self.line(&[(DIM, format!("── {day} UTC ──"))], out);
            day.clone_into(&mut self.day);
        }
        let follows = self.exchange.replace((message.connection, message.exchange));
        let follows = follows == self.exchange && message.status().is_some();
        self.head(message, time, follows, out);
        if self.verbose {
            self.fields(message.fields(), out);
            self.body(message, out);
            self.fields(&message.trailers, out);
            out.push(b'\n');
        }
    }

    fn head(&self, message: &Message, time: &str, follows: bool, out: &mut Vec<u8>) {
        let plain = Style::new();
        let arrow = if message.method().is_some() { '→' } else { '←' };
        let mut before = vec![
            (DIM, format!("{time}  ")),
            (plain, format!("{} {arrow} {} ", message.destination, message.receiver)),
            (DIM, format!("#{}  ", message.exchange)),
        ];
        let taken = before.iter().map(|(_, text)| columns(text)).sum::<usize>();
        if self.width.is_some_and(|width| width < taken + START_MIN) {
            // Narrow terminal: the start line matters more than the server and the microseconds.
            let time = time.get(..MILLIS).unwrap_or(time);
            before = vec![(DIM, format!("{time} ")), (plain, format!("{} {arrow} ", message.destination))];
        }
        if follows {
            // The line above has the endpoints.
            before.iter_mut().skip(1).for_each(|(_, text)| *text = blank(text, arrow));
        }
        let (first, rest) = match (message.method(), message.status()) {
            (Some(method), _) => (
                (BOLD, escape(method).into_owned()),
                message.target().map(|path| escape(path).into_owned()).unwrap_or_default(),
            ),
            (None, status) => {
                let status = status.unwrap_or_default();
                let reason = message.reason().map(|reason| escape(reason).into_owned());
                ((look_of(status), status.to_string()), reason.unwrap_or_default())
            }
        };
        let after = remarks(message);
        let mut spans = before;
        spans.push(first);
        if !rest.is_empty() {
            let taken = spans.iter().chain(&after).map(|(_, text)| columns(text)).sum::<usize>() + 1;
            // A target must stay recognisable; a reason phrase repeats its status code.
            let least = if message.method().is_some() { TARGET_MIN } else { 0 };
            let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(taken).max(least));
            spans.push((plain, format!(" {}", cut(&rest, room))));
        }
        spans.extend(after);
        self.line(&spans, out);
    }

    /// Writes header or trailer lines.
    fn fields(&self, fields: &Fields, out: &mut Vec<u8>) {
        for (name, value) in fields.iter() {
            let spans = [(DIM, format!("    {}: ", escape(name))), (Style::new(), escape(value).into_owned())];
            self.spans(&spans, out);
            out.push(b'\n');
        }
    }

    fn body(&self, message: &Message, out: &mut Vec<u8>) {
        match &message.body {
            Body::Text(text) => {
                out.push(b'\n');
                let text = text.as_str();
                let indented = indented(text);
                for line in indented.as_deref().unwrap_or(text).lines() {
                    // Tabs pass unescaped.
                    let parts: Vec<_> = line.split('\t').map(escape).collect();
                    let _ = writeln!(out, "    {}", parts.join("\t"));
                }
            }
            Body::Binary(bytes) => {
                out.push(b'\n');
                self.hex(bytes, out);
            }
            _ => {}
        }
    }

    fn hex(&self, bytes: &[u8], out: &mut Vec<u8>) {
        for (row, chunk) in bytes.chunks(16).take(HEX_ROWS).enumerate() {
            let hex: String = chunk.iter().map(|byte| format!("{byte:02x} ")).collect();
            let shown = |&byte: &u8| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' };
            let ascii: String = chunk.iter().map(shown).collect();
            let _ = writeln!(out, "    {:06x}  {hex:<48} {ascii}", row * 16);
        }
        let rest = bytes.len().saturating_sub(16 * HEX_ROWS);
        if rest > 0 {
            self.line(&[(DIM, format!("    … {} more", size(rest as u64)))], out);
        }
    }

    /// Writes a line, cut to the width of the terminal.
    fn line(&self, spans: &[Span], out: &mut Vec<u8>) {
        match self.width {
            None => self.spans(spans, out),
            Some(mut room) => {
                for (style, text) in spans {
                    let text = cut(text, room);
                    room -= columns(&text);
                    self.spans(&[(*style, text.into_owned())], out);
                }
            }
        }
        out.push(b'\n');
    }

    fn spans(&self, spans: &[Span], out: &mut Vec<u8>) {
        for (style, text) in spans {
            let _ = match self.colours && *style != Style::new() {
                true => write!(out, "{style}{text}{style:#}"),
                false => write!(out, "{text}"),
            };
        }
    }
}

/// Replaces everything except the arrow by spaces.
fn blank(text: &str, arrow: char) -> String {
    text.chars().map(|c| if c == arrow { c } else { ' ' }).collect()
}

/// Returns the remarks after the start line: size, latency, incompleteness and anomalies.
fn remarks(message: &Message) -> Vec<Span> {
    let mut spans = Vec::new();
    if message.body_size > 0 || message.status().is_some_and(|status| status >= 200) {
        spans.push((DIM, format!("  {}", size(message.body_size))));
    }
    if let Some(nanos) = message.latency_nanos {
        spans.push((DIM, format!("  {}", duration(nanos))));
    }
    if let Some(why) = message.incomplete {
        let missing = match message.missing_bytes {
            0 => String::new(),
            bytes => format!(", {} missing", size(bytes)),
        };
        spans.push((CUT, format!("  incomplete: {}{missing}", why.name())));
    }
    for anomaly in message.anomalies.iter() {
        spans.push((ODD, format!("  {}", anomaly.name())));
    }
    spans
}

const fn look_of(status: u16) -> Style {
    let colour = match status {
        100..200 => return DIM,
        200..300 => AnsiColor::Green,
        300..400 => AnsiColor::Cyan,
        400..500 => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    colour.on_default().bold()
}
