//! [`Talk`] to frames: time, handshakes, truthful acknowledgements, and the effect of marks.
//!
//! It never decides what must come out; that is `expect`'s task. The same conversation gives the
//! same bytes everywhere. Next: `ends` (what each end has sent and received), `packets` (the frames
//! of one segment), [`crate::wire`].

mod packets;

use std::collections::BTreeMap;

use packets::RenderedSegment;
use sniffer_packet::frame::OwnedFrame;
use sniffer_packet::time::Timestamp;

use super::ends::TalkEnd;
use super::{Action, FRAMES_MAX, Marks, Opening, PayloadBlock, Talk, TalkError};
use crate::wire::Way;

/// Delay of a late frame, if no other frames follow that it could wait for.
const AT_THE_END: usize = usize::MAX;

impl Talk {
    /// Returns the capture of this conversation, numbered from 1.
    pub fn frames(&self) -> Result<Vec<OwnedFrame>, TalkError> {
        let ends = self.connections.iter().map(|_| Default::default()).collect();
        let opened = vec![false; self.connections.len()];
        let (clock, frames, held) = (self.start, Vec::new(), BTreeMap::new());
        let mut stage = Stage { talk: self, ends, opened, clock, frames, held, held_ever: 0, line: 0 };
        for (at, step) in self.steps.iter().enumerate() {
            stage.line = step.line;
            stage.perform(&step.action)?;
            stage.settle(at + 1)?;
        }
        stage.release(AT_THE_END)?;
        stage.settle(self.steps.len())?;
        let mut frames = stage.frames;
        sniffer_packet::frame::renumber(&mut frames);
        Ok(frames)
    }
}

/// The player of a conversation.
struct Stage<'a> {
    talk: &'a Talk,
    /// Client and server of each connection.
    ends: Vec<[TalkEnd; 2]>,
    opened: Vec<bool>,
    clock: Timestamp,
    frames: Vec<OwnedFrame>,
    /// Frames that are captured later, by the number of frames that must come first, then by order.
    held: BTreeMap<(usize, usize), Held>,
    /// Number of frames held so far.
    held_ever: usize,
    /// Line of the step being played.
    line: usize,
}

/// A frame on its way: its bytes, and the arrival that it brings, unless the segment has arrived.
struct Held {
    bytes: Vec<u8>,
    wire_len: usize,
    arrival: Option<Arrival>,
}

/// The arrival of a segment at the other end.
#[derive(Clone)]
struct Arrival {
    connection: usize,
    way: Way,
    start: i64,
    end: i64,
    tsval: u32,
}

