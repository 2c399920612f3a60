//! UDP that is no tunnel: endpoints, payload, and lengths that lie.

use super::*;
use crate::datagram::Datagram;

const QUERY: &[u8] = b"a query";

fn datagram_of(frame: Frame<'_>) -> Datagram<'_> {
    match decode(&frame) {
        Decoded::Datagram(datagram) => datagram,
        other => panic!("{other:?} in {:02x?}", frame.bytes),
    }
}

fn raw(bytes: &[u8]) -> Frame<'_> {
    Frame::new(1, Timestamp::ZERO, LinkType::RAW, bytes)
}

fn query() -> Vec<u8> {
    udp(40_000, 53, QUERY)
}

/// Fragment header of a whole packet (RFC 6946), then UDP.
fn atomic() -> Vec<u8> {
    ip6(44, &cat(&[&[17, 0, 0, 0, 0, 0, 0, 9], &query()]))
}

#[test]
fn a_datagram_has_its_endpoints_payload_and_ttl() {
    for (packet, src, dst) in [
        (ip4(17, &query()), "10.0.0.1:40000", "10.0.0.2:53"),
        (ip6(17, &query()), "[2001::1]:40000", "[2001::2]:53"),
        (ip6(60, &cat(&[&[17, 0, 1, 4, 0, 0, 0, 0], &query()])), "[2001::1]:40000", "[2001::2]:53"),
        (atomic(), "[2001::1]:40000", "[2001::2]:53"),
    ] {
        let padded = cat(&[&packet, &[0xee; 9]]);
        for bytes in [&packet, &padded] {
            let datagram = datagram_of(raw(bytes));
            assert_eq!((&*datagram.src.to_string(), &*datagram.dst.to_string()), (src, dst));
            assert_eq!((datagram.payload, datagram.cut, datagram.ttl), (QUERY, 0, 64));
        }
    }
}

#[test]
fn bytes_cut_by_the_snapshot_length_are_counted() {
    for whole in [ip4(17, &query()), ip6(17, &query())] {
        let headers = whole.len() - QUERY.len();
        let wire_len = u32::try_from(whole.len()).unwrap();
        for len in 0..whole.len() {
            let frame = raw(&whole[..len]).with_wire_len(wire_len);
            if len < headers {
                assert_eq!(decode(&frame), Decoded::Skipped(Skipped::Malformed(Layer::Ip)), "cut at {len}");
                continue;
            }
            let datagram = datagram_of(frame);
            assert_eq!(datagram.payload, &QUERY[..len - headers], "cut at {len}");
            assert_eq!(usize::try_from(datagram.cut).unwrap(), whole.len() - len, "cut at {len}");
        }
    }
}

#[test]
fn the_length_field_shortens_a_datagram_and_never_lengthens_it() {
    // The field, the payload that remains, and what is cut of it when the frame was longer on the
    // wire.
    for (field, payload, cut) in [
        (15, QUERY, 0),
        (12, &QUERY[..4], 0),
        (8, &[][..], 0),
        // Offload: the rest of the packet.
        (0, QUERY, 0),
        (16, QUERY, 0),
        (u16::MAX, QUERY, 0),
    ] {
        let mut bytes = ip4(17, &query());
        bytes[24..26].copy_from_slice(&field.to_be_bytes());
        let datagram = datagram_of(raw(&bytes));
        assert_eq!((datagram.payload, datagram.cut), (payload, cut), "length {field}");
    }
    for field in 1..8_u16 {
        let mut bytes = ip4(17, &query());
        bytes[24..26].copy_from_slice(&field.to_be_bytes());
        check_skipped(101, &bytes, Skipped::NotTcp);
    }
}

#[test]
fn a_length_within_a_cut_packet_bounds_the_missing_bytes() {
    let mut bytes = ip4(17, &cat(&[&query(), &[0; 100]]));
    bytes[24..26].copy_from_slice(&20_u16.to_be_bytes());
    let wire_len = u32::try_from(bytes.len()).unwrap();
    let datagram = datagram_of(raw(&bytes[..28 + 7]).with_wire_len(wire_len));
    assert_eq!((datagram.payload, datagram.cut), (QUERY, 5));
}

#[test]
fn a_datagram_in_a_tunnel_is_decoded() {
    let (v4, v6) = (ip4(17, &query()), ip6(17, &query()));
    let frame = ether(0x0800, &v4);
    for packet in [
        ip4(4, &v4),
        ip4(41, &v6),
        ip6(47, &cat(&[&[0, 0, 8, 0], &v4])),
        ip4(17, &udp(9, 4789, &cat(&[&[8, 0, 0, 0, 0, 0, 7, 0], &frame]))),
        ip4(17, &udp(2152, 2152, &cat(&[&[0x30, 255, 0, 35, 0, 0, 0, 1], &v4]))),
    ] {
        let datagram = datagram_of(raw(&packet));
        assert_eq!((datagram.dst.port, datagram.payload), (53, QUERY));
    }
}

#[test]
fn a_reassembled_datagram_may_be_udp() {
    let v4 = IpAddr::from([10, 0, 0, 1]);
    let facts = DatagramFacts { src: v4, dst: v4, protocol: 17, ttl: 9, depth: 0, cut: 3 };
    let bytes = query();
    let cut = &bytes[..bytes.len() - 3];
    let Decoded::Datagram(datagram) = decode_datagram(&facts, cut) else { panic!("no datagram") };
    assert_eq!((datagram.payload, datagram.cut, datagram.ttl), (&QUERY[..4], 3, 9));
}
