//! Endpoints, the flow between two of them, its two sides, and its bucket.
//!
//! Next: [`crate::segment`], which has two endpoints.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// An address and a port, from the innermost headers of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "two fields by the contract of the message; no invariant")]
pub struct Endpoint {
    /// IPv4 or IPv6 address.
    pub ip: IpAddr,
    /// TCP or UDP port, 0–65535.
    pub port: u16,
}

impl Endpoint {
    /// Makes an endpoint of its parts.
    pub const fn new(ip: IpAddr, port: u16) -> Self {
        Self { ip, port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("Endpoint", 2)?;
        s.serialize_field("ip", &self.ip)?;
        s.serialize_field("port", &self.port)?;
        s.end()
    }
}

/// One of the two ends of a flow. `Low` is the endpoint that sorts first, client or server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a flow has two ends")]
pub enum Side {
    /// The endpoint that sorts first.
    Low,
    /// The other one.
    High,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }

    /// 0 for `Low`, 1 for `High`.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Number of buckets that flows are divided into, a power of two. More than there are threads, and
/// few enough to keep state for each.
pub const BUCKETS: usize = 64;

/// The bucket of a flow between two endpoints, below [`BUCKETS`].
///
/// Symmetric in both (a sum, then a two-multiply mix): cheap enough for every packet. hot: see
/// NOTES#bucket
#[inline]
pub fn bucket(one: &Endpoint, other: &Endpoint) -> usize {
    bucket_of(number(one), number(other))
}

/// The bucket of a flow between two endpoints given as [numbers](number).
#[inline(always)] // hot: see NOTES#bucket
pub(crate) const fn bucket_of(one: u64, other: u64) -> usize {
    (spread(one, other) >> (u64::BITS - BUCKETS.ilog2())) as usize
}

/// A hash of the two numbers of a flow, with its bucket in the highest bits.
#[inline(always)] // hot: see NOTES#bucket
const fn spread(one: u64, other: u64) -> u64 {
    // Odd numbers without pattern: digits of π, as in `Config::hash_key`.
    let mixed = one.wrapping_add(other).wrapping_mul(0x243f_6a88_85a3_08d3);
    (mixed ^ mixed >> 32).wrapping_mul(0xa409_3822_299f_31d1)
}

/// An endpoint as one number: for IPv4 address and port, as in [`Ends`]; for IPv6 a hash of both.
#[inline(always)] // hot: see NOTES#bucket
fn number(end: &Endpoint) -> u64 {
    match end.ip {
        IpAddr::V4(ip) => number_of_v4(ip.to_bits(), end.port),
        IpAddr::V6(ip) => {
            let [high, low] = [ip.to_bits() >> 64, ip.to_bits()].map(|bits| bits as u64);
            let ip = high.wrapping_mul(0x1319_8a2e_0370_7345) ^ low;
            ip << 16 ^ ip >> 48 ^ u64::from(end.port)
        }
    }
}

/// The [number] of an IPv4 endpoint.
#[inline(always)] // hot: see NOTES#bucket
pub(crate) const fn number_of_v4(ip: u32, port: u16) -> u64 {
    (ip as u64) << 16 | port as u64
}

/// The two endpoints of a flow, sorted, so that both directions have the same key.
///
/// VLAN ids, VNIs and TEIDs are not part of the key, because they differ by direction (policy 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey(Ends);

/// The two endpoints, the lower one first.
///
/// An IPv4 endpoint is one number, address before port: every packet makes, hashes and compares a
/// key. Numbers sort without a branch, which alternating directions would mispredict, and they are
/// read back as they were written, which avoids a stall. hot: see NOTES#key
#[derive(Debug, Clone, Copy, Eq, PartialOrd, Ord)]
enum Ends {
    V4([u64; 2]),
    Any { low: Endpoint, high: Endpoint },
}

impl PartialEq for Ends {
    #[inline(always)] // hot: see NOTES#key
    fn eq(&self, other: &Self) -> bool {
        /// Out of line, so that comparing IPv4 reads nothing for it.
        #[inline(never)]
        fn any(one: &Ends, other: &Ends) -> bool {
            match (one, other) {
                (Ends::Any { low, high }, Ends::Any { low: other_low, high: other_high }) => {
                    (low, high) == (other_low, other_high)
                }
                _ => false,
            }
        }
        match (self, other) {
            // Not as arrays: these are compared in one wide word, which stalls (NOTES#key).
            (Self::V4([low, high]), Self::V4([other_low, other_high])) => (low ^ other_low) | (high ^ other_high) == 0,
            _ => any(self, other),
        }
    }
}

impl Hash for Ends {
    #[inline(always)] // hot: see NOTES#key
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::V4([low, high]) => {
                state.write_u64(*low);
                state.write_u64(*high);
            }
            Self::Any { low, high } => (low, high).hash(state),
        }
    }
}

