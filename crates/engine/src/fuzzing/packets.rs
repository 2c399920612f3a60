//! Link layer, tunnels, IP and defragmentation: any bytes decode to parts of them, in bounded
//! memory.
//!
//! Next: [`sniffer_packet::decode`], [`sniffer_packet::defrag`].

use sniffer_packet::decode::Decoded;
use sniffer_packet::defrag::{Defrag, DefragLimits};

use super::input::FuzzInput;
use crate::config::Config;

/// Most datagrams, one inside the other, that a fragment may complete. More than there can be
/// tunnels.
const ROUNDS_MAX: usize = 16;

/// Sends frames through the decoder, fragments through the defragmenter, and datagrams through the
/// decoder again.
///
/// # Panics
/// If a payload lies outside its frame, if more is held than the limit and one datagram, if
/// fragments are not counted once each, or if datagrams come out of each other without end.
pub fn packets(data: &[u8]) {
    let mut limits = DefragLimits::default();
    // Limits that a short input reaches.
    (limits.held_bytes_max, limits.datagrams_max, limits.fragments_max) = (4_096, 8, 64);
    let mut defrag = Defrag::new(limits, Config::default().hash_key);
    let mut now = sniffer_packet::time::Timestamp::ZERO;
    let mut pushed = 0;
    for owned in FuzzInput(data).frames() {
        let frame = owned.as_frame();
        // The engine's clock never goes back.
        now = now.max(frame.time);
        let mut rounds = 0;
        defrag.packets(&frame, now, |packet| {
            if let Some(datagram) = packet.datagram {
                rounds += 1;
                assert!(rounds < ROUNDS_MAX, "datagrams come out of each other without end");
                assert!(datagram.bytes.len() + datagram.facts.cut as usize <= 65_535, "longer than any datagram");
            } else {
                rounds = 0;
            }
            assert_inside(packet.datagram.map_or(frame.bytes, |datagram| &datagram.bytes), packet.decoded);
            pushed += u64::from(matches!(packet.decoded, Decoded::Fragment(_)));
        });
        // One datagram always fits: 64 KiB and the cost of its pieces.
        assert!(
            defrag.held_bytes() <= limits.held_bytes_max.max(65_536 + 64 * 256 + 1_024),
            "more is held than allowed"
        );
    }
    assert_eq!(defrag.stats().fragments, pushed, "every fragment is counted once");
    defrag.finish();
    assert_eq!(defrag.held_bytes(), 0, "nothing is held after the end");
}

fn assert_inside(bytes: &[u8], decoded: &Decoded<'_>) {
    let inside = |part: &[u8]| {
        let (whole, part) = (bytes.as_ptr_range(), part.as_ptr_range());
        part.start == part.end || (whole.start <= part.start && part.end <= whole.end)
    };
    match decoded {
        Decoded::Segment(segment) => {
            assert!(inside(segment.payload), "a payload lies in its frame");
            let _ = segment.checksum_is_wrong();
        }
        Decoded::Datagram(datagram) => assert!(inside(datagram.payload), "a payload lies in its frame"),
        Decoded::Fragment(fragment) => assert!(inside(fragment.bytes), "a fragment lies in its frame"),
        Decoded::Skipped(_) => {}
    }
}
