//! Both directions of one connection as HTTP: deliveries in, events out.

use memchr::memchr;

use super::detect::{Found, detect, starts_binary_preamble};
use super::exchange::Exchanges;
use super::stream::{Body, Open, Overlong, Partial, State, Stream, Tail, Untouched};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::config::Config;
use crate::event::{About, Completion, Direction, Event, Flow, Incomplete, Protocol, Sink, StartLine};
use crate::frame::Stamp;
use crate::http1::chunked::{Dechunker, Piece};
use crate::http1::framing::{Framing, Method, framing};
use crate::http1::head::{self, EndFinder, METHOD_MAX};
use crate::key::Side;
use crate::ledger::{Fate, Ledger};
use crate::tcp::{Delivery, EndCause, GapCause, Interest};

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
pub(crate) struct Connection {
    sides: [Stream; 2],
    exchanges: Exchanges,
    /// Who was seen to send a request or to get a response.
    client: Option<Side>,
    tunnel: Option<Tunnel>,
    recognised: [bool; 3],
}

/// What became of the connection after a 101 or a 2xx to CONNECT.
#[derive(Debug, Clone, Copy)]
enum Tunnel {
    /// Its content is looked at: plain HTTP inside is parsed as HTTP (policy 17).
    Connect,
    /// It carries what was upgraded to.
    Upgrade(Fate),
}

/// What came of looking at the bytes of a possible head.
enum Step {
    /// Not all of it is there.
    More,
    /// This many bytes have their fate; the state is set.
    Used(usize),
}

/// Bytes that may be a head, from where the last message ended, and what is known of them.
struct Candidate<'a> {
    all: &'a [u8],
    new: New,
    frames: &'a [Stamp],
    finder: &'a mut EndFinder,
    started: &'a mut Option<usize>,
    /// Only a strict start line will do.
    strict: bool,
}

/// The bytes that were added last to those of a possible head.
#[derive(Debug, Clone, Copy)]
struct New {
    bytes: usize,
    /// Whether they are a segment from its start, behind others: when it all turns out to be no head, the segment may
    /// still start with one.
    is_segment: bool,
}

impl New {
    fn segment(self) -> usize {
        if self.is_segment { self.bytes } else { 0 }
    }
}

impl Connection {
    /// Accounted bytes on the heap.
    pub(crate) fn held(&self) -> usize {
        self.sides[0].state.held() + self.sides[1].state.held() + self.exchanges.held()
    }

    /// Payload bytes without a fate yet.
    pub(crate) fn held_payload(&self) -> usize {
        self.sides[0].state.held_payload() + self.sides[1].state.held_payload()
    }

    /// Notes something odd below HTTP: on the message of `from` in progress, or its next.
    pub(crate) fn note(&mut self, from: Side, anomaly: Anomaly) {
        self.sides[from.index()].notes.insert(anomaly);
    }

    /// What another copy of the bytes last delivered could change.
    pub(crate) fn interest(&self, from: Side) -> Interest {
        match self.sides[from.index()].state {
            State::Start => Interest::Unacknowledged,
            State::Head(_) | State::Overlong(_) | State::Body(..) | State::Trailers(..) => Interest::Open,
            State::Lost(_) | State::Opaque(_) => Interest::None,
        }
    }

    pub(crate) fn deliver(&mut self, from: Side, delivery: Delivery<'_>, cx: &mut Context<'_>) {
        if self.client == Some(from.other()) {
            self.exchanges.server_spoke();
        }
        match delivery {
            Delivery::Bytes { bytes, stamp, starts_segment } => {
                let mut rest = bytes;
                let mut starts_segment = starts_segment;
                while !rest.is_empty() {
                    let used = self.step(from, rest, stamp, starts_segment, cx);
                    // Zero only when a state that looks for a start has found it.
                    starts_segment &= used == 0;
                    rest = &rest[used..];
                }
            }
            Delivery::Gap { bytes, cause } => self.gap(from, bytes, cause, cx),
            Delivery::End(cause) => self.end(from, cause, cx),
        }
    }