impl FlowKey {
    /// The key of a segment from `src` to `dst`, and the side that sent it. Invariant: `low <=
    /// high`.
    #[inline(always)] // hot: see NOTES#key
    pub fn of(src: &Endpoint, dst: &Endpoint) -> (Self, Side) {
        /// Out of line, so that two IPv4 endpoints copy nothing for it.
        #[inline(never)]
        fn any(src: &Endpoint, dst: &Endpoint) -> (FlowKey, Side) {
            let side = if src <= dst { Side::Low } else { Side::High };
            (FlowKey(Ends::Any { low: *src.min(dst), high: *src.max(dst) }), side)
        }
        if src.ip.is_ipv6() || dst.ip.is_ipv6() {
            return any(src, dst);
        }
        let (from, to) = (number(src), number(dst));
        let side = if from <= to { Side::Low } else { Side::High };
        (Self(Ends::V4([from.min(to), from.max(to)])), side)
    }

    /// The endpoint of a side.
    pub const fn endpoint(&self, side: Side) -> Endpoint {
        match (&self.0, side) {
            (Ends::V4(ends), side) => {
                let end = ends[side.index()];
                Endpoint::new(IpAddr::V4(Ipv4Addr::from_bits((end >> 16) as u32)), end as u16)
            }
            (Ends::Any { low, .. }, Side::Low) => *low,
            (Ends::Any { high, .. }, Side::High) => *high,
        }
    }

    /// Returns whether one of the two ports is `port`.
    pub const fn has_port(&self, port: u16) -> bool {
        let [low, high] = match &self.0 {
            Ends::V4([low, high]) => [*low as u16, *high as u16],
            Ends::Any { low, high } => [low.port, high.port],
        };
        low == port || high == port
    }

    /// The bucket of the flow, below [`BUCKETS`]; a pure function of the endpoints.
    ///
    /// State that flows share is kept by bucket. A bucket is never split over threads, so this
    /// state is the same for any number of them.
    pub fn bucket(&self) -> usize {
        let [low, high] = self.numbers();
        bucket_of(low, high)
    }

    /// The part of its [bucket](Self::bucket) that the flow is in, of at most 2³² parts; a pure
    /// function of the endpoints.
    pub fn part(&self, parts: usize) -> usize {
        let [low, high] = self.numbers();
        let within = spread(low, high) << BUCKETS.ilog2();
        ((within >> 32) as usize * parts) >> 32
    }

    fn numbers(&self) -> [u64; 2] {
        match &self.0 {
            Ends::V4(ends) => *ends,
            Ends::Any { low, high } => [number(low), number(high)],
        }
    }

    /// A fixed hash of the sorted endpoints (FNV-1a, 64 bit, finished with a SplitMix64 mix).
    ///
    /// Equal on every machine and in every version, because sampling decides by it. The engine's
    /// own table does not use it: an attacker who chooses endpoints can make it collide.
    pub fn stable_hash(&self) -> u64 {
        let mut hash = Fnv::default();
        for end in [self.endpoint(Side::Low), self.endpoint(Side::High)] {
            match end.ip {
                IpAddr::V4(ip) => hash.write(&ip.octets()),
                IpAddr::V6(ip) => hash.write(&ip.octets()),
            }
            hash.write(&end.port.to_be_bytes());
        }
        hash.finish()
    }
}

/// Identity of a connection for output: a function of the flow, not a counter.
///
/// It is a hash of the endpoints, the first sequence number, the time of the first frame in µs and
/// an ordinal among equals. So it is equal on every run, on every machine and for every number of
/// threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FlowId(u64);

impl FlowId {
    /// Returns the id of the `ordinal`-th connection between these endpoints that began with this
    /// mark at this µs. The mark is whatever its first packet has to distinguish it from others:
    /// TCP's sequence number in network byte order, QUIC's first destination connection id.
    pub fn new(key: &FlowKey, mark: &[u8], first_micros: u64, ordinal: u32) -> Self {
        Self::of(key.stable_hash(), mark, first_micros, ordinal)
    }

