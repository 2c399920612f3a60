//! How connections begin: SYN, SYN-ACK, ports used again, data in a SYN (policy 4, RFC 7413).

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;
use sniffer_packet::segment::{Checksum, Flags, Segment, TcpOptions};
use sniffer_packet::seq::{SeqNumber, StreamOffset};

use super::connection::{SegmentOutcome, TcpConnection};
use super::half::HalfState;
use crate::anomaly::Anomaly;
use crate::config::Limits;
use crate::ledger::Fate;
use crate::stream::{Delivery, StreamSink};

/// A SYN on a living connection, kept until its peer answers it (policy 4).
#[derive(Debug)]
pub(crate) struct PendingSyn {
    pub(crate) side: Side,
    pub(crate) stamp: Stamp,
    pub(crate) seq: SeqNumber,
    ack: Option<SeqNumber>,
    window: u16,
    options: TcpOptions,
    pub(super) payload: Vec<u8>,
    /// Whether the other side was heard since.
    answered: bool,
}

/// Data in a SYN (RFC 7413), kept until the SYN-ACK says how much of it was taken.
#[derive(Debug)]
pub(super) struct SynData {
    side: Side,
    stamp: Stamp,
    pub(super) bytes: Vec<u8>,
}

/// How far behind the next byte a retransmission is looked for: what a path has under way, rounded up. Arbitrary.
const AGAIN_MAX: u64 = 1 << 20;

