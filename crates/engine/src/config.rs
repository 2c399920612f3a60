//! Configuration: the caller's choices, and a finite default limit for everything that grows.
//!
//! Next: [`crate::engine`].

use std::time::Duration;

use sniffer_packet::defrag::DefragLimits;
use sniffer_packet::intake::PacketConfig;
use sniffer_packet::key::{Endpoint, FlowKey, Side};

use crate::ledger::Fate;

/// Configuration of the engine. Start from [`Config::default`] and set fields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Server ports. If empty, HTTP is recognised on any port. Otherwise connections without one of
    /// these ports are counted as filtered, and if no SYN was seen, the side with one is the server.
    pub ports: Vec<u16>,
    /// Fraction of connections to follow, 0–1. [`FlowKey::stable_hash`] selects them, so both
    /// directions and all machines agree. The others are counted as sampled out. Default 1.
    pub sample_rate: f64,
    /// Endpoints whose connections are the sniffer's own traffic: counted, not read. Live mode adds
    /// those of its webhook.
    pub own_traffic: Vec<Endpoint>,
    /// Decode content codings (gzip, deflate, br, zstd) in [`crate::message::Message`] bodies. Default true.
    pub decode_content: bool,
    /// Record the numbers of the frames that carried each message. Default false.
    pub track_frames: bool,
    /// Key of the hash maps whose keys come from the wire. A random key keeps attackers from choosing
    /// collisions. No output depends on it.
    pub hash_key: [u64; 4],
    /// Limits on everything that grows.
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
    /// Returns the part of the configuration that the packet layer needs.
    pub const fn packet(&self) -> PacketConfig {
        PacketConfig { defrag: self.limits.defrag, hash_key: self.hash_key, track_frames: self.track_frames }
    }

    /// Returns the fate of a connection's bytes if it is not followed.
    pub(crate) fn excludes(&self, key: &FlowKey) -> Option<Fate> {
        if !self.ports.is_empty() && !self.ports.iter().any(|&port| key.has_port(port)) {
            return Some(Fate::Filtered);
        }
        if self.own_traffic.iter().any(|&own| [Side::Low, Side::High].into_iter().any(|side| key.endpoint(side) == own))
        {
            return Some(Fate::OwnTraffic);
        }
        // A double holds a fraction of 53 bits exactly.
        let fraction = || (key.stable_hash() >> 11) as f64 / (1_u64 << 53) as f64;
        (self.sample_rate < 1.0 && fraction() >= self.sample_rate).then_some(Fate::SampledOut)
    }
}

/// Limits on everything that grows. Reaching one is counted and named; it is never an error.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes of a body that a message keeps, as on the wire and decoded. Default 1 MiB.
    pub body_bytes_max: usize,
    /// Most bytes of a head or of trailers; the rest is cut. Default 64 KiB.
    pub head_bytes_max: usize,
    /// Most fields of a head; the rest is dropped. Default 256.
    pub head_fields_max: usize,
    /// Most bytes that one direction holds after a hole; then the hole is declared lost. Default 8 MiB:
    /// more than the receive window of common systems (Linux `tcp_rmem` has a maximum of 6 MiB).
    pub waiting_bytes_max: usize,
    /// Packets from the acknowledging side, after one that acknowledged past a hole, until the hole is
    /// declared lost (policy 5). Default 3.
    pub hole_packets: u32,
    /// Time after a packet that acknowledged past a hole until the hole is declared lost (policy 5).
    /// Default 10 ms.
    pub hole_time: Duration,
    /// Capture time without a packet after which a connection times out. Default 300 s.
    pub idle_timeout: Duration,
    /// Most connections tracked at once; one more evicts the least recently active. Default: no cap
    /// besides the memory budget.
    pub connections_max: usize,
    /// Most requests of a connection that wait for a response with their method and time. Further ones
    /// are only counted, and paired by number. Default 4096 (arbitrary).
    pub pipeline_max: usize,
    /// Memory budget of reassembly, heads, bodies and tables together, in accounted bytes. Default 128 MiB.
    pub held_bytes_max: usize,
    /// Most closed connections remembered, so that their late duplicates do not open new ones. Rounded
    /// up to a multiple of 256. Default 16 384; at 16 bytes each, never more than a 32nd of
    /// [`Self::held_bytes_max`].
    pub closed_max: usize,
    /// Limits on IP fragments that wait for others.
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
    fn sampling_follows_the_given_fraction_of_connections() {
        for (rate, least, most) in [(0.0, 0, 0), (0.1, 900, 1_100), (0.5, 4_850, 5_150), (1.0, 10_000, 10_000)] {
            let config = Config { sample_rate: rate, ..Config::default() };
            let followed = (10_000..20_000).filter(|&port| config.excludes(&key(port, 80)).is_none()).count();
            assert!((least..=most).contains(&followed), "{followed} of 10000 at {rate}");
        }
    }

    #[test]
    fn a_larger_fraction_follows_all_that_a_smaller_one_does() {
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
