//! The surroundings of a layer while it reads a delivery: accounts, sink,
//! configuration, the present.
//!
//! Every protocol flags and reports through here, so that an event always names its connection,
//! exchange and frame.

use sniffer_packet::frame::Stamp;

use crate::anomaly::{Anomaly, AnomalySet};
use crate::config::Config;
use crate::event::{About, Completion, Event, Flow, Over, Protocol, Sink};
use crate::http::{Direction, Field, Head};
use crate::ledger::{Account, EventCounts, Fate};

/// The surroundings of one connection during one call.
pub(crate) struct Context<'a> {
    pub(crate) flow: &'a mut Flow,
    pub(crate) config: &'a Config,
    /// The account that the bytes of this layer are counted in.
    pub(crate) account: &'a mut Account,
    pub(crate) counts: &'a mut EventCounts,
    pub(crate) sink: &'a mut dyn Sink,
    /// The frame that is being pushed.
    pub(crate) stamp: Stamp,
}

/// A message that an event is about, without its connection: what a layer keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) exchange: u32,
    pub(crate) direction: Direction,
}

impl Context<'_> {
    /// Counts an anomaly that touched no message.
    pub(crate) fn flag_connection(&mut self, anomaly: Anomaly) {
        self.counts.anomaly(anomaly);
        self.sink.event(Event::Anomaly { flow: Some(self.flow), anomaly });
    }

    /// Reports that the connection carries another protocol from here on.
    pub(crate) fn recognised(&mut self, protocol: Protocol) {
        self.sink.event(Event::Recognised { flow: self.flow, protocol });
    }

    /// Reports a head.
    #[inline(always)]
    pub(crate) fn head(
        &mut self,
        subject: Subject,
        head: Head<'_>,
        frames: &[Stamp],
        latency_nanos: Option<u64>,
        interim: u32,
    ) {
        let first = frames.first().copied().unwrap_or(self.stamp);
        let about = about(self.flow, subject, first);
        self.sink.event(Event::Head { about, head, frames, latency_nanos, interim });
    }

    /// Reports and counts content of a message.
    pub(crate) fn body(&mut self, subject: Subject, bytes: &[u8], stamp: Stamp) {
        self.account.count(Fate::Body, bytes.len());
        let about = about(self.flow, subject, stamp);
        self.sink.event(Event::Body { about, bytes });
    }

    /// Reports that a frame carried framing of a message; needed only where frame numbers are kept.
    pub(crate) fn carried(&mut self, subject: Subject, stamp: Stamp) {
        if self.config.track_frames {
            let about = about(self.flow, subject, stamp);
            self.sink.event(Event::Body { about, bytes: &[] });
        }
    }

    /// Reports body bytes that are known to be missing.
    pub(crate) fn missing(&mut self, subject: Subject, bytes: u64) {
        let about = about(self.flow, subject, self.stamp);
        self.sink.event(Event::Missing { about, bytes });
    }

    /// Reports trailer fields.
    pub(crate) fn trailers(&mut self, subject: Subject, fields: &[Field<'_>], stamp: Stamp) {
        let about = about(self.flow, subject, stamp);
        self.sink.event(Event::Trailers { about, fields });
    }

    /// Counts a message and reports its end.
    pub(crate) fn end(
        &mut self,
        subject: Subject,
        completion: Completion,
        anomalies: AnomalySet,
        over: Over,
        stamp: Stamp,
    ) {
        self.counts.message(anomalies);
        let about = about(self.flow, subject, stamp);
        self.sink.event(Event::End { about, completion, anomalies, over });
    }
}

const fn about(flow: &Flow, Subject { exchange, direction }: Subject, stamp: Stamp) -> About<'_> {
    About { flow, exchange, direction, stamp }
}
