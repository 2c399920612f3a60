//! Text to [`Talk`]: one function for each directive.
//!
//! It never panics, and an error names the line, what it says and what is allowed.
//! [`super::render`] finds frames that cannot be written, where a header cannot carry another.
//! Next: `marks`, [`super::expect`].

use std::net::SocketAddr;

use sniffer_packet::key::Endpoint;
use sniffer_packet::time::Precision;

use super::lines::{Directive, entries};
use super::units::{DATE_ALLOWED, DURATION_ALLOWED, date, duration, number};
use super::{
    Action, CONNECTIONS_MAX, Expectation, Marks, Opening, PayloadBlock, Talk, TalkConnection, TalkError, TalkStep,
};
use crate::wire::{Way, link_named};

const DIRECTIVES: &str = "`>>> marks`, `<<< marks`, close (each with `[name] ` before it if wanted), connection, pause, \
                          frame, link, start, step, precision, snaplen, expect, # comment, | payload";
const CONNECTION_WORDS: &str = "[name], ipv6, client=IP:PORT, server=IP:PORT, port=N, client-isn=N, server-isn=N, \
                                no-handshake, by-hand, timestamps, via=WRAP,WRAP…, ttl=N, extension-headers, \
                                only=client, only=server";

impl Talk {
    /// Parses a conversation.
    pub fn parse(text: &str) -> Result<Self, TalkError> {
        let (comments, entries) = entries(text)?;
        let mut comments = comments.into_iter().map(str::to_owned);
        let mut talk = Self { title: comments.next().unwrap_or_default(), ..Self::default() };
        talk.prose = comments.skip_while(String::is_empty).collect();
        for entry in entries {
            let line = entry.line;
            talk.directive(entry).map_err(|what| TalkError { line, what })?;
        }
        Ok(talk)
    }

