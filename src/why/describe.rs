//! The notes on a frame as a paragraph: link, packet, connection, order, parser, message.
//!
//! It never guesses: where the notes leave something open, so does the text. Next: `trace`.

use sniffer_engine::event::{Completion, Protocol};
use sniffer_engine::ledger::Fate;
use sniffer_formats::text::{columns, count, cut, escape};
use sniffer_packet::fate::FrameFate;
use sniffer_packet::frame::LinkType;
use sniffer_packet::segment::Flags;

use super::trace::{CarriedMessage, FrameTrace, TracedPacket};

/// Columns of a line.
const WIDTH: usize = 100;
/// Most characters shown of a message's name.
const NAME_MAX: usize = 120;

/// Returns the paragraph on a frame.
pub(super) fn frame(trace: &FrameTrace) -> String {
    let mut said = vec![link(trace)];
    said.extend(trace.change.frame_fate.and_then(|fate| without_segment(fate, trace)));
    if let Some(packet) = &trace.packet {
        said.push(segment(packet));
        said.push(connection(trace));
        said.extend(order(packet, trace));
        said.extend(parser(packet, trace));
        said.extend(trace.notes.messages.iter().map(message));
    }
    wrapped(&said.join(" "))
}

fn link(trace: &FrameTrace) -> String {
    let name = match trace.link {
        LinkType::ETHERNET => "Ethernet".to_owned(),
        LinkType::LINUX_SLL | LinkType::LINUX_SLL2 => "Linux cooked capture".to_owned(),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => "raw IP".to_owned(),
        LinkType::NULL | LinkType::LOOP => "BSD loopback".to_owned(),
        LinkType(number) => format!("link type {number}"),
    };
    let time = trace.stamp.time.rfc3339(trace.stamp.precision);
    let number = trace.stamp.number;
    let cut = match u64::from(trace.wire_len).saturating_sub(trace.captured as u64) {
        0 => "all captured".to_owned(),
        cut => format!("of which the last {cut} were not captured"),
    };
    format!("Frame {number} came at {time}: {} of {name}, {cut}.", count(trace.wire_len.into(), "byte"))
}

/// Says why the frame holds no segment, or only a part of one.
fn without_segment(fate: FrameFate, trace: &FrameTrace) -> Option<String> {
    let broken = |layer: &str| Some(format!("It is cut or malformed in {layer}, so nothing behind that is read."));
    match fate {
        FrameFate::Tcp => None,
        FrameFate::NotTcp => Some("It is well-formed and holds neither TCP nor a tunnel that is opened.".to_owned()),
        FrameFate::Fragment => Some(match (trace.whole_with, &trace.packet) {
            (None, _) => {
                "It is a fragment of an IP datagram that never became whole, so it came to nothing.".to_owned()
            }
            (Some(whole), packet) => {
                let what = if packet.is_some() { "" } else { ", and there is no TCP segment in it" };
                format!("It is a fragment of an IP datagram, which frame {whole} made whole{what}.")
            }
        }),
        FrameFate::UnknownLinkType => Some("This link type is not known, so nothing in it is read.".to_owned()),
        FrameFate::MalformedLink => broken("the link layer"),
        FrameFate::MalformedTunnel => broken("the header of a tunnel"),
        FrameFate::MalformedIp => broken("the IP header or its extensions"),
        FrameFate::MalformedTcp => broken("the TCP header"),
        FrameFate::TooDeep => Some("It has more tunnels inside each other than are opened.".to_owned()),
        other => Some(format!("It was counted as {}.", other.name())),
    }
}

fn segment(packet: &TracedPacket) -> String {
    let TracedPacket { src, dst, seq, ack, .. } = packet;
    let names =
        [(Flags::SYN, "SYN"), (Flags::FIN, "FIN"), (Flags::RST, "RST"), (Flags::PSH, "PSH"), (Flags::ACK, "ACK")];
    let flags: Vec<_> =
        names.iter().filter(|(flag, _)| Flags(packet.flags).has(*flag)).map(|(_, name)| *name).collect();
    let payload = match (packet.payload as u64, packet.cut) {
        (0, 0) => "without payload".to_owned(),
        (bytes, 0) => format!("with {} of payload", count(bytes, "byte")),
        (bytes, cut) => format!("with {} of payload captured and {cut} cut off", count(bytes, "byte")),
    };
    let ack = if Flags(packet.flags).has(Flags::ACK) { format!(", ack {ack}") } else { String::new() };
    format!("In it is a TCP segment from {src} to {dst} ({}, seq {seq}{ack}) {payload}.", flags.join(" "))
}

