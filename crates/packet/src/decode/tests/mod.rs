//! Decoding, from frames built byte by byte here and not by any code under test.
//!
//! Every case runs whole, cut at every length and with bytes after it: see [`check`]. Next: one
//! file a layer.

mod ip;
mod link;
mod peek;
mod random;
mod tcp;
mod tunnel;
mod udp;
mod wifi;

use std::net::IpAddr;

use super::*;
use crate::frame::LinkType;
use crate::segment::{Checksum, TcpOptions};
use crate::seq::SeqNumber;
use crate::time::Timestamp;

const PAYLOAD: &[u8] = b"GET / HTTP/1.1\r\n";
const ETHERNET: u16 = 1;

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A TCP segment from port 40000 to 80, without options.
fn tcp() -> Vec<u8> {
    cat(&[&[0x9c, 0x40, 0, 80, 0, 0, 3, 0xe8, 0, 0, 0, 7, 0x50, 0x18, 2, 0, 0, 0, 0, 0], PAYLOAD])
}

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2.
fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 20).unwrap().to_be_bytes();
    let head = [0x45, 0, len[0], len[1], 0, 9, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    cat(&[&head, payload])
}

/// An IPv6 packet from 2001:0:…:1 to 2001:0:…:2, which are Teredo addresses.
fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut address = [0; 16];
    address[..2].copy_from_slice(&[0x20, 0x01]);
    let (mut src, mut dst) = (address, address);
    src[15] = 1;
    dst[15] = 2;
    cat(&[&[0x60, 0, 0, 0, len[0], len[1], next, 64], &src, &dst, payload])
}

fn ether(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&[0x00, 0x1b, 1, 2, 3, 4, 0x02, 5, 4, 3, 2, 1], &ethertype.to_be_bytes(), payload])
}

fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 8).unwrap().to_be_bytes();
    cat(&[&src.to_be_bytes(), &dst.to_be_bytes(), &len, &[0, 0], payload])
}

/// The packet inside every encapsulation under test.
fn packet() -> Vec<u8> {
    ip4(6, &tcp())
}

/// The same packet over IPv6.
fn packet6() -> Vec<u8> {
    ip6(6, &tcp())
}

fn decode_bytes(link: u16, bytes: &[u8]) -> Decoded<'_> {
    decode(&Frame::new(1, Timestamp::ZERO, LinkType(link), bytes))
}

fn segment_of(link: u16, bytes: &[u8]) -> Segment<'_> {
    match decode_bytes(link, bytes) {
        Decoded::Segment(segment) => segment,
        other => panic!("link type {link}: {other:?} in {bytes:02x?}"),
    }
}

/// Asserts that the frame holds the segment of [`tcp`], between the addresses of [`ip4`] or
/// [`ip6`]: whole, cut anywhere, and with a trailer.
#[track_caller]
fn check(link: u16, bytes: &[u8]) {
    let whole = segment_of(link, bytes);
    assert_eq!(whole.payload, PAYLOAD);
    assert_eq!((whole.src.port, whole.dst.port, whole.seq, whole.ack), (40_000, 80, SeqNumber(1_000), SeqNumber(7)));
    let ends = [whole.src.ip, whole.dst.ip].map(|ip| ip.to_string());
    assert!(ends == ["10.0.0.1", "10.0.0.2"] || ends == ["2001::1", "2001::2"], "{ends:?}");
    assert_eq!((whole.ttl, whole.cut), (64, 0));

    for trailer in [1, 4, 46, 1_500] {
        let longer = cat(&[bytes, &vec![0xee; trailer]]);
        assert_eq!(segment_of(link, &longer), whole, "with {trailer} bytes after it");
    }
    let wire_len = u32::try_from(bytes.len()).unwrap();
    for len in 0..bytes.len() {
        let frame = Frame::new(1, Timestamp::ZERO, LinkType(link), &bytes[..len]).with_wire_len(wire_len);
        match decode(&frame) {
            Decoded::Segment(cut) => {
                assert_eq!((cut.src, cut.dst, cut.seq, cut.flags), (whole.src, whole.dst, whole.seq, whole.flags));
                assert!(PAYLOAD.starts_with(cut.payload), "cut at {len}");
                assert_eq!(cut.payload.len() + usize::try_from(cut.cut).unwrap(), PAYLOAD.len(), "cut at {len}");
            }
            Decoded::Fragment(fragment) => panic!("cut at {len}: {fragment:?}"),
            // A tunnel's header over UDP that is cut cannot be recognised.
            Decoded::Datagram(_) | Decoded::Skipped(_) => {}
        }
        let unknown = Frame::new(1, Timestamp::ZERO, LinkType(link), &bytes[..len]);
        if let Decoded::Segment(short) = decode(&unknown) {
            assert!(PAYLOAD.starts_with(short.payload), "short at {len}");
            assert_eq!(short.cut, 0, "a claim of more than was on the wire makes no hole");
        }
    }
}

/// Asserts that the frame is skipped for this reason, and that it is skipped when cut.
#[track_caller]
fn check_skipped(link: u16, bytes: &[u8], reason: Skipped) {
    assert_eq!(decode_bytes(link, bytes), Decoded::Skipped(reason));
    for len in 0..bytes.len() {
        let decoded = decode_bytes(link, &bytes[..len]);
        assert!(matches!(decoded, Decoded::Skipped(_)), "cut at {len}: {decoded:?}");
    }
}
