//! Requests and their responses brought together, message by message: what filters and formats of whole exchanges need.
//!
//! It never reorders within an exchange and never holds more than [`OPEN_MAX`] exchanges or about [`HELD_MAX`] bytes: beyond
//! that the oldest is given up, and counted. Next: `filter` and `format`, which say when an exchange is decided.

use std::collections::{BTreeMap, HashMap};

use sniffer_engine::event::Direction;
use sniffer_engine::key::FlowId;
use sniffer_engine::message::Message;

/// Exchanges followed at once. Arbitrary: a few hundred bytes each, and more than a host keeps open.
const OPEN_MAX: usize = 65_536;

/// Bytes of messages held back. Arbitrary: half of what the engine itself may hold.
const HELD_MAX: usize = 64 << 20;

/// What is to happen to an exchange, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its messages go on, what still comes of it as well.
    Pass,
    /// They do not, nor what still comes of it.
    Drop,
    /// That depends on what still comes.
    Wait,
}

/// Decides about exchanges.
pub(crate) trait Judge {
    /// About an exchange with these messages so far; `whole` when nothing more can come of it.
    fn judge(&self, exchange: &[Message], whole: bool) -> Verdict;
}

/// Passes exchanges once they are whole: for formats that show a request together with its responses.
pub(crate) struct Whole;

impl Judge for Whole {
    fn judge(&self, _exchange: &[Message], whole: bool) -> Verdict {
        if whole { Verdict::Pass } else { Verdict::Wait }
    }
}

/// The exchanges that are not over.
#[derive(Default)]
pub(crate) struct Exchanges {
    open: HashMap<FlowId, BTreeMap<u32, Open>>,
    /// The same by age. A list by age and not the map is what is walked, so that nothing depends on hashes.
    ages: BTreeMap<u64, (FlowId, u32)>,
    next_age: u64,
    held: usize,
    given_up: u64,
}

/// An exchange that may get more messages.
struct Open {
    age: u64,
    /// The request has come, or cannot come any more.
    request_over: bool,
    /// The final response has come, or cannot come any more.
    response_over: bool,
    state: State,
}

enum State {
    Held { messages: Vec<Message>, bytes: usize },
    Passing,
    Dropping,
}

impl Exchanges {
    /// Takes a message and gives those that are decided by it, an exchange at a time.
    pub(crate) fn push(&mut self, message: Message, judge: &dyn Judge, out: &mut dyn FnMut(Vec<Message>)) {
        let (connection, exchange) = (message.connection, message.exchange);
        self.close_before(&message, judge, out);
        let age = self.next_age;
        let ages = &mut self.ages;
        let open = self.open.entry(connection).or_default().entry(exchange).or_insert_with(|| {
            ages.insert(age, (connection, exchange));
            let state = State::Held { messages: Vec::new(), bytes: 0 };
            Open { age, request_over: false, response_over: false, state }
        });
        self.next_age += 1;
        open.note(&message);
        match &mut open.state {
            State::Passing => out(vec![message]),
            State::Dropping => {}
            State::Held { messages, bytes } => {
                let cost = cost(&message);
                *bytes += cost;
                self.held += cost;
                messages.push(message);
            }
        }
        let whole = open.request_over && open.response_over;
        self.held -= open.decide(judge, whole, out);
        if whole {
            self.remove(connection, exchange);
        }
        while self.ages.len() > OPEN_MAX || self.held > HELD_MAX {
            let Some((_, (connection, exchange))) = self.ages.pop_first() else { break };
            self.give_up(connection, exchange, judge, out);
            self.given_up += 1;
        }
    }

    /// The capture is over: decides about what is left, oldest first.
    pub(crate) fn finish(&mut self, judge: &dyn Judge, out: &mut dyn FnMut(Vec<Message>)) {
        while let Some((_, (connection, exchange))) = self.ages.pop_first() {
            self.give_up(connection, exchange, judge, out);
        }
    }

    /// Exchanges that were given up for a bound, before they were over.
    pub(crate) const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Messages of one direction come in the order of their exchanges, so what one of an earlier exchange lacks there will
    /// never come.
    fn close_before(&mut self, message: &Message, judge: &dyn Judge, out: &mut dyn FnMut(Vec<Message>)) {
        let Some(connection) = self.open.get_mut(&message.connection) else { return };
        let mut over = Vec::new();
        for (&exchange, open) in connection.range_mut(..message.exchange) {
            match message.direction {
                Direction::Request => open.request_over = true,
                Direction::Response => open.response_over = true,
            }
            if open.request_over && open.response_over {
                over.push(exchange);
            }
        }
        for exchange in over {
            self.give_up(message.connection, exchange, judge, out);
        }
    }

    fn give_up(&mut self, connection: FlowId, exchange: u32, judge: &dyn Judge, out: &mut dyn FnMut(Vec<Message>)) {
        if let Some(mut open) = self.remove(connection, exchange) {
            self.held -= open.decide(judge, true, out);
        }
    }

    fn remove(&mut self, connection: FlowId, exchange: u32) -> Option<Open> {
        let exchanges = self.open.get_mut(&connection)?;
        let open = exchanges.remove(&exchange);
        if exchanges.is_empty() {
            self.open.remove(&connection);
        }
        self.ages.remove(&open.as_ref()?.age);
        open
    }
}

impl Open {
    fn note(&mut self, message: &Message) {
        match message.head.status() {
            None => self.request_over = true,
            // 101 is the last that is HTTP on its connection; any other 1xx is followed by another response.
            Some(status) => self.response_over |= status == 101 || status >= 200,
        }
    }

    /// Asks, when it is not decided yet. The bytes that are held no more.
    fn decide(&mut self, judge: &dyn Judge, whole: bool, out: &mut dyn FnMut(Vec<Message>)) -> usize {
        let State::Held { messages, bytes } = &mut self.state else { return 0 };
        let (verdict, freed) = (judge.judge(messages, whole), *bytes);
        match verdict {
            Verdict::Wait if !whole => return 0,
            Verdict::Pass => {
                // A request comes first even where its response was complete before it (an early 413).
                messages.sort_by_key(|message| message.direction);
                out(std::mem::take(messages));
                self.state = State::Passing;
            }
            Verdict::Wait | Verdict::Drop => self.state = State::Dropping,
        }
        freed
    }
}

/// About what a message takes.
fn cost(message: &Message) -> usize {
    let fields = message.head.fields().iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    size_of::<Message>() + fields + message.head.path().map_or(0, str::len) + message.body.as_bytes().len()
}
