//! What a caller may choose, and a finite default for everything that grows.
//!
//! Next: [`crate::engine`].

use std::time::Duration;

use sniffer_packet::defrag::DefragLimits;
use sniffer_packet::intake::PacketConfig;
use sniffer_packet::key::{Endpoint, FlowKey, Side};

use crate::ledger::Fate;

/// How the engine works. Made with [`Config::default`], then fields are set.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Server ports. Empty: HTTP is recognised on any port. Otherwise connections without one of them are counted as
    /// filtered, and the side with one of them is the server when no SYN was seen.
    pub ports: Vec<u16>,
    /// Fraction of connections to follow, 0–1, chosen by [`FlowKey::stable_hash`]: both directions and every machine agree.
    /// The others are counted as sampled out. Default 1.
    pub sample_rate: f64,
    /// Endpoints whose connections are our own traffic: counted, not read. Live adds those of its webhook.
    pub own_traffic: Vec<Endpoint>,
    /// Undo content codings (gzip, deflate, br, zstd) in [`crate::message::Message`] bodies.
    pub decode_content: bool,
    /// Keep the numbers of the frames that carried each message.
    pub track_frames: bool,
    /// Key of the hash maps over values from the wire; a random one keeps attackers from choosing collisions.
    /// Nothing that is output depends on it.
    pub hash_key: [u64; 4],
    /// Bounds on everything that grows.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            sample_rate: 1.0,
            own_traffic: Vec::new(),
            decode_content: true,
            track_frames: false,
            hash_key: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89],
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// What the packet layer needs of it.
    pub const fn packet(&self) -> PacketConfig {
        PacketConfig { defrag: self.limits.defrag, hash_key: self.hash_key, track_frames: self.track_frames }
    }

    /// Why a connection is not followed, if it is not.
    pub(crate) fn excludes(&self, key: &FlowKey) -> Option<Fate> {
        if !self.ports.is_empty() && !self.ports.iter().any(|&port| key.has_port(port)) {
            return Some(Fate::Filtered);
        }
        if self.own_traffic.iter().any(|&own| [Side::Low, Side::High].into_iter().any(|side| key.endpoint(side) == own))
        {
            return Some(Fate::OwnTraffic);
        }
        // 53 bits of the hash are a fraction that a double holds exactly.
        let fraction = || (key.stable_hash() >> 11) as f64 / (1_u64 << 53) as f64;
        (self.sample_rate < 1.0 && fraction() >= self.sample_rate).then_some(Fate::SampledOut)
    }
}

/// A limit on everything that grows. Reaching one is counted and named, never an error.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a body that a message keeps, on the wire and decoded alike. Default 1 MiB.
    pub body_bytes_max: usize,
    /// Bytes of a head (or of trailers) before it is cut. Default 64 KiB.
    pub head_bytes_max: usize,
    /// Fields of a head before the rest is cut. Default 256.
    pub head_fields_max: usize,
    /// Bytes one direction may hold behind a hole before the hole is given up. Default 8 MiB: more than the receive
    /// window of common systems (Linux `tcp_rmem` has 6 MiB as its maximum).
    pub waiting_bytes_max: usize,
    /// Packets of the acknowledging side, after one that acknowledged past a hole, before the hole is declared (policy 5).
    /// Default 3.
    pub hole_packets: u32,
    /// Time after a packet that acknowledged past a hole before the hole is declared (policy 5). Default 10 ms.
    pub hole_time: Duration,
    /// Capture time without a packet after which a connection is given up. Default 300 s.
    pub idle_timeout: Duration,
    /// Connections tracked at once; the least recently active is evicted. Default: no cap, only the memory budget.
    pub connections_max: usize,
    /// Requests on one connection that wait for a response; beyond it pairing is given up. Default 4096 (arbitrary).
    pub pipeline_max: usize,
    /// The memory budget over reassembly, heads, bodies and tables, in accounted bytes. Default 128 MiB.
    pub held_bytes_max: usize,
    /// Closed connections remembered so that their late duplicates are not taken for new ones, rounded up to a multiple of 256.
    /// Default 16 384; never more than a 32nd of [`Self::held_bytes_max`], at 16 bytes each.
    pub closed_max: usize,
    /// Bounds on IP fragments that wait for others.
    pub defrag: DefragLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            head_bytes_max: 64 << 10,
            head_fields_max: 256,
            waiting_bytes_max: 8 << 20,
            hole_packets: 3,
            hole_time: Duration::from_millis(10),
            idle_timeout: Duration::from_secs(300),
            connections_max: usize::MAX,
            pipeline_max: 4096,
            held_bytes_max: 128 << 20,
            closed_max: 16_384,
            defrag: DefragLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn key(client: u16, server: u16) -> FlowKey {
        let end = |last, port| Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port);
        FlowKey::of(&end(1, client), &end(2, server)).0
    }

    #[test]
    fn sampling_follows_the_fraction_of_connections_that_was_asked_for() {
        for (rate, least, most) in [(0.0, 0, 0), (0.1, 900, 1_100), (0.5, 4_850, 5_150), (1.0, 10_000, 10_000)] {
            let config = Config { sample_rate: rate, ..Config::default() };
            let followed = (10_000..20_000).filter(|&port| config.excludes(&key(port, 80)).is_none()).count();
            assert!((least..=most).contains(&followed), "{followed} of 10000 at {rate}");
        }
    }

    #[test]
    fn a_larger_fraction_follows_what_a_smaller_one_does() {
        let at = |rate| Config { sample_rate: rate, ..Config::default() };
        for port in 10_000..12_000 {
            let small = at(0.2).excludes(&key(port, 80)).is_none();
            assert!(!small || at(0.3).excludes(&key(port, 80)).is_none());
        }
    }

    #[test]
    fn own_traffic_has_the_address_and_the_port() {
        let own = Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 80);
        let config = Config { ports: vec![80, 81], own_traffic: vec![own], ..Config::default() };
        assert_eq!(config.excludes(&key(40_000, 80)), Some(Fate::OwnTraffic));
        assert_eq!(config.excludes(&key(40_000, 81)), None);
        assert_eq!(config.excludes(&key(40_000, 82)), Some(Fate::Filtered));
    }
}
