//! Requests and their responses brought together, message by message: what filters and formats of whole exchanges need.
//!
//! It never reorders within an exchange and never holds more than [`OPEN_MAX`] exchanges or about [`HELD_MAX`] bytes: beyond
//! that the oldest is given up, and counted. Next: `filter` and `format`, which say when an exchange is decided.

use std::collections::{BTreeMap, HashMap};

use sniffer_engine::message::Message;
use sniffer_packet::key::FlowId;

/// Exchanges followed at once. Arbitrary: a few hundred bytes each, and more than a host keeps open.
const OPEN_MAX: usize = 65_536;

/// Bytes of messages held back. Arbitrary: half of what the engine itself may hold.
const HELD_MAX: usize = 64 << 20;

/// What is to happen to an exchange, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an exchange is passed on, dropped, or waited for")]
pub enum Verdict {
    /// Its messages go on, what still comes of it as well.
    Pass,
    /// They do not, nor what still comes of it.
    Drop,
    /// That depends on what still comes.
    Wait,
}

/// Decides about exchanges.
pub trait Judge {
    /// About an exchange with these messages so far; `whole` when nothing more can come of it.
    fn judge(&self, exchange: &[Message], whole: bool) -> Verdict;
}

/// Passes exchanges once they are whole: for formats that show a request together with its responses.
pub struct Whole;

impl Judge for Whole {
    fn judge(&self, _exchange: &[Message], whole: bool) -> Verdict {
        if whole { Verdict::Pass } else { Verdict::Wait }
    }
}

/// The exchanges that are not over.
#[derive(Default)]
pub struct Exchanges {
    open: HashMap<FlowId, Connection>,
    /// The same by age. A list by age and not the map is what is walked, so that nothing depends on hashes.
    ages: BTreeMap<u64, (FlowId, u32)>,
    next_age: u64,
    held: usize,
    given_up: u64,
}

/// Exchanges of a connection, and how far each direction is: messages of one direction come in the order of their
/// exchanges, so what an earlier exchange lacks there will never come.
///
/// Invariant: when a direction is over for an exchange, it is for all before it.
#[derive(Default)]
struct Connection {
    open: BTreeMap<u32, Open>,
    /// By direction: it is over for all exchanges below this.
    over: [u32; 2],
}

/// An exchange that may get more messages.
struct Open {
    age: u64,
    /// By direction: its (final) message has come, or cannot come any more.
    over: [bool; 2],
    state: State,
}

enum State {
    Held { messages: Vec<Message>, bytes: usize },
    Passing,
    Dropping,
}

impl Exchanges {
    /// Takes a message and gives those that are decided by it, an exchange at a time. It is copied only if it must wait.
    pub fn push(&mut self, message: &mut Message, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
        let (connection, exchange) = (message.connection, message.exchange);
        self.close_before(message, judge, out);
        let age = self.next_age;
        let ages = &mut self.ages;
        let Connection { open, over } = self.open.entry(connection).or_default();
        let open = open.entry(exchange).or_insert_with(|| {
            ages.insert(age, (connection, exchange));
            let state = State::Held { messages: Vec::new(), bytes: 0 };
            Open { age, over: over.map(|upto| exchange < upto), state }
        });
        self.next_age += 1;
        open.over[message.direction.index()] |= is_last(message);
        let whole = open.is_over();
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
                    let cost = size_of::<Message>() + message.heap_size();
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
    pub fn finish(&mut self, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
        while let Some((_, (connection, exchange))) = self.ages.pop_first() {
            self.give_up(connection, exchange, judge, out);
        }
    }

    /// Exchanges that were given up for a bound, before they were over.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Notes that nothing more comes before this message in its direction, and gives up what lacks nothing else.
    fn close_before(&mut self, message: &Message, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
        let Some(connection) = self.open.get_mut(&message.connection) else { return };
        let way = message.direction.index();
        connection.over[way] = connection.over[way].max(message.exchange);
        let mut closed = Vec::new();
        // From behind, until one is met that knew: before that all knew, so each is met once in each direction.
        for (&exchange, open) in connection.open.range_mut(..message.exchange).rev() {
            if std::mem::replace(&mut open.over[way], true) {
                break;
            }
            if open.is_over() {
                closed.push(exchange);
            }
        }
        for exchange in closed.into_iter().rev() {
            self.give_up(message.connection, exchange, judge, out);
        }
    }

    fn give_up(&mut self, connection: FlowId, exchange: u32, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
        if let Some(mut open) = self.remove(connection, exchange) {
            self.held -= open.decide(judge, true, out);
        }
    }

    fn remove(&mut self, connection: FlowId, exchange: u32) -> Option<Open> {
        let exchanges = &mut self.open.get_mut(&connection)?.open;
        let open = exchanges.remove(&exchange);
        if exchanges.is_empty() {
            self.open.remove(&connection);
        }
        self.ages.remove(&open.as_ref()?.age);
        open
    }
}

impl Open {
    const fn is_over(&self) -> bool {
        self.over[0] && self.over[1]
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

/// Whether its direction says no more in its exchange. 101 is the last that is HTTP on its connection; any other 1xx is
/// followed by another response.
fn is_last(message: &Message) -> bool {
    message.status().is_none_or(|status| status == 101 || status >= 200)
}

#[cfg(test)]
mod tests {
    use sniffer_engine::config::Config;
    use sniffer_engine::fuzzing::check;
    use sniffer_engine::message::Body;
    use sniffer_packet::key::FlowKey;
    use sniffer_testkit::talk::Talk;

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
        let (key, _) = FlowKey::of(&message.receiver, &message.destination);
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
                    groups.push(group.iter().map(|message| message.status()).collect());
                });
            }
            exchanges.finish(&Whole, &mut |group| groups.push(group.iter().map(|m| m.status()).collect()));
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

    /// One direction was captured: nothing is ever answered. Looking at all that is open for each message would take hours.
    #[test]
    fn many_open_exchanges_on_one_connection_cost_no_more_than_on_many() {
        for mut message in [exchange()[0].clone(), exchange()[2].clone()] {
            let (mut exchanges, mut given) = (Exchanges::default(), Vec::new());
            let all = 2 * OPEN_MAX as u32;
            for n in 0..all {
                message.exchange = n;
                exchanges.push(&mut message, &Whole, &mut |group| given.push(group[0].exchange));
            }
            assert_eq!(exchanges.ages.len(), OPEN_MAX);
            exchanges.finish(&Whole, &mut |group| given.push(group[0].exchange));
            assert_eq!(given, (0..all).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_more_is_held_than_allowed() {
        let [mut request, _, _] = exchange();
        request.body = Body::new(vec![b'x'; 1 << 20], false);
        let (mut exchanges, mut given) = (Exchanges::default(), 0);
        for n in 0..100 {
            exchanges.push(&mut on(n, &request), &Whole, &mut |group| given += group.len());
            assert!(exchanges.held <= HELD_MAX);
        }
        assert_eq!(given + exchanges.ages.len(), 100);
        assert!((36..40).contains(&given), "64 MiB are 63 messages and their heads: {given}");
    }
}
