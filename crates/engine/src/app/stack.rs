//! The layers of one connection: which protocol has the bytes of each direction, and what follows
//! when one ends.
//!
//! ```text
//!                    whole head            ┌─────────┐   Switch::Tunnel, Upgrade, Ended
//!   delivery ──▶ ┌────────────────────────▶│  http1  │──────────────┐
//!                │                         └─────────┘              ▼
//!                │   Switch::Undecided       │    ▲ a start line   stack
//!                │                           ▼    │                 │
//!                └──────────────────────▶  detect ┴──▶ Opaque ◀─────┘
//! ```
//!
//! A layer says how it ended ([`Switch`]) and never which layer is next: that is decided here.
//!
//! A new protocol is a variant of [`Layer`] and a field of [`Stack`] for the state that both
//! directions share, as `http1` is. The compiler then asks for an arm where bytes, a gap, an end
//! and the retention are handed to the layer; [`Stack::held`] and [`Stack::flag_message`] add it
//! up.

use sniffer_packet::key::Side;

use super::detect::{Detected, detect, starts_binary_preamble};
use crate::anomaly::Anomaly;
use crate::context::Context;
use crate::event::Protocol;
use crate::http1::{Http1Connection, Partial, start_line};
use crate::ledger::Fate;
use crate::stream::{Delivery, EndCause, GapCause, Retention, StreamBytes};
use crate::switch::{LayerStep, Switch, Upgrade};

/// The layers of a connection.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    http1: Http1Connection,
    sides: [OneSide; 2],
    /// The bytes of a direction in [`Layer::Undecided`]. Rare, and an idle connection must be
    /// small.
    undecided: Option<Box<[Partial; 2]>>,
    /// The fate of bytes after an upgrade.
    upgraded: Option<Fate>,
    reported: Reported,
}

/// The layer that has the bytes of one side.
#[derive(Debug, Default)]
struct OneSide {
    layer: Layer,
    /// Something was delivered, or is missing.
    touched: bool,
}

/// The protocol that has the bytes of a direction.
#[derive(Debug, Clone, Copy, Default)]
enum Layer {
    /// HTTP/1, which gives back what it does not recognise where a message may start.
    #[default]
    Http1,
    /// None yet: the bytes so far, in [`Stack::undecided`], may become several things.
    Undecided,
    /// One that is not read; the fate of its bytes.
    Opaque(Fate),
}

/// The protocols that were reported, each once.
#[derive(Debug, Default)]
struct Reported(u16);

impl Reported {
    /// Adds a protocol. Returns whether it is new.
    const fn insert(&mut self, protocol: Protocol) -> bool {
        let bit = 1 << protocol as u16;
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new
    }
}

impl Stack {
    /// Accounted bytes on the heap.
    pub(crate) fn held(&self) -> usize {
        self.http1.held() + self.undecided().map(Partial::held).sum::<usize>()
    }

    /// Payload bytes without a fate yet.
    pub(crate) fn held_payload(&self) -> usize {
        self.http1.held_payload() + self.undecided().map(|partial| partial.bytes.len()).sum::<usize>()
    }

    fn undecided(&self) -> impl Iterator<Item = &Partial> {
        self.undecided.iter().flat_map(|partials| partials.iter())
    }

    /// Takes the bytes of a direction that is undecided.
    fn take_undecided(&mut self, side: Side) -> Partial {
        let Some(partials) = &mut self.undecided else { return Partial::default() };
        let partial = std::mem::take(&mut partials[side.index()]);
        if partials.iter().all(|partial| partial.bytes.is_empty()) {
            self.undecided = None;
        }
        partial
    }

    /// Notes an anomaly below the layers: on the message of `from` in progress, or on its next.
    pub(crate) fn flag_message(&mut self, from: Side, anomaly: Anomaly) {
        self.http1.flag_message(from, anomaly);
    }

    /// Returns how long delivered bytes of this side are retained.
    pub(crate) fn retention(&self, from: Side) -> Retention {
        match self.sides[from.index()].layer {
            Layer::Http1 => self.http1.retention(from),
            Layer::Undecided => Retention::Open,
            Layer::Opaque(_) => Retention::None,
        }
    }

    /// The next piece of the stream that `from` sends.
    #[inline(always)]
    pub(crate) fn deliver(&mut self, from: Side, delivery: Delivery<'_>, cx: &mut Context<'_>) {
        match delivery {
            Delivery::Bytes(piece) => {
                self.http1.heard(from);
                // Nearly every delivery is HTTP/1's from its first byte to its last.
                let step = match self.sides[from.index()].layer {
                    Layer::Http1 => self.http1_step(from, piece, cx),
                    Layer::Undecided | Layer::Opaque(_) => LayerStep::used(0),
                };
                if step.used < piece.bytes.len() || step.switch.is_some() {
                    self.go_on(from, piece, step, cx);
                }
            }
            Delivery::Gap { missing, cause } => self.gap(from, missing, cause, cx),
            Delivery::End(cause) => self.end(from, cause, cx),
        }
    }

