//! Capture files, built byte by byte after the specifications.

/// Writes integers in one byte order.
#[derive(Clone)]
pub(crate) struct Bytes {
    pub(crate) big: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Bytes {
    pub(crate) fn new(big: bool) -> Self {
        Self { big, bytes: Vec::new() }
    }

    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn pad(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }
}

/// A pcap file.
#[derive(Clone)]
pub(crate) struct Pcap {
    pub(crate) bytes: Bytes,
}

impl Pcap {
    /// Little-endian, microseconds, version 2.4, snapshot length 65 535, Ethernet.
    pub(crate) fn new() -> Self {
        Self::with(false, 0xa1b2_c3d4, 4, 65_535, 1)
    }

    pub(crate) fn with(big: bool, magic: u32, minor: u16, snapshot_length: u32, link: u32) -> Self {
        Self { bytes: Bytes::new(big).u32(magic).u16(2).u16(minor).u32(0).u32(0).u32(snapshot_length).u32(link) }
    }

    /// Adds a complete packet.
    pub(crate) fn packet(self, secs: u32, fraction: u32, data: &[u8]) -> Self {
        let length = data.len() as u32;
        self.record(secs, fraction, length, length, data)
    }

    /// Adds a record with any header.
    pub(crate) fn record(mut self, secs: u32, fraction: u32, captured: u32, wire_len: u32, data: &[u8]) -> Self {
        self.bytes = self.bytes.u32(secs).u32(fraction).u32(captured).u32(wire_len).raw(data);
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes = self.bytes.raw(bytes);
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.bytes.bytes
    }
}

/// A pcapng file.
#[derive(Clone)]
pub(crate) struct Pcapng {
    bytes: Bytes,
}

impl Pcapng {
    /// Starts with a section header.
    pub(crate) fn new(big: bool) -> Self {
        Self { bytes: Bytes::new(big) }.section(big)
    }

    pub(crate) fn section(mut self, big: bool) -> Self {
        self.bytes.big = big;
        let body = Bytes::new(big).u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX);
        self.block(0x0a0d_0d0a, &body.bytes)
    }

    /// Adds a block with its length before and after the body.
    pub(crate) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let length = 12 + body.len().next_multiple_of(4) as u32;
        self.bytes = self.bytes.u32(kind).u32(length).raw(body).pad().u32(length);
        self
    }

    /// Adds a block with any length fields.
    pub(crate) fn lying_block(mut self, kind: u32, leading: u32, body: &[u8], trailing: u32) -> Self {
        self.bytes = self.bytes.u32(kind).u32(leading).raw(body).u32(trailing);
        self
    }

    /// Adds an interface with options as (code, value).
    pub(crate) fn interface(self, link: u16, snapshot_length: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = Bytes::new(self.bytes.big).u16(link).u16(0).u32(snapshot_length);
        for (code, value) in options {
            body = body.u16(*code).u16(value.len() as u16).raw(value).pad();
        }
        if !options.is_empty() {
            body = body.u16(0).u16(0);
        }
        self.block(1, &body.bytes)
    }

    /// Adds an Ethernet interface with no snapshot length and microseconds.
    pub(crate) fn ethernet(self) -> Self {
        self.interface(1, 0, &[])
    }

    pub(crate) fn enhanced(self, interface: u32, ticks: u64, wire_len: u32, data: &[u8]) -> Self {
        let body = self.enhanced_body(interface, ticks, data.len() as u32, wire_len, data);
        self.block(6, &body)
    }

    pub(crate) fn enhanced_body(
        &self,
        interface: u32,
        ticks: u64,
        captured: u32,
        wire_len: u32,
        data: &[u8],
    ) -> Vec<u8> {
        let body = Bytes::new(self.bytes.big).u32(interface).u32((ticks >> 32) as u32).u32(ticks as u32);
        body.u32(captured).u32(wire_len).raw(data).bytes
    }

    /// Adds an obsolete packet block.
    pub(crate) fn obsolete(self, interface: u16, ticks: u64, wire_len: u32, data: &[u8]) -> Self {
        let body = Bytes::new(self.bytes.big).u16(interface).u16(7).u32((ticks >> 32) as u32).u32(ticks as u32);
        let body = body.u32(data.len() as u32).u32(wire_len).raw(data);
        self.block(2, &body.bytes)
    }

    pub(crate) fn simple(self, wire_len: u32, data: &[u8]) -> Self {
        let body = Bytes::new(self.bytes.big).u32(wire_len).raw(data);
        self.block(3, &body.bytes)
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes = self.bytes.raw(bytes);
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.bytes.bytes
    }
}

/// Returns one gzip member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Returns one Zstandard frame.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Returns a Zstandard frame of raw blocks (RFC 8878 section 3.1.1), window 1 MiB, no check sum.
pub(crate) fn zstd_raw_blocks(blocks: &[&[u8]]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3];
    for (at, block) in blocks.iter().enumerate() {
        let last = u32::from(at + 1 == blocks.len());
        frame.extend(&((block.len() as u32) << 3 | last).to_le_bytes()[..3]);
        frame.extend(*block);
    }
    frame
}
