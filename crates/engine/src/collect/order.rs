//! Messages that ended, on their way into the order of output.
//!
//! First they are *ready*, in the order in which they ended; then *sealed*, in the order of output,
//! whatever comes; then lent.

use sniffer_packet::key::FlowId;

use super::open::MessageBuilder;
use crate::message::{Message, Phase};

/// Messages that wait for each other to be put in order, of one connection or of several that end
/// together: see [`Phase`].
const RUN: usize = 4096;

/// Messages that wait to be lent together, and their bytes. Writing several at once is faster: see
/// NOTES#batch.
const WAITING_MAX: usize = 16;
const WAITING_BYTES_MAX: usize = 64 << 10;

/// Messages that ended and were not lent yet.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "messages of 400 bytes move between being open, ready and spare as pointers")]
pub(super) struct Ready {
    /// The first of them are sealed.
    messages: Vec<Box<MessageBuilder>>,
    sealed: usize,
    /// Bytes of those that are sealed.
    sealed_bytes: usize,
    /// The phase that messages end in now.
    phase: Phase,
    /// The connection of the last of the messages, and where its run of messages begins among them.
    run: (FlowId, usize),
}

impl Default for Ready {
    fn default() -> Self {
        Self { messages: Vec::new(), sealed: 0, sealed_bytes: 0, phase: Phase::Frame, run: (FlowId::default(), 0) }
    }
}

/// Puts messages in the order of output, as this phase of this frame; `last` is done to each.
fn seal(ready: &mut [Box<MessageBuilder>], frame: u64, phase: Phase, mut last: impl FnMut(&mut Message)) {
    if ready.len() > 1 {
        ready.sort_by_key(|open| open.order());
    }
    for open in ready {
        (open.message.completed_by, open.message.phase) = (frame, phase);
        last(&mut open.message);
    }
}

impl Ready {
    pub(super) fn push(&mut self, message: Box<MessageBuilder>) {
        let connection = message.message.connection;
        if self.run.0 != connection {
            self.run = (connection, self.messages.len());
        }
        self.messages.push(message);
    }

    /// True if messages ended since the last were sealed.
    #[inline]
    pub(super) const fn has_unsealed(&self) -> bool {
        self.messages.len() > self.sealed
    }

    /// True if so many messages are sealed that they should be lent.
    pub(super) const fn has_enough(&self) -> bool {
        self.sealed >= WAITING_MAX || self.sealed_bytes >= WAITING_BYTES_MAX
    }

    /// True if so many messages are ready that they should not wait for more.
    #[inline]
    pub(super) const fn is_long(&self) -> bool {
        self.messages.len() >= RUN
    }

    /// Seals all, in the order in which they ended.
    pub(super) const fn seal_as_they_are(&mut self) {
        self.sealed = self.messages.len();
    }

    /// Seals the messages that ended since the last call: all that this frame completes in the
    /// present phase. `last` is done to each now and not when it is lent, which may be frames
    /// later.
    pub(super) fn seal(&mut self, frame: u64, last: impl FnMut(&mut Message)) {
        let new = &mut self.messages[self.sealed..];
        seal(new, frame, self.phase, last);
        self.sealed_bytes += new.iter().map(|open| open.held).sum::<usize>();
        self.sealed = self.messages.len();
        self.run.1 = self.sealed;
    }

    /// Takes the sealed messages out, in the order of output; the vector is to be [given
    /// back](Self::give_back).
    #[expect(clippy::vec_box, reason = "as in the struct")]
    pub(super) fn take_sealed(&mut self) -> Option<(Vec<Box<MessageBuilder>>, usize)> {
        let sealed = std::mem::take(&mut self.sealed);
        if sealed == 0 {
            return None;
        }
        self.sealed_bytes = 0;
        self.run.1 = self.run.1.saturating_sub(sealed);
        Some((std::mem::take(&mut self.messages), sealed))
    }

    /// Gives the vector of [`Self::take_sealed`] back, with the messages that were not sealed.
    #[expect(clippy::vec_box, reason = "as in the struct")]
    pub(super) fn give_back(&mut self, messages: Vec<Box<MessageBuilder>>) {
        self.messages = messages;
    }

    /// Takes the messages whose order cannot change any more, whatever follows, none being sealed:
    /// of a frame the run of one connection; of a second the connections that are through, and the
    /// run of one that is not.
    #[expect(clippy::vec_box, reason = "as in the struct")]
    pub(super) fn take_runs(
        &mut self,
        frame: u64,
        segment_number: u64,
        last: impl FnMut(&mut Message),
    ) -> Vec<Box<MessageBuilder>> {
        let from = self.run.1;
        let is_run = self.messages.len() - from >= RUN;
        let (phase, range) = match self.phase {
            Phase::Frame if is_run => (Phase::Run(segment_number), from..self.messages.len()),
            Phase::Frame => return Vec::new(),
            phase if is_run => (phase, 0..self.messages.len()),
            phase => (phase, 0..from),
        };
        if phase == self.phase {
            self.run.1 = 0;
        }
        let mut taken: Vec<_> = self.messages.drain(range).collect();
        seal(&mut taken, frame, phase, last);
        taken
    }

    /// Takes all messages that this frame ended, sealed, none having been before.
    #[expect(clippy::vec_box, reason = "as in the struct")]
    pub(super) fn take_all(&mut self, frame: u64, last: impl FnMut(&mut Message)) -> Vec<Box<MessageBuilder>> {
        debug_assert_eq!(self.sealed, 0, "sealed messages would come after these");
        self.run.1 = 0;
        seal(&mut self.messages, frame, Phase::Frame, last);
        std::mem::take(&mut self.messages)
    }

    /// Begins a phase; the messages of the last one were lent.
    pub(super) const fn begin(&mut self, phase: Phase) {
        self.phase = phase;
    }
}
