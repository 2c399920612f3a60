//! Link types and EtherTypes.

use super::*;

#[test]
fn every_link_type_ends_at_the_same_segment() {
    let (v4, v6) = (packet(), packet6());
    let frames: &[(u16, &[&[u8]])] = &[
        (0, &[&[2, 0, 0, 0], &v4]),
        (0, &[&[0, 0, 0, 2], &v4]),
        (0, &[&[30, 0, 0, 0], &v6]),
        (0, &[&[24, 0, 0, 0], &v6]),
        (0, &[&[23, 0, 0, 0], &v6]),
        (108, &[&[0, 0, 0, 2], &v4]),
        (108, &[&[0, 0, 0, 24], &v6]),
        (1, &[&ether(0x0800, &v4)]),
        (1, &[&ether(0x86dd, &v6)]),
        (101, &[&v4]),
        (101, &[&v6]),
        (12, &[&v4]),
        (14, &[&v6]),
        (228, &[&v4]),
        (229, &[&v6]),
        // SLL: outgoing, ARPHRD_ETHER, address; then LLC/SNAP in it.
        (113, &[&[0, 4, 0, 1, 0, 6, 2, 5, 4, 3, 2, 1, 0, 0, 8, 0], &v4]),
        (113, &[&[0, 4, 0, 1, 0, 6, 2, 5, 4, 3, 2, 1, 0, 0, 0x81, 0, 0, 5, 0x86, 0xdd], &v6]),
        (113, &[&[0, 0, 0, 1, 0, 6, 2, 5, 4, 3, 2, 1, 0, 0, 0, 4, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4]),
        (276, &[&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 5, 4, 3, 2, 1, 0, 0], &v4]),
        // PPP with and without address and control, with a compressed protocol.
        (9, &[&[0xff, 3, 0, 0x21], &v4]),
        (9, &[&[0, 0x57], &v6]),
        (9, &[&[0x21], &v4]),
        (50, &[&[0xff, 3, 0, 0x21], &v4]),
        (50, &[&[0x0f, 0, 8, 0], &v4]),
        (51, &[&[0x11, 0, 0, 1, 0, 58, 0, 0x21], &v4]),
        (166, &[&[1, 3, 0, 0x21], &v4]),
        (204, &[&[0, 0xff, 3, 0, 0x21], &v4]),
        (104, &[&[0x0f, 0, 8, 0], &v4]),
        (104, &[&[0x8f, 0, 0x86, 0xdd], &v6]),
        // Frame relay: NLPID of IP, SNAP after a pad, and Cisco's EtherType.
        (107, &[&[0x18, 0x41, 3, 0xcc], &v4]),
        (107, &[&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0], &v4]),
        (107, &[&[0x18, 0x41, 8, 0], &v4]),
        (107, &[&[0x18, 0x41, 3, 0, 0x80, 0, 0x80, 0xc2, 0, 7], &ether(0x0800, &v4)]),
        (100, &[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4]),
        // ARCNET: RFC 1051, RFC 1201, and RFC 1201 after a filler.
        (7, &[&[1, 2, 240], &v4]),
        (129, &[&[1, 2, 0, 0, 240], &v4]),
        (129, &[&[1, 2, 0, 0, 212, 0, 0, 1], &v4]),
        (129, &[&[1, 2, 0, 0, 212, 0xff, 0xff, 0xff, 212, 0, 0, 1], &v4]),
        (138, &[&[0; 16], &[8, 0], &v4]),
        (109, &[&[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0], &v4]),
        (117, &[&[61, 2], &[0; 62], &v4]),
        (117, &[&[61, 24], &[0; 62], &v6]),
        (219, &[&[0, 1, 1, 64], &v4]),
        (226, &[&[1, 2], &[0; 22], &v4]),
        (226, &[&[1, 26], &[0; 22], &v6]),
        (240, &[&[0; 4], &ether(0x0800, &v4)]),
        // NFLOG in both byte orders: a prefix of 1 byte (padded), then the packet.
        (239, &[&[2, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0, 60, 0, 9, 0], &v4]),
        (239, &[&[2, 0, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0, 60, 0, 9], &v4]),
        // PPI and PKTAP name the link type after them.
        (192, &[&[0, 0, 8, 0, 1, 0, 0, 0], &ether(0x0800, &v4)]),
        (258, &[&[48, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], &[0; 32], &[4, 0, 0, 0], &[9; 4], &[2, 0, 0, 0], &v4]),
    ];
    for (link, parts) in frames {
        check(*link, &cat(parts));
    }
}

