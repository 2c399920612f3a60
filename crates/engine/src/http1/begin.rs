//! Where a message may start: is it a head, whose is it, and how long is what follows.

use memchr::memchr;
use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;

use super::connection::{Context, Http1Connection, Tunnel, flag_connection};
use super::state::{BodyState, OpenMessage, Overlong, State, Untouched};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::app::{Detected, detect, starts_binary_preamble};
use crate::event::{About, Completion, Direction, Event, Field, Flow, Head, Protocol, StartLine};
use crate::http1::chunked::Dechunker;
use crate::http1::framing::{Framing, FramingInput, Method, framing};
use crate::http1::head::{self, EndFinder};
use crate::http1::overlong::OverlongHead;
use crate::http1::start_line::{self, METHOD_MAX};
use crate::ledger::Fate;

/// What came of looking at the bytes of a possible head.
pub(super) enum HeadStep {
    /// Not all of it is there.
    More,
    /// This many bytes have their fate; the state is set.
    Used(usize),
}

/// Bytes that may be a head, from where the last message ended, and what is known of them.
pub(super) struct Candidate<'a> {
    pub(super) all: &'a [u8],
    pub(super) new: New,
    pub(super) frames: &'a [Stamp],
    pub(super) finder: &'a mut EndFinder,
    pub(super) started: &'a mut Option<usize>,
    /// Only a strict start line will do.
    pub(super) strict: bool,
}

/// The bytes that were added last to those of a possible head.
#[derive(Debug, Clone, Copy)]
pub(super) struct New {
    pub(super) bytes: usize,
    /// Whether they are a segment from its start, behind others: when it all turns out to be no head, the segment may
    /// still start with one.
    pub(super) is_segment: bool,
}

impl New {
    fn segment(self) -> usize {
        if self.is_segment { self.bytes } else { 0 }
    }
}

/// A message whose head was read.
struct Opened {
    open: OpenMessage,
    outline: FramingInput,
    /// Of a response: the method of the request that it answers.
    request_method: Method,
    /// What a 101 upgrades to.
    upgrade: Fate,
}

