//! The byte accounts: every byte that came in has exactly one fate.
//!
//! Three accounts, each balanced after every frame: payload of TCP segments, payload of UDP
//! datagrams that are read, and plaintext that was decrypted. Tests assert it for every capture
//! they run. Next: [`account`].

mod account;

use serde::{Serialize, Serializer, ser::SerializeMap};
use sniffer_packet::fate::FrameFate;

use crate::anomaly::{Anomaly, AnomalySet};
pub use account::Account;

macro_rules! fates {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The fate of a byte.
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
    /// Seen before with the same bytes, as far as is known.
    Duplicate = "duplicate",
    /// Seen before with other bytes; the first copy was used.
    ConflictingOverlap = "conflicting-overlap",
    /// Bytes that the peer would have dropped (policy 2).
    Ignored = "ignored",
    /// Arrived after its place had been given up as missing.
    Late = "late",
    /// Belongs to HTTP but could not be read: an unfinished head, bytes between a gap and the next
    /// message.
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

/// The accounts of everything that came in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    tcp: Account,
    udp: Account,
    plaintext: Account,
    frames: u64,
    frame_fates: [u64; FrameFate::ALL.len()],
    /// UDP datagrams that are no tunnel, and their payload. Nothing reads them yet, so they are in
    /// no account.
    datagrams: u64,
    datagram_payload: u64,
    counts: EventCounts,
}

/// Numbers of anomalies, connections and messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventCounts {
    anomalies: [u64; Anomaly::ALL.len()],
    connections: u64,
    evicted: u64,
    messages: u64,
}

impl Default for EventCounts {
    fn default() -> Self {
        Self { anomalies: [0; Anomaly::ALL.len()], connections: 0, evicted: 0, messages: 0 }
    }
}

impl EventCounts {
    pub(crate) const fn anomaly(&mut self, anomaly: Anomaly) {
        self.anomalies[anomaly as usize] += 1;
    }

    pub(crate) const fn connection(&mut self) {
        self.connections += 1;
    }

    pub(crate) const fn evicted(&mut self) {
        self.evicted += 1;
    }

    /// Counts a message with its anomalies.
    pub(crate) fn message(&mut self, anomalies: AnomalySet) {
        self.messages += 1;
        if !anomalies.is_empty() {
            for anomaly in anomalies.iter() {
                self.anomaly(anomaly);
            }
        }
    }
}

impl Ledger {
    /// The account of TCP payload, in frames and reassembled datagrams.
    pub const fn tcp(&self) -> &Account {
        &self.tcp
    }

    /// The account of UDP payload that is read. Nothing is read from UDP yet, so it is empty.
    pub const fn udp(&self) -> &Account {
        &self.udp
    }

    /// The account of plaintext that was decrypted. Nothing is decrypted yet, so it is empty.
    pub const fn plaintext(&self) -> &Account {
        &self.plaintext
    }

    /// All three accounts.
    pub const fn accounts(&self) -> [&Account; 3] {
        [&self.tcp, &self.udp, &self.plaintext]
    }

    /// Bytes of TCP payload.
    pub const fn payload(&self) -> u64 {
        self.tcp.received()
    }

    /// Bytes of TCP payload known to be missing from the capture.
    pub const fn missing(&self) -> u64 {
        self.tcp.missing()
    }

    /// Bytes of TCP payload with this fate.
    pub const fn bytes(&self, fate: Fate) -> u64 {
        self.tcp.bytes(fate)
    }

    /// Frames pushed.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames with this fate; they sum to [`Ledger::frames`].
    pub const fn frames_with(&self, fate: FrameFate) -> u64 {
        self.frame_fates[fate as usize]
    }

    /// UDP datagrams, without the tunnels that were opened. Not serialised.
    pub const fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// Bytes of payload in [those datagrams](Self::datagrams). Not serialised.
    pub const fn datagram_payload(&self) -> u64 {
        self.datagram_payload
    }

