//! The TCP header (RFC 9293 §3.1): ports, numbers, flags, options, and the payload after it.
//!
//! It judges nothing: contradictory flags and wrong checksums are for the engine, which knows the
//! connection. Next: [`crate::segment`].

use std::net::IpAddr;

use etherparse::checksum::Sum16BitWords;

use super::cursor::Cursor;
use super::ip::{Carrier, protocol};
use super::{Decoded, Layer, Skipped};
use crate::key::Endpoint;
use crate::segment::{Checksum, Flags, Segment, TcpOptions};
use crate::seq::SeqNumber;

/// Largest window scale shift (RFC 7323 §2.3); a larger one counts as this.
const WINDOW_SCALE_MAX: u8 = 14;

/// Decodes a TCP segment. The IP header has set its end.
#[inline(always)] // hot: see NOTES#decoded
pub(super) fn segment<'a>(rest: Cursor<'a>, carrier: &Carrier) -> Decoded<'a> {
    let malformed = Skipped::Malformed(Layer::Tcp);
    let head = ok!(rest.peek::<20>().ok_or(malformed));
    let header_len = usize::from(head[12] >> 4) * 4;
    if header_len < 20 {
        return Decoded::Skipped(malformed);
    }
    let (header, payload) = ok!(rest.bytes.split_at_checked(header_len).ok_or(malformed));
    let flags = Flags(head[13]);
    Decoded::Segment(Segment {
        src: Endpoint::new(carrier.src, u16::from_be_bytes([head[0], head[1]])),
        dst: Endpoint::new(carrier.dst, u16::from_be_bytes([head[2], head[3]])),
        seq: SeqNumber(u32::from_be_bytes([head[4], head[5], head[6], head[7]])),
        ack: SeqNumber(u32::from_be_bytes([head[8], head[9], head[10], head[11]])),
        flags,
        window: u16::from_be_bytes([head[14], head[15]]),
        options: options(header.get(20..).unwrap_or_default(), flags),
        payload,
        cut: rest.cut,
        ttl: carrier.ttl,
        checksum: if rest.cut == 0 && carrier.length_known { Checksum::Of(rest.bytes) } else { Checksum::Unknown },
    })
}

/// Reads the options. A bad length ends the list, as in every stack; the options before it count.
#[inline(always)] // hot: see NOTES#decoded
fn options(bytes: &[u8], flags: Flags) -> TcpOptions {
    // Nearly every segment has exactly two NOPs and timestamps (RFC 7323 appendix A).
    if let Ok(&[head @ .., a, b, c, d, e, f, g, h]) = <&[u8; 12]>::try_from(bytes)
        && head == [1, 1, 8, 10]
    {
        let timestamps = Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
        return TcpOptions { timestamps, ..TcpOptions::default() };
    }
    if bytes.is_empty() { TcpOptions::default() } else { any_options(bytes, flags) }
}

fn any_options(mut bytes: &[u8], flags: Flags) -> TcpOptions {
    let mut options = TcpOptions::default();
    loop {
        bytes = match bytes {
            [1, tail @ ..] => tail,
            [] | [0, ..] | [_] => return options,
            [kind, len, ..] => {
                let Some((option, tail)) = bytes.split_at_checked(usize::from(*len)) else { return options };
                match (kind, option) {
                    (_, [] | [_]) => return options,
                    // Must be ignored outside a SYN (RFC 7323 §2.2).
                    (3, [_, _, shift]) if flags.has(Flags::SYN) => {
                        options.window_scale = Some((*shift).min(WINDOW_SCALE_MAX));
                    }
                    (8, [_, _, a, b, c, d, e, f, g, h]) => {
                        options.timestamps =
                            Some((u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h])));
                    }
                    (19, option) if option.len() == 18 => options.md5 = true,
                    _ => {}
                }
                tail
            }
        };
    }
}

impl Segment<'_> {
    /// Returns whether the TCP checksum is wrong; `None` if it cannot be verified.
    ///
    /// It cannot be verified if a snapshot length cut the segment, if no IP header gave its length,
    /// or if the field holds the sum of the pseudo header alone, with or without the length. A
    /// sending host leaves this sum for its network card to finish, and a capture on that host
    /// shows it. Costs one pass over the segment.
    pub fn checksum_is_wrong(&self) -> Option<bool> {
        self.header_sum()?.is_wrong(self.src.ip, self.dst.ip, self.payload)
    }

    /// Returns the header's part of the checksum, to verify the payload later. Costs one pass over
    /// the header.
    pub fn header_sum(&self) -> Option<HeaderSum> {
        let Checksum::Of(segment) = self.checksum else { return None };
        HeaderSum::of(segment.get(..segment.len() - self.payload.len())?)
    }
}

/// The header's part of a TCP checksum. With it the payload can be verified without the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderSum {
    /// Sum over the header, complemented, in the byte order of the machine, as etherparse returns
    /// it.
    sum: u16,
    /// The checksum field.
    field: [u8; 2],
    /// Length of the header, 20–60 bytes.
    header_len: u8,
}

impl HeaderSum {
    /// Sums up a TCP header; `None` if it is too short.
    pub fn of(header: &[u8]) -> Option<Self> {
        let field = header.get(16..18).and_then(|field| <[u8; 2]>::try_from(field).ok())?;
        let header_len = u8::try_from(header.len()).ok()?;
        Some(Self { sum: Sum16BitWords::new().add_slice(header).ones_complement(), field, header_len })
    }

    /// Like [`Segment::checksum_is_wrong`].
    pub fn is_wrong(self, src: IpAddr, dst: IpAddr, payload: &[u8]) -> Option<bool> {
        // The pseudo headers of IPv4 (RFC 9293 §3.1) and IPv6 (RFC 8200 §8.1) differ only in zero
        // bytes.
        let mut addresses = Sum16BitWords::new();
        for ip in [src, dst] {
            addresses = match ip {
                IpAddr::V4(ip) => addresses.add_4bytes(ip.octets()),
                IpAddr::V6(ip) => addresses.add_16bytes(ip.octets()),
            };
        }
        let without_len = addresses.add_2bytes([0, protocol::TCP]);
        let len = u32::try_from(usize::from(self.header_len) + payload.len()).ok()?;
        let pseudo = without_len.clone().add_4bytes(len.to_be_bytes());
        if pseudo.clone().add_2bytes((!self.sum).to_ne_bytes()).add_slice(payload).ones_complement() == 0 {
            return Some(false);
        }
        // The unfinished sum is stored without complement; etherparse adds in the byte order of the
        // machine.
        let unfinished = !u16::from_ne_bytes(self.field);
        if [pseudo, without_len].iter().any(|sum| sum.ones_complement() == unfinished) {
            return None;
        }
        Some(true)
    }
}
