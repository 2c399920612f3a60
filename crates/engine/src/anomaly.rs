//! Anomalies: the names of everything odd about traffic, and sets of them.
//!
//! Bad traffic is data: each anomaly is counted and put on the message it touches, and parsing goes
//! on. SUPPORTED.md explains each to experts. Next: [`crate::ledger`].

use std::fmt;

macro_rules! anomalies {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Something odd about a message or its connection. Its name stands in `anomalies` of the output.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Anomaly {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Anomaly {
            /// All anomalies, in output order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name used in output and in SUPPORTED.md.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

anomalies! {
    // TCP and below.
    /// Two copies of the same stream bytes differ. The first to arrive was used (policy 1).
    ConflictingOverlap = "conflicting-overlap",
    /// One of two differing copies, used or not, had a wrong TCP checksum (policy 2).
    BadChecksum = "bad-checksum",
    /// One of two differing copies, used or not, had a TTL far below its side's usual one (policy 2).
    LowTtl = "low-ttl",
    /// Ignored: a segment without ACK inside a connection.
    NoAck = "no-ack",
    /// Ignored: a segment that acknowledges bytes that were never sent.
    BadAck = "bad-ack",
    /// Ignored: a segment with an MD5 option that the handshake did not negotiate.
    UnsolicitedMd5 = "unsolicited-md5",
    /// Ignored: a segment with a timestamp older than its sender's last (PAWS, RFC 7323 §5).
    OldTimestamp = "old-timestamp",
    /// Ignored: data far outside the window.
    OutOfWindow = "out-of-window",
    /// Ignored: a SYN inside a live connection.
    SynInFlow = "syn-in-flow",
    /// Ignored: a reset that was not at exactly the expected sequence number.
    InexactReset = "inexact-reset",
    /// Ignored: data after the sender's FIN.
    DataAfterFin = "data-after-fin",
    /// The urgent pointer was set. Its data was read inline.
    UrgentData = "urgent-data",
    /// IP fragments overlapped.
    FragmentOverlap = "fragment-overlap",
    // Framing.
    /// A message has Content-Length and Transfer-Encoding. Transfer-Encoding was used (RFC 9112 §6.3).
    ClAndTe = "cl-and-te",
    /// Content-Length has several values that differ.
    ConflictingContentLength = "conflicting-content-length",
    /// Content-Length is not a number in range.
    InvalidContentLength = "invalid-content-length",
    /// Content-Length occurs more than once, with the same value.
    RepeatedContentLength = "repeated-content-length",
    /// The last coding of Transfer-Encoding is not chunked.
    TeNotChunked = "te-not-chunked",
    /// Transfer-Encoding has codings besides chunked, or chunked more than once.
    UnusualTransferEncoding = "unusual-transfer-encoding",
    /// An HTTP/1.0 message has Transfer-Encoding (RFC 9112 §6.1).
    TeInHttp10 = "te-in-http10",
    /// A chunk size is not hexadecimal digits in range.
    BadChunkSize = "bad-chunk-size",
    /// White space stands before or after a chunk size.
    ChunkSizeWhitespace = "chunk-size-whitespace",
    /// Chunk data is not followed by CRLF.
    BadChunkEnd = "bad-chunk-end",
    // Syntax.
    /// A line ends in LF alone.
    BareLf = "bare-lf",
    /// A CR is not part of a CRLF.
    BareCr = "bare-cr",
    /// A field value continues on a line that starts with white space (RFC 9112 §5.2).
    ObsFold = "obs-fold",
    /// White space stands between a field name and its colon (RFC 9112 §5.1).
    SpaceBeforeColon = "space-before-colon",
    /// The head contains a NUL byte.
    NulInHead = "nul-in-head",
    /// Blank lines precede the start line (RFC 9112 §2.2).
    LeadingBlankLine = "leading-blank-line",
    /// The start line has white space other than its single spaces, or inside the request-target.
    StartLineWhitespace = "start-line-whitespace",
    /// A line among the fields is not a field.
    InvalidFieldLine = "invalid-field-line",
    /// A field name has a byte that is not allowed in a token (RFC 9110 §5.6.2).
    InvalidFieldName = "invalid-field-name",
    /// The head was over the size limit and was cut.
    HeadTooLarge = "head-too-large",
    /// The head had more fields than the limit. The rest was dropped.
    TooManyFields = "too-many-fields",
    /// Something other than a start line stood where a message should start.
    BadStartLine = "bad-start-line",
    // Content.
    /// The content coding is unknown. The body is as on the wire.
    UnknownContentCoding = "unknown-content-coding",
    /// The content could not be decoded by its coding. The body is as on the wire.
    CorruptContent = "corrupt-content",
    /// Decoding the content would exceed the bound on ratio or work. The body is as on the wire.
    ContentBomb = "content-bomb",
    /// The content has more nested codings than the limit. The body is as on the wire.
    TooManyContentCodings = "too-many-content-codings",
    /// Bytes of this message's body were dropped to stay within the memory budget.
    BodyShed = "body-shed",
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const _: () = assert!(Anomaly::ALL.len() <= 128, "sets of anomalies are tested up to 128 bits");

/// A set of [`Anomaly`]. It is as large as the list of anomalies needs: one word up to 64 of them,
/// because every connection holds several sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnomalySet(BitSet<{ Anomaly::ALL.len().div_ceil(64) }>);

impl AnomalySet {
    /// The empty set.
    pub const EMPTY: Self = Self(BitSet::EMPTY);

    /// Adds one anomaly.
    pub const fn insert(&mut self, anomaly: Anomaly) {
        self.0.insert(anomaly as usize);
    }

    /// Adds all anomalies of `other`.
    pub const fn extend(&mut self, other: Self) {
        self.0.extend(&other.0);
    }

    /// Returns whether the set has this anomaly.
    pub const fn contains(self, anomaly: Anomaly) -> bool {
        self.0.contains(anomaly as usize)
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Empties the set and returns what it had.
    #[must_use]
    pub const fn take(&mut self) -> Self {
        std::mem::replace(self, Self::EMPTY)
    }

    /// Iterates in the order of [`Anomaly::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        self.0.iter().filter_map(|bit| Anomaly::ALL.get(bit).copied())
    }
}

impl From<Anomaly> for AnomalySet {
    fn from(anomaly: Anomaly) -> Self {
        let mut set = Self::EMPTY;
        set.insert(anomaly);
        set
    }
}

/// A set of the numbers below `64 * WORDS`, a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BitSet<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> BitSet<WORDS> {
    const EMPTY: Self = Self([0; WORDS]);

    const fn insert(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    const fn extend(&mut self, other: &Self) {
        let mut word = 0;
        while word < WORDS {
            self.0[word] |= other.0[word];
            word += 1;
        }
    }

    const fn contains(&self, bit: usize) -> bool {
        self.0[bit / 64] & (1 << (bit % 64)) != 0
    }

    const fn is_empty(&self) -> bool {
        let mut word = 0;
        while word < WORDS {
            if self.0[word] != 0 {
                return false;
            }
            word += 1;
        }
        true
    }

    /// Iterates in ascending order.
    fn iter(mut self) -> impl Iterator<Item = usize> {
        let mut word = 0;
        std::iter::from_fn(move || {
            while *self.0.get(word)? == 0 {
                word += 1;
            }
            let bit = self.0[word].trailing_zeros() as usize;
            self.0[word] &= self.0[word] - 1;
            Some(64 * word + bit)
        })
    }
}

impl<const WORDS: usize> Default for BitSet<WORDS> {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_kebab_case_and_unique() {
        let mut names: Vec<_> = Anomaly::ALL.iter().map(|a| a.name()).collect();
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Anomaly::ALL.len());
    }

    #[test]
    fn a_set_iterates_in_order_and_without_repeats() {
        let mut set = AnomalySet::EMPTY;
        set.insert(Anomaly::BareLf);
        set.insert(Anomaly::ClAndTe);
        set.insert(Anomaly::BareLf);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Anomaly::ClAndTe, Anomaly::BareLf]);
        assert_eq!(set.take().iter().count(), 2);
        assert!(set.is_empty());
    }

    #[test]
    fn a_set_has_room_for_128_anomalies() {
        let (mut all, set_of) = (BitSet::<2>::EMPTY, |bit| {
            let mut set = BitSet::<2>::EMPTY;
            set.insert(bit);
            set
        });
        for bit in 0..128 {
            let set = set_of(bit);
            assert!(!set.is_empty() && set.iter().eq([bit]), "bit {bit}");
            assert!((0..128).all(|other| set.contains(other) == (other == bit)), "bit {bit}");
            all.extend(&set);
            assert!(all.iter().eq(0..=bit), "bit {bit}");
        }
    }

    #[test]
    fn a_set_takes_no_more_room_than_its_list_needs() {
        assert_eq!(size_of::<AnomalySet>(), 8 * Anomaly::ALL.len().div_ceil(64));
    }
}
