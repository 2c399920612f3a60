//! What a peek tells: the segment that decoding finds, or nothing.

use super::*;

/// Says nothing, or what decoding says.
pub(super) fn assert_glance(frame: &Frame<'_>) -> Option<Peek> {
    let peek @ Peek { bucket, payload } = peek(frame)?;
    let Decoded::Segment(segment) = decode(frame) else { panic!("a peek saw {payload} bytes of a segment") };
    assert_eq!((bucket, payload), (crate::key::bucket(&segment.src, &segment.dst), segment.payload.len()));
    Some(peek)
}

fn ethernet(bytes: &[u8]) -> Frame<'_> {
    Frame::new(1, Timestamp::ZERO, LinkType::ETHERNET, bytes)
}

#[test]
fn a_plain_frame_is_seen_at_a_glance() {
    let plain = ether(0x0800, &packet());
    assert_eq!(assert_glance(&ethernet(&plain)).unwrap().payload, PAYLOAD.len());
    let padded = cat(&[&plain, &[0; 20]]);
    assert_eq!(assert_glance(&ethernet(&padded)).unwrap().payload, PAYLOAD.len());
    for (words, payload) in [(5, Some(16)), (8, Some(4)), (9, Some(0)), (10, None), (4, None)] {
        let mut frame = plain.clone();
        frame[46] = words << 4; // of the TCP header, whose options take what was payload
        assert_eq!(assert_glance(&ethernet(&frame)).map(|peek| peek.payload), payload, "{words} words");
    }
}

#[test]
fn nothing_is_seen_of_what_is_cut_tunnelled_in_fragments_or_otherwise_unusual() {
    let plain = ether(0x0800, &packet());
    for length in 0..plain.len() {
        assert_eq!(assert_glance(&ethernet(&plain[..length])), None, "cut at {length}");
    }
    let mut fragment = plain.clone();
    fragment[20] = 0x20;
    let tagged = ether(0x8100, &cat(&[&[0, 1, 8, 0], &packet()]));
    for (what, frame) in [("a fragment", fragment), ("a VLAN", tagged), ("IPv6", ether(0x86dd, &packet6()))] {
        assert_eq!(assert_glance(&ethernet(&frame)), None, "{what}");
    }
    assert_eq!(assert_glance(&Frame::new(1, Timestamp::ZERO, LinkType::LINUX_SLL, &plain)), None);
}

#[test]
fn whatever_byte_is_another_a_glance_says_what_decoding_says() {
    let plain = ether(0x0800, &packet());
    let mut seen = 0;
    for at in 0..54 {
        let mut frame = plain.clone();
        for value in 0..=u8::MAX {
            frame[at] = value;
            seen += u32::from(assert_glance(&ethernet(&frame)).is_some());
        }
    }
    // Addresses, numbers, ports, checksums, flags: most bytes may be any.
    assert!((9_000..13_000).contains(&seen), "{seen}");
}