impl Stage<'_> {
    fn error(&self, what: impl Into<String>) -> TalkError {
        TalkError::new(self.line, what)
    }

    fn perform(&mut self, action: &Action) -> Result<(), TalkError> {
        match action {
            Action::Send(block) => self.send(block),
            Action::Close(connection) => {
                for way in [Way::ToServer, Way::ToClient] {
                    if !self.ends[self.known(*connection)?][way.index()].finished {
                        let marks = Marks { fin: true, ..Marks::default() };
                        self.send(&PayloadBlock { connection: *connection, way, payload: Vec::new(), marks })?;
                    }
                }
                Ok(())
            }
            Action::Pause(nanos) => {
                let clock = self.clock.as_nanos().checked_add_signed(*nanos);
                self.clock =
                    Timestamp::from_nanos(clock.ok_or_else(|| self.error("pause leaves the years 1970–2554"))?);
                Ok(())
            }
            Action::Frame(bytes) => self.capture(Held { bytes: bytes.clone(), wire_len: bytes.len(), arrival: None }),
        }
    }

    fn known(&self, connection: usize) -> Result<usize, TalkError> {
        if connection < self.ends.len() { Ok(connection) } else { Err(self.error("a connection that is not defined")) }
    }

    /// Plays a block: the handshake if it is due, then its segments.
    fn send(&mut self, block: &PayloadBlock) -> Result<(), TalkError> {
        let connection = self.known(block.connection)?;
        if !std::mem::replace(&mut self.opened[connection], true) {
            self.open(connection)?;
        }
        let (marks, way) = (&block.marks, block.way);
        let end = &self.ends[connection][way.index()];
        let (last_start, last_bytes) = end.last.clone();
        let whole_again = marks.again && block.payload.is_empty();
        let payload = if whole_again { &last_bytes } else { &block.payload };
        let start = match marks {
            _ if marks.again => last_start,
            // A SYN takes position 0, so data begins at 1 with or without it.
            _ if marks.syn => 0,
            _ => end.next,
        } + marks.seq;
        let data_start = start + i64::from(marks.syn);
        let mss = marks.mss.unwrap_or(usize::MAX);
        let pieces: Vec<&[u8]> = if payload.is_empty() { vec![&[]] } else { payload.chunks(mss).collect() };
        let count = pieces.len();
        let mut at = data_start;
        for (n, piece) in pieces.into_iter().enumerate() {
            let last = n + 1 == count;
            let syn = marks.syn && n == 0;
            let segment =
                RenderedSegment { connection, way, start: at - i64::from(syn), payload: piece, syn, last, marks };
            self.segment(&segment)?;
            at += piece.len() as i64;
            // A receiver acknowledges every second full segment (RFC 9293 §3.8.6.3).
            if !last && n % 2 == 1 {
                self.acknowledge(connection, way.back())?;
            }
        }
        let stop = at + i64::from(marks.fin);
        let end = &mut self.ends[connection][way.index()];
        if !marks.forged {
            end.next = end.next.max(stop);
            end.finished |= marks.fin;
            if !payload.is_empty() {
                end.last = (data_start, payload.clone());
            }
            if marks.rst {
                self.ends[connection].iter_mut().for_each(|end| end.owes_ack = false);
            }
        }
        if marks.unacked {
            self.ends[connection][way.back().index()].owes_ack = false;
        }
        Ok(())
    }

    fn open(&mut self, connection: usize) -> Result<(), TalkError> {
        match self.talk.connections[connection].opening {
            Opening::ByHand => Ok(()),
            Opening::NoHandshake => {
                for end in &mut self.ends[connection] {
                    end.next = 1;
                    end.received.add(0, 1);
                }
                Ok(())
            }
            Opening::Handshake => {
                let syn = Marks { syn: true, ..Marks::default() };
                for way in [Way::ToServer, Way::ToClient] {
                    self.send(&PayloadBlock { connection, way, payload: Vec::new(), marks: syn.clone() })?;
                }
                self.acknowledge(connection, Way::ToServer)
            }
        }
    }

    /// Writes a bare acknowledgement, if one is owed.
    fn acknowledge(&mut self, connection: usize, way: Way) -> Result<(), TalkError> {
        let end = &self.ends[connection][way.index()];
        if !end.owes_ack {
            return Ok(());
        }
        let marks = Marks { ack: true, ..Marks::default() };
        let start = end.next;
        self.segment(&RenderedSegment { connection, way, start, payload: &[], syn: false, last: true, marks: &marks })
    }

    /// Writes bare acknowledgements for data that no block acknowledges soon. A block does if it is
    /// the connection's next and comes without a pause.
    fn settle(&mut self, next_step: usize) -> Result<(), TalkError> {
        loop {
            let owing = self.owing(next_step);
            if owing.is_empty() {
                return Ok(());
            }
            // An acknowledgement can release a late frame, which is then owed another.
            owing.into_iter().try_for_each(|(connection, way)| self.acknowledge(connection, way))?;
        }
    }

    fn owing(&self, next_step: usize) -> Vec<(usize, Way)> {
        let sides = (0..self.ends.len()).flat_map(|n| [(n, Way::ToServer), (n, Way::ToClient)]);
        let owes = |&(n, way): &(usize, Way)| self.ends[n][way.index()].owes_ack;
        sides.filter(owes).filter(|&(n, way)| !self.will_answer(n, way, next_step)).collect()
    }

    fn will_answer(&self, connection: usize, way: Way, next_step: usize) -> bool {
        for step in self.talk.steps.iter().skip(next_step) {
            match &step.action {
                Action::Pause(_) => return false,
                Action::Send(block) if block.connection == connection => {
                    return block.way == way && !block.marks.forged && !block.marks.no_ack;
                }
                Action::Close(closed) if *closed == connection => {
                    return way == Way::ToServer && !self.ends[connection][way.index()].finished;
                }
                _ => {}
            }
        }
        false
    }

    /// Plays a segment: its frames are captured now, later, twice or never, and received now, later
    /// or never.
    fn segment(&mut self, segment: &RenderedSegment<'_>) -> Result<(), TalkError> {
        let RenderedSegment { connection, way, marks, .. } = *segment;
        let mut frames = self.frames_of(segment)?;
        let hidden = self.talk.connections[connection].only.is_some_and(|only| only != way);
        let received = !(marks.dropped || marks.forged);
        let mut arrival = received.then(|| self.arrival(segment));
        if marks.lost || hidden {
            arrival.into_iter().for_each(|arrival| self.arrive(&arrival));
            return Ok(());
        }
        if marks.seen_late.is_some() {
            arrival.take().into_iter().for_each(|arrival| self.arrive(&arrival));
        }
        if let Some(last) = frames.last_mut() {
            last.arrival = arrival;
        }
        let copies: Vec<Held> = frames.iter().map(|f| Held { bytes: f.bytes.clone(), arrival: None, ..*f }).collect();
        self.capture_after(marks.late.or(marks.seen_late).unwrap_or(0), frames)?;
        if let Some(frames_later) = marks.doubled.then_some(0).or(marks.doubled_after) {
            self.capture_after(frames_later, copies)?;
        }
        Ok(())
    }

    fn arrive(&mut self, arrival: &Arrival) {
        let end = &mut self.ends[arrival.connection][arrival.way.back().index()];
        end.received.add(arrival.start, arrival.end);
        end.echo = arrival.tsval;
        end.owes_ack |= arrival.end > arrival.start;
    }

    fn capture_after(&mut self, frames_later: usize, frames: Vec<Held>) -> Result<(), TalkError> {
        for frame in frames {
            if frames_later == 0 {
                self.capture(frame)?;
            } else {
                self.held.insert((self.frames.len() + frames_later, self.held_ever), frame);
                self.held_ever += 1;
            }
        }
        Ok(())
    }

    /// Captures a frame, and then the frames that waited for it.
    fn capture(&mut self, frame: Held) -> Result<(), TalkError> {
        self.write(frame)?;
        self.release(self.frames.len())
    }

    fn release(&mut self, upto: usize) -> Result<(), TalkError> {
        let mut upto = upto;
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.key().0 <= upto) {
            let frame = entry.remove();
            self.write(frame)?;
            upto = upto.max(self.frames.len());
        }
        Ok(())
    }

    fn write(&mut self, frame: Held) -> Result<(), TalkError> {
        if self.frames.len() >= FRAMES_MAX {
            return Err(self.error(format!("more than {FRAMES_MAX} frames")));
        }
        let Held { bytes, wire_len, arrival } = frame;
        let wire_len = u32::try_from(wire_len).unwrap_or(u32::MAX);
        let (time, precision, link) = (self.clock, self.talk.precision, self.talk.link);
        let mut frame = OwnedFrame { number: 0, time, precision, link, bytes, wire_len };
        frame.cut_to(self.talk.snaplen.unwrap_or(usize::MAX));
        self.frames.push(frame);
        self.clock = Timestamp::from_nanos(self.clock.as_nanos().saturating_add(self.talk.step));
        arrival.into_iter().for_each(|arrival| self.arrive(&arrival));
        Ok(())
    }
}
