//! Merges the lines of several shards, each in output order, into one order.
//!
//! Next: [`super::rounds`], which collects the pieces.

use std::ops::Range;

use sniffer_engine::message::OutputKey;

use super::worker::ShardOutput;

/// A piece of a shard's lines, and how much of it was handed on. It is never used up.
pub(super) struct PieceCursor {
    pub(super) shard: usize,
    pub(super) output: ShardOutput,
    /// True if it is the shard's last piece in the round.
    pub(super) last: bool,
    /// Number of labels, and of bytes, that were handed on.
    labels: usize,
    handed_on: usize,
}

impl PieceCursor {
    /// A cursor at the start of a piece. An empty piece is returned as the error.
    pub(super) fn new(shard: usize, output: ShardOutput, last: bool) -> Result<Self, ShardOutput> {
        match output.labels.is_empty() {
            true => Err(output),
            false => Ok(Self { shard, output, last, labels: 0, handed_on: 0 }),
        }
    }

    fn output_key(&self) -> OutputKey {
        self.output.labels[self.labels].output_key
    }

    /// Returns all lines of the piece.
    pub(super) fn bytes(&self) -> &[u8] {
        self.output.lines.as_bytes()
    }

    /// Takes the lines before `limit`. Returns their range, and whether the piece is used up.
    pub(super) fn take(&mut self, limit: Option<OutputKey>) -> (Range<usize>, bool) {
        let labels = &self.output.labels;
        self.labels = match limit {
            // A linear scan: shards alternate after one or two messages, so a binary search would
            // touch more labels.
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

/// Returns the piece whose lines come next, and the key of another piece before which they come.
pub(super) fn next(heads: &[PieceCursor]) -> Option<(usize, Option<OutputKey>)> {
    let mut output_keys = heads.iter().map(PieceCursor::output_key).enumerate();
    let (mut first, mut second) = (output_keys.next()?, None);
    for next in output_keys {
        let later = if next.1 < first.1 { std::mem::replace(&mut first, next) } else { next };
        second = Some(second.map_or(later.1, |second: OutputKey| second.min(later.1)));
    }
    Some((first.0, second))
}
