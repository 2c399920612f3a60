//! gzip and zstd around a capture.

use crate::bytes::{Pcap, gzip, zstd, zstd_raw_blocks};
use crate::check::{Outcome, in_pieces, read, read_well};

/// Frames that do not compress well, so that the packed file has many places to damage. Each starts
/// with its number.
fn noise(frames: u32) -> Vec<u8> {
    let mut state = 1u64;
    let mut file = Pcap::new();
    for number in 0..frames {
        let mut data = number.to_le_bytes().to_vec();
        data.resize_with(600, || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 60) as u8
        });
        file = file.packet(number, 0, &data);
    }
    file.done()
}

/// Asserts that `outcome` is damaged. Returns how many of the frames of `plain` it starts with.
fn frames_before_damage(outcome: &Outcome, plain: &[u8]) -> usize {
    assert_eq!(outcome.damages.len(), 1);
    let whole = read_well(plain);
    outcome.frames.iter().zip(&whole).take_while(|(found, wanted)| found == wanted).count()
}

#[test]
fn packed_captures_give_the_same_frames_by_content() {
    let plain = noise(300);
    let (first, second) = plain.split_at(70_001);
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"index"].concat();
    for (claim, packed) in [
        ("gzip", gzip(&plain)),
        ("two gzip members", [gzip(first), gzip(second)].concat()),
        ("gzip members of nothing", [gzip(b""), gzip(&plain), gzip(b"")].concat()),
        ("gzip padded with zeros", [gzip(&plain), vec![0; 512]].concat()),
        ("zstd", zstd(&plain)),
        ("two zstd frames", [zstd(first), zstd(second)].concat()),
        ("zstd with skippable frames", [skippable.clone(), zstd(&plain), skippable].concat()),
    ] {
        assert!(read_well(&packed) == read_well(&plain), "{claim}");
    }
}

#[test]
fn a_gzip_header_may_have_every_field() {
    // RFC 1952 section 2.3: FHCRC, FEXTRA, FNAME and FCOMMENT are set; the check is not verified.
    let plain = Pcap::new().packet(1, 0, b"abcd").done();
    let body = &gzip(&plain)[10..];
    let header = [0x1f, 0x8b, 8, 0b1_1110, 0, 0, 0, 0, 0, 3];
    let fields = [&[3, 0][..], b"xyz", b"a name\0", b"a comment\0", &[0xaa, 0xbb]].concat();
    assert_eq!(read_well(&[&header, &fields[..], body].concat()), read_well(&plain));
}

#[test]
fn only_one_layer_is_unpacked() {
    let plain = noise(1);
    for packed in [gzip(&gzip(&plain)), zstd(&gzip(&plain)), gzip(&zstd(&plain)), zstd(&zstd(&plain))] {
        let line = "test: packed more than once: one layer of gzip or zstd is read, unpack the others first";
        assert_eq!(read(&packed), Outcome { frames: Vec::new(), damages: vec![line.to_owned()] });
    }
}

#[test]
fn a_cut_gzip_gives_what_was_unpacked() {
    let plain = noise(300);
    let packed = gzip(&plain);
    let mut most = 0;
    for cut in (18..packed.len()).step_by(997) {
        let outcome = in_pieces(&packed[..cut], &[1000]);
        let frames = frames_before_damage(&outcome, &plain);
        assert_eq!(frames, outcome.frames.len(), "nothing but the capture's own frames");
        assert!(frames >= most, "a longer prefix gives no fewer frames");
        most = frames;
        assert!(outcome.damages[0].contains("the gzip stream is broken near byte"), "{:?}", outcome.damages);
        assert!(outcome.damages[0].contains("it ends too early"), "{:?}", outcome.damages);
    }
    assert!(most > 290, "{most}");
}

#[test]
fn a_fault_inside_gzip_gives_what_stands_before_it() {
    // Stored blocks (RFC 1951 section 3.2.4), so that the bytes before the fault are known exactly.
    // The third block has the reserved type.
    let plain = noise(100);
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for part in [&plain[..30_000], &plain[30_000..50_000]] {
        packed.push(0);
        packed.extend((part.len() as u16).to_le_bytes());
        packed.extend((!(part.len() as u16)).to_le_bytes());
        packed.extend(part);
    }
    packed.extend([0b110, 0, 0, 0]);
    let outcome = read(&packed);
    assert_eq!(frames_before_damage(&outcome, &plain), (50_000 - 24) / 616);
    assert!(outcome.damages[0].contains("this is not DEFLATE data"), "{:?}", outcome.damages);
}

#[test]
fn a_wrong_check_sum_is_damage_after_the_last_frame() {
    let plain = noise(300);
    let mut gzip = gzip(&plain);
    let at = gzip.len() - 8;
    gzip[at] ^= 1;
    let mut zstd = zstd(&plain);
    let at = zstd.len() - 1;
    zstd[at] ^= 1;
    for packed in [gzip, zstd] {
        let outcome = read(&packed);
        assert_eq!(frames_before_damage(&outcome, &plain), 300);
        assert!(outcome.damages[0].contains("the check sum does not match what was unpacked"), "{:?}", outcome.damages);
    }
}

#[test]
fn what_follows_a_gzip_member_is_another_or_damage() {
    let plain = noise(3);
    let outcome = read(&[gzip(&plain), b"trailing garbage".to_vec()].concat());
    assert_eq!(frames_before_damage(&outcome, &plain), 3);
    assert!(outcome.damages[0].contains("no gzip member starts here"), "{:?}", outcome.damages);
}

#[test]
fn a_damaged_zstd_frame_does_not_keep_its_last_window() {
    // All bytes lie within the frame's window of 1 MiB, which the decoder would hold back until the
    // frame ends.
    let plain = noise(100);
    let parts: Vec<&[u8]> = plain.chunks(20_000).collect();
    let packed = zstd_raw_blocks(&parts);
    assert!(read_well(&packed) == read_well(&plain));
    for (claim, damaged, whole_bytes, words) in [
        ("cut in the third block", packed[..6 + 2 * 20_003 + 7_000].to_vec(), 40_000, "it ends too early"),
        ("cut in a block header", packed[..6 + 20_003 + 2].to_vec(), 20_000, "it ends too early"),
        (
            "a block of the reserved type",
            [&packed[..6 + 20_003], &[0b111, 0, 0], &packed[6 + 20_006..]].concat(),
            20_000,
            "Reserved block",
        ),
    ] {
        let outcome = read(&damaged);
        assert_eq!(frames_before_damage(&outcome, &plain), (whole_bytes - 24) / 616, "{claim}");
        assert!(outcome.damages[0].contains("the zstd stream is broken near byte"), "{:?}", outcome.damages);
        assert!(outcome.damages[0].contains(words), "{claim}: {:?}", outcome.damages);
    }
}

#[test]
fn a_zstd_window_above_the_limit_is_refused() {
    // Window descriptor (RFC 8878 section 3.1.1.1.2): exponent 18, mantissa 0: 2^28 bytes.
    let line = read(&[0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 1, 0, 0]).damages.concat();
    assert!(line.contains("it needs a window of 268435456 bytes, 134217728 are allowed"), "{line}");
}

#[test]
fn a_packed_nothing_is_cut_short() {
    for packed in [gzip(b""), zstd(b"")] {
        let line = read(&packed).damages.concat();
        assert!(line.contains("cut short: 4 bytes wanted, 0 found"), "{line}");
    }
}
