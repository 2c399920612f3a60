//! The names of what can be odd about traffic, and a set of them.
//!
//! Bad traffic is data: every oddity here is counted, put on the message it touches, and parsing goes on.
//! SUPPORTED.md explains each to experts. Next: [`crate::ledger`].

use std::fmt;

macro_rules! anomalies {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Something odd about a message or its connection; the text name is what stands in `anomalies`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Anomaly {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Anomaly {
            /// All of them, in the order in which they are printed.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in output and in SUPPORTED.md.
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
    /// Two copies of the same stream bytes differ; the one that arrived first was used (policy 1).
    ConflictingOverlap = "conflicting-overlap",
    /// One of two copies that differ, the one used or the other, had a wrong TCP checksum (policy 2).
    BadChecksum = "bad-checksum",
    /// One of two copies that differ, the one used or the other, had a TTL far below its side's (policy 2).
    LowTtl = "low-ttl",
    /// A segment without ACK inside a connection was ignored.
    NoAck = "no-ack",
    /// A segment that acknowledges what was never sent was ignored.
    BadAck = "bad-ack",
    /// A segment with an MD5 option nobody agreed on was ignored.
    UnsolicitedMd5 = "unsolicited-md5",
    /// A segment with a time stamp older than the peer's last was ignored (PAWS, RFC 7323 §5).
    OldTimestamp = "old-timestamp",
    /// Data far outside the window was ignored.
    OutOfWindow = "out-of-window",
    /// A SYN inside a living connection was ignored.
    SynInFlow = "syn-in-flow",
    /// A reset that was not at the exact expected sequence number was ignored.
    InexactReset = "inexact-reset",
    /// Data behind the sender's FIN was ignored.
    DataAfterFin = "data-after-fin",
    /// The urgent pointer was used; its data was read inline.
    UrgentData = "urgent-data",
    /// Overlapping IP fragments.
    FragmentOverlap = "fragment-overlap",
    // Framing.
    /// Content-Length and Transfer-Encoding in one message; Transfer-Encoding was used (RFC 9112 §6.3).
    ClAndTe = "cl-and-te",
    /// Content-Length values that differ.
    ConflictingContentLength = "conflicting-content-length",
    /// A Content-Length that is not a number in range.
    InvalidContentLength = "invalid-content-length",
    /// Content-Length came more than once with one value.
    RepeatedContentLength = "repeated-content-length",
    /// Transfer-Encoding whose last coding is not chunked.
    TeNotChunked = "te-not-chunked",
    /// Transfer-Encoding with codings besides chunked, or chunked more than once.
    UnusualTransferEncoding = "unusual-transfer-encoding",
    /// Transfer-Encoding in an HTTP/1.0 message (RFC 9112 §6.1).
    TeInHttp10 = "te-in-http10",
    /// A chunk size that is not hexadecimal digits in range.
    BadChunkSize = "bad-chunk-size",
    /// White space before a chunk size.
    ChunkSizeWhitespace = "chunk-size-whitespace",
    /// Chunk data not followed by CRLF.
    BadChunkEnd = "bad-chunk-end",
    // Syntax.
    /// A line ended by LF alone.
    BareLf = "bare-lf",
    /// A CR that is not part of CRLF.
    BareCr = "bare-cr",
    /// A field value continued on a line that starts with white space (RFC 9112 §5.2).
    ObsFold = "obs-fold",
    /// White space between field name and colon (RFC 9112 §5.1).
    SpaceBeforeColon = "space-before-colon",
    /// A NUL byte in the head.
    NulInHead = "nul-in-head",
    /// Blank lines before the start line (RFC 9112 §2.2).
    LeadingBlankLine = "leading-blank-line",
    /// White space inside the request-target, or more of it than one space around it.
    StartLineWhitespace = "start-line-whitespace",
    /// A line among the fields that is not a field.
    InvalidFieldLine = "invalid-field-line",
    /// A field name with a byte that no token has.
    InvalidFieldName = "invalid-field-name",
    /// The head was longer than the limit and was cut.
    HeadTooLarge = "head-too-large",
    /// There were more fields than the limit; the rest was cut.
    TooManyFields = "too-many-fields",
    /// Where a message should start, something else stood.
    BadStartLine = "bad-start-line",
    // Content.
    /// A content coding this build does not know; the body is as on the wire.
    UnknownContentCoding = "unknown-content-coding",
    /// The content does not decode as its coding says; the body is as on the wire.
    CorruptContent = "corrupt-content",
    /// The content expands beyond the bound on ratio or work; the body is as on the wire.
    ContentBomb = "content-bomb",
    /// More content codings on each other than the limit; the body is as on the wire.
    TooManyContentCodings = "too-many-content-codings",
    /// The memory budget took bytes of this message's body.
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
    fn a_set_lists_what_was_put_in_once_and_in_order() {
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
