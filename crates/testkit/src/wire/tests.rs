//! The frame builder against bytes made by hand; tshark has read whole captures back.

use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::key::Endpoint;
use sniffer_packet::segment::Flags;

use sniffer_packet::frame::LinkType;

use super::*;

fn segment() -> Tcp {
    let end = |n, port| Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)), port);
    let mut tcp = Tcp::new(end(1, 40_000), end(2, 80), 1, 2, Flags::ACK.with(Flags::PSH));
    tcp.payload = b"abc".to_vec();
    tcp
}

#[test]
fn a_receiver_finds_both_checksums_right() {
    let packet = segment().packet(64).unwrap();
    assert_eq!(sum(0, &packet.bytes[..20]), 0xffff, "IPv4 header");
    let tcp = &packet.bytes[20..];
    let pseudo = ip::pseudo_header_sum(segment().src.ip, segment().dst.ip, 6, tcp.len());
    assert_eq!(sum(pseudo, tcp), 0xffff, "TCP");
    assert_eq!(packet.bytes[2..4], [0, 43], "total length: 20 + 20 + 3");
}

#[test]
fn the_checksum_of_rfc_1071_is_found() {
    // RFC 1071 §3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
    assert_eq!(sum(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    assert_eq!(sum(0, &[0xab]), 0xab00);
}

#[test]
fn fragments_have_their_offsets() {
    let bytes = segment().bytes().unwrap();
    let ip = Ip { id: 7, ..Ip::new(segment().src.ip, segment().dst.ip, 6, 64) };
    let parts = ip.fragments(&bytes, 16).unwrap();
    let fields: Vec<u16> = parts.iter().map(|p| u16::from_be_bytes([p.bytes[6], p.bytes[7]])).collect();
    assert_eq!(fields, [0x2000, 2]);
    assert_eq!([&parts[0].bytes[20..], &parts[1].bytes[20..]].concat(), bytes);
}

#[test]
fn every_wrap_is_written_as_it_is_parsed() {
    for text in
        "vlan:5 vlan:5/6 qinq:7 mpls:16 pppoe gre erspan vxlan:100/200 geneve:1 ipip 6in4 4in6 gtpu:9 l2tp teredo"
            .split(' ')
    {
        assert_eq!(text.parse::<Wrap>().unwrap().to_string(), text);
    }
    for text in ["", "vlan", "vlan:", "vlan:4096", "vlan:5/", "gre:1", "mpls:1048576", "tcp"] {
        assert!(text.parse::<Wrap>().is_err(), "{text:?}");
    }
}

#[test]
fn a_packet_that_cannot_be_carried_is_an_error() {
    let packet = segment().packet(64).unwrap();
    let error = Wrap::Teredo.around(&packet, Way::ToServer).unwrap_err();
    assert_eq!(error.to_string(), "teredo cannot carry a packet of EtherType 0x0800");
    let tagged = Wrap::Vlan(1, 1).around(&packet, Way::ToServer).unwrap();
    assert!(frame_bytes(LinkType::RAW, &tagged, Way::ToServer).is_err());
    let mut long = segment();
    long.payload = vec![0; 70_000];
    assert!(matches!(long.packet(64), Err(WireError::TooLong { len: 70_040, .. })));
    long.payload = Vec::new();
    long.options = vec![1; 41];
    assert!(matches!(long.bytes(), Err(WireError::TooLong { len: 44, max: 40, .. })));
}

#[test]
fn each_link_header_has_its_length() {
    let packet = segment().packet(64).unwrap();
    for (name, header) in
        [("ethernet", 14), ("sll", 16), ("sll2", 20), ("raw", 0), ("raw12", 0), ("null", 4), ("loop", 4), ("ipv4", 0)]
    {
        let link = link_named(name).unwrap();
        let bytes = frame_bytes(link, &packet, Way::ToClient).unwrap();
        assert_eq!(bytes.len(), header + packet.bytes.len(), "{name}");
        assert_eq!(link_name(link), Some(name));
    }
}
