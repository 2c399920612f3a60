//! Both directions of one connection as HTTP: deliveries in, events out.
//!
//! Each delivery is a step of its direction's [`State`]; what a step does with a head is in [`super::begin`], with a body in
//! [`super::body`].

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;

use super::begin::{Candidate, HeadStep, New};
use super::body::{carried, content};
use super::pairing::Pairing;
use super::state::{BodyState, OpenMessage, Partial, State, Stream, Untouched};
use crate::anomaly::Anomaly;
use crate::config::Config;
use crate::event::{About, Completion, Direction, Event, Flow, Incomplete, Protocol, Sink};
use crate::http1::head::EndFinder;
use crate::http1::start_line;
use crate::ledger::{Fate, Ledger};
use crate::stream::{Delivery, EndCause, GapCause, Retention};

/// What a delivery may touch besides the connection's own state.
pub(crate) struct Context<'a> {
    pub(crate) flow: &'a mut Flow,
    pub(crate) config: &'a Config,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) sink: &'a mut dyn Sink,
    /// The frame that is being pushed.
    pub(crate) stamp: Stamp,
}

#[derive(Debug, Default)]
pub(crate) struct Http1Connection {
    pub(super) sides: [Stream; 2],
    pub(super) exchanges: Pairing,
    /// Who was seen to send a request or to get a response.
    pub(super) client: Option<Side>,
    pub(super) tunnel: Option<Tunnel>,
    recognised: [bool; 3],
}

/// What became of the connection after a 101 or a 2xx to CONNECT.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tunnel {
    /// Its content is looked at: plain HTTP inside is parsed as HTTP (policy 17).
    Connect,
    /// It carries what was upgraded to.
    Upgrade(Fate),
}

impl Http1Connection {
    /// Accounted bytes on the heap.
    pub(crate) fn held(&self) -> usize {
        self.sides[0].state.held() + self.sides[1].state.held() + self.exchanges.held()
    }

    /// Payload bytes without a fate yet.
    pub(crate) fn held_payload(&self) -> usize {
        self.sides[0].state.held_payload() + self.sides[1].state.held_payload()
    }

    /// Notes something odd below HTTP: on the message of `from` in progress, or its next.
    pub(crate) fn flag_message(&mut self, from: Side, anomaly: Anomaly) {
        self.sides[from.index()].notes.insert(anomaly);
    }

    /// What another copy of the bytes last delivered could change.
    pub(crate) fn retention(&self, from: Side) -> Retention {
        match self.sides[from.index()].state {
            State::Start => Retention::Unacknowledged,
            State::Head(_) | State::Overlong(_) | State::Body(..) | State::Trailers(..) => Retention::Open,
            State::Lost(_) | State::Opaque(_) => Retention::None,
        }
    }

    #[inline(always)]
    pub(crate) fn deliver(&mut self, from: Side, delivery: Delivery<'_>, cx: &mut Context<'_>) {
        match delivery {
            Delivery::Bytes { bytes, stamp, boundary } => {
                if self.client == Some(from.other()) {
                    self.exchanges.server_spoke();
                }
                let mut rest = bytes;
                let mut boundary = boundary;
                while !rest.is_empty() {
                    let used = self.step(from, rest, stamp, boundary, cx);
                    // Zero only when a state that looks for a start has found it.
                    boundary &= used == 0;
                    rest = &rest[used..];
                }
            }
            Delivery::Gap { missing: bytes, cause } => self.gap(from, bytes, cause, cx),
            Delivery::End(cause) => self.end(from, cause, cx),
        }
    }

    #[inline(always)]
    fn step(&mut self, from: Side, bytes: &[u8], stamp: Stamp, boundary: bool, cx: &mut Context<'_>) -> usize {
        // The middle of a body, where most bytes are: the state stays what it is.
        if let State::Body(body, open @ OpenMessage { orphan: false, .. }) = &mut self.sides[from.index()].state
            && body.goes_on_behind(bytes.len() as u64)
        {
            open.begun = true;
            content(open.direction, bytes, stamp, cx);
            return bytes.len();
        }
        if let State::Start = self.sides[from.index()].state
            && let Some(used) = self.head_at_once(from, bytes, stamp, cx)
        {
            return used;
        }
        self.any_step(from, bytes, stamp, boundary, cx)
    }

