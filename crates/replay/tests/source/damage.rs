//! The report about a damaged file, and the frames before the damage, which are delivered.

use crate::bytes::{Pcap, Pcapng, gzip};
use crate::check::read;

/// Frames before the damage, and the line that a person reads.
fn check(claim: &str, bytes: Vec<u8>, frames: usize, line: &str) {
    let outcome = read(&bytes);
    assert_eq!((outcome.frames.len(), outcome.damages), (frames, vec![line.to_owned()]), "{claim}");
}

#[test]
fn a_file_that_is_no_capture_is_named() {
    for (claim, bytes, line) in [
        ("nothing", &b""[..], "test: the file is empty: not even a file header"),
        (
            "text",
            b"GET / HTTP/1.1\r\n",
            "test: not a capture: it starts with 47 45 54 20 2f 20 48 54 (\"GET / HT\"), which looks like text; pcap and \
             pcapng can be read, also packed with gzip or zstd",
        ),
        (
            "an archive",
            b"PK\x03\x04\x14\0\0\0\x08\0",
            "test: not a capture: it starts with 50 4b 03 04 14 00 00 00, which looks like a zip archive; pcap and pcapng \
             can be read, also packed with gzip or zstd",
        ),
        (
            "three bytes",
            b"\xd4\xc3\xb2",
            "test: not a capture: it starts with d4 c3 b2, which no format known here starts with; pcap and pcapng can \
             be read, also packed with gzip or zstd",
        ),
    ] {
        check(claim, bytes.to_vec(), 0, line);
    }
}

#[test]
fn a_pcap_breaks_off_where_it_is_damaged() {
    let two = Pcap::new().packet(1, 0, b"abcd").packet(2, 0, b"efgh"); // 24 + 2 * 20 bytes
    let cut = |left: usize| two.clone().done()[..left].to_vec();
    for (claim, bytes, frames, line) in [
        (
            "in the file header",
            cut(23),
            0,
            "test: damaged in the file header at byte 0: cut short: 24 bytes wanted, 23 found; 0 frames before it",
        ),
        (
            "in a record header",
            cut(45),
            1,
            "test: damaged in record 2 at byte 44: cut short: 16 bytes wanted, 1 found; 1 frame before it",
        ),
        (
            "in a packet",
            cut(63),
            1,
            "test: damaged in record 2 at byte 44: cut short: 20 bytes wanted, 19 found; 1 frame before it",
        ),
        (
            "a lying length",
            two.clone().record(3, 0, 0xffff_fff0, 0xffff_fff0, b"").raw(&[0; 64]).done(),
            2,
            "test: damaged in record 3 at byte 64: a packet claims 4294967280 captured bytes, at most 262144 were \
             expected; 2 frames before it",
        ),
        (
            "a snapshot length that lies too",
            Pcap::with(false, 0xa1b2_c3d4, 4, u32::MAX, 1).record(1, 0, 16_777_217, 1, b"").done(),
            0,
            "test: damaged in record 1 at byte 24: a packet claims 16777217 captured bytes, at most 16777216 were \
             expected; 0 frames before it",
        ),
        (
            "a version from the future",
            [&[0xd4, 0xc3, 0xb2, 0xa1, 9, 0, 1, 0][..], &[0; 16]].concat(),
            0,
            "test: damaged in the file header at byte 0: pcap version 9.1, 2.x was expected; 0 frames before it",
        ),
    ] {
        check(claim, bytes, frames, line);
    }
}

#[test]
fn a_pcapng_breaks_off_where_it_is_damaged() {
    // Section header 28 bytes, interface 20, a packet of four bytes 36.
    let one = Pcapng::new(false).ethernet().enhanced(0, 1, 4, b"abcd");
    let odd = one.enhanced_body(0, 1, 5, 5, b"abcd");
    let far = one.enhanced_body(1, 1, 4, 4, b"abcd");
    let short = |left: usize| one.clone().done()[..left].to_vec();
    for (claim, bytes, frames, line) in [
        (
            "in the section header",
            short(27),
            0,
            "test: damaged in record 1 at byte 0: cut short: 4 bytes wanted, 3 found; 0 frames before it",
        ),
        (
            "in a packet",
            short(83),
            0,
            "test: damaged in record 3 at byte 48: cut short: 36 bytes wanted, 35 found; 0 frames before it",
        ),
        (
            "behind a packet",
            one.clone().raw(&[6, 0, 0]).done(),
            1,
            "test: damaged in record 4 at byte 84: cut short: 8 bytes wanted, 3 found; 1 frame before it",
        ),
        (
            "a block of no length",
            one.clone().lying_block(6, 0, b"", 0).done(),
            1,
            "test: damaged in record 4 at byte 84: a block of type 0x6 claims 0 bytes, a multiple of 4 in 32..=17825792 \
             was expected; 1 frame before it",
        ),
        (
            "an unknown block of four gigabytes",
            one.clone().lying_block(99, 0xffff_fffc, b"", 0).done(),
            1,
            "test: damaged in record 4 at byte 84: cut short: 4294967276 bytes wanted, 0 found; 1 frame before it",
        ),
        (
            "an uneven block",
            one.clone().lying_block(99, 14, b"ab", 14).done(),
            1,
            "test: damaged in record 4 at byte 84: a block of type 0x63 claims 14 bytes, a multiple of 4 in \
             12..=4294967295 was expected; 1 frame before it",
        ),
        (
            "a block that ends otherwise than it began",
            one.clone().lying_block(99, 16, b"abcd", 20).done(),
            1,
            "test: damaged in record 4 at byte 84: a block of type 0x63 starts with length 16 and ends with 20; 1 frame \
             before it",
        ),
        (
            "a packet larger than its block",
            one.clone().block(6, &odd).done(),
            1,
            "test: damaged in record 4 at byte 84: a packet claims 5 captured bytes, its block has room for 4; 1 frame \
             before it",
        ),
        (
            "a packet on no interface",
            one.clone().block(6, &far).done(),
            1,
            "test: damaged in record 4 at byte 84: a packet on interface 1, but the section has described 1; 1 frame \
             before it",
        ),
        (
            "a simple packet in a section without interface",
            Pcapng::new(true).simple(1, b"a").done(),
            0,
            "test: damaged in record 2 at byte 28: a packet on interface 0, but the section has described 0; 0 frames \
             before it",
        ),
        (
            "an option larger than its block",
            Pcapng::new(false).block(1, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 5, 0, b'a', b'b', b'c', b'd']).done(),
            0,
            "test: damaged in record 2 at byte 28: option 2 claims 5 bytes, its block has room for 4; 0 frames before it",
        ),
        (
            "a section in no byte order",
            one.clone().block(0x0a0d_0d0a, &[1; 16]).done(),
            1,
            "test: damaged in record 4 at byte 84: a section header with byte-order magic 0x01010101, 0x1a2b3c4d in \
             either order was expected; 1 frame before it",
        ),
    ] {
        check(claim, bytes, frames, line);
    }
}

#[test]
fn a_packed_file_says_that_the_place_is_in_the_unpacked_one() {
    let two = Pcap::new().packet(1, 0, b"abcd").packet(2, 0, b"efgh").done();
    check(
        "a cut capture, packed whole",
        gzip(&two[..63]),
        1,
        "test: damaged in record 2 at byte 44 of the unpacked gzip stream: cut short: 20 bytes wanted, 19 found; 1 frame \
         before it",
    );
}
