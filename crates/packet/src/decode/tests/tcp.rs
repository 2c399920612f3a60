//! The TCP header, its options and its checksum.

use super::*;

fn with_options(flags: u8, options: &[u8]) -> Vec<u8> {
    let mut segment = tcp();
    segment[12] = u8::try_from((20 + options.len()) / 4 * 16).unwrap();
    segment[13] = flags;
    segment.splice(20..20, options.iter().copied());
    ip4(6, &segment)
}

#[test]
fn options_are_read_and_bad_lengths_end_them() {
    let ts = Some((0x0102_0304, 0x0506_0708));
    let none = TcpOptions::default();
    let syn = 0x02;
    let rows: &[(u8, &[u8], TcpOptions)] = &[
        (0x10, &[1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8], TcpOptions { timestamps: ts, ..none }),
        (0x10, &[8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0], TcpOptions { timestamps: ts, ..none }),
        (syn, &[2, 4, 5, 0xb4, 1, 3, 3, 7], TcpOptions { window_scale: Some(7), ..none }),
        (syn, &[3, 3, 200, 0], TcpOptions { window_scale: Some(14), ..none }),
        // Window scale counts only on a SYN.
        (0x10, &[3, 3, 7, 0], none),
        (
            0x10,
            &[19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0],
            TcpOptions { md5: true, ..none },
        ),
        // Lengths of 0, 1 and past the header end the list; the options before count.
        (0x10, &[5, 0, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1], none),
        (syn, &[3, 3, 2, 5, 1, 1, 1, 1], TcpOptions { window_scale: Some(2), ..none }),
        (syn, &[3, 3, 2, 8, 10, 1, 1, 1], TcpOptions { window_scale: Some(2), ..none }),
        // Nothing after the end of the list counts.
        (syn, &[0, 3, 3, 2], none),
        // A known kind with a wrong length is skipped.
        (syn, &[8, 4, 1, 1, 3, 3, 2, 0], TcpOptions { window_scale: Some(2), ..none }),
    ];
    for (flags, options, expected) in rows {
        let bytes = with_options(*flags, options);
        check(101, &bytes);
        assert_eq!(segment_of(101, &bytes).options, *expected, "{options:?}");
    }
}

#[test]
fn a_header_that_is_too_short_or_too_long_is_malformed() {
    for data_offset in [0x00, 0x40, 0xf0] {
        let mut segment = tcp();
        segment[12] = data_offset;
        check_skipped(101, &ip4(6, &segment), Skipped::Malformed(Layer::Tcp));
    }
    check_skipped(101, &ip4(6, &tcp()[..19]), Skipped::Malformed(Layer::Tcp));
}

/// Adds up 16-bit words one by one.
fn sum(bytes: &[u8]) -> u16 {
    let total: u64 =
        bytes.chunks(2).map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |b| u64::from(*b))).sum();
    u16::try_from((0..4).fold(total, |sum, _| (sum & 0xffff) + (sum >> 16))).unwrap()
}

#[test]
fn a_checksum_is_right_wrong_or_unknown() {
    let segment = tcp();
    let len = u16::try_from(segment.len()).unwrap().to_be_bytes();
    for (packet, tcp_at) in [(packet(), 20), (packet6(), 40)] {
        let addresses = if tcp_at == 20 { packet[12..20].to_vec() } else { packet[8..40].to_vec() };
        let pseudo = cat(&[&addresses, &[0, 6], &len]);
        let right = !sum(&cat(&[&pseudo, &segment]));
        for (field, wrong) in [
            (right, Some(false)),
            (right ^ 0x0100, Some(true)),
            // Left for the network card, with and without the length.
            (sum(&pseudo), None),
            (sum(&cat(&[&addresses, &[0, 6]])), None),
        ] {
            let mut bytes = packet.clone();
            bytes[tcp_at + 16..tcp_at + 18].copy_from_slice(&field.to_be_bytes());
            assert_eq!(segment_of(101, &bytes).checksum_is_wrong(), wrong, "{field:04x}");
            let wire_len = u32::try_from(bytes.len()).unwrap();
            let cut = Frame::new(1, Timestamp::ZERO, LinkType(101), &bytes[..bytes.len() - 1]).with_wire_len(wire_len);
            let Decoded::Segment(cut) = decode(&cut) else { panic!("no segment") };
            assert_eq!(cut.checksum_is_wrong(), None);
        }
    }
}

#[test]
fn an_odd_length_is_summed_with_a_zero_appended() {
    let mut segment = tcp();
    segment.pop();
    let mut bytes = ip4(6, &segment);
    let pseudo = cat(&[&bytes[12..20], &[0, 6, 0, u8::try_from(segment.len()).unwrap()]]);
    let right = !sum(&cat(&[&pseudo, &segment]));
    bytes[36..38].copy_from_slice(&right.to_be_bytes());
    assert_eq!(segment_of(101, &bytes).checksum_is_wrong(), Some(false));
}