    /// A step of which nothing is known. Apart from [`Self::step`], so that the little that nearly all bytes need lies close together.
    #[inline(never)]
    fn any_step(&mut self, from: Side, bytes: &[u8], stamp: Stamp, boundary: bool, cx: &mut Context<'_>) -> usize {
        match std::mem::take(&mut self.sides[from.index()].state) {
            State::Start => {
                let (mut finder, mut started) = (EndFinder::default(), None);
                let frames = &[stamp];
                let new = New { bytes: bytes.len(), is_segment: false };
                let candidate =
                    Candidate { all: bytes, new, frames, finder: &mut finder, started: &mut started, strict: false };
                match self.head(from, candidate, cx) {
                    HeadStep::Used(used) => used,
                    HeadStep::More => {
                        let mut partial = Box::new(Partial { finder, started, ..Partial::default() });
                        partial.push(bytes, stamp);
                        self.set(from, State::Head(partial));
                        bytes.len()
                    }
                }
            }
            State::Head(mut partial) => {
                let before = partial.bytes.len();
                partial.push(bytes, stamp);
                let new = New { bytes: bytes.len(), is_segment: boundary };
                let Partial { bytes: all, frames, finder, started, strict, .. } = &mut *partial;
                match self.head(from, Candidate { all, new, frames, finder, started, strict: *strict }, cx) {
                    HeadStep::Used(used) => used - before,
                    HeadStep::More => {
                        self.set(from, State::Head(partial));
                        bytes.len()
                    }
                }
            }
            State::Overlong(mut overlong) => match overlong.fields.find_blank(bytes) {
                Some(used) => {
                    cx.ledger.count(Fate::Head, used);
                    self.end_overlong(from, *overlong, stamp, cx);
                    used
                }
                None => {
                    cx.ledger.count(Fate::Head, bytes.len());
                    carried(overlong.open.direction, stamp, cx);
                    self.set(from, State::Overlong(overlong));
                    bytes.len()
                }
            },
            // RFC 9110 §9.3.2: a Content-Length in the answer to a HEAD is not of its body.
            State::Body(body, open)
                if open.orphan && boundary && bytes.starts_with(b"HTTP/") && start_line::is_strict_start(bytes) =>
            {
                let open = OpenMessage { orphan: false, ..open };
                if matches!(body, BodyState::UntilClose) || !open.begun {
                    self.close(from, open, Completion::Complete, stamp, cx);
                } else {
                    self.set(from, State::Body(body, open));
                }
                0
            }
            State::Body(body, mut open) => {
                open.begun = true;
                self.body(from, body, open, bytes, stamp, cx)
            }
            State::Trailers(partial, open) => self.trailers(from, partial, open, bytes, stamp, cx),
            State::Lost(fate) => {
                if boundary && start_line::is_strict_start(bytes) && self.may_send(from, bytes, true, cx.flow) {
                    return 0;
                }
                if boundary && start_line::may_become_strict(bytes) {
                    let mut partial = Box::new(Partial { strict: true, ..Partial::default() });
                    partial.push(bytes, stamp);
                    self.set(from, State::Head(partial));
                    return bytes.len();
                }
                self.count_lost(from, fate, bytes.len(), cx);
                self.set(from, State::Lost(fate));
                bytes.len()
            }
            State::Opaque(fate) => {
                cx.ledger.count(fate, bytes.len());
                self.set(from, State::Opaque(fate));
                bytes.len()
            }
        }
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
        // When its last byte is missing, how long the answer took is not known.
        if open.direction == Direction::Request && completion == Completion::Complete {
            self.exchanges.request_sent(open.exchange, stamp.time);
        }
        let completion = open.cut.map_or(completion, Completion::Incomplete);
        let mut anomalies = open.anomalies;
        anomalies.extend(self.sides[from.index()].notes.take());
        cx.ledger.count_message(anomalies);
        let about = About { flow: cx.flow, direction: open.direction, stamp };
        cx.sink.event(Event::End { about, completion, anomalies });
        self.set(
            from,
            match self.tunnel {
                Some(Tunnel::Upgrade(fate)) => State::Opaque(fate),
                Some(Tunnel::Connect) | None => State::Start,
            },
        );
    }

    /// It is not known where the next message starts.
    pub(super) fn lose(&mut self, from: Side) {
        self.messages_lost(from);
        self.set(from, State::Lost(Fate::Unparseable));
    }

    /// There may have been messages that were not seen.
    pub(super) fn messages_lost(&mut self, from: Side) {
        match self.client {
            Some(client) => self.exchanges.lost(client != from),
            None => self.sides[from.index()].missed = true,
        }
    }

    pub(super) fn begin_tunnel(&mut self, tunnel: Tunnel, cx: &mut Context<'_>) {
        self.tunnel = Some(tunnel);
        let fate = match tunnel {
            Tunnel::Connect => Fate::Tunnel,
            Tunnel::Upgrade(fate) => fate,
        };
        self.recognise(if fate == Fate::Http2 { Protocol::Http2 } else { Protocol::Tunnel }, cx);
        for stream in &mut self.sides {
            stream.state = match (std::mem::take(&mut stream.state), tunnel) {
                (body @ (State::Body(..) | State::Trailers(..) | State::Overlong(_)), _) => body,
                (State::Head(partial), Tunnel::Connect) => State::Head(partial),
                (_, Tunnel::Connect) => State::Start,
                (state, Tunnel::Upgrade(fate)) => {
                    cx.ledger.count(fate, state.held_payload());
                    State::Opaque(fate)
                }
            };
        }
    }