    /// The number of times this was seen: once for each message it touched, or once for each
    /// segment where it touched none.
    pub const fn anomalies(&self, anomaly: Anomaly) -> u64 {
        self.counts.anomalies[anomaly as usize]
    }

    /// Connections tracked.
    pub const fn connections(&self) -> u64 {
        self.counts.connections
    }

    /// Connections evicted for a limit.
    pub const fn evicted(&self) -> u64 {
        self.counts.evicted
    }

    /// Messages reported.
    pub const fn messages(&self) -> u64 {
        self.counts.messages
    }

    /// Bytes of TCP payload without a fate: see [`Account::balance`]. Zero after `finish`.
    pub fn balance(&self) -> i128 {
        self.tcp.balance()
    }

    /// Adds another ledger to this one.
    pub fn merge(&mut self, other: &Self) {
        self.tcp.merge(&other.tcp);
        self.udp.merge(&other.udp);
        self.plaintext.merge(&other.plaintext);
        self.frames += other.frames;
        self.datagrams += other.datagrams;
        self.datagram_payload += other.datagram_payload;
        for (mine, theirs) in self.frame_fates.iter_mut().zip(other.frame_fates) {
            *mine += theirs;
        }
        self.counts.connections += other.counts.connections;
        self.counts.evicted += other.counts.evicted;
        self.counts.messages += other.counts.messages;
        for (mine, theirs) in self.counts.anomalies.iter_mut().zip(other.counts.anomalies) {
            *mine += theirs;
        }
    }

    /// The account that TCP payload is counted in, and the counts, for one call.
    pub(crate) const fn tcp_mut(&mut self) -> (&mut Account, &mut EventCounts) {
        (&mut self.tcp, &mut self.counts)
    }

    /// The account of plaintext, for tests: no layer decrypts yet.
    #[cfg(test)]
    pub(crate) const fn plaintext_mut(&mut self) -> &mut Account {
        &mut self.plaintext
    }

    pub(crate) const fn counts_mut(&mut self) -> &mut EventCounts {
        &mut self.counts
    }

    /// Counts a frame: for callers that drive an [intake](sniffer_packet::intake) and several
    /// shards.
    pub const fn count_frame(&mut self, fate: FrameFate) {
        self.frames += 1;
        self.frame_fates[fate as usize] += 1;
    }

    /// Counts a UDP datagram, as [`Self::count_frame`] counts a frame.
    pub const fn count_datagram(&mut self, payload: usize) {
        self.datagrams += 1;
        self.datagram_payload += payload as u64;
    }
}

impl Serialize for Ledger {
    /// `{"frames": n, "frameFates": {…}, "connections": n, "evicted": n, "messages": n, "payload":
    /// n, "bytes": {…}, "pending": n, "missing": n, "anomalies": {…}}`; columns that are zero are
    /// left out of the objects.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("frames", &self.frames)?;
        map.serialize_entry("frameFates", &Columns(FrameFate::ALL.iter().map(|f| f.name()), &self.frame_fates))?;
        map.serialize_entry("connections", &self.counts.connections)?;
        map.serialize_entry("evicted", &self.counts.evicted)?;
        map.serialize_entry("messages", &self.counts.messages)?;
        map.serialize_entry("payload", &self.payload())?;
        map.serialize_entry("bytes", &Columns(Fate::ALL.iter().map(|f| f.name()), self.tcp.columns()))?;
        map.serialize_entry("pending", &self.balance())?;
        map.serialize_entry("missing", &self.missing())?;
        map.serialize_entry("anomalies", &Columns(Anomaly::ALL.iter().map(|a| a.name()), &self.counts.anomalies))?;
        map.end()
    }
}

struct Columns<'a, I>(I, &'a [u64]);

impl<I: Iterator<Item = &'static str> + Clone> Serialize for Columns<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone().zip(self.1).filter(|&(_, &n)| n > 0))
    }
}
