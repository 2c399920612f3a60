//! Bodies: by length, in chunks with trailers, until the connection closes.

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;

use super::connection::Http1Connection;
use super::state::{BodyState, OpenMessage, Partial, State};
use crate::anomaly::Anomaly;
use crate::context::Context;
use crate::event::Completion;
use crate::http1::chunked::{ChunkPiece, Dechunker};
use crate::http1::head;
use crate::ledger::Fate;
use crate::stream::StreamBytes;
use crate::switch::LayerStep;

impl Http1Connection {
    pub(super) fn body(
        &mut self,
        from: Side,
        body: BodyState,
        open: OpenMessage,
        bytes: &[u8],
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> LayerStep {
        LayerStep::used(match body {
            BodyState::UntilClose => {
                cx.body(open.subject(), bytes, stamp);
                self.set(from, State::Body(body, open));
                bytes.len()
            }
            BodyState::Length { left } => self.body_by_length(from, left, open, bytes, stamp, cx),
            BodyState::Chunked(dechunker) => self.chunked_body(from, dechunker, open, bytes, stamp, cx),
        })
    }

    fn body_by_length(
        &mut self,
        from: Side,
        left: u64,
        open: OpenMessage,
        bytes: &[u8],
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> usize {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        cx.body(open.subject(), &bytes[..n], stamp);
        match left - n as u64 {
            0 => self.close(from, open, Completion::Complete, stamp, cx),
            left => self.set(from, State::Body(BodyState::Length { left }, open)),
        }
        n
    }

    fn chunked_body(
        &mut self,
        from: Side,
        mut dechunker: Dechunker,
        mut open: OpenMessage,
        bytes: &[u8],
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match dechunker.next(&bytes[at..], |odd| open.anomalies.insert(odd)) {
                ChunkPiece::Data(n) => {
                    cx.body(open.subject(), &bytes[at..at + n], stamp);
                    at += n;
                }
                ChunkPiece::Framing(n) => {
                    cx.account.count(Fate::Framing, n);
                    cx.carried(open.subject(), stamp);
                    at += n;
                    if dechunker == Dechunker::Trailers {
                        self.set(from, State::Trailers(Box::default(), open));
                        return at;
                    }
                }
                ChunkPiece::Bad(anomaly) => {
                    open.anomalies.insert(anomaly);
                    cx.account.count(Fate::Unparseable, bytes.len() - at);
                    self.close(from, open, Completion::Complete, stamp, cx);
                    self.lose_place(from);
                    return bytes.len();
                }
            }
        }
        self.set(from, State::Body(BodyState::Chunked(dechunker), open));
        at
    }

    pub(super) fn trailers(
        &mut self,
        from: Side,
        mut partial: Box<Partial>,
        mut open: OpenMessage,
        piece: StreamBytes<'_>,
        cx: &mut Context<'_>,
    ) -> usize {
        let StreamBytes { bytes, stamp, .. } = piece;
        cx.carried(open.subject(), stamp);
        let before = partial.bytes.len();
        if before == 0 && bytes.starts_with(b"\r\n") {
            cx.account.count(Fate::Framing, 2);
            self.close(from, open, Completion::Complete, stamp, cx);
            return 2;
        }
        partial.push(piece);
        let max = cx.config.limits.head_bytes_max;
        match partial.finder.find(&partial.bytes) {
            Some(length) if length <= max => {
                let mut fields = Vec::new();
                open.anomalies.extend(partial.finder.anomalies);
                head::read_fields(
                    &partial.bytes[..length],
                    cx.config.limits.head_fields_max,
                    &mut fields,
                    &mut open.anomalies,
                );
                fields.truncate(cx.config.limits.head_fields_max);
                if !fields.is_empty() {
                    cx.trailers(open.subject(), &fields, stamp);
                }
                cx.account.count(if fields.is_empty() { Fate::Framing } else { Fate::Head }, length);
                self.close(from, open, Completion::Complete, stamp, cx);
                length - before
            }
            None if partial.bytes.len() <= max => {
                self.set(from, State::Trailers(partial, open));
                bytes.len()
            }
            _ => {
                open.anomalies.insert(Anomaly::HeadTooLarge);
                cx.account.count(Fate::Unparseable, partial.bytes.len());
                self.close(from, open, Completion::Complete, stamp, cx);
                self.lose_place(from);
                bytes.len()
            }
        }
    }
}

impl BodyState {
    /// Takes that many bytes if all of them are content and the body has more to come.
    pub(super) fn continues_after(&mut self, bytes: u64) -> bool {
        match self {
            Self::UntilClose => true,
            Self::Length { left } | Self::Chunked(Dechunker::Data { left }) if *left > bytes => {
                *left -= bytes;
                true
            }
            Self::Length { .. } | Self::Chunked(_) => false,
        }
    }

    /// Skips missing bytes. `None` when they all lay inside; else how many of them were known to be
    /// content.
    pub(super) fn skip(&mut self, missing: u64) -> Option<u64> {
        match self {
            Self::UntilClose => None,
            Self::Length { left } if *left >= missing => {
                *left -= missing;
                None
            }
            Self::Length { left } => Some(*left),
            Self::Chunked(dechunker) => {
                // Where the chunks stand is lost, and with it how much of the body is missing.
                if dechunker.skip(missing) { None } else { Some(0) }
            }
        }
    }
}