#[test]
fn shims_between_ethernet_and_ip_are_taken_off() {
    let (v4, v6) = (packet(), packet6());
    let frames: &[(u16, &[&[u8]])] = &[
        (0x8100, &[&[0, 5, 8, 0], &v4]),
        (0x8100, &[&[0xe0, 5, 0x86, 0xdd], &v6]),
        (0x88a8, &[&[0, 5, 0x81, 0, 0, 6, 8, 0], &v4]),
        (0x9100, &[&[0, 5, 0x81, 0, 0, 6, 8, 0], &v4]),
        (0x9200, &[&[0, 5, 8, 0], &v4]),
        (0x8926, &[&[0, 0, 0, 0, 8, 0], &v4]),
        (0x88e7, &[&[0, 0, 0, 9], &ether(0x8100, &[0, 5, 8, 0]), &v4]),
        (0x8903, &[&[0x40, 0x20], &ether(0x0800, &v4)]),
        // MPLS: one label, three, a pseudowire with its control word, and one without.
        (0x8847, &[&[0, 1, 1, 64], &v4]),
        (0x8848, &[&[0, 1, 0, 64, 0, 2, 0, 64, 0, 0, 0x21, 64], &v6]),
        (0x8847, &[&[0, 1, 1, 64, 0, 0, 0, 0], &ether(0x0800, &v4)]),
        (0x8847, &[&[0, 1, 1, 64], &ether(0x8100, &[0, 5, 8, 0]), &v4]),
        (0x8864, &[&[0x11, 0, 0, 1, 0, 58, 0, 0x21], &v4]),
        (0x8864, &[&[0x11, 0, 0, 1, 0, 78, 0, 0x57], &v6]),
        (0x8100, &[&[0, 5, 0x88, 0x64, 0x11, 0, 0, 1, 0, 58, 0, 0x21], &v4]),
        (0x894f, &[&[0, 2, 1, 1, 0, 0, 0, 1], &v4]),
        (0x894f, &[&[0, 2, 1, 3, 0, 0, 0, 1], &ether(0x0800, &v4)]),
        // IEEE 802.3 with a length, LLC and SNAP; the bridge tunnel; IP in LLC alone.
        (64, &[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4]),
        (64, &[&[0xaa, 0xaa, 3, 0, 0, 0xf8, 0x86, 0xdd], &v6]),
        (64, &[&[6, 6, 3], &v4]),
        (0x8100, &[&[0, 5, 0, 64, 0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0, 0, 7, 8, 0], &v4]),
    ];
    for (ethertype, parts) in frames {
        check(ETHERNET, &ether(*ethertype, &cat(parts)));
    }
}

#[test]
fn other_frames_are_skipped_with_a_reason() {
    let v4 = packet();
    for (link, bytes, reason) in [
        (1, ether(0x0806, &[0; 46]), Skipped::NotTcp),
        (1, ether(0x88cc, &v4), Skipped::NotTcp),
        (1, ether(0x0026, &[0x42, 0x42, 3, 0, 0, 0, 0]), Skipped::NotTcp),
        (1, ether(0x0800, &[0x60; 40]), Skipped::Malformed(Layer::Ip)),
        (1, ether(0x8863, &[0x11, 9, 0, 0, 0, 0]), Skipped::NotTcp),
        (1, ether(0x8864, &[0x11, 0, 0, 1, 0, 6, 0xc0, 0x21, 1, 1]), Skipped::NotTcp),
        (1, ether(0x8847, &[0, 1, 1, 64, 0x10, 0, 0, 0, 1, 2, 3]), Skipped::NotTcp),
        (0, vec![7, 0, 0, 0, 0x45], Skipped::NotTcp),
        (101, vec![0x12; 40], Skipped::Malformed(Layer::Ip)),
        (113, cat(&[&[0, 4, 3, 0x38, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], &v4]), Skipped::NotTcp),
        (1, vec![1, 2, 3], Skipped::Malformed(Layer::Link)),
        (147, v4.clone(), Skipped::UnknownLinkType),
        (189, v4.clone(), Skipped::UnknownLinkType),
        (192, cat(&[&[0, 0, 8, 0, 147, 0, 0, 0], &v4]), Skipped::UnknownLinkType),
    ] {
        check_skipped(link, &bytes, reason);
    }
}

#[test]
fn stacked_shims_are_bounded() {
    let tags = |n: usize| ether(0x8100, &cat(&[&[0, 1, 0x81, 0].repeat(n), &[0, 1, 8, 0], &packet()]));
    check(ETHERNET, &tags(10));
    check_skipped(ETHERNET, &tags(16), Skipped::TooDeep);
    let labels = |n: usize| ether(0x8847, &cat(&[&[0, 1, 0, 64].repeat(n), &[0, 1, 1, 64], &packet()]));
    check(ETHERNET, &labels(10));
    check_skipped(ETHERNET, &labels(16), Skipped::TooDeep);
    let nested = [0, 0, 8, 0, 192, 0, 0, 0].repeat(20);
    check_skipped(192, &nested, Skipped::TooDeep);
}

#[test]
fn ethernet_padding_never_reaches_the_payload() {
    // A bare ACK of 54 bytes, padded to the 60 of the shortest Ethernet frame.
    let bytes = cat(&[&ether(0x0800, &ip4(6, &tcp()[..20])), &[0; 6]]);
    assert_eq!(segment_of(ETHERNET, &bytes).payload, b"");
}
