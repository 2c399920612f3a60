//! The floor: the cost of any program that reads a capture, parses its heads and writes its
//! messages as JSON.
//!
//! It parses Ethernet, IPv4 and TCP by hand, has a flow table that only counts, and takes only the
//! part of a body that is in the first segment. It is wrong about anything that is lost, reordered,
//! split or tunnelled: it is a measure, not a tool. `floor FILE [flow | read]`: with `flow` it
//! stops before the JSON, with `read` it only reads.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use hashbrown::HashMap;

const READ: usize = 256 << 10;
const ROOM: usize = 64 << 10;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = || io::Error::other("usage: floor FILE [flow | read]");
    let path = arguments.next().ok_or_else(usage)?;
    let json = match arguments.next().as_deref() {
        None => true,
        Some("flow") => false,
        Some("read") => return read(&path),
        Some(_) => return Err(usage()),
    };
    let mut floor = Floor { flows: HashMap::new(), out: Vec::with_capacity(2 * READ), json, messages: 0 };
    walk(&path, &mut |packet| floor.packet(packet))?;
    floor.flush()?;
    eprintln!("{} messages", floor.messages);
    Ok(())
}

/// The cost of the operating system, which copies the capture from its memory into ours.
fn read(path: &str) -> io::Result<()> {
    let (mut file, mut bytes) = (File::open(path)?, vec![0; READ]);
    while file.read(&mut bytes)? > 0 {}
    Ok(())
}

/// Calls a function with every packet of a little-endian capture.
fn walk(path: &str, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    file.rewind()?;
    match magic {
        [10, 13, 13, 10] => walk_by(file, 0, block, each),
        _ => walk_by(file, 24, record, each),
    }
}

/// Generic over the format, so that each format has its own loop.
fn walk_by(
    mut file: File,
    mut start: usize,
    first: impl Fn(&[u8]) -> Option<(usize, &[u8])>,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (mut bytes, mut end) = (vec![0; READ + ROOM], 0);
    loop {
        if start <= end {
            bytes.copy_within(start..end, 0);
            end -= start;
            start = 0;
        }
        let room = bytes.len().min(end + READ);
        let read = file.read(&mut bytes[end..room])?;
        if read == 0 {
            return Ok(());
        }
        end += read;
        while let Some((length, packet)) = bytes[..end].get(start..).and_then(&first) {
            each(packet)?;
            start += length;
        }
    }
}

/// Returns the first record of a pcap: its length and its packet.
fn record(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let header = bytes.first_chunk::<16>()?;
    let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
    Some((16 + length, bytes.get(16..16 + length)?))
}

/// Returns the first block of a pcapng: its length and its packet, which is empty if it is not an
/// enhanced packet block.
fn block(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    // Never less than the smallest block: a length of 0 would never end.
    let length = word(4)?.max(12);
    let whole = bytes.get(..length)?;
    let packet = if word(0)? == 6 { whole.get(28..28 + word(20)?) } else { None };
    Some((length, packet.unwrap_or_default()))
}

/// Both endpoints as they stand in an IPv4 packet: addresses, then ports.
type Key = [u8; 12];

struct Floor {
    /// Next sequence number of each direction.
    flows: HashMap<Key, u32>,
    out: Vec<u8>,
    json: bool,
    messages: u64,
}

