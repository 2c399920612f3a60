//! IPv4, IPv6, extension headers, fragments, and lengths that lie.

use super::*;
use std::net::Ipv6Addr;

#[test]
fn options_and_extension_headers_are_taken_off() {
    let mut options = packet();
    options[0] = 0x46;
    options[3] += 4;
    options.splice(20..20, [1, 1, 1, 0]);
    check(101, &options);

    let segment = tcp();
    let chains: &[(u8, &[&[u8]])] = &[
        (0, &[&[6, 0, 1, 4, 0, 0, 0, 0]]),
        (60, &[&[6, 1], &[0; 14]]),
        (43, &[&[6, 0, 4, 0, 0, 0, 0, 0]]),
        (0, &[&[60, 0, 1, 4, 0, 0, 0, 0], &[43, 0, 1, 4, 0, 0, 0, 0], &[6, 0, 2, 0, 0, 0, 0, 0]]),
        // Authentication: 24 bytes, in 4-byte words minus 2.
        (51, &[&[6, 4], &[0; 22]]),
        // Mobility, HIP, Shim6.
        (135, &[&[139, 0, 0, 0, 0, 0, 0, 0], &[140, 0, 0, 0, 0, 0, 0, 0], &[6, 0, 0, 0, 0, 0, 0, 0]]),
        // A fragment header on a whole packet (RFC 6946).
        (44, &[&[6, 0, 0, 0, 0, 0, 0, 9]]),
        (44, &[&[60, 0, 0, 0, 0, 0, 0, 9], &[6, 0, 1, 4, 0, 0, 0, 0]]),
    ];
    for (next, headers) in chains {
        check(101, &ip6(*next, &cat(&[&headers.concat(), &segment])));
    }
    check(101, &ip4(51, &cat(&[&[6, 4], &[0; 22], &segment])));
}

#[test]
fn a_routing_header_that_is_not_used_up_gives_the_final_destination() {
    let (hop, last) = (Ipv6Addr::from([0xfd; 16]).octets(), Ipv6Addr::from([0xee; 16]).octets());
    // Segment routing lists the last segment first, type 0 the last address last.
    for (kind, left, addresses, dst) in [
        (4, 1, [last, hop], last),
        (0, 1, [hop, last], last),
        (2, 1, [last, hop], last),
        (4, 0, [last, hop], ip_of_packet6()),
        (253, 1, [last, hop], ip_of_packet6()),
    ] {
        let bytes = ip6(43, &cat(&[&[6, 4, kind, left, 0, 0, 0, 0], &addresses.concat(), &tcp()]));
        assert_eq!(segment_of(101, &bytes).dst.ip, IpAddr::V6(Ipv6Addr::from(dst)), "type {kind}");
    }
}

fn ip_of_packet6() -> [u8; 16] {
    "2001::2".parse::<Ipv6Addr>().unwrap().octets()
}

#[test]
fn a_length_of_zero_means_the_rest_of_the_frame() {
    let (mut v4, mut v6) = (packet(), packet6());
    v4[2..4].fill(0);
    v6[4..6].fill(0);
    for bytes in [v4, v6] {
        let segment = segment_of(101, &bytes);
        assert_eq!((segment.payload, segment.checksum), (PAYLOAD, Checksum::Unknown));
        let frame = Frame::new(1, Timestamp::ZERO, LinkType(101), &bytes).with_wire_len(100_000);
        let Decoded::Segment(cut) = decode(&frame) else { panic!("no segment") };
        assert_eq!(usize::try_from(cut.cut).unwrap(), 100_000 - bytes.len());
    }
}

#[test]
fn a_jumbogram_is_as_long_as_its_option_says() {
    let len = 70_000_u32;
    let options = cat(&[&[6, 0, 0xc2, 4], &len.to_be_bytes()]);
    let mut bytes = ip6(0, &cat(&[&options, &tcp()[..20]]));
    bytes[4..6].fill(0);
    bytes.resize(40 + 70_000 + 9, b'x');
    assert_eq!(segment_of(101, &bytes).payload.len(), 70_000 - 8 - 20);
    // Too short for a jumbo payload (RFC 2675 §3).
    bytes[44..48].copy_from_slice(&65_535_u32.to_be_bytes());
    assert_eq!(decode_bytes(101, &bytes), Decoded::Skipped(Skipped::Malformed(Layer::Ip)));
}

