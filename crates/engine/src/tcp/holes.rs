//! Holes of one direction: how long the stream has waited at one, and which one was declared lost.
//! It only remembers: `TcpConnection::settle` in [`super::delivery`] decides.
//!
//! Most connections never need this, so it is allocated on demand. That keeps an idle connection
//! small.

use std::time::Duration;

use sniffer_packet::seq::{SeqNumber, StreamOffset};
use sniffer_packet::time::Timestamp;

use crate::config::Limits;

/// A wait at one offset.
#[derive(Debug, Clone, Copy)]
struct Stall {
    at: StreamOffset,
    since: Timestamp,
    /// Number of packets that count against the wait.
    packets: u32,
}

#[derive(Debug, Default)]
pub(super) struct Holes {
    stall: Option<Stall>,
    /// Range of the last hole that was declared lost. Bytes in it that arrive afterwards are late,
    /// not duplicates.
    lost: Option<(StreamOffset, StreamOffset)>,
    /// Sequence number after the last implausible data.
    outlying_data: Option<SeqNumber>,
    /// Last implausible acknowledgement by the peer. Where the two agree, the capture lost much; an
    /// attacker who guesses controls only one of them.
    outlying_ack: Option<SeqNumber>,
}

impl Holes {
    /// Returns whether the wait at `at` has used up its allowance, after it counted `packet`.
    pub(super) fn stalled(&mut self, at: StreamOffset, now: Timestamp, packet: bool, limits: &Limits) -> bool {
        match self.stall.as_mut().filter(|stall| stall.at == at) {
            Some(stall) => {
                stall.packets += u32::from(packet);
                stall.packets >= limits.hole_packets || now.since(stall.since) >= limits.hole_time
            }
            None => {
                self.stall = Some(Stall { at, since: now, packets: 0 });
                limits.hole_packets == 0 || limits.hole_time == Duration::ZERO
            }
        }
    }

    pub(super) const fn is_stalling(&self) -> bool {
        self.stall.is_some()
    }

    /// Ends the wait. Returns whether nothing else is remembered either.
    pub(super) const fn end_stall(&mut self) -> bool {
        self.stall = None;
        matches!(self, Self { lost: None, outlying_data: None, outlying_ack: None, .. })
    }

    pub(super) const fn remember_lost(&mut self, from: StreamOffset, until: StreamOffset) {
        self.lost = Some((from, until));
    }

    /// Returns whether `offset` lies in the hole that was last declared lost.
    pub(super) fn was_lost(&self, offset: StreamOffset) -> bool {
        self.lost.is_some_and(|(from, until)| from <= offset && offset < until)
    }

    /// Records an implausible acknowledgement. Returns whether implausible data was seen near it.
    pub(super) fn outlying_ack(&mut self, ack: SeqNumber, window: u64) -> bool {
        self.outlying_ack = Some(ack);
        self.outlying_data.is_some_and(|seq| near(seq, ack, window))
    }

    /// Records implausible data. Returns whether an implausible acknowledgement was seen near it.
    pub(super) fn outlying_data(&mut self, seq: SeqNumber, end: SeqNumber, window: u64) -> bool {
        self.outlying_data = Some(end);
        self.outlying_ack.is_some_and(|ack| near(ack, seq, window))
    }
}

fn near(a: SeqNumber, b: SeqNumber, window: u64) -> bool {
    a.offset_from(b).unsigned_abs() <= window
}
