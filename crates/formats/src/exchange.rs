//! Groups messages by exchange, for filters and for formats that show a request with its responses.
//!
//! It never holds more than [`OPEN_MAX`] exchanges or about [`HELD_MAX`] bytes: over the limit it
//! evicts and counts the oldest. Next: the [`Judge`] implementations, which decide about an
//! exchange: `filter` in the binary, and [`Whole`] for HAR, `pretty` and the summary.

use std::collections::{BTreeMap, HashMap};

use sniffer_engine::message::Message;
use sniffer_packet::key::FlowId;

/// Maximum number of open exchanges. Arbitrary: a few hundred bytes each, and more than a host has
/// open at once.
const OPEN_MAX: usize = 65_536;

/// Maximum bytes of held messages. Arbitrary: half of the engine's own memory budget.
const HELD_MAX: usize = 64 << 20;

/// The decision about an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an exchange is passed on, dropped, or waited for")]
pub enum Verdict {
    /// Output its messages, the later ones too.
    Pass,
    /// Discard its messages, the later ones too.
    Drop,
    /// Undecided: later messages are needed.
    Wait,
}

/// Decides about exchanges.
pub trait Judge {
    /// Decides about an exchange with these messages so far. `whole` says that no more can come.
    fn judge(&self, exchange: &[Message], whole: bool) -> Verdict;
}

/// Passes an exchange once it is whole, for formats that show a request with its responses.
pub(crate) struct Whole;

impl Judge for Whole {
    fn judge(&self, _exchange: &[Message], whole: bool) -> Verdict {
        if whole { Verdict::Pass } else { Verdict::Wait }
    }
}

/// The exchanges that can still get messages.
#[derive(Default)]
pub struct Exchanges {
    open: HashMap<FlowId, Connection>,
    /// The open exchanges by age. Walks use this list, not the map, so that no output depends on
    /// hashes.
    ages: BTreeMap<u64, (FlowId, u32)>,
    next_age: u64,
    held: usize,
    evicted: u64,
}

/// The open exchanges of a connection, and the progress of each direction. Which exchanges get no
/// more messages is in the messages themselves ([`Message::over`]): nothing is inferred from order.
#[derive(Default)]
struct Connection {
    open: BTreeMap<u32, Open>,
    /// Per direction: it is over for every exchange with a number below this.
    over_below: [u32; 2],
}

/// An exchange that may get more messages.
struct Open {
    age: u64,
    /// Per direction: its last message has come.
    over: [bool; 2],
    state: State,
}

enum State {
    Held { messages: Vec<Message>, bytes: usize },
    Passing,
    Dropping,
}