    /// Like [`Self::new`], for endpoints whose [`FlowKey::stable_hash`] is known.
    pub fn of(stable_hash: u64, mark: &[u8], first_micros: u64, ordinal: u32) -> Self {
        let mut hash = Fnv::default();
        hash.write(&stable_hash.to_be_bytes());
        hash.write(mark);
        hash.write(&first_micros.to_be_bytes());
        hash.write(&ordinal.to_be_bytes());
        Self(hash.finish())
    }
}

impl FlowId {
    /// Its text: 16 hexadecimal digits in ASCII.
    pub fn digits(self) -> [u8; 16] {
        std::array::from_fn(|place| b"0123456789abcdef"[(self.0 >> (60 - 4 * place)) as usize & 15])
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.digits()).expect("hexadecimal digits"))
    }
}

/// FNV-1a with a final mix; see [`FlowKey::stable_hash`].
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(self) -> u64 {
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(last: u8, port: u16) -> Endpoint {
        Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port)
    }

    #[test]
    fn both_directions_have_one_key_and_opposite_sides() {
        let (there, from) = FlowKey::of(&end(1, 40_000), &end(2, 80));
        let (back, answer) = FlowKey::of(&end(2, 80), &end(1, 40_000));
        assert_eq!(there, back);
        assert_eq!(there.stable_hash(), back.stable_hash());
        assert_eq!(from, answer.other());
        assert_eq!(there.endpoint(from), end(1, 40_000));
        assert!(there.has_port(80) && there.has_port(40_000) && !there.has_port(81));
    }

    #[test]
    fn ends_are_sorted_as_endpoints_are() {
        let six = |last, port| Endpoint::new(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, last]), port);
        let ends = [end(1, 80), end(1, 81), end(2, 80), end(200, 1), six(1, 80), six(1, 81), six(2, 80)];
        for one in ends {
            for other in ends {
                let (key, side) = FlowKey::of(&one, &other);
                let sorted = [one.min(other), one.max(other)];
                assert_eq!([Side::Low, Side::High].map(|side| key.endpoint(side)), sorted, "{one} {other}");
                assert_eq!(key.endpoint(side), one, "{one} {other}");
                let same =
                    ends.iter().flat_map(|a| ends.map(|b| (*a, b))).filter(|&(a, b)| FlowKey::of(&a, &b).0 == key);
                assert!(same.into_iter().all(|(a, b)| [a.min(b), a.max(b)] == sorted), "{one} {other}");
            }
        }
    }

    #[test]
    fn flows_are_spread_over_all_buckets() {
        let clients = |ip: u8, port: u16| FlowKey::of(&end(ip, port), &end(2, 80)).0;
        let by_port: Vec<_> = (0..64_000).map(|n| clients(1, 1_024 + n)).collect();
        let by_address: Vec<_> = (0..64_000_u16)
            .map(|n| FlowKey::of(&Endpoint::new(IpAddr::from([10, 1, (n >> 8) as u8, n as u8]), 40_000), &end(2, 80)).0)
            .collect();
        for (what, keys) in [("ports", by_port), ("addresses", by_address)] {
            let mut counts = [0; BUCKETS];
            keys.iter().for_each(|key| counts[key.bucket()] += 1);
            assert!(counts.iter().all(|count| (500..1_500).contains(count)), "{what}: 1000 each, but {counts:?}");
        }
    }

    #[test]
    fn an_id_changes_with_each_of_its_parts() {
        let (key, _) = FlowKey::of(&end(1, 40_000), &end(2, 80));
        let (other, _) = FlowKey::of(&end(1, 40_001), &end(2, 80));
        let id = FlowId::new(&key, &[0, 0, 0, 1], 2, 0);
        assert_eq!(id, FlowId::new(&key, &[0, 0, 0, 1], 2, 0));
        for different in [
            FlowId::new(&other, &[0, 0, 0, 1], 2, 0),
            FlowId::new(&key, &[0, 0, 0, 2], 2, 0),
            FlowId::new(&key, &[0, 0, 0, 1], 3, 0),
            FlowId::new(&key, &[0, 0, 0, 1, 0xab, 0xcd, 0xef, 0x12], 2, 0),
            FlowId::new(&key, &[0, 0, 0, 1], 2, 1),
        ] {
            assert_ne!(id, different);
        }
        assert_eq!(id.to_string().len(), 16);
    }
}
