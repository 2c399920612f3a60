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

use crate::anomaly::AnomalySet;
use crate::event::{Direction, Incomplete};
use crate::frame::Stamp;
use crate::http1::chunked::Dechunker;
use crate::http1::head::EndFinder;
use crate::ledger::Fate;

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) state: State,
    /// What was odd below HTTP since the last message ended.
    pub(super) notes: AnomalySet,
    /// Bytes counted as not HTTP: should the connection turn out to speak it, they were of a message that is not in the
    /// capture from its start.
    pub(super) not_http: u64,
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
    Body(Body, Open),
    /// In the trailers of a chunked body.
    Trailers(Box<Partial>, Open),
    /// Looking for a segment that starts with a start line; the fate of the bytes until then.
    Lost(Fate),
    /// Not to be looked into; the fate of its bytes.
    Opaque(Fate),
}

/// Bytes of a head that is split over segments.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub(super) bytes: Vec<u8>,
    pub(super) frames: Vec<Stamp>,
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
            self.frames.push(stamp);
        }
    }

    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.frames.len() * size_of::<Stamp>()
    }
}

/// A head beyond the limit: its message is open, its body not reached.
#[derive(Debug)]
pub(super) struct Overlong {
    pub(super) body: Option<Body>,
    pub(super) open: Open,
    /// The bytes looked at end with an LF, or with an LF and a CR.
    pub(super) tail: Tail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    Inside,
    Lf,
    LfCr,
}

impl Tail {
    /// Looks for the blank line that ends the head; the bytes up to and with it, once it is there.
    pub(super) fn find_blank(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            *self = match (*self, byte) {
                (Self::Lf | Self::LfCr, b'\n') => return Some(at + 1),
                (_, b'\n') => Self::Lf,
                (Self::Lf, b'\r') => Self::LfCr,
                _ => Self::Inside,
            };
        }
        None
    }
}

/// How the body in progress is delimited.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    Length { left: u64 },
    Chunked(Dechunker),
    UntilClose,
}

/// The message in progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
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
            Self::Overlong(_) => size_of::<Overlong>(),
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
