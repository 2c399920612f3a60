//! IEEE 802.11 data frames in the clear, and the headers that monitors put before them.
//!
//! It skips encrypted frames, management and control. It does not reassemble fragments of a frame:
//! it reads the first, and the rest is a hole. The frame check sequence at the end does no harm,
//! because IP has its own length. Next: [`super::ether`] for the LLC header.

use super::cursor::Cursor;
use super::{Decoded, Layer, Skipped, ether};
use crate::frame::LinkType;

/// 802.11 frames; the next three have a Prism, radiotap or AVS header before them.
pub(super) const IEEE802_11: u16 = 105;
pub(super) const PRISM: u16 = 119;
pub(super) const RADIOTAP: u16 = 127;
pub(super) const AVS: u16 = 163;
/// Per-packet information: a header that names the link type after it; usually 802.11.
pub(super) const PPI: u16 = 192;

/// Returns whether a link type starts with an 802.11 frame or with a header before one.
pub(super) fn is_wifi(link: LinkType) -> bool {
    matches!(link.0, IEEE802_11 | PRISM | RADIOTAP | AVS)
}

/// Finds the packets in a frame of these link types: one, or each part of an aggregate (A-MSDU).
pub(super) fn packets(link: LinkType, mut rest: Cursor<'_>) -> Result<Packets<'_>, Skipped> {
    let mut padded = false;
    match link.0 {
        PRISM => prism(&mut rest)?,
        RADIOTAP => padded = radiotap(&mut rest)?,
        AVS => avs(&mut rest)?,
        _ => {}
    }
    data_frame(rest, padded)
}

/// Decodes the first packet in an 802.11 frame without a monitor's header.
pub(super) fn first_packet(rest: Cursor<'_>) -> Decoded<'_> {
    ok!(data_frame(rest, false)).first()
}

/// Iterator over the payloads of one data frame, from their LLC headers on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packets<'a> {
    /// A single payload, which starts here.
    One(Cursor<'a>),
    /// Parts of an aggregate; the next one starts here.
    Parts(Cursor<'a>),
    /// No more payloads.
    Done,
}

impl<'a> Packets<'a> {
    /// Decodes the first one; a frame without any is malformed.
    pub(super) fn first(mut self) -> Decoded<'a> {
        ether::llc(ok!(self.next().ok_or(Skipped::Malformed(Layer::Link))))
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Cursor<'a>;

    fn next(&mut self) -> Option<Cursor<'a>> {
        match std::mem::replace(self, Self::Done) {
            Self::Done => None,
            Self::One(rest) => Some(rest),
            Self::Parts(mut rest) => {
                // A part (§9.3.2.2.2): two addresses, the length of the rest, LLC; padded to a
                // multiple of four.
                let head = rest.take::<14>(Layer::Link).ok()?;
                let len = usize::from(u16::from_be_bytes([head[12], head[13]]));
                let padding = (len + 14).wrapping_neg() & 3;
                // Less than a header may follow: an FCS, or the rest after a snapshot length.
                if let Some(next) = rest.after(len + padding) {
                    *self = Self::Parts(next);
                }
                Some(rest.limit(len))
            }
        }
    }
}

/// Reads an 802.11 frame (IEEE Std 802.11-2020 §9.3.2.1). `padded` if zeros up to a multiple of
/// four follow its header, as some cards deliver it.
fn data_frame(mut rest: Cursor<'_>, padded: bool) -> Result<Packets<'_>, Skipped> {
    let whole_len = rest.bytes.len();
    let head = rest.take::<24>(Layer::Link)?;
    let (control, flags) = (head[0], head[1]);
    // Version 0, type 2 (data); bit 6 of the subtype means "no data". Protected frames are
    // encrypted.
    if control & 0x0f != 0x08 || control & 0x40 != 0 || flags & 0x40 != 0 {
        return Err(Skipped::NotTcp);
    }
    // Low nibble of sequence control: not the first fragment, so there is no IP header.
    if head[22] & 0x0f != 0 {
        return Err(Skipped::Malformed(Layer::Link));
    }
    // To and from the distribution system at once: a fourth address.
    if flags & 0x03 == 0x03 {
        rest.skip(6, Layer::Link)?;
    }
    let mut aggregate = false;
    if control & 0x80 != 0 {
        let qos = rest.take::<2>(Layer::Link)?;
        aggregate = qos[0] & 0x80 != 0;
        // In a QoS frame the order bit announces HT control.
        if flags & 0x80 != 0 {
            rest.skip(4, Layer::Link)?;
        }
    }
    if padded {
        let header_len = whole_len - rest.bytes.len();
        rest.skip(header_len.wrapping_neg() & 3, Layer::Link)?;
    }
    Ok(if aggregate { Packets::Parts(rest) } else { Packets::One(rest) })
}

/// Radiotap (radiotap.org): little-endian length, presence words, then fields in bit order, each
/// aligned to its size. Takes it off and returns whether the 802.11 header is padded.
fn radiotap(rest: &mut Cursor<'_>) -> Result<bool, Skipped> {
    let malformed = Skipped::Malformed(Layer::Link);
    let head = rest.peek::<8>().ok_or(malformed)?;
    let len = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let header = rest.bytes.get(..len).ok_or(malformed)?;
    if head[0] != 0 || len < 8 {
        return Err(malformed);
    }
    rest.skip(len, Layer::Link)?;
    // Only two fields come first: TSFT (bit 0, 8 bytes) and flags (bit 1, 1 byte). Bit 31 announces
    // another word.
    let present = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if present & 2 == 0 {
        return Ok(false);
    }
    let mut fields = 8;
    let mut word = present;
    while word >> 31 == 1 {
        let next = header.get(fields..).and_then(|tail| tail.first_chunk::<4>()).ok_or(malformed)?;
        word = u32::from_le_bytes(*next);
        fields += 4;
    }
    let at = if present & 1 == 1 { fields.next_multiple_of(8) + 8 } else { fields };
    let flags = header.get(at).ok_or(malformed)?;
    // A wrong FCS: the receiver dropped the frame too, and the sender repeats it.
    if flags & 0x40 != 0 {
        return Err(malformed);
    }
    Ok(flags & 0x20 != 0)
}

/// Takes off a Prism header, or an AVS one under the same link type. Every driver has its own Prism
/// header, but all have a length.
fn prism(rest: &mut Cursor<'_>) -> Result<(), Skipped> {
    let malformed = Skipped::Malformed(Layer::Link);
    let head = rest.peek::<8>().ok_or(malformed)?;
    let [a, b, c, d, e, f, g, h] = *head;
    if [a, b, c] == [0x80, 0x21, 0x10] {
        return avs(rest);
    }
    // Message code 0x44 or 0x41, then the length, both in the byte order of the capturing host.
    let len = match [a, b, c, d] {
        [0x44 | 0x41, 0, 0, 0] => u32::from_le_bytes([e, f, g, h]),
        [0, 0, 0, 0x44 | 0x41] => u32::from_be_bytes([e, f, g, h]),
        _ => return Err(malformed),
    };
    rest.skip(usize::try_from(len).map_err(|_| malformed)?, Layer::Link)
}

/// Takes off an AVS header: version, then its length, big-endian.
fn avs(rest: &mut Cursor<'_>) -> Result<(), Skipped> {
    let malformed = Skipped::Malformed(Layer::Link);
    let head = rest.peek::<8>().ok_or(malformed)?;
    let len = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    if head[..3] != [0x80, 0x21, 0x10] || len < 8 {
        return Err(malformed);
    }
    rest.skip(usize::try_from(len).map_err(|_| malformed)?, Layer::Link)
}
