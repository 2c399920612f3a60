//! Batches of packets on their way from the capture thread to the engine, copied out of the kernel's
//! buffer.

use sniffer_packet::time::Timestamp;

/// Bytes at which a batch is handed on. Arbitrary: it fits into the second-level cache.
const FULL: usize = 128 << 10;

/// Captured packets, in order.
#[derive(Debug, Default)]
pub(crate) struct PacketBatch {
    bytes: Vec<u8>,
    packets: Vec<CapturedPacket>,
    /// No other packet was captured until this time: it advances the engine's clock when no packets
    /// come.
    pub(crate) quiet_until: Option<Timestamp>,
}

/// The header of a packet, as libpcap reports it.
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

    /// Empties the batch and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        // A burst of large packets must not hold its memory for good.
        self.bytes.shrink_to(2 * FULL);
        self.packets.clear();
        self.quiet_until = None;
    }

    /// Returns the packets with their bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CapturedPacket, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.packets.iter().map(move |&packet| {
            let (bytes, after) = rest.split_at(packet.captured as usize);
            rest = after;
            (packet, bytes)
        })
    }
}