    /// Delivers what is left of a piece after a step.
    #[inline(never)]
    fn go_on(&mut self, from: Side, piece: StreamBytes<'_>, mut step: LayerStep, cx: &mut Context<'_>) {
        let mut rest = piece;
        loop {
            rest = rest.after(step.used);
            step = match step.switch {
                Some(switch) => self.switch(from, switch, rest, cx),
                None if rest.bytes.is_empty() => return,
                None => self.layer_step(from, rest, cx),
            };
        }
    }

    #[inline(always)]
    fn http1_step(&mut self, from: Side, piece: StreamBytes<'_>, cx: &mut Context<'_>) -> LayerStep {
        let step = self.http1.deliver(from, piece, cx);
        self.sides[from.index()].touched |= step.used > 0;
        step
    }

    /// Gives bytes to the layer that has this direction.
    fn layer_step(&mut self, from: Side, piece: StreamBytes<'_>, cx: &mut Context<'_>) -> LayerStep {
        match self.sides[from.index()].layer {
            Layer::Http1 => self.http1_step(from, piece, cx),
            Layer::Undecided => {
                let partial = self.take_undecided(from);
                self.decide(from, Some(partial), piece, cx)
            }
            Layer::Opaque(fate) => {
                cx.account.count(fate, piece.bytes.len());
                LayerStep::used(piece.bytes.len())
            }
        }
    }

    /// Decides what follows a layer that ended; `rest` is what it did not take.
    fn switch(&mut self, from: Side, switch: Switch, rest: StreamBytes<'_>, cx: &mut Context<'_>) -> LayerStep {
        match switch {
            Switch::Undecided => return self.decide(from, None, rest, cx),
            Switch::Rejected { held } => return self.not_a_head(from, Detected::Neither, held, rest, cx),
            Switch::Tunnel => self.enter_tunnel(cx),
            Switch::Upgrade(upgrade) => self.upgrade(upgrade, cx),
            Switch::Ended => self.set_opaque(from, self.upgraded.unwrap_or(Fate::Tunnel)),
        }
        LayerStep::used(0)
    }

    fn report(&mut self, protocol: Protocol, cx: &mut Context<'_>) {
        if self.reported.insert(protocol) {
            cx.recognised(protocol);
        }
    }

    fn set_opaque(&mut self, side: Side, fate: Fate) {
        self.http1.leave(side);
        self.sides[side.index()].layer = Layer::Opaque(fate);
    }

    /// HTTP/1 has this direction again.
    fn set_http1(&mut self, side: Side) {
        self.sides[side.index()].layer = Layer::Http1;
    }

    /// Looks at bytes where a message may start, and at those held of earlier deliveries.
    fn decide(
        &mut self,
        from: Side,
        mut partial: Option<Partial>,
        piece: StreamBytes<'_>,
        cx: &mut Context<'_>,
    ) -> LayerStep {
        let held = partial.as_ref().map_or(0, |partial| partial.bytes.len());
        if let Some(partial) = &mut partial {
            partial.push(piece);
        }
        let all = partial.as_ref().map_or(piece.bytes, |partial| &partial.bytes);
        match self.look(from, all, held, cx) {
            Detected::Undecided => {
                let partial = partial.unwrap_or_else(|| Partial::of(piece));
                self.http1.leave(from);
                self.undecided.get_or_insert_default()[from.index()] = partial;
                self.sides[from.index()].layer = Layer::Undecided;
                LayerStep::used(piece.bytes.len())
            }
            Detected::Start { blank } => {
                self.sides[from.index()].touched = true;
                self.set_http1(from);
                match partial {
                    Some(partial) => self.http1.begin_split_head(from, Box::new(partial), blank, piece.bytes.len(), cx),
                    None => self.http1.begin_head(from, blank, piece, cx),
                }
            }
            other => {
                self.sides[from.index()].touched = true;
                self.not_a_head(from, other, held, piece, cx)
            }
        }
    }

    /// Recognises what stands where a message may start; a start line only if this side may send
    /// it. The first bytes up to the limit of a head decide, so that the answer does not depend on
    /// how the bytes were cut.
    fn look(&mut self, from: Side, all: &[u8], held: usize, cx: &mut Context<'_>) -> Detected {
        let max = cx.config.limits.head_bytes_max;
        if all.len() < max && !starts_binary_preamble(all) && start_line::cannot_decide(held, &all[held..]) {
            return Detected::Undecided;
        }
        let window = &all[..all.len().min(max)];
        match detect(window, !self.sides[from.index()].touched) {
            Detected::Start { blank } if !self.http1.may_send(from, &window[blank..], false, cx.flow) => {
                Detected::Neither
            }
            Detected::Undecided if window.len() == max => Detected::Neither,
            detected => detected,
        }
    }