impl Floor {
    fn packet(&mut self, packet: &[u8]) -> io::Result<()> {
        let Some((key, seq, flags, payload)) = segment(packet) else { return Ok(()) };
        if flags & 2 != 0 {
            self.flows.insert(key, seq.wrapping_add(1));
        } else if payload.is_empty() {
            if flags & 5 != 0 {
                self.flows.remove(&key);
            }
        } else {
            let next = self.flows.entry(key).or_insert(seq);
            if *next == seq {
                *next = seq.wrapping_add(payload.len() as u32);
            }
            self.head(&key, payload);
            if self.out.len() >= READ {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn head(&mut self, key: &Key, payload: &[u8]) {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let (head, before) = match payload.get(..4) {
            Some(b"HTTP") => {
                let mut response = httparse::Response::new(&mut headers);
                match response.parse(payload) {
                    Ok(httparse::Status::Complete(head)) => (head, [b"".as_slice(), b""]),
                    _ => return,
                }
            }
            Some(b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"PATC" | b"OPTI") => {
                let mut request = httparse::Request::new(&mut headers);
                match request.parse(payload) {
                    Ok(httparse::Status::Complete(head)) => {
                        (head, [request.method, request.path].map(|text| text.unwrap_or_default().as_bytes()))
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        self.messages += 1;
        if self.json {
            self.write(key, before, &headers, &payload[head..]);
        }
    }

    fn write(&mut self, key: &Key, start: [&[u8]; 2], headers: &[httparse::Header<'_>], body: &[u8]) {
        let out = &mut self.out;
        out.extend_from_slice(b"{\"timestamp\":\"2026-02-21T12:00:00.123456Z\",\"addresses\":\"");
        for byte in key {
            // Three digits, padded: cheaper than a correct version.
            out.extend_from_slice(&[b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10, b'.']);
        }
        out.extend_from_slice(b"\",\"start\":");
        for part in start {
            string(part, out);
            out.push(b',');
        }
        out.extend_from_slice(b"\"headers\":{");
        for header in headers.iter().take_while(|header| !header.name.is_empty()) {
            string(header.name.as_bytes(), out);
            out.push(b':');
            string(header.value, out);
            out.push(b',');
        }
        out.extend_from_slice(b"},\"body\":");
        string(body, out);
        out.extend_from_slice(b"}\n");
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => json_escape_simd::escape_into(text, out),
        Err(_) => out.extend_from_slice(b"\"\""),
    }
}

/// Returns endpoints, sequence number, flags and payload of TCP over IPv4 over Ethernet.
fn segment(packet: &[u8]) -> Option<(Key, u32, u8, &[u8])> {
    let ip = packet.get(14..)?;
    let fixed = ip.first_chunk::<20>()?;
    if packet[12..14] != [8, 0] || fixed[0] >> 4 != 4 || fixed[9] != 6 || fixed[6] & 0x3f != 0 || fixed[7] != 0 {
        return None;
    }
    let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let tcp = ip.get(usize::from(fixed[0] & 15) * 4..total.min(ip.len()))?;
    let head = tcp.first_chunk::<20>()?;
    let payload = tcp.get(usize::from(head[12] >> 4) * 4..)?;
    let mut key = [0; 12];
    key[..8].copy_from_slice(&fixed[12..]);
    key[8..].copy_from_slice(&head[..4]);
    Some((key, u32::from_be_bytes([head[4], head[5], head[6], head[7]]), head[13], payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn a_record_is_whole_or_none() {
        // draft-ietf-opsawg-pcap §5: seconds, microseconds, captured length, length.
        let bytes = [words(&[1, 2, 3, 1_000]), b"abc".to_vec(), words(&[4])].concat();
        assert_eq!(record(&bytes), Some((19, &b"abc"[..])));
        assert_eq!(record(&bytes[..19]), Some((19, &b"abc"[..])));
        assert_eq!(record(&bytes[..18]), None);
        assert_eq!(record(&bytes[..15]), None);
    }

    #[test]
    fn a_block_is_whole_or_none_and_only_an_enhanced_packet_has_a_packet() {
        // draft-ietf-opsawg-pcapng §4.3: type, length, interface, time in two halves, captured
        // length, length, packet, length.
        let packet = [words(&[6, 36, 0, 0, 1, 3, 3]), b"abc\0".to_vec(), words(&[36])].concat();
        assert_eq!(block(&packet), Some((36, &b"abc"[..])));
        assert_eq!(block(&packet[..35]), None);
        assert_eq!(block(&packet[..7]), None);
        let statistics = words(&[5, 24, 0, 0, 0, 24]);
        assert_eq!(block(&statistics), Some((24, &b""[..])));
    }

    #[test]
    fn every_block_is_a_step_ahead() {
        for block_length in [0, 1, 12, u32::MAX] {
            let mut bytes = words(&[6, block_length, 0, 0, 0, u32::MAX, 0, 0]);
            while let Some((length, _)) = block(&bytes) {
                assert!(length >= 12);
                bytes.drain(..length);
            }
        }
    }
}