impl TcpConnection {
    /// A segment with SYN; `None` when it changes nothing more than what was done.
    pub(super) fn syn<R: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        stamp: Stamp,
        limits: &Limits,
        out: &mut R,
    ) -> Option<SegmentOutcome> {
        let start = segment.seq.add(1);
        let acknowledges = segment.flags.has(Flags::ACK);
        let fits = match self.half(side).phase {
            HalfState::Unseen => true,
            HalfState::Expected => self.half(side).starts_at(start),
            // A handshake in four has an ACK with the number of the SYN before the SYN (RFC 9293 §3.5 joins the two).
            HalfState::Joined => {
                let half = self.half(side);
                half.reaches_back_to(start, limits) || (half.is_pristine() && half.starts_at(segment.seq))
            }
            // The same SYN again, or one that the capture shows behind the data it precedes.
            HalfState::Open | HalfState::Ended => {
                if self.half(side).starts_at(start) {
                    out.account().count(Fate::Duplicate, segment.payload.len());
                    self.half_mut(side).see_syn(segment.window, segment.options.window_scale);
                    return None;
                }
                false
            }
        };
        let peer = self.half(side.other());
        // RFC 9293 §3.10.7.3: it must acknowledge the SYN, and with data in the SYN (RFC 7413) at most that.
        let highest = peer.highest().add(self.syn_data_len(side.other()));
        let acked = match peer.phase {
            _ if !acknowledges => Some(peer.start),
            HalfState::Unseen | HalfState::Expected => Some(peer.start),
            HalfState::Joined if peer.reaches_back_to(segment.ack, limits) => Some(peer.place(segment.ack)),
            _ => Some(peer.place(segment.ack)).filter(|at| (peer.start..=highest).contains(at)),
        };
        let Some(acked) = acked.filter(|_| fits) else {
            if acknowledges && let Some(outcome) = self.reopened_by(segment, side) {
                return Some(outcome);
            }
            out.flag_connection(if fits { Anomaly::BadAck } else { Anomaly::SynInFlow });
            if fits {
                out.account().count(Fate::Ignored, segment.payload.len());
            } else {
                self.keep_pending(segment, side, stamp, out);
            }
            return None;
        };
        if acknowledges {
            let peer = self.half_mut(side.other());
            match peer.phase {
                HalfState::Unseen | HalfState::Expected => peer.expect(segment.ack),
                HalfState::Joined if acked <= peer.start => {
                    peer.move_start(segment.ack);
                    peer.phase = HalfState::Open;
                }
                HalfState::Joined | HalfState::Open | HalfState::Ended => peer.acknowledged(acked, out),
            }
        }
        let half = self.half_mut(side);
        if half.phase == HalfState::Joined {
            half.move_start(start);
            half.phase = HalfState::Open;
        } else {
            half.start_at(start, HalfState::Open);
        }
        half.see_syn(segment.window, segment.options.window_scale);
        half.ts_recent = segment.options.timestamps.map(|(value, _)| value);
        half.md5 = segment.options.md5;
        self.take_syn_data(side.other(), acked, out);
        if !segment.payload.is_empty() {
            let data = SynData { side, stamp, bytes: segment.payload.to_vec() };
            if let Some(before) = self.syn_data.replace(Box::new(data)) {
                out.account().count(Fate::Ignored, before.bytes.len());
            }
        }
        None
    }

    fn keep_pending<R: StreamSink>(&mut self, segment: &Segment<'_>, side: Side, stamp: Stamp, out: &mut R) {
        let pending = PendingSyn {
            side,
            stamp,
            seq: segment.seq,
            ack: segment.flags.has(Flags::ACK).then_some(segment.ack),
            window: segment.window,
            options: segment.options,
            payload: segment.payload.to_vec(),
            answered: false,
        };
        if let Some(before) = self.pending_syn.replace(Box::new(pending)) {
            out.account().count(Fate::Ignored, before.payload.len());
        }
    }

    /// A SYN-ACK that answers the SYN that was kept.
    fn reopened_by(&mut self, segment: &Segment<'_>, side: Side) -> Option<SegmentOutcome> {
        let pending = self.pending_syn.as_ref()?;
        let covered = segment.ack.offset_from(pending.seq.add(1));
        let answers =
            pending.side != side && pending.ack.is_none() && (0..=pending.payload.len() as i64).contains(&covered);
        if answers { self.pending_syn.take().map(SegmentOutcome::Reopen) } else { None }
    }

    /// A segment that shows the kept SYN to have been answered although the answer was not seen.
    pub(super) fn confirm_pending(&mut self, segment: &Segment<'_>, side: Side) -> Option<SegmentOutcome> {
        self.pending_syn.as_ref()?;
        // What the living connection waits for, or may send again, belongs to it: a SYN forged one number before it must not
        // end it.
        let half = self.half(side);
        let at = half.place(segment.seq);
        let is_expected = half.is_live() && at <= half.next && half.next.since(at) <= AGAIN_MAX;
        let pending = self.pending_syn.as_mut()?;
        let confirmed = if pending.side == side {
            !pending.answered && segment.seq == pending.seq.add(1) && !segment.payload.is_empty()
        } else {
            pending.answered = true;
            segment.ack == pending.seq.add(1) && pending.ack == Some(segment.seq)
        };
        if confirmed && !is_expected { self.pending_syn.take().map(SegmentOutcome::Reopen) } else { None }
    }

    pub(super) fn syn_data_len(&self, side: Side) -> u64 {
        self.syn_data.as_ref().filter(|data| data.side == side).map_or(0, |data| data.bytes.len() as u64)
    }

    /// A segment may say how much of the data in the SYN, or SYN-ACK, of `side` was taken.
    pub(super) fn syn_data_acknowledged<R: StreamSink>(&mut self, segment: &Segment<'_>, side: Side, out: &mut R) {
        let acked = self.half(side).place(segment.ack);
        if acked > self.half(side).start {
            self.take_syn_data(side, acked, out);
        }
    }

    /// Delivers the data of a SYN as far as it was taken; the rest will come again.
    pub(super) fn take_syn_data<R: StreamSink>(&mut self, side: Side, acked: StreamOffset, out: &mut R) {
        let Some(data) = self.syn_data.take_if(|data| data.side == side) else { return };
        let taken = (acked.since(self.half(side).start) as usize).min(data.bytes.len());
        let (taken, left) = data.bytes.split_at(taken);
        out.account().count(Fate::Ignored, left.len());
        if !taken.is_empty() {
            self.half_mut(side).advance(taken.len() as u64);
            out.deliver(side, Delivery::Bytes { bytes: taken, stamp: data.stamp, boundary: true });
        }
    }
}

impl PendingSyn {
    /// The segment it was, addressed as `like` is.
    pub(crate) fn segment<'a>(&'a self, like: &Segment<'_>, like_side: Side) -> Segment<'a> {
        let (src, dst) = if like_side == self.side { (like.src, like.dst) } else { (like.dst, like.src) };
        Segment {
            src,
            dst,
            seq: self.seq,
            ack: self.ack.unwrap_or(SeqNumber(0)),
            flags: if self.ack.is_some() { Flags::SYN.with(Flags::ACK) } else { Flags::SYN },
            window: self.window,
            options: self.options,
            payload: &self.payload,
            cut: 0,
            ttl: like.ttl,
            checksum: Checksum::Unknown,
        }
    }
}
