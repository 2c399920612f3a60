//! A peek agrees with decoding, or returns nothing.

use super::*;

/// Asserts that a peek agrees with decoding, and returns it.
pub(super) fn assert_peek(frame: &Frame<'_>) -> Option<Peek> {
    let peek @ Peek { bucket, payload } = peek(frame)?;
    let Decoded::Segment(segment) = decode(frame) else { panic!("a peek saw {payload} bytes of a segment") };
    assert_eq!((bucket, payload), (crate::key::bucket(&segment.src, &segment.dst), segment.payload.len()));
    Some(peek)
}

fn ethernet(bytes: &[u8]) -> Frame<'_> {
    Frame::new(1, Timestamp::ZERO, LinkType::ETHERNET, bytes)
}

#[test]
fn a_plain_frame_has_a_peek() {
    let plain = ether(0x0800, &packet());
    assert_eq!(assert_peek(&ethernet(&plain)).unwrap().payload, PAYLOAD.len());
    let padded = cat(&[&plain, &[0; 20]]);
    assert_eq!(assert_peek(&ethernet(&padded)).unwrap().payload, PAYLOAD.len());
    for (words, payload) in [(5, Some(16)), (8, Some(4)), (9, Some(0)), (10, None), (4, None)] {
        let mut frame = plain.clone();
        // Length of the TCP header: its options take bytes of the payload.
        frame[46] = words << 4;
        assert_eq!(assert_peek(&ethernet(&frame)).map(|peek| peek.payload), payload, "{words} words");
    }
}

#[test]
fn frames_that_are_cut_tunnelled_fragmented_or_unusual_have_none() {
    let plain = ether(0x0800, &packet());
    for length in 0..plain.len() {
        assert_eq!(assert_peek(&ethernet(&plain[..length])), None, "cut at {length}");
    }
    let mut fragment = plain.clone();
    fragment[20] = 0x20;
    let tagged = ether(0x8100, &cat(&[&[0, 1, 8, 0], &packet()]));
    for (what, frame) in [("a fragment", fragment), ("a VLAN", tagged), ("IPv6", ether(0x86dd, &packet6()))] {
        assert_eq!(assert_peek(&ethernet(&frame)), None, "{what}");
    }
    assert_eq!(assert_peek(&Frame::new(1, Timestamp::ZERO, LinkType::LINUX_SLL, &plain)), None);
}

#[test]
fn a_peek_agrees_with_decoding_whatever_byte_changes() {
    let plain = ether(0x0800, &packet());
    let mut seen = 0;
    for at in 0..54 {
        let mut frame = plain.clone();
        for value in 0..=u8::MAX {
            frame[at] = value;
            seen += u32::from(assert_peek(&ethernet(&frame)).is_some());
        }
    }
    // Addresses, numbers, ports, checksums, flags: most bytes may be any.
    assert!((9_000..13_000).contains(&seen), "{seen}");
}
