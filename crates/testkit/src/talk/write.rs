//! [`Talk`] back to text, so that a generated or captured conversation can be read, kept and
//! edited.
//!
//! [`Talk::parse`] reads the same conversation from it, except for comments between directives.
//! Next: [`super::parse`].

use std::fmt;

use sniffer_packet::time::Precision;

use super::payload::lines_of;
use super::units::duration_text;
use super::{Action, Opening, PayloadBlock, Talk, TalkConnection};
use crate::wire::{Way, link_name};

impl fmt::Display for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::default();
        writeln!(f, "# {}", self.title)?;
        self.prose.iter().try_for_each(|line| writeln!(f, "# {line}"))?;
        writeln!(f)?;
        self.expectations.iter().try_for_each(|expected| writeln!(f, "expect {expected}"))?;
        if self.link != usual.link {
            writeln!(f, "link {}", link_name(self.link).unwrap_or("unknown"))?;
        }
        if self.start != usual.start {
            writeln!(f, "start {}", self.start.rfc3339(Precision::Nanos))?;
        }
        if self.step != usual.step {
            writeln!(f, "step {}", duration_text(self.step as i64))?;
        }
        if self.precision == Precision::Nanos {
            writeln!(f, "precision ns")?;
        }
        if let Some(len) = self.snaplen {
            writeln!(f, "snaplen {len}")?;
        }
        for (n, connection) in self.connections.iter().enumerate() {
            connection.write(n, self.connections.len() == 1, f)?;
        }
        self.steps.iter().try_for_each(|step| self.write_action(&step.action, f))
    }
}

impl Talk {
    fn write_action(&self, action: &Action, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match action {
            Action::Send(PayloadBlock { connection, way, payload, marks }) => {
                let arrow = if *way == Way::ToServer { ">>>" } else { "<<<" };
                writeln!(f)?;
                self.write_name(*connection, f)?;
                write!(f, "{arrow}")?;
                marks.words().iter().try_for_each(|word| write!(f, " {word}"))?;
                writeln!(f)?;
                write_payload(payload, f)
            }
            Action::Close(connection) => {
                writeln!(f)?;
                self.write_name(*connection, f)?;
                writeln!(f, "close")
            }
            Action::Pause(nanos) => writeln!(f, "\npause {}", duration_text(*nanos)),
            Action::Frame(bytes) => {
                writeln!(f, "\nframe")?;
                if bytes.is_empty() { writeln!(f, "|\\") } else { write_payload(bytes, f) }
            }
        }
    }

    fn write_name(&self, connection: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connections.get(connection) {
            Some(connection) if !connection.name.is_empty() => write!(f, "[{}] ", connection.name),
            _ => Ok(()),
        }
    }
}

impl TalkConnection {
    fn write(&self, n: usize, alone: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ipv6 = self.client.ip.is_ipv6();
        let usual = Self::usual(&self.name, n, ipv6);
        if alone && *self == Self::usual("", 0, false) {
            return Ok(());
        }
        write!(f, "connection")?;
        if !self.name.is_empty() {
            write!(f, " [{}]", self.name)?;
        }
        if ipv6 {
            write!(f, " ipv6")?;
        }
        if self.client != usual.client {
            write!(f, " client={}", self.client)?;
        }
        if self.server != usual.server {
            write!(f, " server={}", self.server)?;
        }
        for (name, isn, usual) in [("client", self.isn[0], usual.isn[0]), ("server", self.isn[1], usual.isn[1])] {
            if isn != usual {
                write!(f, " {name}-isn={isn}")?;
            }
        }
        match self.opening {
            Opening::Handshake => {}
            Opening::NoHandshake => write!(f, " no-handshake")?,
            Opening::ByHand => write!(f, " by-hand")?,
        }
        if self.timestamps {
            write!(f, " timestamps")?;
        }
        if self.ttl != usual.ttl {
            write!(f, " ttl={}", self.ttl)?;
        }
        if self.extension_headers {
            write!(f, " extension-headers")?;
        }
        if !self.via.is_empty() {
            let wraps: Vec<String> = self.via.iter().map(ToString::to_string).collect();
            write!(f, " via={}", wraps.join(","))?;
        }
        match self.only {
            Some(Way::ToServer) => write!(f, " only=client")?,
            Some(Way::ToClient) => write!(f, " only=server")?,
            None => {}
        }
        writeln!(f)
    }
}

fn write_payload(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    lines_of(bytes).iter().try_for_each(|line| match line.is_empty() {
        true => writeln!(f, "|"),
        false => writeln!(f, "| {line}"),
    })
}
