//! Both directions of one connection as HTTP/1: deliveries in, events out.
//!
//! Each piece of a delivery is a step of its direction's [`State`]. Heads are in [`super::begin`],
//! bodies in [`super::body`], gaps and ends in [`super::cut`].

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;

use super::pairing::Pairing;
use super::state::{Before, BodyState, OpenMessage, Overlong, Part, Partial, State, Stream};
use crate::anomaly::Anomaly;
use crate::context::Context;
use crate::event::{Completion, Flow, Over};
use crate::http::Direction;
use crate::http1::start_line;
use crate::ledger::Fate;
use crate::stream::{Retention, StreamBytes};
use crate::switch::{LayerStep, Switch};

#[derive(Debug, Default)]
pub(crate) struct Http1Connection {
    pub(super) sides: [Stream; 2],
    pub(super) exchanges: Pairing,
    /// Until the connection is known to speak HTTP.
    pub(super) before: Option<Box<Before>>,
    /// The side that sent a request or got a response.
    pub(super) client: Option<Side>,
    pub(super) life: Life,
}

/// The part of the connection that is HTTP/1's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Life {
    #[default]
    Open,
    /// A CONNECT succeeded: messages inside are read, everything else is the tunnel's (policy 17).
    Tunnel,
    /// A 101 was sent: only the messages in progress are still HTTP/1.
    Upgraded,
}

impl Http1Connection {
    /// Accounted bytes on the heap.
    pub(crate) fn held(&self) -> usize {
        let before = self.before.as_ref().map_or(0, |_| size_of::<Before>());
        self.sides[0].state.held() + self.sides[1].state.held() + self.exchanges.held() + before
    }

    /// Payload bytes without a fate yet.
    pub(crate) fn held_payload(&self) -> usize {
        self.sides[0].state.held_payload() + self.sides[1].state.held_payload()
    }

    /// Notes an anomaly below HTTP: on the message of `from` in progress, or on its next.
    pub(crate) fn flag_message(&mut self, from: Side, anomaly: Anomaly) {
        self.sides[from.index()].notes.insert(anomaly);
    }

    /// Returns how long delivered bytes of this side are retained.
    pub(crate) fn retention(&self, from: Side) -> Retention {
        match self.sides[from.index()].state {
            State::Start => Retention::Unacknowledged,
            State::Head(_) | State::Resuming(_) | State::Overlong(_) | State::Body(..) | State::Trailers(..) => {
                Retention::Open
            }
            State::Lost(_) | State::Away => Retention::None,
        }
    }

    /// The side that is known to be the client.
    pub(crate) const fn client(&self) -> Option<Side> {
        self.client
    }

    /// A CONNECT succeeded, and what is inside is looked at.
    pub(crate) const fn is_tunnel(&self) -> bool {
        matches!(self.life, Life::Tunnel)
    }

    /// The client's last request is a CONNECT without an answer: what follows it is the tunnel's.
    pub(crate) fn is_connecting(&self, from: Side) -> bool {
        self.client == Some(from) && self.exchanges.connecting()
    }

    /// Bytes of this side were delivered, to any layer.
    #[inline(always)]
    pub(crate) fn heard(&mut self, from: Side) {
        if self.client == Some(from.other()) {
            self.exchanges.server_spoke();
        }
    }

    /// Another layer has the bytes of this side from here on.
    pub(crate) fn leave(&mut self, side: Side) {
        self.set(side, State::Away);
    }

    /// The bytes of this side are lost to HTTP/1 until a segment starts with a start line.
    pub(crate) fn lose(&mut self, side: Side, fate: Fate) {
        self.set(side, State::Lost(fate));
    }

    /// A message may start at the next byte of this side.
    pub(crate) fn restart(&mut self, side: Side) {
        self.set(side, State::Start);
    }

    /// A CONNECT succeeded: a message may start in both directions, unless one is in progress.
    pub(crate) fn enter_tunnel(&mut self) {
        self.life = Life::Tunnel;
        for stream in &mut self.sides {
            if let State::Lost(_) = stream.state {
                stream.state = State::Start;
            }
        }
    }

