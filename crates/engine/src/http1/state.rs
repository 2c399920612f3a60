//! The state of one direction: between messages, in a head, in a body, lost, or not HTTP.
//!
//! ```text
//!            ┌──────────────── a whole message ───────────────┐
//!            ▼                                                 │
//!   ▶ Start ──bytes──▶ Head ──blank line──▶ Body ──────────────┤
//!       │               │                    │                 │
//!       │   not a start line, a gap          │ gap beyond it,  │
//!       ▼               ▼                    ▼ broken framing  │
//!     Opaque ◀──TLS── Lost ──a segment starts with a start line┘
//! ```

use sniffer_packet::frame::Stamp;

use crate::anomaly::AnomalySet;
use crate::event::{Direction, Incomplete};
use crate::http1::chunked::Dechunker;
use crate::http1::framing::Method;
use crate::http1::head::EndFinder;
use crate::http1::overlong::OverlongHead;
use crate::ledger::Fate;

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) state: State,
    /// What was odd below HTTP since the last message ended.
    pub(super) notes: AnomalySet,
    /// Bytes counted as not HTTP: should the connection turn out to speak it, they were of a message that is not in the
    /// capture from its start.
    pub(super) not_http: u64,
    /// Whether bytes are missing or were not understood before it was known who is the client.
    pub(super) missed: bool,
    /// Whether nothing was delivered yet.
    pub(super) untouched: Untouched,
}

/// `true` until the first delivery; a type of its own so that `Stream` can be `Default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untouched(pub(super) bool);

impl Default for Untouched {
    fn default() -> Self {
        Self(true)
    }
}

#[derive(Debug, Default)]
pub(super) enum State {
    /// A message may start here.
    #[default]
    Start,
    /// Part of a head, or of a first line that is not decided, copied.
    Head(Box<Partial>),
    /// Behind the limit of a head: looking for its blank line, then the body.
    Overlong(Box<Overlong>),
    /// In a body.
    Body(BodyState, OpenMessage),
    /// In the trailers of a chunked body.
    Trailers(Box<Partial>, OpenMessage),
    /// Looking for a segment that starts with a start line; the fate of the bytes until then.
    Lost(Fate),
    /// Not to be looked into; the fate of its bytes.
    Opaque(Fate),
}

/// Bytes of a head that is split over segments.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub(super) bytes: Vec<u8>,
    /// Those that carried the bytes, but for what carried nothing else than blank lines before all others: these are no
    /// part of a message (RFC 9112 §2.2).
    pub(super) frames: Vec<Stamp>,
    /// Whether there is something else than blank lines.
    pub(super) begun: bool,
    pub(super) finder: EndFinder,
    /// Blank lines before the start line, once it is decided that there is one.
    pub(super) started: Option<usize>,
    /// The place was lost before it: only a strict start line will do.
    pub(super) strict: bool,
}

impl Partial {
    pub(super) fn push(&mut self, bytes: &[u8], stamp: Stamp) {
        self.bytes.extend_from_slice(bytes);
        if self.frames.last() != Some(&stamp) {
            if !self.begun {
                self.frames.clear();
            }
            // One is often all, and a flood of unfinished heads is of such.
            if self.frames.capacity() == 0 {
                self.frames.reserve_exact(1);
            }
            self.frames.push(stamp);
        }
        self.begun = self.begun || !bytes.iter().all(|&b| matches!(b, b'\r' | b'\n'));
    }

    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.frames.len() * size_of::<Stamp>()
    }
}

/// A head beyond the limit: its message is open, its body not reached.
#[derive(Debug)]
pub(super) struct Overlong {
    pub(super) open: OpenMessage,
    /// Of a response: the method of the request that it answers.
    pub(super) request_method: Method,
    /// What a 101 upgrades to.
    pub(super) upgrade: Fate,
    pub(super) fields: OverlongHead,
}

/// How the body in progress is delimited.
#[derive(Debug, Clone, Copy)]
pub(super) enum BodyState {
    Length { left: u64 },
    Chunked(Dechunker),
    UntilClose,
}

/// The message in progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenMessage {
    pub(super) direction: Direction,
    pub(super) exchange: u32,
    pub(super) anomalies: AnomalySet,
    /// Why it cannot be whole any more.
    pub(super) cut: Option<Incomplete>,
    /// A response whose request was not seen: it may have been a HEAD, and then there is no body.
    pub(super) orphan: bool,
    /// Whether bytes followed its head.
    pub(super) begun: bool,
}

impl State {
    /// Accounted bytes on the heap.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Head(partial) | Self::Trailers(partial, _) => partial.held(),
            Self::Overlong(overlong) => size_of::<Overlong>() + overlong.fields.held(),
            Self::Start | Self::Body(..) | Self::Lost(_) | Self::Opaque(_) => 0,
        }
    }

    /// Payload bytes without a fate yet.
    pub(super) fn held_payload(&self) -> usize {
        match self {
            Self::Head(partial) | Self::Trailers(partial, _) => partial.bytes.len(),
            _ => 0,
        }
    }
}
