//! Any bytes, for every link type, decode without a panic to a payload inside the frame.

use proptest::prelude::*;

use super::peek::assert_peek;
use super::*;

const LINKS: [u16; 41] = [
    0, 1, 7, 9, 11, 12, 14, 50, 51, 100, 101, 104, 105, 107, 108, 109, 113, 117, 119, 127, 129, 138, 147, 163, 166,
    192, 204, 219, 226, 228, 229, 239, 240, 258, 276, 10, 6, 143, 195, 249, 65_535,
];

/// Asserts what holds for every answer.
fn assert_sound(bytes: &[u8], decoded: &Decoded<'_>) {
    let inside =
        |part: &[u8]| part.is_empty() || bytes.as_ptr_range().contains(&part.as_ptr()) && part.len() <= bytes.len();
    match decoded {
        Decoded::Segment(segment) => {
            assert!(inside(segment.payload));
            let _ = segment.checksum_is_wrong();
        }
        Decoded::Datagram(datagram) => assert!(inside(datagram.payload)),
        Decoded::Fragment(fragment) => {
            assert!(inside(fragment.bytes));
            assert!(fragment.offset.is_multiple_of(8) && fragment.offset < 65_536 && fragment.depth <= 4);
        }
        Decoded::Skipped(_) => {}
    }
}

/// Frames that get further than noise: a real one with some bytes changed and the end cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let frame = ether(0x0800, &ip4(17, &udp(9, 4789, &cat(&[&[8, 0, 0, 0, 0, 0, 7, 0], &ether(0x86dd, &packet6())]))));
    let gre = ether(0x8100, &cat(&[&[0, 1, 8, 0], &ip4(47, &cat(&[&[0, 0, 8, 0], &packet()]))]));
    let extended =
        ether(0x86dd, &ip6(0, &cat(&[&[60, 0, 1, 4, 0, 0, 0, 0], &[44, 0, 1, 4, 0, 0, 0, 0], &[6; 8], &tcp()])));
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (prop::sample::select(vec![frame, gre, extended, ether(0x0800, &packet())]), changes, any::<prop::sample::Index>())
        .prop_map(|(mut bytes, changes, end)| {
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(end.index(bytes.len() * 2));
            bytes
        })
}

proptest! {
    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), wire_len in any::<u32>()) {
        for link in LINKS {
            let frame = Frame::new(1, Timestamp::ZERO, LinkType(link), &bytes).with_wire_len(wire_len);
            decode_each(&frame, |decoded| assert_sound(&bytes, decoded));
            assert_peek(&frame);
        }
        let ip = IpAddr::from([1, 2, 3, 4]);
        for protocol in 0..=255 {
            let facts = DatagramFacts { src: ip, dst: ip, protocol, ttl: 1, depth: 0, cut: wire_len };
            assert_sound(&bytes, &decode_datagram(&facts, &bytes));
        }
    }

    #[test]
    fn damaged_frames_never_panic(bytes in damaged(), wire_len in 0..4_000_u32) {
        let frame = Frame::new(1, Timestamp::ZERO, LinkType(ETHERNET), &bytes).with_wire_len(wire_len);
        assert_sound(&bytes, &decode(&frame));
        assert_peek(&frame);
    }
}