    /// A 101 was sent. Returns whether this side has no message in progress: its bytes are then
    /// another layer's, and those that were held have this fate.
    pub(crate) fn upgrade(&mut self, side: Side, fate: Fate, cx: &mut Context<'_>) -> bool {
        self.life = Life::Upgraded;
        let state = &mut self.sides[side.index()].state;
        if matches!(state, State::Body(..) | State::Trailers(..) | State::Overlong(_)) {
            return false;
        }
        cx.account.count(fate, std::mem::replace(state, State::Away).held_payload());
        true
    }

    /// Takes bytes of one side: all of them, unless the step says why the rest is another layer's.
    #[inline(always)]
    pub(crate) fn deliver(&mut self, from: Side, piece: StreamBytes<'_>, cx: &mut Context<'_>) -> LayerStep {
        let mut rest = piece;
        while !rest.bytes.is_empty() {
            // The middle of a body, where most bytes are: the state stays what it is.
            if let State::Body(body, open @ OpenMessage { orphan: false, .. }) = &mut self.sides[from.index()].state
                && body.continues_after(rest.bytes.len() as u64)
            {
                open.begun = true;
                cx.body(open.subject(), rest.bytes, rest.stamp);
                return LayerStep::used(piece.bytes.len());
            }
            let step = match self.sides[from.index()].state {
                State::Start => self.head_at_once(from, rest, cx),
                _ => self.general_step(from, rest, cx),
            };
            // Nothing is used only when a state that looks for a start has found it.
            rest = rest.after(step.used);
            if step.switch.is_some() {
                return LayerStep { used: piece.bytes.len() - rest.bytes.len(), ..step };
            }
        }
        LayerStep::used(piece.bytes.len())
    }

    /// A step in any state but [`State::Start`]. Out of line, to keep [`Self::deliver`] small.
    #[inline(never)]
    fn general_step(&mut self, from: Side, piece: StreamBytes<'_>, cx: &mut Context<'_>) -> LayerStep {
        let StreamBytes { bytes, stamp, .. } = piece;
        match std::mem::take(&mut self.sides[from.index()].state) {
            State::Start => LayerStep { used: 0, switch: Some(Switch::Undecided) },
            State::Head(mut partial) => {
                partial.push(piece);
                self.more_of_head(from, partial, bytes.len(), cx)
            }
            State::Overlong(overlong) => self.more_of_overlong(from, overlong, bytes, stamp, cx),
            State::Body(body, open) if open.orphan && starts_response(piece) => {
                self.next_answer(from, body, open, stamp, cx)
            }
            State::Body(body, mut open) => {
                open.begun = true;
                self.body(from, body, open, bytes, stamp, cx)
            }
            State::Trailers(partial, open) => LayerStep::used(self.trailers(from, partial, open, piece, cx)),
            State::Lost(fate) => self.look_for_start(from, fate, piece, cx),
            State::Resuming(partial) => self.resume(from, partial, piece, cx),
            State::Away => {
                self.leave(from);
                LayerStep { used: 0, switch: Some(Switch::Ended) }
            }
        }
    }

