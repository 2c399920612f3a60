//! Tunnels: opened when their header is right, left alone when it is ordinary UDP on a well-known
//! port.

use super::*;

#[test]
fn every_tunnel_ends_at_the_same_segment() {
    let (v4, v6) = (packet(), packet6());
    let frame = ether(0x0800, &v4);
    let gre: &[(&[&[u8]], &str)] = &[
        (&[&[0, 0, 8, 0], &v4], "plain"),
        (&[&[0, 0, 0x86, 0xdd], &v6], "IPv6"),
        (&[&[0xb0, 0, 8, 0], &[0; 12], &v4], "checksum, key and sequence number"),
        (&[&[0x20, 0, 0x65, 0x58], &[0; 4], &frame], "NVGRE"),
        (&[&[0, 0, 0x88, 0x47], &[0, 1, 1, 64], &v4], "MPLS"),
        (&[&[0, 0, 0x88, 0xbe], &frame], "ERSPAN I"),
        (&[&[0x10, 0, 0x88, 0xbe], &[0; 4], &[0x10, 0, 0, 0, 0, 0, 0, 0], &frame], "ERSPAN II"),
        (&[&[0x10, 0, 0x22, 0xeb], &[0; 4], &[0x20], &[0; 11], &frame], "ERSPAN III"),
        (&[&[0x10, 0, 0x22, 0xeb], &[0; 4], &[0x20], &[0; 10], &[1], &[0; 8], &frame], "ERSPAN III, subheader"),
        (&[&[0x10, 0, 0x22, 0xeb], &[0; 4], &[0x20], &[0; 9], &[0x08, 0], &v4], "ERSPAN III, IP"),
        (&[&[0x30, 0x81, 0x88, 0x0b, 0, 60, 0, 1], &[0; 8], &[0xff, 3, 0, 0x21], &v4], "PPTP"),
        (&[&[0x30, 0x01, 0x88, 0x0b, 0, 57, 0, 1], &[0; 4], &[0x21], &v4], "PPTP, no acknowledgement"),
        (&[&[0, 0, 0x88, 0x3e], &v4], "WCCP v1"),
        (&[&[0, 0, 0x88, 0x3e], &[0; 4], &v4], "WCCP v2"),
        (&[&[0, 0, 0x82, 0], &[8, 1], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4], "Aruba"),
    ];
    for (parts, _name) in gre {
        check(101, &ip4(47, &cat(parts)));
        check(ETHERNET, &ether(0x86dd, &ip6(47, &cat(parts))));
    }
    check(101, &ip4(4, &v4));
    check(101, &ip4(41, &v6));
    check(101, &ip6(4, &v4));
    check(101, &ip6(41, &v6));
    check(101, &ip4(97, &cat(&[&[0x30, 0], &frame])));
    check(101, &ip4(137, &cat(&[&[0, 1, 1, 64], &v4])));
    for cookie_and_sublayer in [0, 4, 8, 12] {
        check(101, &ip4(115, &cat(&[&[0, 0, 0, 7], &vec![0xa5; cookie_and_sublayer], &frame])));
    }
}

#[test]
fn every_udp_tunnel_ends_at_the_same_segment() {
    let (v4, v6) = (packet(), packet6());
    let frame = ether(0x0800, &v4);
    let tunnels: &[(u16, u16, &[&[u8]])] = &[
        (55_555, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0], &frame]),
        // Group policy, and reserved bits that are not zero.
        (55_555, 4789, &[&[0x88, 0, 0, 9, 0, 0, 7, 0], &frame]),
        (55_555, 4789, &[&[0x0c, 1, 2, 3, 0, 0, 7, 9], &frame]),
        (55_555, 8472, &[&[8, 0, 0, 0, 0, 0, 7, 0], &frame]),
        (55_555, 4790, &[&[8, 0, 0, 0, 0, 0, 7, 0], &frame]),
        (55_555, 4790, &[&[0x0c, 0, 0, 1, 0, 0, 7, 0], &v4]),
        (55_555, 4790, &[&[0x0c, 0, 0, 2, 0, 0, 7, 0], &v6]),
        (55_555, 4790, &[&[0x0c, 0, 0, 3, 0, 0, 7, 0], &frame]),
        (55_555, 4790, &[&[0x0c, 0, 0, 4, 0, 0, 7, 0], &[0, 2, 1, 1, 0, 0, 0, 1], &v4]),
        (55_555, 6081, &[&[0, 0, 0x65, 0x58, 0, 0, 7, 0], &frame]),
        (55_555, 6081, &[&[2, 0x40, 8, 0, 0, 0, 7, 0], &[0; 8], &v4]),
        (55_555, 4754, &[&[0, 0, 8, 0], &v4]),
        (55_555, 6635, &[&[0, 1, 0, 64, 0, 2, 1, 64], &v4]),
        // GTP-U: bare, with a sequence number, with two extension headers; either port.
        (2152, 2152, &[&[0x30, 255, 0, 56, 0, 0, 0, 1], &v4]),
        (2152, 9999, &[&[0x32, 255, 0, 60, 0, 0, 0, 1, 0, 5, 0, 0], &v4]),
        (9999, 2152, &[&[0x34, 255, 0, 88, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0x85, 1, 0, 9, 0], &v6]),
        // L2TP: bare, and with length, sequence numbers and offset.
        (1701, 1701, &[&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &v4]),
        (9999, 1701, &[&[0x4a, 2, 0, 76, 0, 1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0xff, 3, 0, 0x21], &v4]),
        (1701, 9999, &[&[0, 3, 0, 0, 0, 0, 0, 7], &frame]),
        // Teredo: bare, with an origin, with authentication and origin.
        (3544, 9999, &[&v6]),
        (9999, 3544, &[&[0, 0, 1, 2, 3, 4, 5, 6], &v6]),
        (3544, 9999, &[&[0, 1, 2, 3], &[0; 14], &[0, 0, 1, 2, 3, 4, 5, 6], &v6]),
        (9999, 5072, &[&[0x41, 0x52, 0x11, 41], &[0; 4], &[7; 16], &[8; 20], &v6]),
    ];
    for (src, dst, parts) in tunnels {
        check(101, &ip4(17, &udp(*src, *dst, &cat(parts))));
        check(ETHERNET, &ether(0x86dd, &ip6(17, &udp(*src, *dst, &cat(parts)))));
    }
}

