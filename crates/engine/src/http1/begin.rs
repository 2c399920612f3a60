//! The start of a message: its head, its exchange, and the delimitation of its body.

use memchr::memchr;
use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;

use super::connection::Http1Connection;
use super::state::{BodyState, OpenMessage, Overlong, Part, Partial, State};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::context::Context;
use crate::event::Completion;
use crate::http::{Field, Head, StartLine};
use crate::http1::chunked::Dechunker;
use crate::http1::framing::{Framing, FramingInput, Method, framing};
use crate::http1::head::{self, EndFinder};
use crate::http1::overlong::OverlongHead;
use crate::http1::start_line::{self, LineKind};
use crate::ledger::Fate;
use crate::stream::StreamBytes;
use crate::switch::{LayerStep, Switch, Upgrade};

/// The result of looking at the bytes of a head.
pub(super) enum HeadStep {
    /// Not all of it is there.
    More,
    /// So many of all its bytes have their fate; the state is set.
    Read(LayerStep),
    /// They are no head after all.
    NoHead,
}

/// The bytes of a head, from where the last message ended.
pub(super) struct Candidate<'a> {
    pub(super) all: &'a [u8],
    pub(super) frames: &'a [Stamp],
    pub(super) finder: &'a mut EndFinder,
    /// Length of the blank lines before the start line.
    pub(super) blank: usize,
}

/// A message whose head was read.
struct Opened {
    open: OpenMessage,
    input: FramingInput,
    /// Response: the method of the request that it answers.
    request_method: Method,
    /// Response with status 101: the protocol it upgrades to.
    upgrade: Upgrade,
}

impl Http1Connection {
    /// Reads a head that stands whole and well-formed at the start of the bytes; any other is for
    /// the stack to look at.
    pub(super) fn head_at_once(&mut self, from: Side, piece: StreamBytes<'_>, cx: &mut Context<'_>) -> LayerStep {
        let StreamBytes { bytes, stamp, .. } = piece;
        let limits = &cx.config.limits;
        let (bytes_max, fields_max) = (limits.head_bytes_max, limits.head_fields_max);
        // Continues inside the reader's closure: hot, see NOTES#head.
        let read = head::read_at_once(bytes, bytes_max, fields_max, |head, length| {
            self.may_send(from, bytes, false, cx.flow).then(|| {
                self.is_http(cx);
                let opened = self.opened(from, head, AnomalySet::EMPTY, &[stamp], cx);
                LayerStep { used: length, switch: self.begin(from, opened, length, stamp, cx) }
            })
        });
        read.flatten().unwrap_or(LayerStep { used: 0, switch: Some(Switch::Undecided) })
    }

    /// Begins a message at a start line that was recognised after `blank` bytes.
    pub(crate) fn begin_head(
        &mut self,
        from: Side,
        blank: usize,
        piece: StreamBytes<'_>,
        cx: &mut Context<'_>,
    ) -> LayerStep {
        self.restart(from);
        let mut finder = EndFinder::default();
        let candidate = Candidate { all: piece.bytes, frames: &[piece.stamp], finder: &mut finder, blank };
        match self.head(from, candidate, cx) {
            HeadStep::Read(step) => step,
            HeadStep::NoHead => LayerStep { used: 0, switch: Some(Switch::Rejected { held: 0 }) },
            HeadStep::More => {
                let partial = Partial { finder, blank, ..Partial::of(piece) };
                self.set(from, State::Head(Box::new(partial)));
                LayerStep::used(piece.bytes.len())
            }
        }
    }

    /// Begins a message whose start line was recognised in bytes of several deliveries, the last
    /// `new` of them this one's.
    pub(crate) fn begin_split_head(
        &mut self,
        from: Side,
        mut partial: Box<Partial>,
        blank: usize,
        new: usize,
        cx: &mut Context<'_>,
    ) -> LayerStep {
        self.restart(from);
        partial.blank = blank;
        self.more_of_head(from, partial, new, cx)
    }