impl Exchanges {
    /// Takes a message and hands out the exchanges that it decides. Clones it only if it must wait.
    pub fn push(&mut self, message: &mut Message, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
        let (connection, exchange) = (message.connection, message.exchange);
        self.close_before(message, judge, out);
        let age = self.next_age;
        let ages = &mut self.ages;
        let Connection { open, over_below } = self.open.entry(connection).or_default();
        let open = open.entry(exchange).or_insert_with(|| {
            ages.insert(age, (connection, exchange));
            let state = State::Held { messages: Vec::new(), bytes: 0 };
            Open { age, over: [false; 2], state }
        });
        self.next_age += 1;
        open.over[message.direction.index()] |= message.over.own;
        let whole = open.is_over(exchange, *over_below);
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
            self.close(connection, exchange, judge, out);
            self.evicted += 1;
        }
    }

    /// Ends the capture: decides about the remaining exchanges, oldest first.
    pub fn finish(&mut self, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
        while let Some((_, (connection, exchange))) = self.ages.pop_first() {
            self.close(connection, exchange, judge, out);
        }
    }

    /// The number of exchanges that were evicted over a limit before they were whole.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Closes the exchanges that are over in both directions now that this message has come.
    fn close_before(&mut self, message: &Message, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
        let Some(connection) = self.open.get_mut(&message.connection) else { return };
        let way = message.direction.index();
        let before = connection.over_below[way];
        if message.over.below <= before {
            return;
        }
        connection.over_below[way] = message.over.below;
        // Each exchange is visited once per direction: when the direction becomes over for it.
        let newly = connection.open.range(before..message.over.below);
        let closed = newly.filter(|(exchange, open)| open.is_over(**exchange, connection.over_below));
        let closed: Vec<_> = closed.map(|(&exchange, _)| exchange).collect();
        for exchange in closed {
            self.close(message.connection, exchange, judge, out);
        }
    }

    /// Decides about an exchange that gets no more messages.
    fn close(&mut self, connection: FlowId, exchange: u32, judge: &dyn Judge, out: &mut dyn FnMut(&mut [Message])) {
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
    const fn is_over(&self, exchange: u32, below: [u32; 2]) -> bool {
        (self.over[0] || exchange < below[0]) && (self.over[1] || exchange < below[1])
    }

    /// Asks the judge if the exchange is undecided. Returns the number of bytes it no longer holds.
    fn decide(&mut self, judge: &dyn Judge, whole: bool, out: &mut dyn FnMut(&mut [Message])) -> usize {
        let State::Held { messages, bytes } = &mut self.state else { return 0 };
        let (verdict, freed) = (judge.judge(messages, whole), *bytes);
        match verdict {
            Verdict::Wait if !whole => return 0,
            Verdict::Pass => {
                // The request first, even if its response was complete earlier (an early 413).
                messages.sort_by_key(|message| message.direction);
                out(messages);
                self.state = State::Passing;
            }
            Verdict::Wait | Verdict::Drop => self.state = State::Dropping,
        }
        freed
    }
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
        message.connection = FlowId::new(&key, &n.to_be_bytes(), 0, 0);
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
    fn an_exchange_that_can_get_no_more_is_output_before_later_ones() {
        let [request, _, last] = exchange();
        let mut exchanges = Exchanges::default();
        let mut given = Vec::new();
        for (n, message) in [(0, &request), (1, &request), (1, &last)] {
            let mut message = message.clone();
            message.exchange = n;
            message.over.below = n;
            exchanges.push(&mut message, &Whole, &mut |group| given.push((group[0].exchange, group.len())));
        }
        assert_eq!(given, [(0, 1), (1, 2)], "the first request was never answered");
        assert!(exchanges.open.is_empty() && exchanges.ages.is_empty() && exchanges.held == 0);
    }

    /// RFC 9113 §5: streams are answered in any order, so a later exchange says nothing of an
    /// earlier one.
    #[test]
    fn exchanges_that_are_answered_in_another_order_than_asked_stay_together() {
        let [request, interim, last] = exchange();
        let mut exchanges = Exchanges::default();
        let mut given = Vec::new();
        let script = [(0, &request), (1, &request), (2, &request), (2, &last), (0, &interim), (1, &last), (0, &last)];
        for (n, message) in script {
            let mut message = message.clone();
            (message.exchange, message.over.below) = (n, 0);
            exchanges.push(&mut message, &Whole, &mut |group| given.push((group[0].exchange, group.len())));
        }
        assert_eq!(given, [(2, 2), (1, 2), (0, 3)]);
        assert!(exchanges.open.is_empty() && exchanges.ages.is_empty() && exchanges.held == 0);
    }

    #[test]
    fn over_the_limit_of_open_exchanges_the_oldest_is_evicted() {
        let [request, _, _] = exchange();
        let mut exchanges = Exchanges::default();
        let mut given = Vec::new();
        let more = 10;
        for n in 0..OPEN_MAX as u32 + more {
            exchanges.push(&mut on(n, &request), &Whole, &mut |group| given.push(group[0].connection));
        }
        assert_eq!(given, (0..more).map(|n| on(n, &request).connection).collect::<Vec<_>>());
        assert_eq!((exchanges.evicted(), exchanges.ages.len()), (u64::from(more), OPEN_MAX));
    }

    /// Only one direction was captured, so no exchange ever becomes whole. Visiting all open ones
    /// for each message would take hours.
    #[test]
    fn many_open_exchanges_on_one_connection_cost_no_more_than_on_many() {
        for mut message in [exchange()[0].clone(), exchange()[2].clone()] {
            let (mut exchanges, mut given) = (Exchanges::default(), Vec::new());
            let all = 2 * OPEN_MAX as u32;
            for n in 0..all {
                message.exchange = n;
                message.over.below = n;
                exchanges.push(&mut message, &Whole, &mut |group| given.push(group[0].exchange));
            }
            assert_eq!(exchanges.ages.len(), OPEN_MAX);
            exchanges.finish(&Whole, &mut |group| given.push(group[0].exchange));
            assert_eq!(given, (0..all).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_heap_size_of_a_message_counts_body_and_frame_numbers() {
        let [mut request, _, _] = exchange();
        let before = request.heap_size();
        assert!(before > "GET/".len(), "the head counts: {before}");
        request.body = Body::new(vec![b'x'; 1000], false);
        request.frames = vec![1; 100];
        assert_eq!(request.heap_size(), before + 1000 + 800);
    }

    #[test]
    fn held_bytes_stay_within_the_limit() {
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
