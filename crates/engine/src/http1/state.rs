//! The state of one direction: between messages, in a head, in a body, lost, or with another layer.
//!
//! ```text
//!            ┌──────────────── a whole message ────────────────┐
//!            ▼                                                  │
//!   ▶ Start ──a start line──▶ Head ──blank line──▶ Body ────────┤
//!       │                       │                    │          │
//!       │ not a start line      │ no head after all, │          │
//!       ▼                       ▼ a gap              ▼          │
//!     Away                    Lost ──a segment starts with a start line──▶ Resuming
//! ```

use sniffer_packet::frame::Stamp;

use crate::anomaly::AnomalySet;
use crate::context::Subject;
use crate::event::Incomplete;
use crate::http::Direction;
use crate::http1::chunked::Dechunker;
use crate::http1::framing::Method;
use crate::http1::head::EndFinder;
use crate::http1::overlong::OverlongHead;
use crate::ledger::Fate;
use crate::stream::StreamBytes;
use crate::switch::Upgrade;

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) state: State,
    /// Anomalies below HTTP since the last message ended.
    pub(super) notes: AnomalySet,
}

#[derive(Debug, Default)]
pub(super) enum State {
    /// A message may start here.
    #[default]
    Start,
    /// A head whose start line is decided, split over segments.
    Head(Box<Partial>),
    /// A head over the limit: looking for its blank line, then the body.
    Overlong(Box<Overlong>),
    /// In a body.
    Body(BodyState, OpenMessage),
    /// In the trailers of a chunked body.
    Trailers(Box<Partial>, OpenMessage),
    /// Looking for a segment that starts with a start line; the fate of the bytes until then.
    Lost(Fate),
    /// Bytes at the start of a segment that may become a strict start line, after the place was
    /// lost.
    Resuming(Box<Partial>),
    /// Another layer has the bytes of this direction.
    Away,
}

/// Bytes that are kept because a segment ended before they said enough.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    pub(crate) bytes: Vec<u8>,
    /// The frames that carried the bytes. Frames with nothing but blank lines before everything
    /// else are left out: those lines are no part of a message (RFC 9112 §2.2).
    pub(crate) frames: Vec<Stamp>,
    /// There is something besides blank lines.
    pub(crate) begun: bool,
    pub(super) finder: EndFinder,
    /// Length of the blank lines before the start line.
    pub(super) blank: usize,
}

impl Partial {
    pub(crate) fn of(piece: StreamBytes<'_>) -> Self {
        let mut partial = Self::default();
        partial.push(piece);
        partial
    }

    pub(crate) fn push(&mut self, piece: StreamBytes<'_>) {
        let StreamBytes { bytes, stamp, .. } = piece;
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

    /// Accounted bytes on the heap, its own included.
    pub(crate) fn held(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.frames.len() * size_of::<Stamp>()
    }
}

/// A head over the limit: its message is open, its body not reached.
#[derive(Debug)]
pub(super) struct Overlong {
    pub(super) open: OpenMessage,
    /// Response: the method of the request that it answers.
    pub(super) request_method: Method,
    /// Response with status 101: the protocol it upgrades to.
    pub(super) upgrade: Upgrade,
    pub(super) fields: OverlongHead,
}

/// The delimitation of the body in progress (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy)]
pub(super) enum BodyState {
    Length { left: u64 },
    Chunked(Dechunker),
    UntilClose,
}

/// The message in progress. Every idle connection has room for two of these.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenMessage {
    pub(super) anomalies: AnomalySet,
    pub(super) exchange: u32,
    pub(super) part: Part,
    /// Why it cannot be whole any more.
    pub(super) cut: Option<Incomplete>,
    /// A response whose request was not seen: if that was a HEAD, there is no body.
    pub(super) orphan: bool,
    /// Bytes followed its head.
    pub(super) begun: bool,
}

/// The role of a message in its exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Request,
    /// A response that another one follows (RFC 9110 §15.2).
    Interim,
    Final,
}

impl OpenMessage {
    pub(super) const fn new(exchange: u32, part: Part, anomalies: AnomalySet) -> Self {
        Self { anomalies, exchange, part, cut: None, orphan: false, begun: false }
    }

    pub(super) const fn subject(&self) -> Subject {
        let direction = match self.part {
            Part::Request => Direction::Request,
            Part::Interim | Part::Final => Direction::Response,
        };
        Subject { exchange: self.exchange, direction }
    }
}

/// Bytes of a connection before it was known to speak HTTP, by side. Rare.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Bytes counted as not HTTP. If the connection turns out to speak it, they belonged to a
    /// message whose start is not in the capture.
    pub(super) not_http: [u64; 2],
    /// Bytes were missing or unreadable.
    pub(super) missed: [bool; 2],
}

impl State {
    /// Accounted bytes on the heap.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Head(partial) | Self::Resuming(partial) | Self::Trailers(partial, _) => partial.held(),
            Self::Overlong(overlong) => size_of::<Overlong>() + overlong.fields.held(),
            Self::Start | Self::Body(..) | Self::Lost(_) | Self::Away => 0,
        }
    }

    /// Payload bytes without a fate yet.
    pub(super) fn held_payload(&self) -> usize {
        match self {
            Self::Head(partial) | Self::Resuming(partial) | Self::Trailers(partial, _) => partial.bytes.len(),
            _ => 0,
        }
    }
}
