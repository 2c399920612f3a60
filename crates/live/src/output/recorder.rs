//! `--write-pcap`: the packets that the engine gets, as pcapng, in a thread of their own.
//!
//! A replay of the file gives the lines that live gave. A disk that is too slow costs packets in the file, counted, and
//! nothing else. Source of the format: draft-ietf-opsawg-pcapng.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use sniffer_packet::frame::LinkType;

use crate::capture::batch::{CapturedPacket, PacketBatch};

/// Bytes of one write.
const BUFFER: usize = 256 << 10;

/// Batches that may wait for the disk.
pub(crate) const WAITING: usize = 32;

/// A pcapng file with one interface.
#[derive(Debug)]
pub(crate) struct Recording<W: Write> {
    file: BufWriter<W>,
}

impl Recording<File> {
    /// A new file, or an existing one made empty.
    pub(crate) fn create(path: &std::path::Path, link: LinkType, snaplen: u32, interface: &str) -> io::Result<Self> {
        let mut recording = Self { file: BufWriter::with_capacity(BUFFER, File::create(path)?) };
        recording.head(link, snaplen, interface)?;
        // An empty capture is a file that can be read, and a full disk shows at once.
        recording.flush()?;
        Ok(recording)
    }
}

impl<W: Write> Recording<W> {
    fn head(&mut self, link: LinkType, snaplen: u32, interface: &str) -> io::Result<()> {
        // Section header: byte order, version 1.0, length not given. Little-endian everywhere.
        let mut section = Vec::new();
        section.extend(0x1a2b_3c4d_u32.to_le_bytes());
        section.extend([1, 0, 0, 0]);
        section.extend(u64::MAX.to_le_bytes());
        self.block(0x0a0d_0d0a, &section, &[])?;
        // Interface description: link type, snaplen, if_name (option 2). Times are in microseconds unless it says otherwise.
        let mut description = Vec::new();
        description.extend(link.0.to_le_bytes());
        description.extend([0, 0]);
        description.extend(snaplen.to_le_bytes());
        let name = &interface.as_bytes()[..interface.len().min(255)];
        description.extend(2_u16.to_le_bytes());
        description.extend((name.len() as u16).to_le_bytes());
        description.extend(name);
        description.resize(description.len().next_multiple_of(4), 0);
        description.extend([0; 4]);
        self.block(1, &description, &[])
    }

    /// Writes the packets of a batch.
    pub(crate) fn write(&mut self, batch: &PacketBatch) -> io::Result<()> {
        batch.iter().try_for_each(|(packet, bytes)| self.packet(packet, bytes))
    }

    fn packet(&mut self, packet: CapturedPacket, bytes: &[u8]) -> io::Result<()> {
        let micros = packet.time.as_micros();
        let mut head = [0; 20];
        let words = [0, (micros >> 32) as u32, micros as u32, packet.captured, packet.wire_len];
        for (place, word) in head.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.block(6, &head, bytes)
    }

    /// A block: type, length, body in two parts, padding, length again.
    fn block(&mut self, kind: u32, head: &[u8], body: &[u8]) -> io::Result<()> {
        let padding = (head.len() + body.len()).next_multiple_of(4) - head.len() - body.len();
        let length = ((12 + head.len() + body.len() + padding) as u32).to_le_bytes();
        self.file.write_all(&kind.to_le_bytes())?;
        self.file.write_all(&length)?;
        self.file.write_all(head)?;
        self.file.write_all(body)?;
        self.file.write_all(&[0; 3][..padding])?;
        self.file.write_all(&length)
    }

    /// Hands on what is buffered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use sniffer_packet::time::Timestamp;

    use super::*;

    #[test]
    fn blocks_stand_as_the_format_says() {
        let mut recording = Recording { file: BufWriter::new(Vec::new()) };
        recording.head(LinkType::LINUX_SLL, 96, "any").unwrap();
        let mut batch = PacketBatch::default();
        let time = Timestamp::new(1_771_675_200, 123_456_000);
        batch.push(CapturedPacket { time, captured: 5, wire_len: 1500 }, b"abcde");
        recording.write(&batch).unwrap();
        let bytes = recording.file.into_inner().unwrap();
        let section = [
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..],
            &[0xff; 8],
            &[28, 0, 0, 0],
        ];
        let interface =
            [&[1, 0, 0, 0, 32, 0, 0, 0, 113, 0, 0, 0, 96, 0, 0, 0, 2, 0, 3, 0][..], b"any\0", &[0; 4], &[32, 0, 0, 0]];
        let micros = 1_771_675_200_123_456_u64;
        let packet = [
            &[6, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0][..],
            &((micros >> 32) as u32).to_le_bytes(),
            &(micros as u32).to_le_bytes(),
            &[5, 0, 0, 0, 0xdc, 5, 0, 0],
            b"abcde\0\0\0",
            &[40, 0, 0, 0],
        ];
        assert_eq!(bytes, [section.concat(), interface.concat(), packet.concat()].concat());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut recording = Recording { file: BufWriter::new(full) };
        recording.head(LinkType::ETHERNET, 96, "eth0").unwrap();
        assert_eq!(recording.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
