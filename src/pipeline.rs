//! The way of a message to the output: filtered, noted for the slice, redacted, written.
//!
//! It never reads a frame and never writes to a file: it appends bytes to the caller's buffer.
//! Next: `filter`, `redact`, and the crate `sniffer-formats`.

use std::collections::BTreeSet;

use sniffer_engine::json::Lines;
use sniffer_engine::message::Message;
use sniffer_formats::FormatWriter;
use sniffer_packet::key::FlowKey;
use sniffer_replay::Summary;

use crate::filter::Filtering;
use crate::redact::Redaction;

/// The stages, in order.
pub(crate) struct Pipeline {
    filtering: Option<Filtering>,
    /// Endpoints of the connections whose messages were written, if a slice is wanted.
    chosen: Option<BTreeSet<FlowKey>>,
    redaction: Redaction,
    form: FormatWriter,
}

impl Pipeline {
    pub(crate) fn new(filtering: Option<Filtering>, slice: bool, redaction: Redaction, form: FormatWriter) -> Self {
        Self { filtering, chosen: slice.then(BTreeSet::new), redaction, form }
    }

    /// Returns whether the output of a message depends on that message alone.
    pub(crate) const fn is_by_message(&self) -> bool {
        self.filtering.is_none() && self.chosen.is_none() && self.form.is_jsonl()
    }

    /// Returns the redaction.
    pub(crate) const fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Takes a message and appends everything that can be written now.
    #[inline]
    pub(crate) fn message(&mut self, message: &mut Message, out: &mut Lines) {
        let Self { filtering, chosen, redaction, form } = self;
        match filtering {
            None => written(message, chosen, redaction, form, out),
            Some(filtering) => {
                filtering.push(message, &mut |message| written(message, chosen, redaction, form, out));
            }
        }
    }

    /// Appends the messages that still wait. Returns the number of exchanges that the filter
    /// evicted before they were whole.
    pub(crate) fn finish(&mut self, summary: &Summary, damaged: bool, out: &mut Lines) -> u64 {
        let Self { filtering, chosen, redaction, form } = self;
        let mut evicted = 0;
        if let Some(filtering) = filtering {
            filtering.finish(&mut |message| written(message, chosen, redaction, form, out));
            evicted = filtering.evicted();
        }
        form.finish(&summary.ledger, damaged, out);
        evicted
    }

    /// Returns the endpoints of the connections whose messages were written.
    pub(crate) fn into_chosen(self) -> BTreeSet<FlowKey> {
        self.chosen.unwrap_or_default()
    }
}

fn written(
    message: &mut Message,
    chosen: &mut Option<BTreeSet<FlowKey>>,
    redaction: &Redaction,
    form: &mut FormatWriter,
    out: &mut Lines,
) {
    if let Some(chosen) = chosen {
        chosen.insert(FlowKey::of(&message.receiver, &message.destination).0);
    }
    redaction.apply(message);
    form.message(message, out);
}
