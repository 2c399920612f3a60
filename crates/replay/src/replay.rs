//! The loop: frames from a [`Source`] through the engine's [`Extractor`] to whoever takes the messages.
//!
//! It never writes, never decides an exit code and asks no clock. Next: [`crate::source`], where frames come from.

use std::io::IoSlice;

use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_engine::ledger::Ledger;
use sniffer_engine::message::Message;
use sniffer_packet::fate::FrameFate;
use sniffer_packet::frame::LinkType;

use crate::source::{ReadEvent, Source};

/// Takes what a replay gives. **`message` may be called any number of times between two calls of `next`.**
pub trait ReplaySink {
    /// A message, in the order of output.
    fn message(&mut self, message: &mut Message);

    /// Messages that were written on other threads, in the order of output: what [`crate::parallel::replay`] gives instead.
    fn lines(&mut self, _lines: &mut [IoSlice<'_>]) {}

    /// The next read may wait for somebody else: what was taken so far should be handed on now.
    fn before_block(&mut self) {}

    /// Asked after every frame whether to go on; must be cheap.
    fn next(&mut self, _source: &Source) -> Continue {
        Continue::Frame
    }
}

/// What a [`ReplaySink`] wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continue {
    /// The next frame.
    Frame,
    /// No more frames: as if the capture ended here, what is open is given, flagged.
    Finish,
    /// Nothing more at all: nobody listens.
    Abandon,
}

/// What is known once a replay is over.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Summary {
    /// Where every byte went; balanced unless the replay was abandoned.
    pub ledger: Ledger,
    /// Link types that could not be decoded, with the number of their frames, in the order they were met.
    pub unknown_links: Vec<(LinkType, u64)>,
}

/// Runs all frames of `source` through the engine. Damage is the source's to tell, afterwards.
pub fn replay(source: &mut Source, config: Config, receiver: &mut dyn ReplaySink) -> Summary {
    let mut extractor = Extractor::new(config);
    let mut unknown_links = Vec::new();
    let mut next = Continue::Frame;
    while next == Continue::Frame {
        let before_read = &mut |ahead| match ahead {
            ReadEvent::Refill => {}
            ReadEvent::Wait => {
                extractor.flush(&mut |message| receiver.message(message));
                receiver.before_block();
            }
        };
        let Some(frame) = source.next(before_read) else {
            next = Continue::Finish;
            break;
        };
        let unknown = extractor.ledger().frames_with(FrameFate::UnknownLinkType);
        extractor.take(&frame, &mut |message| receiver.message(message));
        if extractor.ledger().frames_with(FrameFate::UnknownLinkType) > unknown {
            count(&mut unknown_links, frame.link);
        }
        next = receiver.next(source);
    }
    if next == Continue::Finish {
        extractor.finish(&mut |message| receiver.message(message));
    }
    Summary { ledger: extractor.ledger().clone(), unknown_links }
}

/// A list, not a map: a capture has few link types, and their order is output.
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

    /// A pcap of this link type with frames that hold four zero bytes.
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

    /// Asks for something else than a frame after so many.
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
    fn a_receiver_that_has_enough_gets_no_further_frame() {
        for enough in [Continue::Finish, Continue::Abandon] {
            let summary = replay(&mut capture(1, 3), Config::default(), &mut After(2, enough));
            assert_eq!(summary.ledger.frames(), 2);
        }
    }
}