    /// Continues a head, the last `new` bytes of which are this delivery's.
    pub(super) fn more_of_head(
        &mut self,
        from: Side,
        mut partial: Box<Partial>,
        new: usize,
        cx: &mut Context<'_>,
    ) -> LayerStep {
        let held = partial.bytes.len() - new;
        let Partial { bytes: all, frames, finder, blank, .. } = &mut *partial;
        match self.head(from, Candidate { all, frames, finder, blank: *blank }, cx) {
            HeadStep::More => {
                self.set(from, State::Head(partial));
                LayerStep::used(new)
            }
            HeadStep::Read(LayerStep { used, switch }) => LayerStep { used: used - held, switch },
            HeadStep::NoHead => LayerStep { used: 0, switch: Some(Switch::Rejected { held }) },
        }
    }

    /// In [`State::Resuming`]: more bytes of what may become a strict start line.
    pub(super) fn resume(
        &mut self,
        from: Side,
        mut partial: Box<Partial>,
        piece: StreamBytes<'_>,
        cx: &mut Context<'_>,
    ) -> LayerStep {
        let StreamBytes { bytes, boundary, .. } = piece;
        let held = partial.bytes.len();
        partial.push(piece);
        let line = &partial.bytes;
        if start_line::is_strict_start(line) && self.may_send(from, line, true, cx.flow) {
            return self.more_of_head(from, partial, bytes.len(), cx);
        }
        let is_open = start_line::cannot_decide(held, bytes) || start_line::classify(line) == LineKind::Undecided;
        if is_open && line.len() < cx.config.limits.head_bytes_max {
            self.set(from, State::Resuming(partial));
            return LayerStep::used(bytes.len());
        }
        // The place is as lost as before. A segment that begins here may still start with a
        // message.
        let used = if boundary { 0 } else { bytes.len() };
        let fate = if self.client.is_some() { Fate::Unparseable } else { Fate::NotHttp };
        self.count_lost(from, fate, held + used, cx);
        self.lose(from, fate);
        LayerStep::used(used)
    }

    pub(super) fn head(&mut self, from: Side, candidate: Candidate<'_>, cx: &mut Context<'_>) -> HeadStep {
        let Candidate { all, frames, finder, blank } = candidate;
        let max = cx.config.limits.head_bytes_max;
        let head = &all[blank..];
        let mut anomalies = AnomalySet::EMPTY;
        if blank > 0 {
            anomalies.insert(Anomaly::LeadingBlankLine);
        }
        let Some(length) = finder.find(head).filter(|&length| length <= max) else {
            if head.len() <= max {
                return HeadStep::More;
            }
            return self.head_over_limit(from, all, blank, anomalies, frames, cx);
        };
        anomalies.extend(finder.anomalies);
        let Some(opened) = self.open(from, &head[..length], anomalies, frames, cx) else { return HeadStep::NoHead };
        cx.account.count(Fate::Framing, blank);
        let stamp = frames.last().copied().unwrap_or(cx.stamp);
        HeadStep::Read(LayerStep { used: blank + length, switch: self.begin(from, opened, length, stamp, cx) })
    }

    /// A head with more bytes than are kept. Only the first of them decide what is reported, so
    /// that it does not depend on how the head was split; the rest is scanned for what delimits the
    /// body.
    fn head_over_limit(
        &mut self,
        from: Side,
        all: &[u8],
        blank: usize,
        mut anomalies: AnomalySet,
        frames: &[Stamp],
        cx: &mut Context<'_>,
    ) -> HeadStep {
        let max = cx.config.limits.head_bytes_max;
        let kept = &all[blank..][..max];
        let mut finder = EndFinder::default();
        finder.find(kept);
        anomalies.extend(finder.anomalies);
        anomalies.insert(Anomaly::HeadTooLarge);
        let opened = self.open(from, &kept[..finder.complete_lines()], anomalies, frames, cx);
        let Some(Opened { open, input, request_method, upgrade }) = opened else { return HeadStep::NoHead };
        cx.account.count(Fate::Framing, blank);
        cx.account.count(Fate::Head, max);
        // From the first field on, as the cut may go through one.
        let mut fields = OverlongHead::new(input.status, input.version);
        fields.find_blank(&kept[memchr(b'\n', kept).map_or(max, |lf| lf + 1)..]);
        self.set(from, State::Overlong(Box::new(Overlong { open, request_method, upgrade, fields })));
        HeadStep::Read(LayerStep::used(blank + max))
    }

