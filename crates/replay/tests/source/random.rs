//! Random bytes: no panic, and the same frames and the same report however the bytes are cut.

use pcap_file::pcapng::Block;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::bytes::{Pcap, Pcapng, gzip, zstd, zstd_raw_blocks};
use crate::check::{Outcome, in_pieces};

/// A packet: interface or none, time, data, bytes cut off.
type Packet = (bool, u32, Vec<u8>, u32);

fn packets() -> impl Strategy<Value = Vec<Packet>> {
    let data = prop_oneof![4 => prop::collection::vec(any::<u8>(), 0..80), 1 => Just(vec![7; 20_000])];
    prop::collection::vec((any::<bool>(), any::<u32>(), data, prop_oneof![Just(0u32), 0u32..2000]), 0..12)
}

fn pcap(packets: &[Packet], big: bool, nanos: bool) -> Vec<u8> {
    let magic = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut file = Pcap::with(big, magic, 4, 65_535, 1);
    for (_, time, data, cut) in packets {
        let length = data.len() as u32;
        file = file.record(*time, time % 1_000_000, length, length + cut, data);
    }
    file.done()
}

fn pcapng(packets: &[Packet], big: bool) -> Vec<u8> {
    let mut file = Pcapng::new(big).interface(1, 0, &[(9, &[9]), (2, b"eth0")]).interface(101, 0, &[]);
    for (at, (second, time, data, cut)) in packets.iter().enumerate() {
        file = file.enhanced(u32::from(*second), u64::from(*time) << 20, data.len() as u32 + cut, data);
        if at % 4 == 3 {
            file = file.block(5, &[0; 12]).section(!big).ethernet().interface(101, 0, &[(9, &[0x8a])]);
            file = file.block(0xbad, b"\0\0\0\0").obsolete(1, 1, 3, b"old").simple(data.len() as u32, data);
        }
    }
    file.done()
}

/// Any kind of valid capture, packed or not.
fn captures() -> impl Strategy<Value = Vec<u8>> {
    (packets(), any::<bool>(), 0..3, 0..5).prop_map(|(packets, big, format, packing)| {
        let plain = match format {
            0 => pcap(&packets, big, false),
            1 => pcap(&packets, big, true),
            _ => pcapng(&packets, big),
        };
        match packing {
            0 => gzip(&plain),
            1 => zstd(&plain),
            2 => zstd_raw_blocks(&plain.chunks(1000).collect::<Vec<_>>()),
            _ => plain,
        }
    })
}

#[derive(Debug, Clone)]
enum Mutation {
    Cut(Index),
    Flip(Index, u8),
    Length(Index, u32),
    Remove(Index, usize),
    Repeat(Index, usize),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Self::Length(at, value) => {
                let at = at.index(length) / 4 * 4;
                let end = length.min(at + 4);
                bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
            }
            Self::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..length.min(at + count));
            }
            Self::Repeat(at, count) => {
                let at = at.index(length);
                bytes.extend_from_within(at..length.min(at + count));
            }
        }
    }
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let lengths = prop_oneof![Just(0), Just(u32::MAX), Just(u32::MAX - 3), Just(262_145), Just(0x0a0d_0d0a), 0u32..99];
    let one = prop_oneof![
        any::<Index>().prop_map(Mutation::Cut),
        (any::<Index>(), 1u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (any::<Index>(), lengths).prop_map(|(at, value)| Mutation::Length(at, value)),
        (any::<Index>(), 1usize..40).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (any::<Index>(), 1usize..200).prop_map(|(at, count)| Mutation::Repeat(at, count)),
    ];
    prop::collection::vec(one, 0..4)
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1usize..8, 1usize..5000], 1..6)
}

/// "near byte 42 of the file" is how far was read, which depends on the pieces. Nothing else may
/// depend on them.
fn without_position(outcome: Outcome) -> Outcome {
    let damages = outcome.damages.iter().map(|line| match line.split_once(" near byte ") {
        Some((before, behind)) => format!("{before}{}", behind.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => line.clone(),
    });
    Outcome { damages: damages.collect(), frames: outcome.frames }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn mutated_captures_read_the_same_in_any_pieces(
        mut bytes in captures(),
        mutations in mutations(),
        sizes in pieces(),
    ) {
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        let whole = without_position(in_pieces(&bytes, &[usize::MAX]));
        if mutations.is_empty() {
            prop_assert_eq!(&whole.damages, &Vec::<String>::new());
        }
        prop_assert!(without_position(in_pieces(&bytes, &sizes)) == whole);
    }

    #[test]
    fn arbitrary_bytes_are_refused_in_words(
        magic in prop::sample::select(vec![
            &b""[..], b"\xd4\xc3\xb2\xa1\x02\0\x04\0", b"\xa1\xb2\xcd\x34\0\x02\0\x04", b"\x0a\x0d\x0d\x0a",
            b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let bytes = [magic, &bytes].concat();
        let outcome = in_pieces(&bytes, &[usize::MAX]);
        prop_assert!(outcome.damages.len() <= 1);
        prop_assert_eq!(without_position(in_pieces(&bytes, &[3])), without_position(outcome));
    }

    /// pcap-file is stricter. It reads the same frames, up to where it stops.
    #[test]
    fn what_pcap_file_reads_is_read_alike(
        packets in packets(),
        big in any::<bool>(),
        nanos in any::<bool>(),
        mutations in mutations(),
    ) {
        let mut bytes = pcap(&packets, big, nanos);
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
        let ours = in_pieces(&bytes, &[usize::MAX]).frames;
        if let Ok((mut rest, parser)) = pcap_file::pcap::PcapParser::new(&bytes) {
            let mut count = 0;
            while parser.header().version_major == 2
                && parser.header().version_minor == 4
                && let Ok((behind, packet)) = parser.next_packet(rest)
            {
                rest = behind;
                prop_assert_eq!(u128::from(ours[count].nanos), packet.timestamp().as_nanos());
                prop_assert_eq!(ours[count].wire_len, packet.orig_len());
                prop_assert_eq!(&ours[count].bytes, packet.data());
                count += 1;
            }
        }

        let mut bytes = pcapng(&packets, big);
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
        let ours = in_pieces(&bytes, &[usize::MAX]).frames;
        if let Ok((mut rest, mut parser)) = pcap_file::pcapng::PcapNgParser::new(&bytes) {
            let mut count = 0;
            while parser.section().major_version == 1
                && let Ok((behind, block)) = parser.next_block(rest)
            {
                rest = behind;
                match block {
                    Block::EnhancedPacket(packet) => {
                        // Our times end in the year 2554.
                        let nanos = packet.timestamp.as_nanos().min(u128::from(u64::MAX));
                        prop_assert_eq!(u128::from(ours[count].nanos), nanos);
                        prop_assert_eq!(ours[count].wire_len, packet.original_len);
                        prop_assert_eq!(&ours[count].bytes[..], &packet.data[..]);
                        count += 1;
                    }
                    Block::SimplePacket(_) | Block::Packet(_) => count += 1,
                    _ => {}
                }
            }
        }
    }
}