impl Http1Connection {
    /// A head that stands whole and well-formed between messages; gives its length. `None` when [`Self::head`] has to look.
    pub(super) fn head_at_once(
        &mut self,
        from: Side,
        bytes: &[u8],
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> Option<usize> {
        let limits = &cx.config.limits;
        let (bytes_max, fields_max) = (limits.head_bytes_max, limits.head_fields_max);
        // Gone on with inside: handed out of it, what was read was copied four times.
        head::read_at_once(bytes, bytes_max, fields_max, |head, length| {
            self.may_send(from, bytes, false, cx.flow).then(|| {
                self.is_http(cx);
                let opened = self.opened(from, head, AnomalySet::EMPTY, &[stamp], cx);
                self.sides[from.index()].untouched = Untouched(false);
                self.begin(from, opened, length, stamp, cx);
                length
            })
        })?
    }

    pub(super) fn head(&mut self, from: Side, candidate: Candidate<'_>, cx: &mut Context<'_>) -> HeadStep {
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
                return HeadStep::More;
            }
            None => {
                let blank = match detect(all, self.sides[from.index()].untouched.0) {
                    Detected::Start { blank }
                        if (!strict || start_line::is_strict_start(all))
                            && self.may_send(from, &all[blank..], strict, cx.flow) =>
                    {
                        blank
                    }
                    Detected::Undecided if all.len() <= max => return HeadStep::More,
                    _ if strict => return HeadStep::Used(self.still_lost(from, all.len() - new.segment(), cx)),
                    other => {
                        self.sides[from.index()].untouched = Untouched(false);
                        return HeadStep::Used(self.not_a_head(from, other, all.len(), new.segment(), cx));
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
            return HeadStep::More;
        }
        if let Some(length) = whole {
            anomalies.extend(finder.anomalies);
            let Some(opened) = self.open(from, &head[..length], anomalies, frames, cx) else {
                return HeadStep::Used(self.not_a_head(from, Detected::Neither, all.len(), new.segment(), cx));
            };
            cx.ledger.count(Fate::Framing, blank);
            let stamp = frames.last().copied().unwrap_or(cx.stamp);
            self.begin(from, opened, length, stamp, cx);
            return HeadStep::Used(blank + length);
        }
        // Only the first `max` bytes decide what is kept, so that it does not depend on how the head was split.
        let kept = &head[..max];
        let mut finder = EndFinder::default();
        finder.find(kept);
        anomalies.extend(finder.anomalies);
        anomalies.insert(Anomaly::HeadTooLarge);
        let opened = self.open(from, &kept[..finder.complete_lines()], anomalies, frames, cx);
        let Some(Opened { open, outline, request_method, upgrade }) = opened else {
            return HeadStep::Used(self.not_a_head(from, Detected::Neither, all.len(), new.segment(), cx));
        };
        cx.ledger.count(Fate::Framing, blank);
        cx.ledger.count(Fate::Head, max);
        // From the first field on, as the cut may go through one.
        let mut fields = OverlongHead::new(outline.status, outline.version);
        fields.find_blank(&kept[memchr(b'\n', kept).map_or(max, |lf| lf + 1)..]);
        self.set(from, State::Overlong(Box::new(Overlong { open, request_method, upgrade, fields })));
        HeadStep::Used(blank + max)
    }

    /// The blank line of a head that was too long to keep.
    pub(super) fn end_overlong(&mut self, from: Side, overlong: Overlong, stamp: Stamp, cx: &mut Context<'_>) {
        let Overlong { mut open, request_method, upgrade, fields } = overlong;
        let (framing, anomalies) = framing(fields.outline(), request_method);
        open.anomalies.extend(fields.anomalies);
        open.anomalies.extend(anomalies);
        self.begin_body(from, open, framing, upgrade, stamp, cx);
    }

    /// Whether a start line of this kind may come from this side; learns who is the client from the first one. Where the
    /// place was lost it may be a body that quotes one, so there the SYN is believed first.
    pub(super) fn may_send(&mut self, from: Side, line: &[u8], is_lost: bool, flow: &Flow) -> bool {
        let client = if line.starts_with(b"HTTP/") { from.other() } else { from };
        if self.client.is_none() && is_lost && flow.server_by_syn && flow.server == client {
            return false;
        }
        *self.client.get_or_insert(client) == client
    }

    /// Bytes where a head might have stood, the last `fresh` of them a segment; gives how many have their fate.
    fn not_a_head(&mut self, from: Side, found: Detected, length: usize, fresh: usize, cx: &mut Context<'_>) -> usize {
        let other = match self.sides[from.other().index()].state {
            State::Opaque(fate) => Some(fate),
            _ => None,
        };
        // What follows a CONNECT before its answer is of the tunnel, should there be one.
        let early = self.client == Some(from) && self.exchanges.connecting();
        let (used, fate, state) = match found {
            Detected::Preamble(preamble) => (preamble, Fate::Framing, State::Start),
            Detected::Tls => {
                self.recognise(Protocol::Tls, cx);
                let between_messages = self.client.is_some() && self.tunnel.is_none();
                if between_messages && !early {
                    self.messages_lost(from);
                }
                // Three bytes between messages must not hide all that follows.
                (length, Fate::Tls, if between_messages { State::Lost(Fate::Tls) } else { State::Opaque(Fate::Tls) })
            }
            Detected::Http2 => {
                self.recognise(Protocol::Http2, cx);
                (length, Fate::Http2, State::Opaque(Fate::Http2))
            }
            Detected::HttpLike if self.client.is_none() => (length, Fate::NotHttp, State::Opaque(Fate::NotHttp)),
            _ if self.tunnel.is_some() => (length, Fate::Tunnel, State::Opaque(Fate::Tunnel)),
            _ if early => (length - fresh, Fate::Tunnel, State::Lost(Fate::Tunnel)),
            _ if let Some(fate) = other => (length, fate, State::Opaque(fate)),
            _ if self.client.is_some() => {
                self.messages_lost(from);
                flag_connection(Anomaly::BadStartLine, cx);
                (length - fresh, Fate::Unparseable, State::Lost(Fate::Unparseable))
            }
            _ => (length - fresh, Fate::NotHttp, State::Lost(Fate::NotHttp)),
        };
        match state {
            State::Opaque(_) => cx.ledger.count(fate, used),
            _ => self.count_lost(from, fate, used, cx),
        }
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

    pub(super) fn count_lost(&mut self, from: Side, fate: Fate, bytes: usize, cx: &mut Context<'_>) {
        cx.ledger.count(fate, bytes);
        if fate == Fate::Unparseable && bytes > 0 && self.client == Some(from.other()) {
            self.exchanges.server_unread();
        }
        if fate == Fate::NotHttp {
            let stream = &mut self.sides[from.index()];
            stream.not_http += bytes as u64;
            stream.missed |= bytes > 0;
        }
    }

    /// The connection speaks HTTP after all.
    #[inline(always)]
    fn is_http(&mut self, cx: &mut Context<'_>) {
        for side in [Side::Low, Side::High] {
            if std::mem::take(&mut self.sides[side.index()].missed) {
                self.messages_lost(side);
            }
        }
        for stream in &mut self.sides {
            cx.ledger.recount(Fate::NotHttp, Fate::Unparseable, std::mem::take(&mut stream.not_http));
            if let State::Lost(fate @ Fate::NotHttp) = &mut stream.state {
                *fate = Fate::Unparseable;
            }
        }
    }

    /// Reads a head and says so.
    fn open(
        &mut self,
        from: Side,
        bytes: &[u8],
        anomalies: AnomalySet,
        frames: &[Stamp],
        cx: &mut Context<'_>,
    ) -> Option<Opened> {
        self.is_http(cx);
        head::read(bytes, cx.config.limits.head_fields_max, |head, mut read_anomalies| {
            read_anomalies.extend(anomalies);
            self.opened(from, head, read_anomalies, frames, cx)
        })
    }

    /// Says that a head was read.
    #[inline(always)]
    fn opened(
        &mut self,
        from: Side,
        mut head: Head<'_>,
        anomalies: AnomalySet,
        frames: &[Stamp],
        cx: &mut Context<'_>,
    ) -> Opened {
        let answering = !matches!(self.sides[from.other().index()].state, State::Start | State::Lost(_));
        let first = frames.first().copied().unwrap_or(cx.stamp);
        let (direction, exchange, request_method, known, latency_nanos) = match head.start {
            StartLine::Request { method, .. } => {
                cx.flow.server = from.other();
                let method = Method::of(method);
                let exchange = self.exchanges.request(method, answering, cx.config.limits.pipeline_max);
                (Direction::Request, exchange, Method::Other, true, None)
            }
            StartLine::Response { status, .. } => {
                cx.flow.server = from;
                let answer = self.exchanges.response(status, first.time);
                (Direction::Response, answer.exchange, answer.method, answer.known, answer.latency_nanos)
            }
        };
        let outline = FramingInput::of(&head);
        head.fields = &head.fields[..head.fields.len().min(cx.config.limits.head_fields_max)];
        let open = OpenMessage { direction, exchange, anomalies, cut: None, orphan: !known, begun: false };
        let about = About { flow: cx.flow, direction, stamp: first };
        cx.sink.event(Event::Head { about, exchange, head, frames, latency_nanos });
        let is_h2c = |f: &Field<'_>| f.name.eq_ignore_ascii_case(b"upgrade") && f.value.eq_ignore_ascii_case(b"h2c");
        let upgrade =
            if outline.status == Some(101) && head.fields.iter().any(is_h2c) { Fate::Http2 } else { Fate::Tunnel };
        Opened { open, outline, request_method, upgrade }
    }

    /// Goes on behind a head of `length` bytes.
    #[inline(always)]
    fn begin(&mut self, from: Side, opened: Opened, length: usize, stamp: Stamp, cx: &mut Context<'_>) {
        let Opened { mut open, outline, request_method, upgrade } = opened;
        cx.ledger.count(Fate::Head, length);
        let (framing, anomalies) = framing(&outline, request_method);
        open.anomalies.extend(anomalies);
        self.begin_body(from, open, framing, upgrade, stamp, cx);
    }

    #[inline(always)]
    fn begin_body(
        &mut self,
        from: Side,
        open: OpenMessage,
        framing: Framing,
        upgrade: Fate,
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) {
        match framing {
            Framing::Length(0) => self.close(from, open, Completion::Complete, stamp, cx),
            Framing::Length(left) => self.set(from, State::Body(BodyState::Length { left }, open)),
            Framing::Chunked => self.set(from, State::Body(BodyState::Chunked(Dechunker::default()), open)),
            Framing::UntilClose => self.set(from, State::Body(BodyState::UntilClose, open)),
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
}
