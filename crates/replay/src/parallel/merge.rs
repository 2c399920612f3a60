//! The lines of several shards, each in order, put into one order.
//!
//! Next: [`super::rounds`], where the pieces come from.

use std::ops::Range;

use sniffer_engine::message::Turn;

use super::worker::Output;

/// A piece of a shard's lines, and how much of it was handed on. Never one that is used up.
pub(super) struct Head {
    pub(super) shard: usize,
    pub(super) output: Output,
    /// Whether no piece of the round follows.
    pub(super) last: bool,
    /// Labels and bytes that were handed on.
    labels: usize,
    handed_on: usize,
}

impl Head {
    /// A piece of which nothing was handed on; the piece itself, when there is nothing in it.
    pub(super) fn new(shard: usize, output: Output, last: bool) -> Result<Self, Output> {
        match output.labels.is_empty() {
            true => Err(output),
            false => Ok(Self { shard, output, last, labels: 0, handed_on: 0 }),
        }
    }

    fn turn(&self) -> Turn {
        self.output.labels[self.labels].turn
    }

    /// Its lines, used or not.
    pub(super) fn bytes(&self) -> &[u8] {
        self.output.lines.as_bytes()
    }

    /// Where the lines are that are before `limit`, and whether they are the last of the piece.
    pub(super) fn take(&mut self, limit: Option<Turn>) -> (Range<usize>, bool) {
        let labels = &self.output.labels;
        self.labels = match limit {
            // One after the other: shards take turns after one or two messages, and a search would touch many to skip them.
            Some(limit) => self.labels + labels[self.labels..].iter().take_while(|label| label.turn < limit).count(),
            None => labels.len(),
        };
        let end = labels[self.labels - 1].end;
        let start = std::mem::replace(&mut self.handed_on, end);
        (start..end, self.labels == labels.len())
    }
}

/// Whose lines are next, and before what of the others.
pub(super) fn next(heads: &[Head]) -> Option<(usize, Option<Turn>)> {
    let mut turns = heads.iter().map(Head::turn).enumerate();
    let (mut first, mut second) = (turns.next()?, None);
    for next in turns {
        let later = if next.1 < first.1 { std::mem::replace(&mut first, next) } else { next };
        second = Some(second.map_or(later.1, |second: Turn| second.min(later.1)));
    }
    Some((first.0, second))
}
