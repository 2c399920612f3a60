//! Resegmentation: the same bytes in other segments.
//!
//! Each byte keeps the acknowledgement and options of the segment that first carried it. Lengths
//! and checksums are computed again. Next: `packets` beside this file.

use std::collections::BTreeMap;

use sniffer_packet::frame::OwnedFrame;
use sniffer_packet::key::FlowKey;
use sniffer_packet::segment::Flags;

use super::dissect::Layout;
use super::packets::finish;
use crate::rng::Rng;

/// Longest segment that merging makes: the size that offload shows on a sending host.
const MERGED_MAX: usize = 16_000;

/// A run of segments that can be cut differently: places in the capture, in order, contiguous in
/// the stream.
struct Run {
    places: Vec<usize>,
    next_seq: u32,
    len: usize,
    ends: bool,
}

/// Resegments each run. A new segment takes the place of the old one that held its last byte.
pub(super) fn resegment(frames: Vec<OwnedFrame>, rng: &mut Rng) -> Vec<OwnedFrame> {
    let layouts: Vec<Option<Layout>> = frames.iter().map(Layout::of).collect();
    // The new frames at each place.
    let mut out: Vec<Vec<OwnedFrame>> = frames.iter().map(|frame| vec![frame.clone()]).collect();
    for run in runs(&frames, &layouts) {
        run.places.iter().for_each(|place| out[*place].clear());
        for (place, frame) in run.cut(&frames, &layouts, rng) {
            out[place].push(frame);
        }
    }
    out.into_iter().flatten().collect()
}

fn runs(frames: &[OwnedFrame], layouts: &[Option<Layout>]) -> Vec<Run> {
    let mut open: BTreeMap<FlowKey, (sniffer_packet::key::Side, Run)> = BTreeMap::default();
    let mut done = Vec::new();
    for (place, frame) in frames.iter().enumerate() {
        let Some(layout) = &layouts[place] else { continue };
        let (seq, len) = (layout.seq(frame), layout.payload_len());
        let plain = Flags::ACK.with(Flags::PSH).with(Flags::FIN);
        let flags = layout.flags(frame);
        let usable = len > 0
            && plain.has(flags)
            && flags.has(Flags::ACK)
            && !frame.is_cut()
            && frame.bytes.len() >= layout.ip.end;
        let before = open.remove(&layout.flow);
        let mut run = match before {
            Some((side, run))
                if usable && side == layout.side && run.next_seq == seq && !run.ends && run.len + len <= MERGED_MAX =>
            {
                run
            }
            other => {
                done.extend(other.map(|(_, run)| run));
                Run { places: Vec::new(), next_seq: seq, len: 0, ends: false }
            }
        };
        if usable {
            run.places.push(place);
            run.next_seq = seq.wrapping_add(len as u32);
            run.len += len;
            run.ends = flags.has(Flags::FIN);
            open.insert(layout.flow, (layout.side, run));
        }
    }
    done.extend(open.into_values().map(|(_, run)| run));
    done
}

impl Run {
    /// The new segments, each with the place it takes.
    fn cut(&self, frames: &[OwnedFrame], layouts: &[Option<Layout>], rng: &mut Rng) -> Vec<(usize, OwnedFrame)> {
        let mut bytes = Vec::with_capacity(self.len);
        // End of each old segment in `bytes`.
        let mut ends = Vec::with_capacity(self.places.len());
        for &place in &self.places {
            let Some(layout) = &layouts[place] else { continue };
            bytes.extend(&frames[place].bytes[layout.payload..layout.ip.end]);
            ends.push((bytes.len(), place));
        }
        let place_of = |at: usize| ends.iter().find(|(end, _)| at < *end).or(ends.last()).copied().unwrap_or_default();
        // One style for each run: tiny segments for short ones, else up to the usual or offload's
        // size.
        let most = match rng.below(3) {
            0 if bytes.len() < 2_000 => 8,
            0 | 1 => 1_460,
            _ => MERGED_MAX,
        };
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let stop = (at + rng.between(1, most)).min(bytes.len());
            let (first_end, template) = place_of(at);
            if let Some(layout) = &layouts[template] {
                let old = &frames[template];
                let first = first_end - layout.payload_len();
                let seq = layout.seq(old).wrapping_add((at - first) as u32);
                let mut new = old.bytes[..layout.payload].to_vec();
                new.extend(&bytes[at..stop]);
                new[layout.tcp + 4..layout.tcp + 8].copy_from_slice(&seq.to_be_bytes());
                let last = stop == bytes.len();
                new[layout.tcp + 13] = Flags::ACK.0
                    | if last { Flags::PSH.0 } else { 0 }
                    | if last && self.ends { Flags::FIN.0 } else { 0 };
                let place = place_of(stop - 1).1;
                let frame = OwnedFrame { time: frames[place].time, ..old.clone() };
                pieces.push((place, finish(frame, layout, new)));
            }
            at = stop;
        }
        pieces
    }
}
