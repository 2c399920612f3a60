//! Pcap files that are read.

use sniffer_packet::time::Precision;

use crate::bytes::{Bytes, Pcap};
use crate::check::{Seen, read_well};

#[test]
fn both_byte_orders_and_all_magics_give_the_same_frame() {
    for (magic, modified, nanos, precision) in [
        (0xa1b2_c3d4, false, 1_000_000_002_000, Precision::Micros),
        (0xa1b2_3c4d, false, 1_000_000_000_002, Precision::Nanos),
        (0xa1b2_cd34, true, 1_000_000_002_000, Precision::Micros),
    ] {
        for big in [false, true] {
            let mut file = Pcap::with(big, magic, 4, 65_535, 113);
            for data in [&b"first"[..], b"second"] {
                // The modified record header has interface, protocol, packet type and a filler
                // after the usual fields.
                let behind = Bytes::new(big).u32(3).u16(0x0800).raw(&[4, 0]).bytes;
                let behind = if modified { behind } else { Vec::new() };
                file = file.record(1_000, 2, data.len() as u32, 60, &[&behind, data].concat());
            }
            let link = 113;
            assert_eq!(
                read_well(&file.done()),
                [
                    Seen { number: 1, nanos, precision, link, wire_len: 60, bytes: b"first".to_vec() },
                    Seen { number: 2, nanos, precision, link, wire_len: 60, bytes: b"second".to_vec() },
                ],
                "magic {magic:#x}, big-endian {big}"
            );
        }
    }
}

#[test]
fn what_wireshark_reads_is_read() {
    let long = vec![b'x'; 200_000];
    for (claim, file, nanos, wire_len, length) in [
        ("header and packet of no bytes", Pcap::new().packet(1, 0, b""), 1_000_000_000, 0, 0),
        ("cut by the snapshot length", Pcap::new().record(1, 0, 4, 1500, b"abcd"), 1_000_000_000, 1500, 4),
        ("more captured than on the wire", Pcap::new().record(1, 0, 4, 2, b"abcd"), 1_000_000_000, 4, 4),
        ("a packet above the stated snapshot length", Pcap::new().packet(1, 0, &long), 1_000_000_000, 200_000, 200_000),
        ("a million microseconds", Pcap::new().packet(1, 1_999_999, b"abcd"), 2_999_999_000, 4, 4),
        ("a time in 2106", Pcap::new().packet(u32::MAX, 0, b"abcd"), 4_294_967_295_000_000_000, 4, 4),
        (
            "lengths the other way round before 2.4",
            Pcap::with(false, 0xa1b2_c3d4, 3, 65_535, 1).record(1, 0, 99, 4, b"abcd"),
            1_000_000_000,
            99,
            4,
        ),
    ] {
        let frames = read_well(&file.done());
        assert_eq!(frames.len(), 1, "{claim}");
        let seen = (frames[0].nanos, frames[0].wire_len, frames[0].bytes.len());
        assert_eq!(seen, (nanos, wire_len, length), "{claim}");
    }
}

#[test]
fn the_link_type_field_is_read_without_its_flags() {
    for (field, link) in [
        (1, 1),
        (276, 276),
        (0x2400_0001, 1),        // frame check sequence present, 2 times 16 bits
        (0x0001_0001, u16::MAX), // no link type has 17 bits: it is not Ethernet
    ] {
        let file = Pcap::with(false, 0xa1b2_c3d4, 4, 65_535, field).packet(1, 0, b"abcd").done();
        assert_eq!(read_well(&file)[0].link, link, "{field:#x}");
    }
}

#[test]
fn a_record_larger_than_the_buffer_is_lent_whole() {
    let large: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    let file = Pcap::with(false, 0xa1b2_c3d4, 4, 4_000_000, 1).packet(1, 0, b"before").packet(2, 0, &large);
    let frames = read_well(&file.packet(3, 0, b"behind").done());
    assert_eq!(frames.len(), 3);
    assert!(frames[1].bytes == large);
    assert_eq!(frames[2].bytes, b"behind");
}

#[test]
fn a_header_without_packets_is_an_empty_capture() {
    assert_eq!(read_well(&Pcap::new().done()), []);
}
