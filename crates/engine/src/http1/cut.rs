//! Messages that are cut: by bytes missing from the capture, or by the end of a direction.

use sniffer_packet::key::Side;

use super::connection::{Http1Connection, Life};
use super::state::{BodyState, OpenMessage, Partial, State};
use crate::context::Context;
use crate::event::{Completion, Incomplete};
use crate::ledger::Fate;
use crate::stream::{EndCause, GapCause};

impl Http1Connection {
    /// Bytes of this side are missing.
    pub(crate) fn gap(&mut self, from: Side, missing: u64, cause: GapCause, cx: &mut Context<'_>) {
        let reason = match cause {
            GapCause::Lost => Incomplete::Gap,
            GapCause::Snaplen => Incomplete::Snaplen,
        };
        match std::mem::take(&mut self.sides[from.index()].state) {
            State::Start => {
                let fate = match self.client {
                    _ if self.life == Life::Tunnel => Fate::Tunnel,
                    Some(_) => Fate::Unparseable,
                    None => Fate::NotHttp,
                };
                self.messages_lost(from);
                self.lose(from, fate);
            }
            State::Head(partial) => self.gap_in_start(from, &partial, true, cx),
            State::Resuming(partial) => self.gap_in_start(from, &partial, false, cx),
            State::Overlong(overlong) => {
                self.cut(from, overlong.open, reason, cx);
                self.lose_place(from);
            }
            State::Body(body, open) => self.gap_in_body(from, body, open, missing, reason, cx),
            State::Trailers(partial, open) => {
                cx.account.count(Fate::Unparseable, partial.bytes.len());
                self.cut(from, open, reason, cx);
                self.lose_place(from);
            }
            State::Lost(fate) => {
                self.messages_lost(from);
                self.lose(from, fate);
            }
            State::Away => self.leave(from),
        }
    }

    /// A gap after bytes that may have begun a message; `is_head` when they certainly did.
    pub(crate) fn gap_in_start(&mut self, from: Side, partial: &Partial, is_head: bool, cx: &mut Context<'_>) {
        let fate = if is_head || self.client.is_some() { Fate::Unparseable } else { Fate::NotHttp };
        cx.account.count(fate, partial.bytes.len());
        self.messages_lost(from);
        self.lose(from, fate);
    }

    fn gap_in_body(
        &mut self,
        from: Side,
        mut body: BodyState,
        mut open: OpenMessage,
        missing: u64,
        reason: Incomplete,
        cx: &mut Context<'_>,
    ) {
        let inside = body.skip(missing);
        open.cut.get_or_insert(reason);
        let known = inside.unwrap_or(missing);
        if known > 0 {
            cx.missing(open.subject(), known);
        }
        match (inside, body) {
            (Some(_), _) => {
                self.cut(from, open, reason, cx);
                self.lose_place(from);
            }
            (None, BodyState::Length { left: 0 }) => self.cut(from, open, reason, cx),
            (None, body) => self.set(from, State::Body(body, open)),
        }
    }

    fn cut(&mut self, from: Side, open: OpenMessage, reason: Incomplete, cx: &mut Context<'_>) {
        self.close(from, open, Completion::Incomplete(reason), cx.stamp, cx);
    }

    /// This side sends no more.
    pub(crate) fn end(&mut self, from: Side, cause: EndCause, cx: &mut Context<'_>) {
        let reason = match cause {
            EndCause::Fin | EndCause::Reset => Incomplete::Closed,
            EndCause::Idle => Incomplete::Idle,
            EndCause::Evicted => Incomplete::Evicted,
            EndCause::EndOfCapture => Incomplete::End,
        };
        match std::mem::take(&mut self.sides[from.index()].state) {
            State::Head(partial) => self.end_in_start(&partial, true, cause, cx),
            State::Resuming(partial) => self.end_in_start(&partial, false, cause, cx),
            // RFC 9112 §8: only an orderly close says that a body without a length is whole.
            State::Body(BodyState::UntilClose, open) if cause == EndCause::Fin => {
                self.close(from, open, Completion::Complete, cx.stamp, cx);
            }
            State::Body(_, open) => self.cut(from, open, reason, cx),
            State::Overlong(overlong) => self.cut(from, overlong.open, reason, cx),
            State::Trailers(partial, open) => {
                let fate = if cause == EndCause::Evicted { Fate::Evicted } else { Fate::Unparseable };
                cx.account.count(fate, partial.bytes.len());
                self.cut(from, open, reason, cx);
            }
            State::Start | State::Lost(_) | State::Away => {}
        }
        // Notes that found no message are counted all the same.
        for anomaly in self.sides[from.index()].notes.take().iter() {
            cx.flag_connection(anomaly);
        }
    }

    /// A direction ended after bytes that may have begun a message; `is_head` when they certainly
    /// did.
    pub(crate) fn end_in_start(&self, partial: &Partial, is_head: bool, cause: EndCause, cx: &mut Context<'_>) {
        let fate = match cause {
            EndCause::Evicted => Fate::Evicted,
            _ if self.life == Life::Tunnel => Fate::Tunnel,
            _ if self.client.is_some() && !partial.begun => Fate::Framing,
            _ if self.client.is_some() || is_head => Fate::Unparseable,
            _ => Fate::NotHttp,
        };
        cx.account.count(fate, partial.bytes.len());
    }
}
