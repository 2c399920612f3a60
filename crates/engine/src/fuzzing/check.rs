//! Frames through the engine as every test runs them: the ledger balances after each one, and time only grows.
//!
//! Next: [`super::talk`], whose `expect` lines say what must come out.

use serde_json::{Map, Value};
use sniffer_packet::fate::FrameFate;
use sniffer_packet::frame::OwnedFrame;

use crate::anomaly::Anomaly;
use crate::config::Config;
use crate::extract::Extractor;
use crate::ledger::{Fate, Ledger};
use crate::message::Message;

/// What came of some frames.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checked {
    /// In the order of output.
    pub messages: Vec<Message>,
    /// The accounts at the end.
    pub ledger: Ledger,
}

/// Runs frames through an [`Extractor`] and checks what must hold for any input.
///
/// # Panics
/// When a payload byte has no fate or two: after a frame, what has none must be just what the engine says it holds, and
/// at the end nothing.
pub fn run(frames: &[OwnedFrame], config: Config) -> Checked {
    let mut extractor = Extractor::new(config);
    let mut messages = Vec::new();
    for frame in frames {
        extractor.push(&frame.as_frame(), &mut |message| messages.push(message.clone()));
        let (balance, pending) = (extractor.ledger().balance(), extractor.pending());
        assert_eq!(balance, pending as i128, "bytes without a fate after frame {}", frame.number);
    }
    extractor.finish(&mut |message| messages.push(message.clone()));
    let ledger = extractor.ledger().clone();
    for account in ledger.accounts() {
        assert_eq!(account.balance(), 0, "bytes without a fate at the end");
    }
    assert_eq!(ledger.messages(), messages.len() as u64, "every message that ended came out");
    let bodies: u64 = messages.iter().map(|message| message.body_size).sum();
    // A body may have come in the clear or out of what was decrypted.
    let counted: u64 = ledger.accounts().iter().map(|account| account.bytes(Fate::Body)).sum();
    assert_eq!(counted, bodies, "body bytes of the ledger and of the messages");
    Checked { messages, ledger }
}

impl Checked {
    /// The messages as their JSON.
    ///
    /// # Panics
    /// Never: a message has no map with keys that are not strings.
    pub fn json(&self) -> Vec<Value> {
        self.messages.iter().map(|message| serde_json::to_value(message).expect("a message is JSON")).collect()
    }

    /// The accounts as one flat object, zeros too: every fate by its name, `missing`, `payload`, `connections`,
    /// `frameFates.NAME` and `anomalies.NAME`.
    pub fn columns(&self) -> Value {
        let ledger = &self.ledger;
        let mut columns: Map<String, Value> =
            Fate::ALL.iter().map(|&fate| (fate.name().to_owned(), ledger.bytes(fate).into())).collect();
        columns.insert("missing".to_owned(), ledger.missing().into());
        columns.insert("payload".to_owned(), ledger.payload().into());
        columns.insert("connections".to_owned(), ledger.connections().into());
        for &fate in FrameFate::ALL {
            columns.insert(format!("frameFates.{}", fate.name()), ledger.frames_with(fate).into());
        }
        for &anomaly in Anomaly::ALL {
            columns.insert(format!("anomalies.{anomaly}"), ledger.anomalies(anomaly).into());
        }
        Value::Object(columns)
    }
}
