//! The loop: frames from a [`Source`] through the engine's [`Extractor`] to a [`ReplaySink`].
//!
//! It never writes, never decides an exit code, and reads no clock. Next: [`crate::source`], where
//! frames come from.

use std::io::IoSlice;

use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_engine::ledger::Ledger;
use sniffer_engine::message::Message;
use sniffer_packet::fate::FrameFate;
use sniffer_packet::frame::LinkType;

use crate::source::{ReadEvent, Source};

/// Takes the output of a replay. **`message` may be called any number of times between two calls of
/// `next`.**
pub trait ReplaySink {
    /// Takes a message, in output order.
    fn message(&mut self, message: &mut Message);

    /// Takes the lines of messages, in output order. [`crate::parallel::replay`] calls this instead of
    /// `message`.
    fn lines(&mut self, _lines: &mut [IoSlice<'_>]) {}

    /// Called before a read that may block: the sink should flush its output.
    fn before_block(&mut self) {}

    /// Called after every frame. Returns whether to go on; must be cheap.
    fn next(&mut self, _source: &Source) -> Continue {
        Continue::Frame
    }
}

/// The answer of a [`ReplaySink`] after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continue {
    /// Go on with the next frame.
    Frame,
    /// Read no more frames. Open messages are emitted, flagged, as at the end of the capture.
    Finish,
    /// Stop at once, with no more output.
    Abandon,
}

/// The result of a replay.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Summary {
    /// The fate of every byte. Balanced unless the replay was abandoned.
    pub ledger: Ledger,
    /// Link types that could not be decoded and the number of their frames, in order of appearance.
    pub unknown_links: Vec<(LinkType, u64)>,
}

/// Runs all frames of `source` through the engine. Afterwards, [`Source::damages`] reports damage.
pub fn replay(source: &mut Source, config: Config, sink: &mut dyn ReplaySink) -> Summary {
    let mut extractor = Extractor::new(config);
    let mut unknown_links = Vec::new();
    let mut next = Continue::Frame;
    while next == Continue::Frame {
        let before_read = &mut |event| match event {
            ReadEvent::Refill => {}
            ReadEvent::Wait => {
                extractor.flush(&mut |message| sink.message(message));
                sink.before_block();
            }
        };
        let Some(frame) = source.next(before_read) else {
            next = Continue::Finish;
            break;
        };
        let unknown = extractor.ledger().frames_with(FrameFate::UnknownLinkType);
        extractor.take(&frame, &mut |message| sink.message(message));
        if extractor.ledger().frames_with(FrameFate::UnknownLinkType) > unknown {
            count(&mut unknown_links, frame.link);
        }
        next = sink.next(source);
    }
    if next == Continue::Finish {
        extractor.finish(&mut |message| sink.message(message));
    }
    Summary { ledger: extractor.ledger().clone(), unknown_links }
}

/// Counts a frame of a link type. A list, not a map: there are few, and their order is output.
#[cold]
pub(crate) fn count(links: &mut Vec<(LinkType, u64)>, link: LinkType) {
    match links.iter_mut().find(|(known, _)| *known == link) {
        Some((_, frames)) => *frames += 1,
        None => links.push((link, 1)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Returns a pcap of this link type with frames of four zero bytes.
    fn capture(link: u32, frames: usize) -> Source {
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link] {
            bytes.extend_from_slice(&u32::to_le_bytes(word));
        }
        for _ in 0..frames {
            for word in [1, 0, 4, 4, 0] {
                bytes.extend_from_slice(&u32::to_le_bytes(word));
            }
        }
        Source::from_reader("test", Cursor::new(bytes)).unwrap()
    }

    /// A sink that gives this answer after this many frames.
    struct After(usize, Continue);

    impl ReplaySink for After {
        fn message(&mut self, _message: &mut Message) {}

        fn next(&mut self, _source: &Source) -> Continue {
            self.0 -= 1;
            if self.0 == 0 { self.1 } else { Continue::Frame }
        }
    }

    #[test]
    fn an_unknown_link_type_is_named_with_its_frames() {
        let summary = replay(&mut capture(147, 3), Config::default(), &mut After(9, Continue::Abandon));
        assert_eq!(summary.unknown_links, [(LinkType(147), 3)]);
        assert_eq!(summary.ledger.frames(), 3);
    }

    #[test]
    fn a_sink_that_wants_no_more_gets_no_further_frame() {
        for enough in [Continue::Finish, Continue::Abandon] {
            let summary = replay(&mut capture(1, 3), Config::default(), &mut After(2, enough));
            assert_eq!(summary.ledger.frames(), 2);
        }
    }
}
