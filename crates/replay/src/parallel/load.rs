//! Whether the traffic is worth more than one thread.
//!
//! Segments and messages are what costs time. In a capture of large bodies there are few of either
//! for each megabyte, and waking other threads costs more than they save. Next: [`super::rounds`],
//! which asks.

/// Bytes of frames that the first decision looks at: little, because one thread works until then.
const FIRST_WINDOW: usize = 128 << 10;

/// Bytes of frames that every later decision looks at.
const WINDOW: usize = 4 << 20;

/// Mean bytes of a frame from which the traffic can be bulk: segments are nearly full.
const BULK_FRAME: usize = 1_000;

/// Mean bytes of frames for each message from which the traffic can be bulk.
const BULK_MESSAGE: usize = 64 << 10;

/// Counts of the window that is being measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    window: usize,
    bytes: usize,
    frames: usize,
    messages: usize,
}

impl Load {
    /// The first window.
    pub(super) const fn first() -> Self {
        Self { window: FIRST_WINDOW, bytes: 0, frames: 0, messages: 0 }
    }

    /// A window after the first.
    pub(super) const fn next() -> Self {
        Self { window: WINDOW, ..Self::first() }
    }

    /// Counts the frames of a round.
    pub(super) const fn sent(&mut self, frames: usize, bytes: usize) {
        self.frames += frames;
        self.bytes += bytes;
    }

    /// Counts messages that a round completed.
    pub(super) const fn completed(&mut self, messages: usize) {
        self.messages += messages;
    }

    /// At the end of a window, returns whether the traffic is bulk, and begins the next window.
    pub(super) fn decide(&mut self) -> Option<bool> {
        (self.bytes >= self.window).then(|| std::mem::replace(self, Self::next()).is_bulk())
    }

    const fn is_bulk(self) -> bool {
        self.frames * BULK_FRAME <= self.bytes && self.messages * BULK_MESSAGE <= self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_bulk_when_both_frames_and_messages_are_large() {
        for (what, frame, messages, bulk) in [
            ("large bodies", 1_443, 0, true),
            ("bodies of 64 KiB", 1_443, 64, true),
            ("bodies just smaller", 1_443, 65, false),
            ("nearly full segments", BULK_FRAME, 0, true),
            ("smaller segments", BULK_FRAME - 1, 0, false),
            ("acknowledgements only", 66, 0, false),
            ("a quarter of it small messages", 1_151, 500, false),
        ] {
            let frames = WINDOW.div_ceil(frame);
            let mut load = Load::next();
            load.sent(frames, frames * frame);
            load.completed(messages);
            assert_eq!(load.decide(), Some(bulk), "{what}");
            assert_eq!(load.decide(), None, "{what}: the next window has just begun");
        }
    }
}