    /// The blank line of a head over the limit.
    pub(super) fn end_overlong(
        &mut self,
        from: Side,
        overlong: Overlong,
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> Option<Switch> {
        let Overlong { mut open, request_method, upgrade, fields } = overlong;
        let (framing, anomalies) = framing(fields.input(), request_method);
        open.anomalies.extend(fields.anomalies);
        open.anomalies.extend(anomalies);
        self.begin_body(from, open, framing, upgrade, stamp, cx)
    }

    /// The connection speaks HTTP: bytes that were taken for something else belonged to a message
    /// whose start is not in the capture.
    #[inline(always)]
    fn is_http(&mut self, cx: &mut Context<'_>) {
        if let Some(before) = self.before.take() {
            for side in [Side::Low, Side::High] {
                if before.missed[side.index()] {
                    self.messages_lost(side);
                }
                cx.account.recount(Fate::NotHttp, Fate::Unparseable, before.not_http[side.index()]);
            }
        }
        for stream in &mut self.sides {
            if let State::Lost(fate @ Fate::NotHttp) = &mut stream.state {
                *fate = Fate::Unparseable;
            }
        }
    }

    /// Reads a head and reports it.
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

    /// Reports a head.
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
        let input = FramingInput::of(&head);
        head.fields = &head.fields[..head.fields.len().min(cx.config.limits.head_fields_max)];
        let (open, request_method) = match head.start {
            StartLine::Request { method, .. } => {
                cx.flow.server = from.other();
                let method = Method::of(method);
                let exchange = self.exchanges.request(method, answering, cx.config.limits.pipeline_max);
                let open = OpenMessage::new(exchange, Part::Request, anomalies);
                cx.head(open.subject(), head, frames, None, 0);
                (open, Method::Other)
            }
            StartLine::Response { status, .. } => {
                cx.flow.server = from;
                let answer = self.exchanges.response(status, first.time);
                let part = if answer.is_final { Part::Final } else { Part::Interim };
                let open = OpenMessage::new(answer.exchange, part, anomalies);
                cx.head(open.subject(), head, frames, answer.latency_nanos, answer.interim);
                (OpenMessage { orphan: !answer.known, ..open }, answer.method)
            }
        };
        let is_h2c = |f: &Field<'_>| f.name.eq_ignore_ascii_case(b"upgrade") && f.value.eq_ignore_ascii_case(b"h2c");
        let is_http2 = input.status == Some(101) && head.fields.iter().any(is_h2c);
        Opened { open, input, request_method, upgrade: if is_http2 { Upgrade::Http2 } else { Upgrade::Other } }
    }

    /// Continues after a head of `length` bytes.
    #[inline(always)]
    fn begin(
        &mut self,
        from: Side,
        opened: Opened,
        length: usize,
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> Option<Switch> {
        let Opened { mut open, input, request_method, upgrade } = opened;
        cx.account.count(Fate::Head, length);
        let (framing, anomalies) = framing(&input, request_method);
        open.anomalies.extend(anomalies);
        self.begin_body(from, open, framing, upgrade, stamp, cx)
    }

    #[inline(always)]
    fn begin_body(
        &mut self,
        from: Side,
        open: OpenMessage,
        framing: Framing,
        upgrade: Upgrade,
        stamp: Stamp,
        cx: &mut Context<'_>,
    ) -> Option<Switch> {
        match framing {
            Framing::Length(0) => self.close(from, open, Completion::Complete, stamp, cx),
            Framing::Length(left) => self.set(from, State::Body(BodyState::Length { left }, open)),
            Framing::Chunked => self.set(from, State::Body(BodyState::Chunked(Dechunker::default()), open)),
            Framing::UntilClose => self.set(from, State::Body(BodyState::UntilClose, open)),
            Framing::Upgrade => {
                self.close(from, open, Completion::Complete, stamp, cx);
                return Some(Switch::Upgrade(upgrade));
            }
            Framing::Tunnel => {
                self.close(from, open, Completion::Complete, stamp, cx);
                return Some(Switch::Tunnel);
            }
            Framing::Unknown => {
                self.close(from, open, Completion::Complete, stamp, cx);
                self.lose_place(from);
            }
        }
        None
    }
}