    pub(super) fn recognise(&mut self, protocol: Protocol, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.recognised[protocol as usize], true) {
            cx.sink.event(Event::Recognised { flow: cx.flow, protocol });
        }
    }

    fn gap(&mut self, from: Side, missing: u64, cause: GapCause, cx: &mut Context<'_>) {
        let reason = match cause {
            GapCause::Lost => Incomplete::Gap,
            GapCause::Snaplen => Incomplete::Snaplen,
        };
        let stamp = cx.stamp;
        self.sides[from.index()].untouched = Untouched(false);
        match std::mem::take(&mut self.sides[from.index()].state) {
            State::Start => {
                let fate = match self.client {
                    _ if self.tunnel.is_some() => Fate::Tunnel,
                    Some(_) => Fate::Unparseable,
                    None => Fate::NotHttp,
                };
                self.messages_lost(from);
                self.set(from, State::Lost(fate));
            }
            State::Head(partial) => {
                let known = self.client.is_some() || partial.started.is_some();
                cx.ledger.count(if known { Fate::Unparseable } else { Fate::NotHttp }, partial.bytes.len());
                self.messages_lost(from);
                self.set(from, State::Lost(if known { Fate::Unparseable } else { Fate::NotHttp }));
            }
            State::Overlong(overlong) => {
                self.cut(from, overlong.open, reason, stamp, cx);
                self.lose(from);
            }
            State::Body(mut body, mut open) => {
                let inside = body.skip(missing);
                open.cut.get_or_insert(reason);
                let known = inside.unwrap_or(missing);
                if known > 0 {
                    let about = About { flow: cx.flow, direction: open.direction, stamp };
                    cx.sink.event(Event::Missing { about, bytes: known });
                }
                match (inside, body) {
                    (Some(_), _) => {
                        self.cut(from, open, reason, stamp, cx);
                        self.lose(from);
                    }
                    (None, BodyState::Length { left: 0 }) => self.cut(from, open, reason, stamp, cx),
                    (None, body) => self.set(from, State::Body(body, open)),
                }
            }
            State::Trailers(partial, open) => {
                cx.ledger.count(Fate::Unparseable, partial.bytes.len());
                self.cut(from, open, reason, stamp, cx);
                self.lose(from);
            }
            State::Lost(fate) => {
                self.messages_lost(from);
                self.set(from, State::Lost(fate));
            }
            State::Opaque(fate) => self.set(from, State::Opaque(fate)),
        }
    }

    fn cut(&mut self, from: Side, open: OpenMessage, reason: Incomplete, stamp: Stamp, cx: &mut Context<'_>) {
        self.close(from, open, Completion::Incomplete(reason), stamp, cx);
    }

    fn end(&mut self, from: Side, cause: EndCause, cx: &mut Context<'_>) {
        let reason = match cause {
            EndCause::Fin | EndCause::Reset => Incomplete::Closed,
            EndCause::Idle => Incomplete::Idle,
            EndCause::Evicted => Incomplete::Evicted,
            EndCause::EndOfCapture => Incomplete::End,
        };
        let stamp = cx.stamp;
        match std::mem::take(&mut self.sides[from.index()].state) {
            State::Head(partial) => {
                let fate = match cause {
                    EndCause::Evicted => Fate::Evicted,
                    _ if self.tunnel.is_some() => Fate::Tunnel,
                    _ if self.client.is_some() && !partial.begun => Fate::Framing,
                    _ if self.client.is_some() || partial.started.is_some() => Fate::Unparseable,
                    _ => Fate::NotHttp,
                };
                cx.ledger.count(fate, partial.bytes.len());
            }
            // RFC 9112 §8: only an orderly close says that a body without a length is whole.
            State::Body(BodyState::UntilClose, open) if cause == EndCause::Fin => {
                self.close(from, open, Completion::Complete, stamp, cx);
            }
            State::Body(_, open) => self.cut(from, open, reason, stamp, cx),
            State::Overlong(overlong) => self.cut(from, overlong.open, reason, stamp, cx),
            State::Trailers(partial, open) => {
                let fate = if cause == EndCause::Evicted { Fate::Evicted } else { Fate::Unparseable };
                cx.ledger.count(fate, partial.bytes.len());
                self.cut(from, open, reason, stamp, cx);
            }
            State::Start | State::Lost(_) | State::Opaque(_) => {}
        }
        // What was noted and found no message is counted all the same.
        for anomaly in self.sides[from.index()].notes.take().iter() {
            flag_connection(anomaly, cx);
        }
    }
}

/// Counts something odd that touched no message.
pub(crate) fn flag_connection(anomaly: Anomaly, cx: &mut Context<'_>) {
    cx.ledger.count_anomaly(anomaly);
    cx.sink.event(Event::Anomaly { flow: Some(cx.flow), anomaly });
}
