//! `--write-pcap`: records the packets that the engine gets, as pcapng, in a thread of its own.
//!
//! A replay of the recording gives the lines that the live run gave. If the disk is too slow,
//! packets are missing from the recording and counted; nothing else is affected.

use std::fs::File;
use std::io::{self, Write};

use sniffer_packet::file::pcapng::PcapngWriter;
use sniffer_packet::frame::{Frame, LinkType};

use crate::capture::batch::PacketBatch;

/// Bytes of one write.
const BUFFER: usize = 256 << 10;

/// Batches that may wait for the disk.
pub(crate) const WAITING: usize = 32;

/// A pcapng file with one interface.
#[derive(Debug)]
pub(crate) struct Recording<W: Write> {
    file: W,
    pcapng: PcapngWriter,
    link: LinkType,
    packets: u64,
    /// Bytes that are not written yet.
    buffer: Vec<u8>,
}

impl Recording<File> {
    /// Creates the file, or empties an existing one.
    pub(crate) fn create(path: &std::path::Path, link: LinkType, snaplen: u32, interface: &str) -> io::Result<Self> {
        let mut recording = Self::new(File::create(path)?, link, snaplen, interface);
        // A recording without packets is a valid file, and a full disk fails at once.
        recording.flush()?;
        Ok(recording)
    }
}

impl<W: Write> Recording<W> {
    fn new(file: W, link: LinkType, snaplen: u32, interface: &str) -> Self {
        let (mut pcapng, mut buffer) = (PcapngWriter::default(), Vec::with_capacity(BUFFER));
        pcapng.interface(link, snaplen, interface, &mut buffer);
        Self { file, pcapng, link, packets: 0, buffer }
    }

    /// Writes the packets of a batch.
    pub(crate) fn write(&mut self, batch: &PacketBatch) -> io::Result<()> {
        for (packet, bytes) in batch.iter() {
            self.packets += 1;
            let frame = Frame::new(self.packets, packet.time, self.link, bytes).with_wire_len(packet.wire_len);
            self.pcapng.frame(&frame, &mut self.buffer);
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what is buffered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sniffer_packet::time::Timestamp;

    use super::*;
    use crate::capture::batch::CapturedPacket;

    #[test]
    fn blocks_stand_as_the_format_says() {
        let mut recording = Recording::new(Vec::new(), LinkType::LINUX_SLL, 96, "any");
        let mut batch = PacketBatch::default();
        let time = Timestamp::new(1_771_675_200, 123_456_000);
        batch.push(CapturedPacket { time, captured: 5, wire_len: 1500 }, b"abcde");
        recording.write(&batch).unwrap();
        recording.flush().unwrap();
        let bytes = recording.file;
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
        let mut recording = Recording::new(full, LinkType::ETHERNET, 96, "eth0");
        assert_eq!(recording.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
