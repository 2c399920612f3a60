//! The filter that the kernel runs: TCP on the watched ports, and every packet that could be part of
//! it.
//!
//! Fragments carry no ports, so all fragments of TCP pass; the engine drops those of other ports once
//! they are reassembled. The blind spots of the filter are listed, and logged at start. Source of the
//! syntax: pcap-filter(7).

use std::fmt::Write;

use sniffer_packet::frame::LinkType;

/// A filter expression and its blind spots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaptureFilter {
    pub(crate) expression: String,
    /// The blind spots, for a person.
    pub(crate) unseen: &'static str,
}

/// Returns the filter for these ports on frames of this link type.
pub(crate) fn filter(ports: &[u16], link: LinkType) -> CaptureFilter {
    let mut tcp = String::new();
    for port in ports {
        let _ = write!(tcp, "tcp port {port} or ");
    }
    // IPv4 with a fragment offset or more fragments; IPv6 with a fragment header first.
    tcp.push_str("(ip proto 6 and ip[6:2] & 0x3fff != 0) or ip6 proto 44");
    if link == LinkType::ETHERNET {
        // `vlan` moves the offsets of all that follows it, so the plain expression comes first. Two
        // tags deep.
        let expression = format!("{tcp} or (vlan and ({tcp} or (vlan and ({tcp}))))");
        let unseen =
            "tunnels (GRE, VXLAN, Geneve, IP in IP …), MPLS, PPPoE, IPv6 with other extension headers before TCP";
        return CaptureFilter { expression, unseen };
    }
    let unseen = "VLAN tags inside the packet (name the interface to see them), tunnels, IPv6 with other extension headers before TCP";
    CaptureFilter { expression: tcp, unseen }
}

#[cfg(test)]
mod tests {
    use pcap::{Capture, Linktype};

    use super::*;

    /// Returns an IPv4 or IPv6 packet in Ethernet with these tags.
    fn ethernet(tags: &[u16], packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0, 7]);
        }
        frame.extend(if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] });
        frame.extend(packet);
        frame
    }

    fn v4(protocol: u8, fragment: u16, ports: [u16; 2]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 40, 0, 1];
        packet.extend(fragment.to_be_bytes());
        packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        ports.iter().for_each(|port| packet.extend(port.to_be_bytes()));
        packet.resize(40, 0);
        packet
    }

    fn v6(next: u8, ports: [u16; 2]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 20, next, 64];
        packet.extend([0; 32]);
        ports.iter().for_each(|port| packet.extend(port.to_be_bytes()));
        packet.resize(60, 0);
        packet
    }

    #[track_caller]
    fn lets_through(link: LinkType, frame: &[u8]) -> bool {
        // libpcap's number of raw IP on this system; in files it is 101.
        let number = if link == LinkType::RAW { Linktype(12) } else { Linktype(i32::from(link.0)) };
        let handle = Capture::dead(number).unwrap();
        let expression = filter(&[80, 8080], link).expression;
        handle.compile(&expression, true).unwrap_or_else(|error| panic!("{error}: {expression}")).filter(frame)
    }

    #[test]
    fn tcp_on_a_port_in_either_direction_passes_and_the_rest_does_not() {
        for (packet, passes) in [
            (v4(6, 0, [40_000, 80]), true),
            (v4(6, 0, [8080, 40_000]), true),
            (v4(6, 0x4000, [40_000, 80]), true),
            (v4(6, 0, [40_000, 81]), false),
            (v4(17, 0, [40_000, 80]), false),
            (v6(6, [40_000, 80]), true),
            (v6(6, [40_000, 81]), false),
            (v6(17, [40_000, 80]), false),
        ] {
            assert_eq!(lets_through(LinkType::ETHERNET, &ethernet(&[], &packet)), passes, "{packet:02x?}");
            assert_eq!(lets_through(LinkType::RAW, &packet), passes, "{packet:02x?}");
        }
    }

    #[test]
    fn fragments_pass_whatever_their_ports_are() {
        for (packet, passes) in [
            (v4(6, 0x2000, [40_000, 81]), true),
            (v4(6, 0x0010, [0, 0]), true),
            (v4(17, 0x0010, [0, 0]), false),
            (v6(44, [0, 0]), true),
        ] {
            assert_eq!(lets_through(LinkType::ETHERNET, &ethernet(&[], &packet)), passes, "{packet:02x?}");
        }
    }

    #[test]
    fn packets_pass_by_their_ports_after_one_tag_and_after_two() {
        for tags in [&[0x8100][..], &[0x88a8, 0x8100], &[0x8100, 0x8100]] {
            for (packet, passes) in [
                (v4(6, 0, [40_000, 80]), true),
                (v4(6, 0, [40_000, 81]), false),
                (v4(6, 0x2010, [0, 0]), true),
                (v6(6, [80, 40_000]), true),
                (v6(44, [0, 0]), true),
            ] {
                assert_eq!(
                    lets_through(LinkType::ETHERNET, &ethernet(tags, &packet)),
                    passes,
                    "{tags:x?} {packet:02x?}"
                );
            }
        }
    }

    #[test]
    fn every_link_type_of_an_interface_takes_the_filter() {
        let links = [0, 1, 9, 12, 50, 51, 105, 108, 113, 127, 228, 229, 276];
        for link in links.map(LinkType) {
            lets_through(link, &[0; 64]);
        }
    }

    #[test]
    fn a_filter_of_many_ports_compiles() {
        let ports: Vec<u16> = (1..=200).collect();
        let handle = Capture::dead(Linktype(1)).unwrap();
        handle.compile(&filter(&ports, LinkType::ETHERNET).expression, true).map(drop).unwrap();
    }
}
