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
    /// Takes a message and gives those that are decided by it, an exchange at a time. It is copied only if it must wait.
    pub(crate) fn push(&mut self, message: &mut Message, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
        let (connection, exchange) = (message.connection, message.exchange);
        self.close_before(message, judge, out);
        let age = self.next_age;
        let ages = &mut self.ages;
        let open = self.open.entry(connection).or_default().entry(exchange).or_insert_with(|| {
            ages.insert(age, (connection, exchange));
            let state = State::Held { messages: Vec::new(), bytes: 0 };
            Open { age, request_over: false, response_over: false, state }
        });
        self.next_age += 1;
        open.note(message);
        let whole = open.request_over && open.response_over;
        match &mut open.state {
            State::Passing => out(std::slice::from_mut(message)),
            State::Dropping => {}
            State::Held { messages, bytes } => match judge.judge(std::slice::from_ref(message), whole) {
                Verdict::Pass if messages.is_empty() => {
                    out(std::slice::from_mut(message));
                    open.state = State::Passing;
                }
                Verdict::Drop if messages.is_empty() => open.state = State::Dropping,
                _ => {
                    let cost = cost(message);
                    *bytes += cost;
                    self.held += cost;
                    messages.push(message.clone());
                    self.held -= open.decide(judge, whole, out);
                }
            },
        }
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
    pub(crate) fn finish(&mut self, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
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
    fn close_before(&mut self, message: &Message, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
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

    fn give_up(&mut self, connection: FlowId, exchange: u32, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
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
    fn decide(&mut self, judge: &dyn Judge, whole: bool, out: &mut dyn FnMut(&mut [Message])) -> usize {
        let State::Held { messages, bytes } = &mut self.state else { return 0 };
        let (verdict, freed) = (judge.judge(messages, whole), *bytes);
        match verdict {
            Verdict::Wait if !whole => return 0,
            Verdict::Pass => {
                // A request comes first even where its response was complete before it (an early 413).
                messages.sort_by_key(|message| message.direction);
                out(messages);
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

#[cfg(test)]
mod tests {
    use sniffer_engine::config::Config;
    use sniffer_engine::key::FlowKey;
    use sniffer_engine::message::Body;
    use sniffer_engine::testkit::check;
    use sniffer_engine::testkit::talk::Talk;

    use super::*;

    /// A request, an interim and a final response.
    fn exchange() -> [Message; 3] {
        let talk =
            "# One\n>>>\n| GET / HTTP/1.1\n|\n<<<\n| HTTP/1.1 103 Early Hints\n|\n<<<\n| HTTP/1.1 204 No Content\n|\n";
        let frames = Talk::parse(talk).unwrap().frames().unwrap();
        check::run(&frames, Config::default()).messages.try_into().unwrap()
    }

    /// The same message on its `n`-th connection.
    fn on(n: u32, message: &Message) -> Message {
        let (key, _) = FlowKey::of(message.receiver, message.destination);
        let mut message = message.clone();
        message.connection = FlowId::new(&key, n, 0, 0);
        message
    }

    #[test]
    fn an_exchange_passes_once_whole_request_first() {
        let [request, interim, last] = exchange();
        for order in [[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 0, 1]] {
            let mut exchanges = Exchanges::default();
            let mut groups: Vec<Vec<Option<u16>>> = Vec::new();
            for at in order {
                let mut message = [&request, &interim, &last][at].clone();
                exchanges.push(&mut message, &Whole, &mut |group| {
                    groups.push(group.iter().map(|message| message.head.status()).collect());
                });
            }
            exchanges.finish(&Whole, &mut |group| groups.push(group.iter().map(|m| m.head.status()).collect()));
            let first = groups.first().cloned().unwrap_or_default();
            assert_eq!(first.first(), Some(&None), "{order:?}: the request first: {groups:?}");
            assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 3, "{order:?}: nothing is lost: {groups:?}");
        }
    }

    #[test]
    fn what_can_get_no_more_is_given_before_what_comes_behind_it() {
        let [request, _, last] = exchange();
        let mut exchanges = Exchanges::default();
        let mut given = Vec::new();
        for (n, message) in [(0, &request), (1, &request), (1, &last)] {
            let mut message = message.clone();
            message.exchange = n;
            exchanges.push(&mut message, &Whole, &mut |group| given.push((group[0].exchange, group.len())));
        }
        assert_eq!(given, [(0, 1), (1, 2)], "the first request was never answered");
        assert!(exchanges.open.is_empty() && exchanges.ages.is_empty() && exchanges.held == 0);
    }

    #[test]
    fn no_more_are_open_than_allowed_and_the_oldest_goes() {
        let [request, _, _] = exchange();
        let mut exchanges = Exchanges::default();
        let mut given = Vec::new();
        let more = 10;
        for n in 0..OPEN_MAX as u32 + more {
            exchanges.push(&mut on(n, &request), &Whole, &mut |group| given.push(group[0].connection));
        }
        assert_eq!(given, (0..more).map(|n| on(n, &request).connection).collect::<Vec<_>>());
        assert_eq!((exchanges.given_up(), exchanges.ages.len()), (u64::from(more), OPEN_MAX));
    }

    #[test]
    fn no_more_is_held_than_allowed() {
        let [mut request, _, _] = exchange();
        request.body = Body::Text("x".repeat(1 << 20).into());
        let (mut exchanges, mut given) = (Exchanges::default(), 0);
        for n in 0..100 {
            exchanges.push(&mut on(n, &request), &Whole, &mut |group| given += group.len());
            assert!(exchanges.held <= HELD_MAX);
        }
        assert_eq!(given + exchanges.ages.len(), 100);
        assert!((36..40).contains(&given), "64 MiB are 63 messages and their heads: {given}");
    }
}