    /// `held` bytes of earlier deliveries and this piece: a message might have started with them.
    fn not_a_head(
        &mut self,
        from: Side,
        detected: Detected,
        held: usize,
        piece: StreamBytes<'_>,
        cx: &mut Context<'_>,
    ) -> LayerStep {
        let length = held + piece.bytes.len();
        // A segment that starts after held bytes may still start with a message.
        let lost = if held > 0 && piece.boundary { held } else { length };
        let is_http = self.http1.client().is_some();
        // What follows a CONNECT before its answer is of the tunnel, should there be one.
        let is_early = self.http1.is_connecting(from);
        let (used, next) = match detected {
            Detected::Preamble(preamble) => {
                cx.account.count(Fate::Framing, preamble);
                self.set_http1(from);
                self.http1.restart(from);
                return LayerStep::used(preamble - held);
            }
            Detected::Tls => {
                self.report(Protocol::Tls, cx);
                let between_messages = is_http && !self.http1.is_tunnel();
                if between_messages && !is_early {
                    self.http1.messages_lost(from);
                }
                // Three bytes between messages must not hide all that follows.
                (length, if between_messages { Next::Lost(Fate::Tls) } else { Next::Opaque(Fate::Tls) })
            }
            Detected::Http2 => {
                self.report(Protocol::Http2, cx);
                (length, Next::Opaque(Fate::Http2))
            }
            Detected::HttpLike if !is_http => (length, Next::Opaque(Fate::NotHttp)),
            _ if self.http1.is_tunnel() => (length, Next::Opaque(Fate::Tunnel)),
            _ if is_early => (lost, Next::Lost(Fate::Tunnel)),
            _ if let Layer::Opaque(fate) = self.sides[from.other().index()].layer => (length, Next::Opaque(fate)),
            _ if is_http => {
                self.http1.messages_lost(from);
                cx.flag_connection(Anomaly::BadStartLine);
                (lost, Next::Lost(Fate::Unparseable))
            }
            _ => (lost, Next::Lost(Fate::NotHttp)),
        };
        match next {
            Next::Opaque(fate) => {
                cx.account.count(fate, used);
                self.set_opaque(from, fate);
            }
            Next::Lost(fate) => {
                self.http1.count_lost(from, fate, used, cx);
                self.set_http1(from);
                self.http1.lose(from, fate);
            }
        }
        LayerStep::used(used - held)
    }

    /// A CONNECT succeeded: what is inside the tunnel is looked at from its first byte (policy 17).
    fn enter_tunnel(&mut self, cx: &mut Context<'_>) {
        self.report(Protocol::Tunnel, cx);
        self.http1.enter_tunnel();
        for side in [Side::Low, Side::High] {
            if let Layer::Opaque(_) = self.sides[side.index()].layer {
                self.set_http1(side);
                self.http1.restart(side);
            }
        }
    }

    /// A 101 was sent: both directions carry another protocol once their messages in progress have
    /// ended.
    fn upgrade(&mut self, upgrade: Upgrade, cx: &mut Context<'_>) {
        let (protocol, fate) = match upgrade {
            Upgrade::Http2 => (Protocol::Http2, Fate::Http2),
            Upgrade::Other => (Protocol::Tunnel, Fate::Tunnel),
        };
        self.report(protocol, cx);
        self.upgraded = Some(fate);
        for side in [Side::Low, Side::High] {
            cx.account.count(fate, self.take_undecided(side).bytes.len());
            if self.http1.upgrade(side, fate, cx) {
                self.sides[side.index()].layer = Layer::Opaque(fate);
            }
        }
    }

    fn gap(&mut self, from: Side, missing: u64, cause: GapCause, cx: &mut Context<'_>) {
        let side = &mut self.sides[from.index()];
        side.touched = true;
        match side.layer {
            Layer::Http1 => self.http1.gap(from, missing, cause, cx),
            Layer::Undecided => {
                let partial = self.take_undecided(from);
                self.set_http1(from);
                self.http1.gap_in_start(from, &partial, false, cx);
            }
            Layer::Opaque(_) => {}
        }
    }

    fn end(&mut self, from: Side, cause: EndCause, cx: &mut Context<'_>) {
        if let Layer::Undecided = std::mem::take(&mut self.sides[from.index()].layer) {
            let partial = self.take_undecided(from);
            self.http1.end_in_start(&partial, false, cause, cx);
        }
        self.http1.end(from, cause, cx);
    }
}

/// The successor of bytes that are no head.
enum Next {
    /// Nothing that is read.
    Opaque(Fate),
    /// HTTP/1 looks for a segment that starts with a start line.
    Lost(Fate),
}
