//! 802.11 data frames and monitor headers.

use super::*;

const SNAP: &[u8] = &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

/// A data frame with these first two bytes, sequence control zero, and `more` after the 24-byte
/// header.
fn data(control: [u8; 2], more: &[u8]) -> Vec<u8> {
    cat(&[&control, &[0; 22], more])
}

#[test]
fn data_frames_in_the_clear_are_read() {
    let v4 = packet();
    let payload = cat(&[SNAP, &v4]);
    let frames = [
        data([0x08, 0x01], &payload),
        data([0x08, 0x02], &payload),
        // Four addresses; QoS; QoS with four addresses and HT control.
        data([0x08, 0x03], &cat(&[&[0; 6], &payload])),
        data([0x88, 0x01], &cat(&[&[0; 2], &payload])),
        data([0x88, 0x83], &cat(&[&[0; 6], &[0; 2], &[0; 4], &payload])),
        // Data with a contention-free acknowledgement.
        data([0x18, 0x01], &payload),
    ];
    for frame in &frames {
        check(105, frame);
        // Radiotap without fields; with a TSFT and flags that announce an FCS; with two presence
        // words.
        check(127, &cat(&[&[0, 0, 8, 0, 0, 0, 0, 0], frame]));
        check(127, &cat(&[&[0, 0, 17, 0, 3, 0, 0, 0], &[0; 8], &[0x10], frame, &[1, 2, 3, 4]]));
        check(127, &cat(&[&[0, 0, 13, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0x10], frame]));
        check(119, &cat(&[&[0x44, 0, 0, 0, 144, 0, 0, 0], &[0; 136], frame]));
        check(119, &cat(&[&[0, 0, 0, 0x44, 0, 0, 0, 144], &[0; 136], frame]));
        check(119, &cat(&[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64], &[0; 56], frame]));
        check(163, &cat(&[&[0x80, 0x21, 0x10, 2, 0, 0, 0, 80], &[0; 72], frame]));
        check(192, &cat(&[&[0, 0, 12, 0, 105, 0, 0, 0], &[0; 4], frame]));
    }
}

#[test]
fn padding_after_the_header_is_taken_off_if_radiotap_announces_it() {
    // A QoS header has 26 bytes, so two more follow.
    let frame = data([0x88, 0x01], &cat(&[&[0; 2], &[0; 2], SNAP, &packet()]));
    check(127, &cat(&[&[0, 0, 9, 0, 2, 0, 0, 0, 0x20], &frame]));
}

#[test]
fn encrypted_empty_and_damaged_frames_are_skipped() {
    let payload = cat(&[SNAP, &packet()]);
    let fragment = {
        let mut frame = data([0x08, 0x01], &payload);
        frame[22] = 1;
        frame
    };
    for (frame, reason) in [
        (data([0x08, 0x41], &payload), Skipped::NotTcp),
        (data([0x48, 0x01], &[]), Skipped::NotTcp),
        (data([0x80, 0x00], &payload), Skipped::NotTcp),
        (fragment, Skipped::Malformed(Layer::Link)),
    ] {
        assert_eq!(decode_bytes(105, &frame), Decoded::Skipped(reason));
    }
    // A wrong FCS.
    let bad = cat(&[&[0, 0, 9, 0, 2, 0, 0, 0, 0x40], &data([0x08, 0x01], &payload)]);
    check_skipped(127, &bad, Skipped::Malformed(Layer::Link));
}

#[test]
fn every_part_of_an_aggregate_is_decoded() {
    let part = |payload: &[u8]| {
        let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let padding = vec![0; (payload.len() + 14).wrapping_neg() & 3];
        cat(&[&[0; 12], &len, payload, &padding])
    };
    let tcp_part = part(&cat(&[SNAP, &packet()]));
    let arp_part = part(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 6, 1]);
    let frame = data([0x88, 0x01], &cat(&[&[0x80, 0], &tcp_part, &arp_part, &tcp_part, &[1, 2, 3, 4]]));
    check(105, &frame);
    let decoded_each = |bytes: &[u8]| {
        let mut seen = Vec::new();
        decode_each(&Frame::new(1, Timestamp::ZERO, LinkType(105), bytes), |decoded| {
            seen.push(match decoded {
                Decoded::Segment(segment) => segment.payload.len(),
                _ => 0,
            });
        });
        seen
    };
    assert_eq!(decoded_each(&frame), [16, 0, 16]);
    // At least one answer for any frame, and exactly one for a frame that is no aggregate.
    assert_eq!(decoded_each(&[0x88, 1]), [0]);
    assert_eq!(decoded_each(&data([0x88, 0x01], &[0x80, 0])), [0]);
    assert_eq!(decoded_each(&data([0x08, 0x01], &cat(&[SNAP, &packet()]))), [16]);
}