    fn more_of_overlong(
        &mut self,
        from: Side,
        mut overlong: Box<Overlong>,
        bytes: &[u8],
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> LayerStep {
        match overlong.fields.find_blank(bytes) {
            Some(used) => {
                cx.account.count(Fate::Head, used);
                LayerStep { used, switch: self.end_overlong(from, *overlong, stamp, cx) }
            }
            None => {
                cx.account.count(Fate::Head, bytes.len());
                cx.carried(overlong.open.subject(), stamp);
                self.set(from, State::Overlong(overlong));
                LayerStep::used(bytes.len())
            }
        }
    }

    /// RFC 9110 §9.3.2: the Content-Length in the answer to a HEAD is not of its body. Where the
    /// request was not seen, a segment that starts with the next status line shows that there is
    /// none.
    fn next_answer(
        &mut self,
        from: Side,
        body: BodyState,
        open: OpenMessage,
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> LayerStep {
        let open = OpenMessage { orphan: false, ..open };
        if matches!(body, BodyState::UntilClose) || !open.begun {
            self.close(from, open, Completion::Complete, stamp, cx);
        } else {
            self.set(from, State::Body(body, open));
        }
        LayerStep::used(0)
    }

    /// In [`State::Lost`]: a message starts only where a segment starts with a strict start line
    /// (policy 15).
    fn look_for_start(&mut self, from: Side, fate: Fate, piece: StreamBytes<'_>, cx: &mut Context<'_>) -> LayerStep {
        let StreamBytes { bytes, boundary, .. } = piece;
        if boundary && start_line::is_strict_start(bytes) && self.may_send(from, bytes, true, cx.flow) {
            return LayerStep::used(0);
        }
        if boundary && start_line::may_become_strict(bytes) {
            self.set(from, State::Resuming(Box::new(Partial::of(piece))));
        } else {
            self.count_lost(from, fate, bytes.len(), cx);
            self.lose(from, fate);
        }
        LayerStep::used(bytes.len())
    }

    pub(super) fn set(&mut self, side: Side, state: State) {
        self.sides[side.index()].state = state;
    }

    // Ends of messages.

    /// Ends a message. `completion` gives way to what cut it before.
    pub(super) fn close(
        &mut self,
        from: Side,
        open: OpenMessage,
        completion: Completion,
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) {
        let subject = open.subject();
        // When its last byte is missing, how long the answer took is not known.
        if subject.direction == Direction::Request && completion == Completion::Complete {
            self.exchanges.request_sent(subject.exchange, stamp.time);
        }
        let completion = open.cut.map_or(completion, Completion::Incomplete);
        let mut anomalies = open.anomalies;
        anomalies.extend(self.sides[from.index()].notes.take());
        // Messages of one direction come in the order of their exchanges (RFC 9112 §9.3.2).
        let over = Over { own: open.part != Part::Interim, below: subject.exchange };
        cx.end(subject, completion, anomalies, over, stamp);
        self.set(from, if self.life == Life::Upgraded { State::Away } else { State::Start });
    }

    /// Gives up the place: the start of the next message is not known.
    pub(super) fn lose_place(&mut self, from: Side) {
        self.messages_lost(from);
        self.lose(from, Fate::Unparseable);
    }

    /// There may have been messages that were not seen.
    pub(crate) fn messages_lost(&mut self, from: Side) {
        match self.client {
            Some(client) => self.exchanges.lost(client != from),
            None => self.before.get_or_insert_default().missed[from.index()] = true,
        }
    }

    /// Returns whether a start line of this kind may come from this side. Learns from the first one
    /// which side is the client. Where the place was lost it may be a body that quotes one, so
    /// there the SYN decides first.
    pub(crate) fn may_send(&mut self, from: Side, line: &[u8], is_lost: bool, flow: &Flow) -> bool {
        let client = if line.starts_with(b"HTTP/") { from.other() } else { from };
        if self.client.is_none() && is_lost && flow.server_by_syn && flow.server == client {
            return false;
        }
        *self.client.get_or_insert(client) == client
    }

    /// Counts bytes that are no part of a message, and what they say about pairing.
    pub(crate) fn count_lost(&mut self, from: Side, fate: Fate, bytes: usize, cx: &mut Context<'_>) {
        cx.account.count(fate, bytes);
        if fate == Fate::Unparseable && bytes > 0 && self.client == Some(from.other()) {
            self.exchanges.server_unread();
        }
        if fate == Fate::NotHttp && bytes > 0 {
            let before = self.before.get_or_insert_default();
            before.not_http[from.index()] += bytes as u64;
            before.missed[from.index()] = true;
        }
    }
}

/// Returns whether a segment starts with a status line.
fn starts_response(piece: StreamBytes<'_>) -> bool {
    piece.boundary && piece.bytes.starts_with(b"HTTP/") && start_line::is_strict_start(piece.bytes)
}