#[test]
fn a_length_of_more_than_was_on_the_wire_makes_no_hole() {
    let mut bytes = packet();
    bytes[2] = 0x73;
    let segment = segment_of(101, &bytes);
    assert_eq!((segment.payload, segment.cut, segment.checksum), (PAYLOAD, 0, Checksum::Unknown));
    // The capture's length on the wire bounds the claim.
    let frame = Frame::new(1, Timestamp::ZERO, LinkType(101), &bytes).with_wire_len(100);
    let Decoded::Segment(segment) = decode(&frame) else { panic!("no segment") };
    assert_eq!(usize::try_from(segment.cut).unwrap(), 100 - bytes.len());
}

#[test]
fn fragments_have_an_id_an_offset_and_more() {
    let mut bytes = ip4(6, &[7; 24]);
    (bytes[4], bytes[5]) = (0x12, 0x34);
    for (field, offset, more) in [(0x2000_u16, 0, true), (0x2003, 24, true), (0x0003, 24, false), (0xe001, 8, true)] {
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        let padded = cat(&[&bytes, &[0xee; 9]]);
        let Decoded::Fragment(fragment) = decode_bytes(101, &padded) else { panic!("no fragment") };
        assert_eq!((fragment.id, fragment.offset, fragment.more), (0x1234, offset, more));
        assert_eq!((fragment.protocol, fragment.bytes, fragment.cut), (6, &[7; 24][..], 0));
    }
    let v6 = ip6(0, &cat(&[&[44, 0, 1, 4, 0, 0, 0, 0], &[6, 0, 0, 0x19, 1, 2, 3, 4], &[7; 24]]));
    let Decoded::Fragment(fragment) = decode_bytes(101, &v6) else { panic!("no fragment") };
    assert_eq!((fragment.id, fragment.offset, fragment.more), (0x0102_0304, 24, true));
    let frame = Frame::new(1, Timestamp::ZERO, LinkType(101), &v6[..60]).with_wire_len(80);
    let Decoded::Fragment(fragment) = decode(&frame) else { panic!("no fragment") };
    assert_eq!((fragment.bytes.len(), fragment.cut), (4, 20));
}

#[test]
fn fragments_without_a_length_or_of_other_protocols_are_skipped() {
    let mut ping = ip4(1, &[7; 24]);
    ping[6] = 0x20;
    check_skipped(101, &ping, Skipped::NotTcp);
    let mut long = ip4(6, &[7; 24]);
    long[6] = 0x20;
    long[3] += 8;
    check_skipped(101, &long, Skipped::Malformed(Layer::Ip));
}

#[test]
fn a_reassembled_datagram_is_decoded_and_holds_no_fragment_of_its_own() {
    let v6 = IpAddr::V6("2001::1".parse().unwrap());
    let facts = DatagramFacts { src: v6, dst: v6, protocol: 60, ttl: 9, depth: 0, cut: 5 };
    let bytes = cat(&[&[6, 0, 1, 4, 0, 0, 0, 0], &tcp()]);
    let Decoded::Segment(segment) = decode_datagram(&facts, &bytes) else { panic!("no segment") };
    assert_eq!((segment.payload, segment.cut, segment.ttl), (PAYLOAD, 5, 9));
    let again = cat(&[&[44, 0, 1, 4, 0, 0, 0, 0], &[6, 0, 0, 0, 0, 0, 0, 9], &tcp()]);
    assert_eq!(decode_datagram(&facts, &again), Decoded::Skipped(Skipped::Malformed(Layer::Ip)));
    // A tunnel in it may carry one.
    let mut inner = packet();
    inner[6] = 0x20;
    let facts = DatagramFacts { protocol: 4, cut: 0, ..facts };
    assert!(matches!(decode_datagram(&facts, &inner), Decoded::Fragment(Fragment { depth: 1, .. })));
}

#[test]
fn broken_headers_are_malformed() {
    let mut short_header = packet();
    short_header[0] = 0x44;
    check_skipped(101, &short_header, Skipped::Malformed(Layer::Ip));
    let mut short_total = packet();
    short_total[3] = 19;
    check_skipped(101, &short_total, Skipped::Malformed(Layer::Ip));
    check_skipped(101, &ip6(60, &[6, 9, 0, 0]), Skipped::Malformed(Layer::Ip));
    check_skipped(101, &ip6(60, &[60, 0, 1, 4, 0, 0, 0, 0].repeat(30)), Skipped::TooDeep);
    // ESP, nothing, and an IPv6-only header in IPv4.
    for packet in [ip6(50, &tcp()), ip6(59, &tcp()), ip4(50, &tcp()), ip4(60, &[6, 0, 1, 4, 0, 0, 0, 0])] {
        check_skipped(101, &packet, Skipped::NotTcp);
    }
}
