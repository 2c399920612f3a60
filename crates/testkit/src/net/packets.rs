//! Perturbations of single packets: fragments, shifted sequence numbers, layers around them.
//!
//! It never changes the order of segments. Next: [`crate::wire`], which makes the layers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sniffer_packet::frame::LinkType;
use sniffer_packet::frame::OwnedFrame;
use sniffer_packet::key::{FlowKey, Side};
use sniffer_packet::segment::Flags;

use super::dissect::{IpLayout, Layout, hosts_of_fragment, u16_at, u32_at};
use crate::rng::Rng;
use crate::wire::{Way, WirePacket, Wrap, sum};

/// Makes a frame of these bytes, from its link header to the end of its TCP payload, and sets
/// lengths and checksums.
pub(super) fn finish(frame: OwnedFrame, layout: &Layout, mut bytes: Vec<u8>) -> OwnedFrame {
    set_ip_length(&mut bytes, &layout.ip);
    let tcp = layout.tcp;
    bytes[tcp + 16..tcp + 18].fill(0);
    let addresses =
        if layout.ip.v6 { layout.ip.ip + 8..layout.ip.ip + 40 } else { layout.ip.ip + 12..layout.ip.ip + 20 };
    let mut pseudo = sum(0, &bytes[addresses]);
    pseudo = sum(pseudo, &[0, 6]);
    pseudo = sum(pseudo, &((bytes.len() - tcp) as u32).to_be_bytes());
    let checksum = !sum(pseudo, &bytes[tcp..]);
    bytes[tcp + 16..tcp + 18].copy_from_slice(&checksum.to_be_bytes());
    let wire_len = bytes.len() as u32;
    OwnedFrame { bytes, wire_len, ..frame }
}