    fn directive(&mut self, entry: Directive<'_>) -> Result<(), String> {
        let Directive { line, text, payload } = entry;
        let (name, text) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, text) = rest.split_once(']').ok_or("`[` without `]`; write `[name] >>>`")?;
                (Some(name), text.trim_start())
            }
            None => (None, text),
        };
        let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        let way = match verb {
            ">>>" => Some(Way::ToServer),
            "<<<" => Some(Way::ToClient),
            _ => None,
        };
        if payload.is_some() && way.is_none() && verb != "frame" {
            return Err(format!("{verb:?} takes no payload lines; only >>>, <<< and frame do"));
        }
        if name.is_some() && way.is_none() && verb != "close" {
            return Err(format!("a name stands before >>>, <<< or close, not before {verb:?}"));
        }
        let action = match (verb, way) {
            (_, Some(way)) => {
                let connection = self.connection_named(name.unwrap_or_default())?;
                let mut marks = Marks::default();
                rest.split_whitespace().try_for_each(|word| marks.take(word))?;
                let payload = payload.unwrap_or_default();
                let empty = payload.is_empty() && !(marks.ack || marks.syn || marks.fin || marks.rst || marks.again);
                if empty {
                    return Err(
                        "nothing is sent; write payload lines (`| text`), or ack, syn, fin, rst or again".into()
                    );
                }
                Action::Send(PayloadBlock { connection, way, payload, marks })
            }
            ("close", _) if rest.is_empty() => Action::Close(self.connection_named(name.unwrap_or_default())?),
            ("pause", _) => Action::Pause(duration(rest).ok_or_else(|| wrong(verb, rest, DURATION_ALLOWED))?),
            ("frame", _) if rest.is_empty() => {
                Action::Frame(payload.ok_or("frame wants payload lines: `| {hex …}\\`")?)
            }
            ("connection", _) => return self.define(rest),
            ("expect", _) => {
                self.expectations.push(Expectation::parse(line, rest)?);
                return Ok(());
            }
            _ => return self.setting(verb, rest),
        };
        self.steps.push(TalkStep { line, action });
        Ok(())
    }

    fn setting(&mut self, verb: &str, rest: &str) -> Result<(), String> {
        match verb {
            "link" => self.link = link_named(rest).map_err(|error| error.to_string())?,
            "start" => self.start = date(rest).ok_or_else(|| wrong(verb, rest, DATE_ALLOWED))?,
            "step" => {
                let step = duration(rest).and_then(|nanos| u64::try_from(nanos).ok());
                self.step = step.ok_or_else(|| wrong(verb, rest, DURATION_ALLOWED))?;
            }
            "precision" => {
                self.precision = match rest {
                    "us" => Precision::Micros,
                    "ns" => Precision::Nanos,
                    _ => return Err(wrong(verb, rest, "us or ns")),
                }
            }
            "snaplen" => {
                let len = number(rest).and_then(|len| usize::try_from(len).ok()).filter(|len| *len > 0);
                self.snaplen = Some(len.ok_or_else(|| wrong(verb, rest, "a number from 1"))?);
            }
            _ => return Err(format!("{verb:?} is no directive; allowed: {DIRECTIVES}")),
        }
        Ok(())
    }

    /// Returns the index of a connection. The one without a name is made at its first use.
    fn connection_named(&mut self, name: &str) -> Result<usize, String> {
        if let Some(found) = self.connections.iter().position(|connection| connection.name == name) {
            return Ok(found);
        }
        if !name.is_empty() {
            return Err(format!("[{name}] is not known; write `connection [{name}]` above"));
        }
        self.connections.push(TalkConnection::usual("", self.connections.len(), false));
        Ok(self.connections.len() - 1)
    }

    /// Parses `connection [name] words`.
    fn define(&mut self, rest: &str) -> Result<(), String> {
        let (name, words) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or("`[` without `]`; write `connection [name] …`")?,
            None => ("", rest),
        };
        if self.connections.iter().any(|connection| connection.name == name) {
            return Err(format!("connection [{name}] is defined (or spoken on) already"));
        }
        if self.connections.len() >= CONNECTIONS_MAX {
            return Err(format!("more than {CONNECTIONS_MAX} connections"));
        }
        let ipv6 = words.split_whitespace().any(|word| word == "ipv6");
        let mut connection = TalkConnection::usual(name, self.connections.len(), ipv6);
        words.split_whitespace().try_for_each(|word| connection.take(word))?;
        if connection.client.ip.is_ipv4() != connection.server.ip.is_ipv4() {
            return Err("client and server must both be IPv4 or both IPv6".into());
        }
        self.connections.push(connection);
        Ok(())
    }
}

impl TalkConnection {
    /// Applies one word of a `connection` line.
    fn take(&mut self, word: &str) -> Result<(), String> {
        let unknown = || wrong("connection", word, CONNECTION_WORDS);
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let endpoint = || value.parse::<SocketAddr>().map(|a| Endpoint::new(a.ip(), a.port())).map_err(|_| unknown());
        let small = |max: u64| number(value).filter(|n| *n <= max).ok_or_else(unknown);
        match name {
            "client" => self.client = endpoint()?,
            "server" => self.server = endpoint()?,
            "port" => self.server.port = small(65_535)? as u16,
            "client-isn" => self.isn[0] = small(u32::MAX.into())? as u32,
            "server-isn" => self.isn[1] = small(u32::MAX.into())? as u32,
            "ttl" => self.ttl = small(255)? as u8,
            "via" => {
                let wraps = value.split(',').map(str::parse);
                self.via = wraps.collect::<Result<_, super::super::wire::WireError>>().map_err(|e| e.to_string())?;
                // Far more than any decoder opens, but bounded.
                if self.via.len() > 16 {
                    return Err("via takes at most 16 layers".into());
                }
            }
            "only" if value == "client" => self.only = Some(Way::ToServer),
            "only" if value == "server" => self.only = Some(Way::ToClient),
            _ => match word {
                "ipv6" => {}
                "no-handshake" => self.opening = Opening::NoHandshake,
                "by-hand" => self.opening = Opening::ByHand,
                "timestamps" => self.timestamps = true,
                "extension-headers" => self.extension_headers = true,
                _ => return Err(unknown()),
            },
        }
        Ok(())
    }
}

fn wrong(verb: &str, found: &str, allowed: &str) -> String {
    format!("{verb}: {found:?} came; allowed: {allowed}")
}
