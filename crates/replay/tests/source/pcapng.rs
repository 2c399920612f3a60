//! Pcapng files that are read.

use sniffer_packet::time::Precision::{Micros, Nanos};

use crate::bytes::Pcapng;
use crate::check::{Seen, read_well};

#[test]
fn every_packet_block_gives_a_frame_in_both_byte_orders() {
    for big in [false, true] {
        let offset = if big { 100u64.to_be_bytes() } else { 100u64.to_le_bytes() };
        let file = Pcapng::new(big)
            .interface(1, 6, &[(2, b"eth0"), (9, &[6])])
            .interface(113, 0, &[(9, &[9]), (14, &offset)])
            .interface(276, 0, &[(9, &[0x80 | 10])])
            .simple(4, b"SPB1") // before any time
            .enhanced(0, 5_000_000, 1500, b"EPB0")
            .enhanced(1, 7_000_000_001, 9, b"EPB1 long")
            .simple(9, b"SPB2 l") // cut at six bytes by interface 0
            .obsolete(2, 1024 + 512, 3, b"PB2")
            .done();
        let seen = |number, nanos, precision, link, wire_len, bytes: &[u8]| Seen {
            number,
            nanos,
            precision,
            link,
            wire_len,
            bytes: bytes.to_vec(),
        };
        assert_eq!(
            read_well(&file),
            [
                seen(1, 0, Micros, 1, 4, b"SPB1"),
                seen(2, 5_000_000_000, Micros, 1, 1500, b"EPB0"),
                seen(3, 107_000_000_001, Nanos, 113, 9, b"EPB1 long"),
                seen(4, 107_000_000_001, Nanos, 1, 9, b"SPB2 l"),
                seen(5, 1_500_000_000, Micros, 276, 3, b"PB2"),
            ],
            "big-endian {big}"
        );
    }
}

#[test]
fn a_section_starts_anew() {
    let file = Pcapng::new(false)
        .ethernet()
        .interface(101, 0, &[])
        .enhanced(1, 1, 1, b"a")
        .section(true)
        .interface(228, 0, &[])
        .enhanced(0, 2, 1, b"b")
        .section(false)
        .interface(229, 0, &[(9, &[3])])
        .enhanced(0, 3, 1, b"c")
        .done();
    let seen: Vec<_> = read_well(&file).iter().map(|frame| (frame.link, frame.nanos)).collect();
    assert_eq!(seen, [(101, 1_000), (228, 2_000), (229, 3_000_000)]);
}

#[test]
fn blocks_that_are_not_packets_are_skipped() {
    let large = vec![0; 1_000_000];
    for (name, kind, body) in [
        ("name resolution", 4, &[0; 8][..]),
        ("interface statistics", 5, &[0; 12]),
        ("systemd journal", 9, b"__REALTIME_TIMESTAMP=1\n"),
        ("decryption secrets", 10, b"secret"),
        ("custom, may be copied", 0x0bad, &[0, 0, 0x7e, 0xd9, 1, 2, 3, 4]),
        ("custom, may not", 0x4000_0bad, &[0, 0, 0x7e, 0xd9]),
        ("not invented yet", 0x7fff_0000, b""),
        ("larger than the buffer", 0x7fff_0001, &large),
    ] {
        let file = Pcapng::new(false).block(kind, body).ethernet().block(kind, body);
        let file = file.enhanced(0, 1, 1, b"a").block(kind, body).enhanced(0, 2, 1, b"b").block(kind, body);
        assert_eq!(read_well(&file.done()).len(), 2, "{name}");
    }
}

#[test]
fn other_options_of_an_interface_are_skipped() {
    for (name, options) in [
        ("a name in Latin-1", &[(2, &b"\xc4nderung"[..])][..]),
        ("an address of a wrong length", &[(4, b"abc")]),
        ("an empty filter", &[(11, b"")]),
        ("a resolution of two bytes", &[(9, &[9, 9])]),
        ("a private option", &[(0x8000, b"mine")]),
        ("an offset of four bytes", &[(14, &[0, 0, 0, 1])]),
    ] {
        let frames = read_well(&Pcapng::new(false).interface(1, 0, options).enhanced(0, 5, 1, b"a").done());
        assert_eq!((frames[0].nanos, frames[0].precision), (5_000, Micros), "{name}");
    }
}

#[test]
fn a_packet_may_carry_options() {
    let new = Pcapng::new(false).ethernet();
    let comment = [b"data" as &[u8], &[1, 0, 3, 0], b"abc\0", &[0, 0, 0, 0]].concat();
    let body = new.enhanced_body(0, 1, 4, 4, &comment);
    assert_eq!(read_well(&new.block(6, &body).done())[0].bytes, b"data");
}

#[test]
fn sections_and_interfaces_without_packets_are_an_empty_capture() {
    assert_eq!(read_well(&Pcapng::new(true).done()), []);
    assert_eq!(read_well(&Pcapng::new(true).ethernet().section(false).done()), []);
}
