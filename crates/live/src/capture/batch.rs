//! Packets on their way from the capture thread to the engine: copied out of the kernel's buffer, many in one piece.

use sniffer_packet::time::Timestamp;

/// Bytes after which a batch is handed on. Arbitrary: fits into the second-level cache.
const FULL: usize = 128 << 10;

/// Captured packets, in order.
#[derive(Debug, Default)]
pub(crate) struct PacketBatch {
    bytes: Vec<u8>,
    packets: Vec<CapturedPacket>,
    /// Until here nothing else was captured: for the engine's clock when no packets come.
    pub(crate) quiet_until: Option<Timestamp>,
}

/// A packet's header, as libpcap gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CapturedPacket {
    pub(crate) time: Timestamp,
    pub(crate) captured: u32,
    pub(crate) wire_len: u32,
}

impl PacketBatch {
    pub(crate) fn push(&mut self, packet: CapturedPacket, bytes: &[u8]) {
        self.packets.push(packet);
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(crate) const fn len(&self) -> usize {
        self.packets.len()
    }

    /// Makes it as good as new; its memory stays.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        // A burst of large packets must not hold its memory for good.
        self.bytes.shrink_to(2 * FULL);
        self.packets.clear();
        self.quiet_until = None;
    }

    /// The packets with their bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CapturedPacket, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.packets.iter().map(move |&packet| {
            let (bytes, behind) = rest.split_at(packet.captured as usize);
            rest = behind;
            (packet, bytes)
        })
    }
}