    fn step(&mut self, from: Side, bytes: &[u8], stamp: Stamp, starts_segment: bool, cx: &mut Context<'_>) -> usize {
        match std::mem::take(&mut self.sides[from.index()].state) {
            State::Start => {
                let (mut finder, mut started) = (EndFinder::default(), None);
                let frames = &[stamp];
                let new = New { bytes: bytes.len(), is_segment: false };
                let candidate =
                    Candidate { all: bytes, new, frames, finder: &mut finder, started: &mut started, strict: false };
                match self.head(from, candidate, cx) {
                    Step::Used(used) => used,
                    Step::More => {
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
                let new = New { bytes: bytes.len(), is_segment: starts_segment };
                let Partial { bytes: all, frames, finder, started, strict } = &mut *partial;
                match self.head(from, Candidate { all, new, frames, finder, started, strict: *strict }, cx) {
                    Step::Used(used) => used - before,
                    Step::More => {
                        self.set(from, State::Head(partial));
                        bytes.len()
                    }
                }
            }
            State::Overlong(mut overlong) => match overlong.tail.find_blank(bytes) {
                Some(used) => {
                    cx.ledger.count(Fate::Head, used);
                    self.enter(from, overlong.body, overlong.open, stamp, cx);
                    used
                }
                None => {
                    cx.ledger.count(Fate::Head, bytes.len());
                    self.set(from, State::Overlong(overlong));
                    bytes.len()
                }
            },
            // RFC 9110 §9.3.2: a Content-Length in the answer to a HEAD is not of its body.
            State::Body(body, open)
                if open.orphan && starts_segment && bytes.starts_with(b"HTTP/") && head::is_strict_start(bytes) =>
            {
                let open = Open { orphan: false, ..open };
                if matches!(body, Body::UntilClose) || !open.begun {
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
                if starts_segment && head::is_strict_start(bytes) && self.may_send(from, bytes) {
                    return 0;
                }
                if starts_segment && head::may_become_strict(bytes) {
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

    fn set(&mut self, side: Side, state: State) {
        self.sides[side.index()].state = state;
    }

    // Heads.

    fn head(&mut self, from: Side, candidate: Candidate<'_>, cx: &mut Context<'_>) -> Step {
        let Candidate { all, new, frames, finder, started, strict } = candidate;
        let max = cx.config.limits.head_bytes_max;
        let blank = match *started {
            Some(blank) => blank,
            // What was looked at so far in, only a line end can decide: not to look at everything again for every byte
            // that comes.
            None if all.len() - new.bytes > 2 * METHOD_MAX
                && all.len() <= max
                && memchr(b'\n', &all[all.len() - new.bytes..]).is_none()
                && !starts_binary_preamble(all) =>
            {
                return Step::More;
            }
            None => {
                let blank = match detect(all, self.sides[from.index()].untouched.0) {
                    Found::Start { blank }
                        if (!strict || head::is_strict_start(all) || all.starts_with(b"HTTP/"))
                            && self.may_send(from, &all[blank..]) =>
                    {
                        blank
                    }
                    Found::Undecided if all.len() <= max => return Step::More,
                    _ if strict => return Step::Used(self.still_lost(from, all.len() - new.segment(), cx)),
                    other => {
                        self.sides[from.index()].untouched = Untouched(false);
                        return Step::Used(self.not_a_head(from, other, all.len(), new.segment(), cx));
                    }
                };
                self.sides[from.index()].untouched = Untouched(false);
                *started = Some(blank);
                blank
            }
        };
        let head = &all[blank..];
        let mut anomalies = AnomalySet::EMPTY;
        if blank > 0 {
            anomalies.insert(Anomaly::LeadingBlankLine);
        }
        let end = finder.find(head);
        let whole = end.filter(|&length| length <= max);
        if whole.is_none() && head.len() <= max {
            return Step::More;
        }
        if let Some(length) = whole {
            anomalies.extend(finder.anomalies);
            let Some((open, framing, upgrade)) = self.open(from, &head[..length], anomalies, frames, cx) else {
                return Step::Used(self.not_a_head(from, Found::Neither, all.len(), new.segment(), cx));
            };
            cx.ledger.count(Fate::Framing, blank);
            cx.ledger.count(Fate::Head, length);
            let stamp = frames.last().copied().unwrap_or(cx.stamp);
            self.begin_body(from, open, framing, upgrade, stamp, cx);
            return Step::Used(blank + length);
        }
        // Only the first `max` bytes decide, so that the cut does not depend on how the head was split.
        let kept = &head[..max];
        let mut finder = EndFinder::default();
        finder.find(kept);
        anomalies.extend(finder.anomalies);
        anomalies.insert(Anomaly::HeadTooLarge);
        let opened = self.open(from, &kept[..finder.complete_lines()], anomalies, frames, cx);
        let Some((open, framing, _)) = opened else {
            return Step::Used(self.not_a_head(from, Found::Neither, all.len(), new.segment(), cx));
        };
        cx.ledger.count(Fate::Framing, blank);
        cx.ledger.count(Fate::Head, max);
        let mut tail = Tail::Inside;
        tail.find_blank(kept);
        self.set(from, State::Overlong(Box::new(Overlong { body: body_of(framing), open, tail })));
        Step::Used(blank + max)
    }

    /// Whether a start line of this kind may come from this side; learns who is the client from the first one.
    fn may_send(&mut self, from: Side, line: &[u8]) -> bool {
        let client = if line.starts_with(b"HTTP/") { from.other() } else { from };
        *self.client.get_or_insert(client) == client
    }

    /// Bytes where a head might have stood, the last `fresh` of them a segment; gives how many have their fate.
    fn not_a_head(&mut self, from: Side, found: Found, length: usize, fresh: usize, cx: &mut Context<'_>) -> usize {
        let other = match self.sides[from.other().index()].state {
            State::Opaque(fate) => Some(fate),
            _ => None,
        };
        let (used, fate, state) = match found {
            Found::Preamble(preamble) => (preamble, Fate::Framing, State::Start),
            Found::Tls => {
                self.recognise(Protocol::Tls, cx);
                (length, Fate::Tls, State::Opaque(Fate::Tls))
            }
            Found::Http2 => {
                self.recognise(Protocol::Http2, cx);
                (length, Fate::Http2, State::Opaque(Fate::Http2))
            }
            _ if self.tunnel.is_some() => (length, Fate::Tunnel, State::Opaque(Fate::Tunnel)),
            _ if let Some(fate) = other => (length, fate, State::Opaque(fate)),
            _ if self.client.is_some() => {
                self.exchanges.lost(self.client != Some(from));
                report(Anomaly::BadStartLine, cx);
                (length - fresh, Fate::Unparseable, State::Lost(Fate::Unparseable))
            }
            _ => (length - fresh, Fate::NotHttp, State::Lost(Fate::NotHttp)),
        };
        self.count_lost(from, fate, used, cx);
        self.set(from, state);
        used
    }

    /// What looked like the beginning of a start line is none, and the place is as lost as before.
    fn still_lost(&mut self, from: Side, bytes: usize, cx: &mut Context<'_>) -> usize {
        let fate = if self.client.is_some() { Fate::Unparseable } else { Fate::NotHttp };
        self.count_lost(from, fate, bytes, cx);
        self.set(from, State::Lost(fate));
        bytes
    }

    fn count_lost(&mut self, from: Side, fate: Fate, bytes: usize, cx: &mut Context<'_>) {
        cx.ledger.count(fate, bytes);
        if fate == Fate::NotHttp {
            self.sides[from.index()].not_http += bytes as u64;
        }
    }

    /// The connection speaks HTTP after all.
    fn is_http(&mut self, cx: &mut Context<'_>) {
        for stream in &mut self.sides {
            cx.ledger.recount(Fate::NotHttp, Fate::Unparseable, std::mem::take(&mut stream.not_http));
            if let State::Lost(fate @ Fate::NotHttp) = &mut stream.state {
                *fate = Fate::Unparseable;
            }
        }
    }

    /// Reads a head and says so; gives its message, its framing, and what a 101 upgrades to.
    fn open(
        &mut self,
        from: Side,
        bytes: &[u8],
        anomalies: AnomalySet,
        frames: &[Stamp],
        cx: &mut Context<'_>,
    ) -> Option<(Open, Framing, Fate)> {
        self.is_http(cx);
        let answering = !matches!(self.sides[from.other().index()].state, State::Start | State::Lost(_));
        let exchanges = &mut self.exchanges;
        let first = frames.first().copied().unwrap_or(cx.stamp);
        cx.flow.server = if bytes.starts_with(b"HTTP/") { from } else { from.other() };
        head::read(bytes, cx.config.limits.head_fields_max, |head, read_anomalies| {
            let (direction, exchange, answers, known, latency_nanos) = match head.start {
                StartLine::Request { method, .. } => {
                    let method = Method::of(method);
                    let exchange = exchanges.request(method, answering, cx.config.limits.pipeline_max);
                    (Direction::Request, exchange, Method::Other, true, None)
                }
                StartLine::Response { status, .. } => {
                    let answer = exchanges.response(status, first.time);
                    (Direction::Response, answer.exchange, answer.method, answer.known, answer.latency_nanos)
                }
            };
            let (framing, framing_anomalies) = framing(&head, answers);
            let mut open = Open { direction, exchange, anomalies, cut: None, orphan: !known, begun: false };
            open.anomalies.extend(read_anomalies);
            open.anomalies.extend(framing_anomalies);
            let about = About { flow: cx.flow, direction, stamp: first };
            cx.sink.event(Event::Head { about, exchange, head, frames, latency_nanos });
            let h2c = head
                .fields
                .iter()
                .any(|f| f.name.eq_ignore_ascii_case(b"upgrade") && f.value.eq_ignore_ascii_case(b"h2c"));
            (open, framing, if h2c { Fate::Http2 } else { Fate::Tunnel })
        })
    }

    fn begin_body(
        &mut self,
        from: Side,
        open: Open,
        framing: Framing,
        upgrade: Fate,
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) {
        match framing {
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
                self.enter(from, body_of(framing), open, stamp, cx);
            }
            Framing::Upgrade => {
                self.close(from, open, Completion::Complete, stamp, cx);
                self.begin_tunnel(Tunnel::Upgrade(upgrade), cx);
            }
            Framing::Tunnel => {
                self.close(from, open, Completion::Complete, stamp, cx);
                self.begin_tunnel(Tunnel::Connect, cx);
            }
            Framing::Unknown => {
                self.close(from, open, Completion::Complete, stamp, cx);
                self.lose(from);
            }
        }
    }

    fn enter(&mut self, from: Side, body: Option<Body>, open: Open, stamp: Stamp, cx: &mut Context<'_>) {
        match body {
            Some(body) => self.set(from, State::Body(body, open)),
            None => self.close(from, open, Completion::Complete, stamp, cx),
        }
    }

    // Bodies.

    fn body(
        &mut self,
        from: Side,
        body: Body,
        mut open: Open,
        bytes: &[u8],
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> usize {
        let mut body = body;
        match &mut body {
            Body::UntilClose => {
                content(open.direction, bytes, stamp, cx);
                self.set(from, State::Body(body, open));
                bytes.len()
            }
            Body::Length { left } => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                content(open.direction, &bytes[..n], stamp, cx);
                *left -= n as u64;
                if *left == 0 {
                    self.close(from, open, Completion::Complete, stamp, cx);
                } else {
                    self.set(from, State::Body(body, open));
                }
                n
            }
            Body::Chunked(dechunker) => {
                let mut at = 0;
                while at < bytes.len() {
                    match dechunker.next(&bytes[at..], |odd| open.anomalies.insert(odd)) {
                        Piece::Data(n) => {
                            content(open.direction, &bytes[at..at + n], stamp, cx);
                            at += n;
                        }
                        Piece::Framing(n) => {
                            cx.ledger.count(Fate::Framing, n);
                            carried(open.direction, stamp, cx);
                            at += n;
                            if *dechunker == Dechunker::Trailers {
                                self.set(from, State::Trailers(Box::default(), open));
                                return at;
                            }
                        }
                        Piece::Bad(anomaly) => {
                            open.anomalies.insert(anomaly);
                            cx.ledger.count(Fate::Unparseable, bytes.len() - at);
                            self.close(from, open, Completion::Complete, stamp, cx);
                            self.lose(from);
                            return bytes.len();
                        }
                    }
                }
                self.set(from, State::Body(body, open));
                at
            }
        }
    }

    fn trailers(
        &mut self,
        from: Side,
        mut partial: Box<Partial>,
        mut open: Open,
        bytes: &[u8],
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> usize {
        carried(open.direction, stamp, cx);
        let before = partial.bytes.len();
        if before == 0 && bytes.starts_with(b"\r\n") {
            cx.ledger.count(Fate::Framing, 2);
            self.close(from, open, Completion::Complete, stamp, cx);
            return 2;
        }
        partial.push(bytes, stamp);
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
                if !fields.is_empty() {
                    let about = About { flow: cx.flow, direction: open.direction, stamp };
                    cx.sink.event(Event::Trailers { about, fields: &fields });
                }
                cx.ledger.count(if fields.is_empty() { Fate::Framing } else { Fate::Head }, length);
                self.close(from, open, Completion::Complete, stamp, cx);
                length - before
            }
            None if partial.bytes.len() <= max => {
                self.set(from, State::Trailers(partial, open));
                bytes.len()
            }
            _ => {
                open.anomalies.insert(Anomaly::HeadTooLarge);
                cx.ledger.count(Fate::Unparseable, partial.bytes.len());
                self.close(from, open, Completion::Complete, stamp, cx);
                self.lose(from);
                bytes.len()
            }
        }
    }

    // Ends of messages.

    /// Ends a message. `completion` gives way to what cut it before.
    fn close(&mut self, from: Side, open: Open, completion: Completion, stamp: Stamp, cx: &mut Context<'_>) {
        let completion = open.cut.map_or(completion, Completion::Incomplete);
        let mut anomalies = open.anomalies;
        anomalies.extend(self.sides[from.index()].notes.take());
        if open.direction == Direction::Request {
            self.exchanges.request_sent(open.exchange, stamp.time);
        }
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
    fn lose(&mut self, from: Side) {
        self.exchanges.lost(self.client != Some(from));
        self.set(from, State::Lost(Fate::Unparseable));
    }

    fn begin_tunnel(&mut self, tunnel: Tunnel, cx: &mut Context<'_>) {
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

    fn recognise(&mut self, protocol: Protocol, cx: &mut Context<'_>) {
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
                let fate = if self.client.is_some() { Fate::Unparseable } else { Fate::NotHttp };
                self.exchanges.lost(self.client != Some(from));
                self.set(from, State::Lost(fate));
            }
            State::Head(partial) => {
                let known = self.client.is_some() || partial.started.is_some();
                cx.ledger.count(if known { Fate::Unparseable } else { Fate::NotHttp }, partial.bytes.len());
                self.exchanges.lost(self.client != Some(from));
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
                    (None, Body::Length { left: 0 }) => self.cut(from, open, reason, stamp, cx),
                    (None, body) => self.set(from, State::Body(body, open)),
                }
            }
            State::Trailers(partial, open) => {
                cx.ledger.count(Fate::Unparseable, partial.bytes.len());
                self.cut(from, open, reason, stamp, cx);
                self.lose(from);
            }
            state @ (State::Lost(_) | State::Opaque(_)) => self.set(from, state),
        }
    }

    fn cut(&mut self, from: Side, open: Open, reason: Incomplete, stamp: Stamp, cx: &mut Context<'_>) {
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
                    _ if self.client.is_some() || partial.started.is_some() => Fate::Unparseable,
                    _ => Fate::NotHttp,
                };
                cx.ledger.count(fate, partial.bytes.len());
            }
            // RFC 9112 §8: only an orderly close says that a body without a length is whole.
            State::Body(Body::UntilClose, open) if cause == EndCause::Fin => {
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
            report(anomaly, cx);
        }
    }
}

impl Body {
    /// Skips missing bytes. `None` when they all lay inside; else how many of them were known to be content.
    fn skip(&mut self, missing: u64) -> Option<u64> {
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

fn body_of(framing: Framing) -> Option<Body> {
    match framing {
        Framing::Length(0) | Framing::Tunnel | Framing::Upgrade | Framing::Unknown => None,
        Framing::Length(left) => Some(Body::Length { left }),
        Framing::Chunked => Some(Body::Chunked(Dechunker::default())),
        Framing::UntilClose => Some(Body::UntilClose),
    }
}

fn content(direction: Direction, bytes: &[u8], stamp: Stamp, cx: &mut Context<'_>) {
    cx.ledger.count(Fate::Body, bytes.len());
    let about = About { flow: cx.flow, direction, stamp };
    cx.sink.event(Event::Body { about, bytes });
}

/// Says that a frame carried framing of a message, which matters only to who keeps the frames' numbers.
fn carried(direction: Direction, stamp: Stamp, cx: &mut Context<'_>) {
    if cx.config.track_frames {
        let about = About { flow: cx.flow, direction, stamp };
        cx.sink.event(Event::Body { about, bytes: &[] });
    }
}

/// Counts something odd that touched no message.
pub(crate) fn report(anomaly: Anomaly, cx: &mut Context<'_>) {
    cx.ledger.count_anomaly(anomaly);
    cx.sink.event(Event::Anomaly { flow: Some(cx.flow), anomaly });
}
