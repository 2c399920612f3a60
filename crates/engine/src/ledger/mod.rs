//! The byte accounts: every byte of TCP payload has exactly one fate.
//!
//! Invariant: `payload == sum of all fates + pending`, where pending is what the engine still holds. It is checked by
//! [`Ledger::balance`] in every test that runs a capture. Next: [`crate::engine`].

use serde::{Serialize, Serializer, ser::SerializeMap};

use sniffer_packet::fate::FrameFate;

use crate::anomaly::{Anomaly, AnomalySet};

macro_rules! fates {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What became of a byte of TCP payload.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Fate {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Fate {
            /// All of them, in the order in which they are printed.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The column's name, in lower case with hyphens.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        const FATES: usize = [$(Fate::$variant,)+].len();
    };
}

fates! {
    /// Start line, fields and trailers of a message that was reported.
    Head = "head",
    /// Body of a message that was reported, after de-chunking.
    Body = "body",
    /// Chunk lines, blank lines before a start line, PROXY preambles.
    Framing = "framing",
    /// Behind a 101 or a 2xx to CONNECT.
    Tunnel = "tunnel",
    /// Never was HTTP.
    NotHttp = "not-http",
    /// TLS records.
    Tls = "tls",
    /// HTTP/2.
    Http2 = "http2",
    /// Seen before with the same bytes, as far as can be told.
    Duplicate = "duplicate",
    /// Seen before with other bytes; the first copy was used.
    ConflictingOverlap = "conflicting-overlap",
    /// What the peer would have dropped (policy 2).
    Ignored = "ignored",
    /// Arrived after its place had been given up as missing.
    Late = "late",
    /// Belongs to HTTP but could not be read: an unfinished head, bytes between a gap and the next message.
    Unparseable = "unparseable",
    /// Held when its connection was evicted.
    Evicted = "evicted",
    /// On a connection without one of the chosen ports.
    Filtered = "filtered",
    /// On a connection that sampling left out.
    SampledOut = "sampled-out",
    /// Our own webhook's traffic.
    OwnTraffic = "own-traffic",
}

/// The account of everything that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    payload: u64,
    missing: u64,
    fates: [u64; FATES],
    frames: u64,
    frame_fates: [u64; FrameFate::ALL.len()],
    anomalies: [u64; Anomaly::ALL.len()],
    connections: u64,
    evicted: u64,
    messages: u64,
    /// UDP datagrams that are no tunnel. Nothing reads them, so they are in no account.
    datagrams: u64,
    datagram_payload: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            payload: 0,
            missing: 0,
            fates: [0; FATES],
            frames: 0,
            frame_fates: [0; FrameFate::ALL.len()],
            anomalies: [0; Anomaly::ALL.len()],
            connections: 0,
            evicted: 0,
            messages: 0,
            datagrams: 0,
            datagram_payload: 0,
        }
    }
}

impl Ledger {
    /// Bytes of TCP payload in all frames and reassembled datagrams.
    pub const fn payload(&self) -> u64 {
        self.payload
    }

    /// Bytes known to be missing from the capture.
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// Bytes with this fate.
    pub const fn bytes(&self, fate: Fate) -> u64 {
        self.fates[fate as usize]
    }

    /// Frames pushed.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames with this fate; they sum to [`Ledger::frames`].
    pub const fn frames_with(&self, fate: FrameFate) -> u64 {
        self.frame_fates[fate as usize]
    }

    /// How often this was seen: once a message it touched, or once a segment where it touched none.
    pub const fn anomalies(&self, anomaly: Anomaly) -> u64 {
        self.anomalies[anomaly as usize]
    }

    /// Connections tracked.
    pub const fn connections(&self) -> u64 {
        self.connections
    }

    /// Connections given up for a limit.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Messages reported.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// UDP datagrams, without the tunnels that were opened. Not serialised.
    pub const fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// Bytes of payload in [those datagrams](Self::datagrams). Not serialised.
    pub const fn datagram_payload(&self) -> u64 {
        self.datagram_payload
    }