#[test]
fn ordinary_udp_on_a_tunnels_port_is_a_datagram() {
    let (v4, v6) = (packet(), packet6());
    let frame = ether(0x0800, &v4);
    let payloads: &[(u16, &[&[u8]])] = &[
        (53, &[&v4]),
        (4789, &[&[0, 0, 0, 0, 0, 0, 7, 0], &frame]),
        (4789, &[&[8, 0, 0, 0, 0, 0, 7, 0], &v4]),
        (8472, &[&[8, 0, 0, 1, 0, 0, 7, 0], &frame]),
        (8472, &[&[8, 0, 0, 0, 0, 0, 7, 1], &frame]),
        (4790, &[&[0x0c, 0, 0, 9, 0, 0, 7, 0], &frame]),
        (4790, &[&[0x0d, 0, 0, 1, 0, 0, 7, 0], &v4]),
        (6081, &[&[0x40, 0, 0x65, 0x58, 0, 0, 7, 0], &frame]),
        (6081, &[&[0, 0x80, 0x65, 0x58, 0, 0, 7, 0], &frame]),
        (6081, &[&[0, 0, 0x12, 0x34, 0, 0, 7, 0], &frame]),
        (4754, &[&[0x80, 0, 0x88, 0x0b], &v4]),
        (6635, &[&[0, 1, 1, 64, 0x12], &v4]),
        // GTP': protocol type 0; an echo request; a length that is not that of the datagram;
        // something not IP.
        (2152, &[&[0x20, 255, 0, 56, 0, 0, 0, 1], &v4]),
        (2152, &[&[0x30, 1, 0, 56, 0, 0, 0, 1], &v4]),
        (2152, &[&[0x30, 255, 0, 55, 0, 0, 0, 1], &v4]),
        (2152, &[&[0x30, 255, 0, 4, 0, 0, 0, 1], &[1, 2, 3, 4]]),
        // L2TP control, version 1, and version 3 without a session.
        (1701, &[&[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0]]),
        (1701, &[&[0, 1, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &v4]),
        (1701, &[&[0, 3, 0, 0, 0, 0, 0, 0], &frame]),
        (3544, &[&v4]),
        (3544, &[&ip6(6, &tcp())[..39]]),
        (5072, &[&[0x41, 0x52, 0x10, 41], &[0; 4], &[7; 16], &[8; 20], &v6]),
    ];
    for (dst, parts) in payloads {
        let payload = cat(parts);
        let bytes = ip4(17, &udp(9999, *dst, &payload));
        let Decoded::Datagram(datagram) = decode_bytes(101, &bytes) else { panic!("no datagram to port {dst}") };
        assert_eq!((datagram.dst.port, datagram.payload), (*dst, &payload[..]));
        for len in 0..bytes.len() {
            let decoded = decode_bytes(101, &bytes[..len]);
            assert!(matches!(decoded, Decoded::Datagram(_) | Decoded::Skipped(_)), "cut at {len}: {decoded:?}");
        }
    }
}

#[test]
fn wrong_headers_of_ip_tunnels_are_malformed() {
    let v4 = packet();
    for (protocol, head) in [
        (47, &[0x40, 0, 8, 0][..]),
        (47, &[0, 2, 8, 0]),
        (47, &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0]),
        (97, &[0x40, 0]),
    ] {
        check_skipped(101, &ip4(protocol, &cat(&[head, &v4])), Skipped::Malformed(Layer::Tunnel));
    }
    check_skipped(101, &ip4(115, &cat(&[&[0, 0, 0, 0], &v4])), Skipped::NotTcp);
}

#[test]
fn four_tunnels_are_opened_and_a_fifth_is_not() {
    let mut bytes = packet();
    for depth in 1..=6 {
        bytes = ip4(4, &bytes);
        if depth <= 4 {
            check(101, &bytes);
        } else {
            check_skipped(101, &bytes, Skipped::TooDeep);
        }
    }
    let vxlan = |frame: &[u8]| ip4(17, &udp(9, 4789, &cat(&[&[8, 0, 0, 0, 0, 0, 7, 0], frame])));
    let inner = ip6(47, &cat(&[&[0, 0, 8, 0], &vxlan(&ether(0x0800, &packet()))]));
    let mixed = ip6(47, &cat(&[&[0, 0, 8, 0], &vxlan(&ether(0x86dd, &inner))]));
    check(101, &mixed);
}
