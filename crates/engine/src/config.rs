//! What a caller may choose, and a finite default for everything that grows.
//!
//! Next: [`crate::engine`].

use std::time::Duration;

use crate::defrag::DefragLimits;

/// How the engine works. Made with [`Config::default`], then fields are set.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Server ports. Empty: HTTP is recognised on any port. Otherwise connections without one of them are counted as
    /// filtered, and the side with one of them is the server when no SYN was seen.
    pub ports: Vec<u16>,
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
            decode_content: true,
            track_frames: false,
            hash_key: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89],
            limits: Limits::default(),
        }
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
    /// Closed connections remembered so that their late duplicates are not taken for new ones. Default 16 384.
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
