//! The lines of several shards, each in order, put into one order.
//!
//! Next: [`super::rounds`], where the pieces come from.

use std::ops::Range;

use sniffer_engine::message::OutputKey;

use super::worker::ShardOutput;

/// A piece of a shard's lines, and how much of it was handed on. Never one that is used up.
pub(super) struct PieceCursor {
    pub(super) shard: usize,
    pub(super) output: ShardOutput,
    /// Whether no piece of the round follows.
    pub(super) last: bool,
    /// Labels and bytes that were handed on.
    labels: usize,
    handed_on: usize,
}

impl PieceCursor {
    /// A piece of which nothing was handed on; the piece itself, when there is nothing in it.
    pub(super) fn new(shard: usize, output: ShardOutput, last: bool) -> Result<Self, ShardOutput> {
        match output.labels.is_empty() {
            true => Err(output),
            false => Ok(Self { shard, output, last, labels: 0, handed_on: 0 }),
        }
    }

    fn output_key(&self) -> OutputKey {
        self.output.labels[self.labels].output_key
    }

    /// Its lines, used or not.
    pub(super) fn bytes(&self) -> &[u8] {
        self.output.lines.as_bytes()
    }

    /// Where the lines are that are before `limit`, and whether they are the last of the piece.
    pub(super) fn take(&mut self, limit: Option<OutputKey>) -> (Range<usize>, bool) {
        let labels = &self.output.labels;
        self.labels = match limit {
            // One after the other: shards take turns after one or two messages, and a search would touch many to skip them.
            Some(limit) => {
                self.labels + labels[self.labels..].iter().take_while(|label| label.output_key < limit).count()
            }
            None => labels.len(),
        };
        let end = labels[self.labels - 1].end;
        let start = std::mem::replace(&mut self.handed_on, end);
        (start..end, self.labels == labels.len())
    }
}

/// Whose lines are next, and before what of the others.
pub(super) fn next(heads: &[PieceCursor]) -> Option<(usize, Option<OutputKey>)> {
    let mut output_keys = heads.iter().map(PieceCursor::output_key).enumerate();
    let (mut first, mut second) = (output_keys.next()?, None);
    for next in output_keys {
        let later = if next.1 < first.1 { std::mem::replace(&mut first, next) } else { next };
        second = Some(second.map_or(later.1, |second: OutputKey| second.min(later.1)));
    }
    Some((first.0, second))
}
