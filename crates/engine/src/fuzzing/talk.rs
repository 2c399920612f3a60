//! Fuzzes conversations as text: any text is read or refused, and one that is read can be written and
//! read again.
//!
//! Next: [`sniffer_testkit::talk`].

use sniffer_testkit::talk::{Action, FRAMES_MAX, TEXT_MAX, Talk};

/// Most payload of all blocks for which frames are made, to keep inputs quick.
const PAYLOAD_MAX: usize = 256 << 10;

/// Runs a text through the parser, the writer, the parser again and the renderer.
///
/// # Panics
/// If a written conversation is refused, or gives other frames than the one it was written from.
pub fn talk(data: &[u8]) {
    let Ok(talk) = std::str::from_utf8(data).map_err(drop).and_then(|text| Talk::parse(text).map_err(drop)) else {
        return;
    };
    let written = talk.to_string();
    // `{4000000*x}` is a short text of a long conversation: escaped in full it can be over the limit.
    if written.len() > TEXT_MAX {
        assert!(Talk::parse(&written).is_err(), "a text beyond the limit is refused");
        return;
    }
    let again = Talk::parse(&written);
    let again = again.unwrap_or_else(|error| unreachable!("what was written is refused: {error}\n{written}"));
    let payload = |talk: &Talk| -> usize {
        talk.steps.iter().map(|step| if let Action::Send(block) = &step.action { block.payload.len() } else { 0 }).sum()
    };
    assert_eq!(payload(&talk), payload(&again), "payload is kept:\n{written}");
    if payload(&talk) > PAYLOAD_MAX {
        return;
    }
    match (talk.frames(), again.frames()) {
        (Ok(frames), Ok(again)) => {
            assert!(frames.len() <= FRAMES_MAX, "{} frames", frames.len());
            assert!(frames == again, "other frames when written and read again:\n{written}");
        }
        (Err(_), Err(_)) => {}
        (one, other) => unreachable!("only one can be rendered: {:?} {:?}\n{written}", one.err(), other.err()),
    }
}
