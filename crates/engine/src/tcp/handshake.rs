//! The beginning of a connection: SYN, SYN-ACK, reused ports, data in a SYN (policy 4, RFC 7413).

use sniffer_packet::frame::Stamp;
use sniffer_packet::key::Side;
use sniffer_packet::segment::{Checksum, Flags, Segment, TcpOptions};
use sniffer_packet::seq::{SeqNumber, StreamOffset};

use super::connection::{SegmentOutcome, TcpConnection, TcpContext};
use super::position::HalfState;
use crate::anomaly::Anomaly;
use crate::config::Limits;
use crate::ledger::Fate;
use crate::stream::{Delivery, StreamBytes, StreamSink};

/// A SYN on a living connection, kept until its peer answers it (policy 4).
#[derive(Debug)]
pub(crate) struct PendingSyn {
    pub(crate) side: Side,
    pub(crate) stamp: Stamp,
    pub(crate) seq: SeqNumber,
    /// The acknowledgement of a SYN-ACK.
    ack: Option<SeqNumber>,
    window: u16,
    options: TcpOptions,
    pub(super) payload: Vec<u8>,
    /// True once the other side sent anything.
    answered: bool,
}

/// Data in a SYN (RFC 7413), kept until the SYN-ACK says how much of it was taken.
#[derive(Debug)]
pub(super) struct SynData {
    side: Side,
    stamp: Stamp,
    pub(super) bytes: Vec<u8>,
}

/// Bytes before the next one that a retransmission may reach back: what a path has in flight,
/// rounded up. Arbitrary.
const RETRANSMISSION_MAX: u64 = 1 << 20;

/// The agreement of a SYN's number with what is known of its sender's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SynFit {
    /// It can be the start of the stream.
    Fits,
    /// It is the SYN of the stream again, or the capture shows it after the data that it precedes.
    Repeated,
    /// It belongs to another connection.
    Foreign,
}