/// Sets the IP length for a packet up to the end of `bytes`, and IPv4's checksum.
fn set_ip_length(bytes: &mut [u8], layout: &IpLayout) {
    let ip = layout.ip;
    let len = bytes.len() - ip;
    if layout.v6 {
        bytes[ip + 4..ip + 6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
        return;
    }
    bytes[ip + 2..ip + 4].copy_from_slice(&(len as u16).to_be_bytes());
    bytes[ip + 10..ip + 12].fill(0);
    let header = usize::from(bytes[ip] & 15) * 4;
    let checksum = !sum(0, &bytes[ip..ip + header]);
    bytes[ip + 10..ip + 12].copy_from_slice(&checksum.to_be_bytes());
}

/// Splits some of the segments with data into fragments.
pub(super) fn fragment(frames: Vec<OwnedFrame>, share: f64, rng: &mut Rng) -> Vec<OwnedFrame> {
    let mut out = Vec::with_capacity(frames.len());
    // New identifications: many senders write 0 in packets that are not fragmented.
    let mut id = rng.next_u64() as u16;
    for frame in frames {
        let layout = Layout::of(&frame).filter(|layout| layout.payload_len() > 0 && frame.bytes.len() >= layout.ip.end);
        let Some(layout) = layout.filter(|_| rng.chance(share)) else {
            out.push(frame);
            continue;
        };
        let len = layout.ip.end - layout.tcp;
        // At least two fragments, with at least the TCP ports in the first (RFC 1858).
        let size = (rng.between(24, len - 1).min(len - 1) / 8 * 8).max(8);
        id = id.wrapping_add(1);
        let mut parts: Vec<OwnedFrame> = (0..len.div_ceil(size)).map(|n| part(&frame, &layout, n, size, id)).collect();
        if rng.chance(1.0 / 3.0) {
            parts.reverse();
        }
        out.extend(parts);
    }
    out
}

/// Makes the `n`-th fragment of a packet.
fn part(frame: &OwnedFrame, layout: &Layout, n: usize, size: usize, id: u16) -> OwnedFrame {
    let start = layout.tcp + n * size;
    let stop = (start + size).min(layout.ip.end);
    let more = stop < layout.ip.end;
    let mut bytes = frame.bytes[..layout.tcp].to_vec();
    let ip = layout.ip.ip;
    if layout.ip.v6 {
        bytes[layout.protocol_at] = 44;
        bytes.extend([6, 0]);
        bytes.extend(((n * size) as u16 | u16::from(more)).to_be_bytes());
        bytes.extend(u32::from(id).to_be_bytes());
    } else {
        bytes[ip + 4..ip + 6].copy_from_slice(&id.to_be_bytes());
        let field = (n * size / 8) as u16 | if more { 0x2000 } else { 0 };
        bytes[ip + 6..ip + 8].copy_from_slice(&field.to_be_bytes());
    }
    bytes.extend(&frame.bytes[start..stop]);
    set_ip_length(&mut bytes, &layout.ip);
    let wire_len = bytes.len() as u32;
    OwnedFrame { bytes, wire_len, ..frame.clone() }
}

/// Shifts the numbers of every direction so that they wrap soon.
pub(super) fn wrap(frames: Vec<OwnedFrame>, rng: &mut Rng) -> Vec<OwnedFrame> {
    // First number of each direction: sent, or else acknowledged by the other.
    let mut first: BTreeMap<(FlowKey, usize), (bool, u32)> = BTreeMap::default();
    let layouts: Vec<Option<Layout>> = frames.iter().map(Layout::of).collect();
    // The numbers in fragments cannot be changed, so hosts that send fragments keep all their
    // numbers.
    let fragmented: BTreeSet<(IpAddr, IpAddr)> = frames.iter().filter_map(hosts_of_fragment).collect();
    for (frame, layout) in frames.iter().zip(&layouts) {
        let Some(layout) = layout else { continue };
        let hosts = (layout.flow.endpoint(Side::Low).ip, layout.flow.endpoint(Side::High).ip);
        if fragmented.contains(&hosts) {
            continue;
        }
        let sent = first.entry((layout.flow, layout.side.index())).or_insert((true, layout.seq(frame)));
        if !sent.0 {
            *sent = (true, layout.seq(frame));
        }
        if let Some(ack) = u32_at(&frame.bytes, layout.tcp + 8).filter(|_| layout.flags(frame).has(Flags::ACK)) {
            first.entry((layout.flow, layout.side.other().index())).or_insert((false, ack));
        }
    }
    // In the order of the keys, so that only the seed decides.
    let shifts: BTreeMap<(FlowKey, usize), u32> = first
        .into_iter()
        .map(|(key, (_, seq))| (key, (u32::MAX - rng.below(3_000) as u32).wrapping_sub(seq)))
        .collect();
    let shift_of = |flow: FlowKey, side: Side| shifts.get(&(flow, side.index())).copied().unwrap_or(0);
    let shifted = |(mut frame, layout): (OwnedFrame, &Option<Layout>)| {
        if let Some(layout) = layout {
            let (own, other) = (shift_of(layout.flow, layout.side), shift_of(layout.flow, layout.side.other()));
            shift(&mut frame, layout, own, other);
        }
        frame
    };
    frames.into_iter().zip(&layouts).map(shifted).collect()
}

/// Shifts the numbers of one segment. A right checksum stays right, and a wrong one stays wrong.
fn shift(frame: &mut OwnedFrame, layout: &Layout, own: u32, other: u32) {
    let flags = layout.flags(frame);
    let header = &mut frame.bytes[layout.tcp..layout.payload];
    let checksum = u16::from_be_bytes([header[16], header[17]]);
    header[16..18].fill(0);
    let before = sum(0, header);
    add(header, 4, own);
    if flags.has(Flags::ACK) {
        add(header, 8, other);
    }
    let mut at = 20;
    // Kind, length, value; 0 ends the list, 1 is a single byte (RFC 9293 §3.1). Kind 5 is SACK:
    // edges in the other direction's numbers.
    while at + 1 < header.len() && header[at] != 0 {
        let len = if header[at] == 1 { 1 } else { usize::from(header[at + 1]) };
        if len == 0 || at + len > header.len() {
            break;
        }
        if header[at] == 5 {
            (at + 2..(at + len).saturating_sub(3)).step_by(4).for_each(|edge| add(header, edge, other));
        }
        at += len;
    }
    // HC' = ~(~HC + ~m + m') (RFC 1624 §3), here with the whole header as m.
    let sums = [!checksum, !before, sum(0, header)].map(u16::to_be_bytes).concat();
    header[16..18].copy_from_slice(&(!sum(0, &sums)).to_be_bytes());
}

fn add(bytes: &mut [u8], at: usize, shift: u32) {
    if let Some(number) = u32_at(bytes, at) {
        bytes[at..at + 4].copy_from_slice(&number.wrapping_add(shift).to_be_bytes());
    }
}

/// Puts layers around every IP packet.
pub(super) fn tunnel(frames: Vec<OwnedFrame>, wraps: &[Wrap]) -> Vec<OwnedFrame> {
    frames.into_iter().map(|frame| tunnelled(&frame, wraps).unwrap_or(frame)).collect()
}

fn tunnelled(frame: &OwnedFrame, wraps: &[Wrap]) -> Option<OwnedFrame> {
    let layout = IpLayout::of(frame)?;
    // Bytes that a snapshot length cut are filled in, so that lengths are right, and cut again.
    let mut whole = frame.bytes.clone();
    let missing = layout.end.saturating_sub(whole.len());
    whole.resize(layout.end, 0);
    let ethertype = if layout.v6 { 0x86dd } else { 0x0800 };
    let mut packet = WirePacket { ethertype, bytes: whole.split_off(layout.ip) };
    let way = match Layout::of(frame) {
        Some(Layout { side: Side::High, .. }) => Way::ToClient,
        _ => Way::ToServer,
    };
    for wrap in wraps.iter().rev() {
        packet = wrap.around(&packet, way).ok()?;
    }
    // The old link header with the new EtherType.
    match (layout.ethertype_at, packet.ethertype) {
        (Some(at), ethertype) => {
            let before = u16_at(&whole, at)?;
            debug_assert!(matches!(before, 0x0800 | 0x86dd), "an EtherType that announced IP");
            whole[at..at + 2].copy_from_slice(&ethertype.to_be_bytes());
        }
        (None, 0x0800 | 0x86dd) => set_family(frame.link, &mut whole, packet.ethertype == 0x86dd)?,
        (None, _) => return None,
    }
    whole.extend(packet.bytes);
    let wire_len = whole.len() as u32;
    whole.truncate(whole.len() - missing);
    Some(OwnedFrame { bytes: whole, wire_len, ..frame.clone() })
}

/// Sets the address family of a loopback packet in its byte order. Does nothing for raw IP, whose
/// link type must allow the version.
fn set_family(link: LinkType, header: &mut [u8], v6: bool) -> Option<()> {
    match link {
        LinkType::IPV4 if v6 => return None,
        LinkType::IPV6 if !v6 => return None,
        LinkType::NULL | LinkType::LOOP => {
            let little = header.first()? != &0;
            let family: u32 = if v6 { 30 } else { 2 };
            header.copy_from_slice(&if little { family.to_le_bytes() } else { family.to_be_bytes() });
        }
        _ => {}
    }
    Some(())
}
