//! Which response answers which request.
//!
//! Requests wait in order, and each final response answers the first of them (RFC 9112 §9.3). Where the capture lost
//! whole messages the order says nothing any more: then a response opens an exchange of its own until a request comes
//! that cannot have been sent before the earlier ones were answered.

use std::collections::VecDeque;

use crate::http1::framing::Method;
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy)]
struct Pending {
    exchange: u32,
    method: Method,
    /// Time of the request's last byte, once it was seen.
    sent: Option<Timestamp>,
}

/// What a response answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) exchange: u32,
    pub(super) method: Method,
    /// Whether the request was seen.
    pub(super) known: bool,
    /// Final response: nanoseconds from the request's last byte.
    pub(super) latency_nanos: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Exchanges {
    next: u32,
    /// Invariant: each of them is certainly answered by the next final response when it comes first.
    waiting: VecDeque<Pending>,
    /// The exchange of an interim response whose request was never seen.
    interim: Option<u32>,
    pairing: Pairing,
    /// Whether this client was seen to send a request before the one before was answered.
    pipelines: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pairing {
    #[default]
    Certain,
    /// Requests were lost, and the server has sent nothing since.
    RequestsLost,
    /// The server has sent something since messages were lost.
    ServerSpoke,
}

impl Exchanges {
    /// A request's head; `answering` while the server is inside a response. Gives its exchange.
    pub(super) fn request(&mut self, method: Method, answering: bool, pipeline_max: usize) -> u32 {
        let exchange = self.take_number();
        let busy = answering || !self.waiting.is_empty();
        match self.pairing {
            Pairing::Certain => self.pipelines |= busy,
            // A client that waits for its answers has had them all: what comes next answers this.
            Pairing::ServerSpoke if !self.pipelines && !busy => self.pairing = Pairing::Certain,
            Pairing::ServerSpoke | Pairing::RequestsLost => return exchange,
        }
        if self.waiting.len() >= pipeline_max {
            self.lost(false);
            return exchange;
        }
        self.waiting.push_back(Pending { exchange, method, sent: None });
        exchange
    }

    /// The last byte of the request of this exchange.
    pub(super) fn request_sent(&mut self, exchange: u32, at: Timestamp) {
        if let Some(pending) = self.waiting.iter_mut().rev().find(|pending| pending.exchange == exchange) {
            pending.sent = Some(at);
        }
    }

    /// A response's head, whose first byte came `at`.
    pub(super) fn response(&mut self, status: u16, at: Timestamp) -> Answer {
        // RFC 9110 §15.2: an interim response precedes the final one. 101 is the last that HTTP says here.
        let is_final = !(100..=199).contains(&status) || status == 101;
        let Some(first) = self.waiting.front().copied() else {
            let exchange = self.interim.take().unwrap_or_else(|| self.take_number());
            if !is_final {
                self.interim = Some(exchange);
            }
            return Answer { exchange, method: Method::Other, known: false, latency_nanos: None };
        };
        if !is_final {
            return Answer { exchange: first.exchange, method: Method::Other, known: true, latency_nanos: None };
        }
        self.waiting.pop_front();
        let latency_nanos = first.sent.and_then(|sent| at.as_nanos().checked_sub(sent.as_nanos()));
        Answer { exchange: first.exchange, method: first.method, known: true, latency_nanos }
    }

    /// Bytes between or across messages of one direction are missing or cannot be read.
    pub(super) fn lost(&mut self, from_server: bool) {
        if from_server {
            self.waiting.clear();
            self.interim = None;
            self.pairing = Pairing::ServerSpoke;
        } else {
            self.pairing = Pairing::RequestsLost;
        }
    }

    /// The server sent something.
    pub(super) const fn server_spoke(&mut self) {
        if matches!(self.pairing, Pairing::RequestsLost) {
            self.pairing = Pairing::ServerSpoke;
        }
    }

    /// Accounted bytes on the heap.
    pub(super) fn held(&self) -> usize {
        self.waiting.capacity() * size_of::<Pending>()
    }

    fn take_number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_nanos(1_000);

    fn ask(exchanges: &mut Exchanges) -> u32 {
        let exchange = exchanges.request(Method::Other, false, 8);
        exchanges.request_sent(exchange, Timestamp::from_nanos(400));
        exchange
    }

    #[test]
    fn responses_answer_in_order_and_interim_ones_use_nothing_up() {
        let mut exchanges = Exchanges::default();
        assert_eq!((ask(&mut exchanges), ask(&mut exchanges)), (0, 1));
        assert_eq!(exchanges.response(100, AT).exchange, 0);
        let first = exchanges.response(200, AT);
        assert_eq!((first.exchange, first.latency_nanos), (0, Some(600)));
        assert_eq!(exchanges.response(200, AT).exchange, 1);
        // Nobody asked: an exchange of its own, shared by its interim response.
        assert_eq!((exchanges.response(103, AT).exchange, exchanges.response(200, AT).exchange), (2, 2));
    }

    #[test]
    fn an_early_response_has_no_latency() {
        let mut exchanges = Exchanges::default();
        let exchange = exchanges.request(Method::Other, false, 8);
        assert_eq!(exchanges.response(413, AT).latency_nanos, None);
        exchanges.request_sent(exchange, AT);
    }

    #[test]
    fn after_lost_requests_only_a_fresh_round_is_paired() {
        let mut exchanges = Exchanges::default();
        let before = ask(&mut exchanges);
        exchanges.lost(false);
        let uncertain = ask(&mut exchanges);
        assert_eq!(exchanges.response(200, AT).exchange, before, "the order before the gap still holds");
        exchanges.server_spoke();
        assert_ne!(exchanges.response(200, AT).exchange, uncertain);
        let fresh = ask(&mut exchanges);
        assert_eq!(exchanges.response(200, AT).exchange, fresh);
    }

    #[test]
    fn after_lost_responses_a_client_that_waits_is_paired_again() {
        let mut exchanges = Exchanges::default();
        ask(&mut exchanges);
        exchanges.lost(true);
        let next = ask(&mut exchanges);
        assert_eq!(exchanges.response(200, AT).exchange, next);
    }

    #[test]
    fn after_lost_responses_a_client_that_pipelines_is_not() {
        let mut exchanges = Exchanges::default();
        ask(&mut exchanges);
        ask(&mut exchanges);
        exchanges.lost(true);
        let next = ask(&mut exchanges);
        assert_ne!(exchanges.response(200, AT).exchange, next);
    }

    #[test]
    fn a_pipeline_beyond_the_limit_gives_up_pairing() {
        let mut exchanges = Exchanges::default();
        for _ in 0..9 {
            ask(&mut exchanges);
        }
        assert_eq!(exchanges.waiting.len(), 8);
    }
}