impl TcpConnection {
    /// Takes a segment with SYN. Returns an outcome only where the connection ends.
    pub(super) fn syn<S: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        cx: &mut TcpContext<'_, S>,
    ) -> Option<SegmentOutcome> {
        let fit = self.syn_fit(segment, side, cx.limits);
        if fit == SynFit::Repeated {
            cx.count(Fate::Duplicate, segment.payload.len());
            self.half_mut(side).header.see_syn_window(segment);
            return None;
        }
        match self.syn_acknowledges(segment, side, cx.limits) {
            Some(acked) if fit == SynFit::Fits => {
                self.accept_syn(segment, side, acked, cx);
                None
            }
            _ => self.refuse_syn(segment, side, fit, cx),
        }
    }

    fn syn_fit(&self, segment: &Segment<'_>, side: Side, limits: &Limits) -> SynFit {
        let half = self.half(side);
        let start = segment.seq.add(1);
        let fits = match half.stream.phase {
            HalfState::Unseen => true,
            HalfState::Expected => half.stream.starts_at(start),
            // In a handshake of four segments, an ACK with the number of the SYN precedes the SYN
            // (RFC 9293 §3.5 joins the two).
            HalfState::Joined => {
                half.stream.reaches_back_to(start, limits.waiting_bytes_max as u64)
                    || (half.is_pristine() && half.stream.starts_at(segment.seq))
            }
            HalfState::Open | HalfState::Ended if half.stream.starts_at(start) => return SynFit::Repeated,
            HalfState::Open | HalfState::Ended => false,
        };
        if fits { SynFit::Fits } else { SynFit::Foreign }
    }

    /// Returns the offset up to which a SYN acknowledges its peer's stream, or none if that is
    /// impossible.
    ///
    /// RFC 9293 §3.10.7.3: a SYN-ACK must acknowledge the SYN, and at most the data in it (RFC
    /// 7413).
    fn syn_acknowledges(&self, segment: &Segment<'_>, side: Side, limits: &Limits) -> Option<StreamOffset> {
        let peer = self.half(side.other());
        let start = peer.stream.start;
        let at = peer.stream.place(segment.ack);
        match peer.stream.phase {
            _ if !segment.flags.has(Flags::ACK) => Some(start),
            HalfState::Unseen | HalfState::Expected => Some(start),
            HalfState::Joined if peer.stream.reaches_back_to(segment.ack, limits.waiting_bytes_max as u64) => Some(at),
            _ => {
                let highest = peer.highest().add(self.syn_data_len(side.other()));
                Some(at).filter(|at| (start..=highest).contains(at))
            }
        }
    }

    fn refuse_syn<S: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        fit: SynFit,
        cx: &mut TcpContext<'_, S>,
    ) -> Option<SegmentOutcome> {
        if segment.flags.has(Flags::ACK)
            && let Some(outcome) = self.reopened_by(segment, side)
        {
            return Some(outcome);
        }
        if fit == SynFit::Fits {
            cx.sink.flag_connection(Anomaly::BadAck);
            cx.count(Fate::Ignored, segment.payload.len());
        } else {
            cx.sink.flag_connection(Anomaly::SynInFlow);
            self.keep_pending(segment, side, cx);
        }
        None
    }

    fn accept_syn<S: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        acked: StreamOffset,
        cx: &mut TcpContext<'_, S>,
    ) {
        if segment.flags.has(Flags::ACK) {
            let peer = self.half_mut(side.other());
            match peer.stream.phase {
                HalfState::Unseen | HalfState::Expected => peer.expect(segment.ack),
                HalfState::Joined if acked <= peer.stream.start => {
                    peer.stream.move_start(segment.ack);
                    peer.stream.phase = HalfState::Open;
                }
                HalfState::Joined | HalfState::Open | HalfState::Ended => peer.acknowledge(acked, cx.pool),
            }
        }
        let half = self.half_mut(side);
        let start = segment.seq.add(1);
        if half.stream.phase == HalfState::Joined {
            half.stream.move_start(start);
            half.stream.phase = HalfState::Open;
        } else {
            half.start_at(start, HalfState::Open);
        }
        half.header.see_syn_window(segment);
        half.header.ts_recent = segment.options.timestamps.map(|(value, _)| value);
        half.header.md5 = segment.options.md5;
        self.take_syn_data(side.other(), acked, cx);
        if !segment.payload.is_empty() {
            let data = SynData { side, stamp: cx.now.frame, bytes: segment.payload.to_vec() };
            if let Some(before) = self.syn_data.replace(Box::new(data)) {
                cx.count(Fate::Ignored, before.bytes.len());
            }
        }
    }

    fn keep_pending<S: StreamSink>(&mut self, segment: &Segment<'_>, side: Side, cx: &mut TcpContext<'_, S>) {
        let pending = PendingSyn {
            side,
            stamp: cx.now.frame,
            seq: segment.seq,
            ack: segment.flags.has(Flags::ACK).then_some(segment.ack),
            window: segment.window,
            options: segment.options,
            payload: segment.payload.to_vec(),
            answered: false,
        };
        if let Some(before) = self.pending_syn.replace(Box::new(pending)) {
            cx.count(Fate::Ignored, before.payload.len());
        }
    }

    /// Reopens the connection if a SYN-ACK answers the pending SYN.
    fn reopened_by(&mut self, segment: &Segment<'_>, side: Side) -> Option<SegmentOutcome> {
        let pending = self.pending_syn.as_ref()?;
        let covered = segment.ack.offset_from(pending.seq.add(1));
        let answers =
            pending.side != side && pending.ack.is_none() && (0..=pending.payload.len() as i64).contains(&covered);
        if answers { self.pending_syn.take().map(SegmentOutcome::Reopen) } else { None }
    }

    /// Reopens the connection if a segment shows that the pending SYN was answered, although the
    /// answer itself was not seen.
    pub(super) fn confirm_pending(&mut self, segment: &Segment<'_>, side: Side) -> Option<SegmentOutcome> {
        self.pending_syn.as_ref()?;
        // A segment that the living connection expects, or a retransmission, belongs to it.
        // Otherwise a SYN forged one number before the next byte would end the connection.
        let half = self.half(side);
        let (at, next) = (half.stream.place(segment.seq), half.stream.next);
        let is_expected = half.is_live() && at <= next && next.since(at) <= RETRANSMISSION_MAX;
        let pending = self.pending_syn.as_mut()?;
        let confirmed = if pending.side == side {
            !pending.answered && segment.seq == pending.seq.add(1) && !segment.payload.is_empty()
        } else {
            pending.answered = true;
            segment.ack == pending.seq.add(1) && pending.ack == Some(segment.seq)
        };
        if confirmed && !is_expected { self.pending_syn.take().map(SegmentOutcome::Reopen) } else { None }
    }

    fn syn_data_len(&self, side: Side) -> u64 {
        self.syn_data.as_ref().filter(|data| data.side == side).map_or(0, |data| data.bytes.len() as u64)
    }

    /// Delivers the data in the SYN or SYN-ACK of `side` as far as a segment acknowledges it.
    pub(super) fn syn_data_acknowledged<S: StreamSink>(
        &mut self,
        segment: &Segment<'_>,
        side: Side,
        cx: &mut TcpContext<'_, S>,
    ) {
        let acked = self.half(side).stream.place(segment.ack);
        if acked > self.half(side).stream.start {
            self.take_syn_data(side, acked, cx);
        }
    }

    /// Settles whether the data in a SYN was taken when no SYN-ACK was seen: the offset of the
    /// sender's next data, `at`, shows it.
    pub(super) fn settle_syn_data<S: StreamSink>(&mut self, side: Side, at: StreamOffset, cx: &mut TcpContext<'_, S>) {
        let len = self.syn_data_len(side);
        if len > 0 {
            let start = self.half(side).stream.start;
            let taken = if at >= start.add(len) { start.add(len) } else { start };
            self.take_syn_data(side, taken, cx);
        }
    }

    /// Delivers the data in a SYN up to `acked`. The rest will come again.
    fn take_syn_data<S: StreamSink>(&mut self, side: Side, acked: StreamOffset, cx: &mut TcpContext<'_, S>) {
        let Some(data) = self.syn_data.take_if(|data| data.side == side) else { return };
        let taken = (acked.since(self.half(side).stream.start) as usize).min(data.bytes.len());
        let (taken, left) = data.bytes.split_at(taken);
        cx.count(Fate::Ignored, left.len());
        if !taken.is_empty() {
            self.half_mut(side).stream.advance(taken.len() as u64);
            let piece = StreamBytes { bytes: taken, stamp: data.stamp, boundary: true };
            cx.sink.deliver(side, Delivery::Bytes(piece));
        }
    }
}

impl PendingSyn {
    /// Restores the segment. `like`, sent by `like_side`, has the addresses.
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
