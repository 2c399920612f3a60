//! Slices: the frames of the connections whose messages were chosen, as a capture of their own.
//!
//! It reads the capture again, because the first reading finds the chosen connections. With IP
//! fragments it reads once more before that, because only a whole datagram shows its connection. It
//! keeps the endpoints and the numbers of fragments. It takes all frames between two endpoints, so
//! that a reused port looks as it did. Next: the packet crate's `file::pcapng`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sniffer_engine::config::Config;
use sniffer_packet::clock::Clock;
use sniffer_packet::decode::{Decoded, decode_each};
use sniffer_packet::defrag::Defrag;
use sniffer_packet::file::pcapng::PcapngWriter;
use sniffer_packet::frame::Frame;
use sniffer_packet::key::FlowKey;
use sniffer_packet::segment::Segment;
use sniffer_replay::source::{Input, Source};

use crate::interrupt::Interrupt;
use crate::output::OutputWriter;
use crate::progress::Progress;

/// Shared by every pass over the capture.
pub(crate) struct Passes<'a> {
    pub(crate) interrupt: &'a Interrupt,
    /// Show a progress bar.
    pub(crate) progress: bool,
}

/// Writes the frames between these endpoints. `fragmented` if the capture has IP fragments. An
/// error is one line.
pub(crate) fn write(
    inputs: &[Input],
    chosen: &BTreeSet<FlowKey>,
    fragmented: bool,
    path: &Path,
    passes: &Passes<'_>,
) -> Result<(), String> {
    let failed = |error| format!("cannot write to {}: {error}", path.display());
    let mut output = OutputWriter::file(path).map_err(failed)?;
    let fragments = if fragmented { fragments(inputs, chosen, passes)? } else { BTreeSet::new() };
    let mut pcapng = PcapngWriter::default();
    output.append(|out| pcapng.begin(out));
    each_frame(inputs, passes, |frame| {
        let mut wanted = fragments.contains(&frame.number);
        decode_each(frame, |decoded| wanted |= matches!(&decoded, Decoded::Segment(s) if chosen.contains(&key(s))));
        if wanted {
            output.append(|out| pcapng.frame(frame, out));
        }
        !output.has_failed()
    })?;
    output.finish().map_err(failed)
}

/// Collects the numbers of frames whose fragments make segments between these endpoints.
fn fragments(inputs: &[Input], chosen: &BTreeSet<FlowKey>, passes: &Passes<'_>) -> Result<BTreeSet<u64>, String> {
    let config = Config::default();
    let mut wanted = BTreeSet::new();
    // Frames of each datagram that holds a fragment of one further in, by its first frame. The
    // inner datagram knows only that one.
    let mut fragment_frames: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut defrag = Defrag::new(config.limits.defrag, config.hash_key);
    let mut clock = Clock::default();
    each_frame(inputs, passes, |frame| {
        let now = clock.read(frame.time).now;
        defrag.packets(frame, now, |packet| {
            let Some(datagram) = packet.datagram else { return };
            let frames = datagram.frames.iter();
            let parts = frames.flat_map(|part| fragment_frames.remove(part).unwrap_or_else(|| vec![*part]));
            let parts: Vec<_> = parts.collect();
            match packet.decoded {
                Decoded::Segment(segment) if chosen.contains(&key(segment)) => wanted.extend(parts),
                Decoded::Fragment(_) => {
                    fragment_frames.insert(datagram.first.number, parts);
                }
                _ => {}
            }
        });
        true
    })?;
    Ok(wanted)
}

fn key(segment: &Segment<'_>) -> FlowKey {
    FlowKey::of(&segment.src, &segment.dst).0
}

/// Reads the frames of the inputs until `each` returns false or a signal comes. The first reading
/// has reported damage.
fn each_frame(inputs: &[Input], passes: &Passes<'_>, mut each: impl FnMut(&Frame<'_>) -> bool) -> Result<(), String> {
    let mut source = Source::open(inputs).map_err(|error| error.to_string())?;
    let mut progress = Progress::new(&source, passes.progress);
    while let Some(frame) = source.next(&mut |_| {}) {
        if !each(&frame) {
            break;
        }
        progress.frame(&source);
        if passes.interrupt.signal().is_some() {
            return Err("interrupted: the slice was not written".to_owned());
        }
    }
    Ok(())
}