fn connection(trace: &FrameTrace) -> String {
    let Some(flow) = &trace.notes.flow else {
        return "No connection was tracked for it.".to_owned();
    };
    let first = match flow.first.number == trace.stamp.number {
        true => "which it opened".to_owned(),
        false => format!("which frame {} opened", flow.first.number),
    };
    let protocol = match trace.notes.protocol {
        Some(Protocol::Tls) => "; it carries TLS",
        Some(Protocol::Http2) => "; it carries HTTP/2",
        Some(Protocol::Tunnel) => "; it became a tunnel",
        _ => "",
    };
    format!("It belongs to connection {}, {first} and whose server is {}{protocol}.", flow.id, flow.receiver())
}

/// Says whether its bytes were delivered at once or waited, and for what.
fn order(packet: &TracedPacket, trace: &FrameTrace) -> Vec<String> {
    let mut said = Vec::new();
    if trace.change.missing > 0 {
        said.push(format!(
            "With it {} that should have come before were given up as missing from the capture.",
            count(trace.change.missing, "byte")
        ));
    }
    if packet.payload == 0 {
        if Flags(packet.flags).has(Flags::RST) {
            said.push("A reset ends a connection only at exactly the number that is expected next.".to_owned());
        }
        return said;
    }
    let settled: u64 = trace.change.fates.iter().map(|(_, bytes)| bytes).sum();
    let payload = packet.payload as u64;
    match (settled, trace.notes.delivered_with) {
        (0, Some(Some(later))) if later != trace.stamp.number && Some(later) != trace.whole_with => {
            said.push(format!("Its bytes waited, and went on with frame {later}."));
        }
        (0, Some(None)) => said.push("Its bytes waited until the capture ended.".to_owned()),
        (0, _) => said.push("Its bytes waited: for what comes before them, or for the rest of a head.".to_owned()),
        (settled, _) if settled > payload => {
            said.push(format!("It let {} go on that had waited.", count(settled - payload, "byte")));
        }
        (settled, _) if settled < payload => {
            said.push(format!("Of its bytes {} waited.", payload - settled));
        }
        _ => {}
    }
    said
}

/// Says which fates its push gave to bytes, and what was odd.
fn parser(packet: &TracedPacket, trace: &FrameTrace) -> Vec<String> {
    let mut said = Vec::new();
    if packet.payload > 0 && !trace.change.fates.is_empty() {
        let parts: Vec<_> =
            trace.change.fates.iter().map(|&(fate, bytes)| format!("{bytes} {}", meaning(fate))).collect();
        said.push(format!("Counted with it: {}.", parts.join(", ")));
    }
    if !trace.change.anomalies.is_empty() {
        let names: Vec<_> = trace.change.anomalies.iter().map(|anomaly| anomaly.name()).collect();
        said.push(format!("What was odd: {}.", names.join(", ")));
    }
    if packet.payload > 0 && trace.notes.messages.is_empty() {
        said.push("It became part of no message.".to_owned());
    }
    said
}

const fn meaning(fate: Fate) -> &'static str {
    match fate {
        Fate::Head => "as head",
        Fate::Body => "as body",
        Fate::Framing => "as framing (chunk lines, blank lines)",
        Fate::Tunnel => "as tunnel (behind a 101 or CONNECT)",
        Fate::NotHttp => "as not HTTP",
        Fate::Tls => "as TLS",
        Fate::Http2 => "as HTTP/2",
        Fate::Duplicate => "as seen before",
        Fate::ConflictingOverlap => "as a copy that differs from what came first",
        Fate::Ignored => "as ignored, because the peer would have dropped it",
        Fate::Late => "as late: their place had been given up as missing",
        Fate::Unparseable => "as unreadable",
        Fate::Evicted => "as evicted for the memory budget",
        other => other.name(),
    }
}

fn message(carried: &CarriedMessage) -> String {
    let CarriedMessage { name, exchange, began, ended_with, completion, anomalies } = carried;
    let with = ended_with.map_or_else(|| "at the end of the capture".to_owned(), |frame| format!("with frame {frame}"));
    let end = match completion {
        Completion::Complete => format!("was whole {with}"),
        Completion::Incomplete(why) => format!("was given up {with} as incomplete ({})", why.name()),
        _ => format!("ended {with}"),
    };
    let odd: Vec<_> = anomalies.iter().map(|anomaly| anomaly.name()).collect();
    let odd = if odd.is_empty() { String::new() } else { format!("; odd about it: {}", odd.join(", ")) };
    let name = escape(name);
    format!(
        "It carried a part of {} (exchange {exchange}), which began in frame {began} and {end}{odd}.",
        cut(&name, NAME_MAX)
    )
}

/// Wraps text into lines of at most [`WIDTH`] columns; a longer word has a line of its own.
pub(super) fn wrapped(text: &str) -> String {
    let (mut out, mut taken) = (String::new(), 0);
    for word in text.split(' ') {
        let width = columns(word);
        if taken > 0 && taken + 1 + width > WIDTH {
            out.push('\n');
            taken = 0;
        } else if taken > 0 {
            out.push(' ');
            taken += 1;
        }
        out.push_str(word);
        taken += width;
    }
    out.push('\n');
    out
}