    /// Bytes without a fate: what the engine still holds.
    ///
    /// Zero after `finish`. A negative difference would be a byte counted twice.
    pub fn balance(&self) -> i128 {
        i128::from(self.payload) - self.fates.iter().map(|&n| i128::from(n)).sum::<i128>()
    }

    /// Adds another account to this one.
    pub fn merge(&mut self, other: &Self) {
        self.payload += other.payload;
        self.missing += other.missing;
        self.frames += other.frames;
        self.connections += other.connections;
        self.evicted += other.evicted;
        self.messages += other.messages;
        self.datagrams += other.datagrams;
        self.datagram_payload += other.datagram_payload;
        for (mine, theirs) in self.fates.iter_mut().zip(other.fates) {
            *mine += theirs;
        }
        for (mine, theirs) in self.frame_fates.iter_mut().zip(other.frame_fates) {
            *mine += theirs;
        }
        for (mine, theirs) in self.anomalies.iter_mut().zip(other.anomalies) {
            *mine += theirs;
        }
    }

    pub(crate) const fn received(&mut self, bytes: usize) {
        self.payload += bytes as u64;
    }

    pub(crate) const fn missed(&mut self, bytes: u64) {
        self.missing += bytes;
    }

    pub(crate) const fn count(&mut self, fate: Fate, bytes: usize) {
        self.fates[fate as usize] += bytes as u64;
    }

    /// Bytes counted under one fate turn out to have another.
    pub(crate) const fn recount(&mut self, from: Fate, to: Fate, bytes: u64) {
        self.fates[from as usize] -= bytes;
        self.fates[to as usize] += bytes;
    }

    /// Counts a frame: for who drives an [intake](sniffer_packet::intake) and several shards.
    pub const fn count_frame(&mut self, fate: FrameFate) {
        self.frames += 1;
        self.frame_fates[fate as usize] += 1;
    }

    /// Counts a UDP datagram, as [`Self::count_frame`] counts a frame.
    pub const fn count_datagram(&mut self, payload: usize) {
        self.datagrams += 1;
        self.datagram_payload += payload as u64;
    }

    pub(crate) const fn count_anomaly(&mut self, anomaly: Anomaly) {
        self.anomalies[anomaly as usize] += 1;
    }

    pub(crate) const fn count_connection(&mut self) {
        self.connections += 1;
    }

    pub(crate) const fn count_evicted(&mut self) {
        self.evicted += 1;
    }

    /// Counts a message with what was odd about it.
    pub(crate) fn count_message(&mut self, anomalies: AnomalySet) {
        self.messages += 1;
        if !anomalies.is_empty() {
            for anomaly in anomalies.iter() {
                self.count_anomaly(anomaly);
            }
        }
    }
}

impl Serialize for Ledger {
    /// `{"frames": n, "frameFates": {…}, "connections": n, "evicted": n, "messages": n, "payload": n, "bytes": {…}, "pending": n,
    /// "missing": n, "anomalies": {…}}`; columns that are zero are left out of the objects.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("frames", &self.frames)?;
        map.serialize_entry("frameFates", &Columns(FrameFate::ALL.iter().map(|f| f.name()), &self.frame_fates))?;
        map.serialize_entry("connections", &self.connections)?;
        map.serialize_entry("evicted", &self.evicted)?;
        map.serialize_entry("messages", &self.messages)?;
        map.serialize_entry("payload", &self.payload)?;
        map.serialize_entry("bytes", &Columns(Fate::ALL.iter().map(|f| f.name()), &self.fates))?;
        map.serialize_entry("pending", &self.balance())?;
        map.serialize_entry("missing", &self.missing)?;
        map.serialize_entry("anomalies", &Columns(Anomaly::ALL.iter().map(|a| a.name()), &self.anomalies))?;
        map.end()
    }
}

struct Columns<'a, I>(I, &'a [u64]);

impl<I: Iterator<Item = &'static str> + Clone> Serialize for Columns<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone().zip(self.1).filter(|&(_, &n)| n > 0))
    }
}
