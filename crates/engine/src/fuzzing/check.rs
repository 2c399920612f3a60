//! Runs frames through the engine as all tests do. Checks that the ledger balances after each one.
//!
//! Next: [`sniffer_testkit::talk`], whose `expect` lines state the expected messages.

use serde_json::{Map, Value};
use sniffer_packet::fate::FrameFate;
use sniffer_packet::frame::OwnedFrame;

use crate::anomaly::Anomaly;
use crate::config::Config;
use crate::extract::Extractor;
use crate::ledger::{Fate, Ledger};
use crate::message::Message;

/// The messages and accounts of some frames.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checked {
    /// Messages in output order.
    pub messages: Vec<Message>,
    /// Accounts at the end.
    pub ledger: Ledger,
}

/// Runs frames through an [`Extractor`] and checks the invariants that hold for any input.
///
/// # Panics
/// If a payload byte has no fate or two. After each frame, the bytes without a fate must be exactly
/// those that the engine says it holds; at the end there must be none.
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
    assert_eq!(body_bytes(&ledger), bodies, "body bytes of the ledger and of the messages");
    Checked { messages, ledger }
}

/// Returns the body bytes of all accounts: a body came in the clear or out of what was decrypted.
fn body_bytes(ledger: &Ledger) -> u64 {
    ledger.accounts().iter().map(|account| account.bytes(Fate::Body)).sum()
}

impl Checked {
    /// Returns the messages as JSON.
    ///
    /// # Panics
    /// Never: every map of a message has strings as keys.
    pub fn json(&self) -> Vec<Value> {
        self.messages.iter().map(|message| serde_json::to_value(message).expect("a message is JSON")).collect()
    }

    /// Returns the accounts as one flat object, zeros included: every fate by its name, `missing`,
    /// `payload`, `connections`, `frameFates.NAME` and `anomalies.NAME`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_counts_in_whichever_account_it_came() {
        let mut ledger = Ledger::default();
        ledger.tcp_mut().0.receive(20);
        ledger.tcp_mut().0.count(Fate::Tls, 20);
        ledger.plaintext_mut().receive(12);
        ledger.plaintext_mut().count(Fate::Body, 12);
        assert_eq!((body_bytes(&ledger), ledger.bytes(Fate::Body)), (12, 0));
        assert!(ledger.accounts().iter().all(|account| account.balance() == 0));
    }
}
