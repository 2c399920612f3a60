//! Pairs responses with the requests they answer.
//!
//! Requests wait in order, and each final response answers the first of them (RFC 9112 §9.3). Once
//! the capture has lost whole messages the order proves nothing: each response opens an exchange of
//! its own until a request comes that the client cannot have sent before the earlier ones were
//! answered.
//!
//! ```text
//!            requests lost                    anything from the server
//!   Certain ───────────────▶ RequestsLost ──────────────────────────────▶ ServerSpoke
//!    ▲ ▲ └──────┐                  │ responses lost                       ▲  │
//!    │ │        │ responses lost   ▼                                      │  │
//!    │ │        │               BothLost ─────────────────────────────────┘  │
//!    │ │        ▼                  ▲ a second request, requests lost         │
//!    │ └─── ResponsesLost ─────────┘                                         │
//!    │  the next response                                                    │
//!    └───────────────── a request of a client that waits for its answers ────┘
//! ```

use std::collections::VecDeque;

use sniffer_packet::time::Timestamp;

use crate::http1::framing::Method;

#[derive(Debug, Clone, Copy)]
struct Pending {
    exchange: u32,
    method: Method,
    /// Time of the request's last byte, once it is seen.
    sent: Option<Timestamp>,
}

/// The exchange that a response belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) exchange: u32,
    pub(super) method: Method,
    /// The request was seen.
    pub(super) known: bool,
    /// Nanoseconds from the request's last byte; of a final response only.
    pub(super) latency_nanos: Option<u64>,
    /// No other response follows in this exchange.
    pub(super) is_final: bool,
    /// Number of interim responses that came before in this exchange.
    pub(super) interim: u32,
}

#[derive(Debug, Default)]
pub(super) struct Pairing {
    next: u32,
    /// Requests without an answer. Invariant: the next final response certainly answers the first.
    waiting: VecDeque<Pending>,
    rare: Option<Box<Rare>>,
    certainty: Certainty,
    /// The client has sent a request before its previous one was answered.
    pipelines: bool,
}

/// Kept apart because few connections need it and an idle one must be small.
#[derive(Debug, Default)]
struct Rare {
    /// Overflow: first exchange and count of further pending requests. Their exchanges are
    /// consecutive, because nothing else opens one while requests wait.
    overflow: (u32, u32),
    /// Exchange of an interim response whose request was never seen.
    interim: Option<u32>,
    /// Exchange of the last interim response, and how many it has had.
    interims: (u32, u32),
    /// Lower bound of unanswered requests that do not wait in order.
    unpaired: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Certainty {
    #[default]
    Certain,
    /// Requests were lost, and the server has sent nothing since.
    RequestsLost,
    /// Responses were lost, and no other has come since. One request may wait: the lost responses
    /// include its own, unless the next message is a response.
    ResponsesLost,
    /// Requests and responses were lost, and the server has sent nothing since.
    BothLost,
    /// The server has sent something since messages were lost.
    ServerSpoke,
}

impl Pairing {
    /// Takes a request's head; `answering` if the server is inside a response. Returns the
    /// exchange.
    pub(super) fn request(&mut self, method: Method, answering: bool, pipeline_max: usize) -> u32 {
        let exchange = self.take_number();
        let is_owed = |rare: &Rare| rare.overflow.1 > 0 || rare.unpaired > 0;
        let busy = answering || !self.waiting.is_empty() || self.rare.as_deref().is_some_and(is_owed);
        let waits = !self.pipelines && !busy;
        match self.certainty {
            Certainty::Certain => self.pipelines |= busy,
            Certainty::ResponsesLost if waits => {}
            // A client that waits for its answers has had them all: the next response is for this.
            Certainty::ServerSpoke if waits => self.certainty = Certainty::Certain,
            pairing => {
                match pairing {
                    // Either the pending request's answer was lost, or this did not wait for it.
                    Certainty::ResponsesLost => self.lost(false),
                    // The client sent it although the requests before had no answer yet.
                    Certainty::RequestsLost => self.pipelines = true,
                    Certainty::ServerSpoke => self.pipelines |= busy,
                    Certainty::BothLost | Certainty::Certain => {}
                }
                let rare = self.rare.get_or_insert_default();
                rare.unpaired = rare.unpaired.saturating_add(1);
                return exchange;
            }
        }
        if let Some(Rare { overflow: (_, count @ 1..), .. }) = self.rare.as_deref_mut() {
            *count += 1;
        } else if self.waiting.len() >= pipeline_max {
            self.rare.get_or_insert_default().overflow = (exchange, 1);
        } else {
            self.waiting.push_back(Pending { exchange, method, sent: None });
        }
        exchange
    }

    /// Notes the time of the last byte of this exchange's request.
    pub(super) fn request_sent(&mut self, exchange: u32, at: Timestamp) {
        if let Some(pending) = self.waiting.iter_mut().rev().find(|pending| pending.exchange == exchange) {
            pending.sent = Some(at);
        }
    }

    /// Returns whether the last request is a CONNECT without an answer yet.
    pub(super) fn connecting(&self) -> bool {
        self.waiting.back().is_some_and(|pending| pending.method == Method::Connect)
    }

    /// Takes a response's head, whose first byte came `at`.
    pub(super) fn response(&mut self, status: u16, at: Timestamp) -> Answer {
        // RFC 9110 §15.2: interim responses precede the final one. A 101 is the last of HTTP/1.
        let is_final = !(100..=199).contains(&status) || status == 101;
        let mut answer = self.answer(is_final, at);
        if let Some(Rare { interims: (exchange, count), .. }) = self.rare.as_deref()
            && *exchange == answer.exchange
        {
            answer.interim = *count;
        }
        // A 101 is final here, but its status makes it an interim response that counts.
        if status < 200 {
            self.rare.get_or_insert_default().interims = (answer.exchange, answer.interim + 1);
        }
        answer
    }

    fn answer(&mut self, is_final: bool, at: Timestamp) -> Answer {
        self.server_spoke();
        if self.certainty == Certainty::ResponsesLost {
            self.certainty = if self.waiting.is_empty() { Certainty::ServerSpoke } else { Certainty::Certain };
        }
        let unknown = |exchange| Answer {
            exchange,
            method: Method::Other,
            known: false,
            latency_nanos: None,
            is_final,
            interim: 0,
        };
        let Some(first) = self.waiting.front().copied() else {
            return unknown(self.unpaired_answer(is_final));
        };
        if !is_final {
            return Answer { known: true, ..unknown(first.exchange) };
        }
        self.waiting.pop_front();
        let latency_nanos = first.sent.and_then(|sent| at.as_nanos().checked_sub(sent.as_nanos()));
        Answer { method: first.method, known: true, latency_nanos, ..unknown(first.exchange) }
    }

    /// Returns the exchange of a response that no request in order waits for.
    fn unpaired_answer(&mut self, is_final: bool) -> u32 {
        if let Some(Rare { overflow: (exchange, count @ 1..), .. }) = self.rare.as_deref_mut() {
            let answered = *exchange;
            *exchange += u32::from(is_final);
            *count -= u32::from(is_final);
            return answered;
        }
        let interim = self.rare.as_deref_mut().and_then(|rare| rare.interim.take());
        let exchange = interim.unwrap_or_else(|| self.take_number());
        if !is_final {
            self.rare.get_or_insert_default().interim = Some(exchange);
        } else if let Some(rare) = &mut self.rare {
            rare.unpaired = rare.unpaired.saturating_sub(1);
        }
        exchange
    }

    /// Notes that bytes between or across messages of one direction are missing or unreadable.
    pub(super) fn lost(&mut self, from_server: bool) {
        self.certainty = match (self.certainty, from_server) {
            // Requests that waited before the loss are still answered first.
            (Certainty::Certain | Certainty::RequestsLost | Certainty::ServerSpoke, false) => Certainty::RequestsLost,
            (Certainty::Certain | Certainty::ResponsesLost | Certainty::ServerSpoke, true) => Certainty::ResponsesLost,
            (Certainty::RequestsLost | Certainty::BothLost, true)
            | (Certainty::ResponsesLost | Certainty::BothLost, false) => Certainty::BothLost,
        };
        // The lost responses may have answered the pending requests.
        if self.certainty != Certainty::RequestsLost {
            self.waiting.clear();
            if let Some(rare) = &mut self.rare {
                **rare = Rare { interims: rare.interims, ..Rare::default() };
            }
        }
    }

    /// Notes unreadable bytes from the server: they may have been the answer to a pending request.
    pub(super) fn server_unread(&mut self) {
        self.lost(true);
        self.certainty = Certainty::ServerSpoke;
    }

    /// Notes that the server sent something.
    pub(super) const fn server_spoke(&mut self) {
        if matches!(self.certainty, Certainty::RequestsLost | Certainty::BothLost) {
            self.certainty = Certainty::ServerSpoke;
        }
    }

    /// Accounted bytes on the heap.
    pub(super) fn held(&self) -> usize {
        self.waiting.capacity() * size_of::<Pending>() + self.rare.as_ref().map_or(0, |_| size_of::<Rare>())
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

    fn ask(exchanges: &mut Pairing) -> u32 {
        let exchange = exchanges.request(Method::Other, false, 8);
        exchanges.request_sent(exchange, Timestamp::from_nanos(400));
        exchange
    }

    #[test]
    fn responses_answer_in_order_and_interim_ones_consume_no_request() {
        let mut exchanges = Pairing::default();
        assert_eq!((ask(&mut exchanges), ask(&mut exchanges)), (0, 1));
        assert_eq!(exchanges.response(100, AT).exchange, 0);
        let first = exchanges.response(200, AT);
        assert_eq!((first.exchange, first.latency_nanos), (0, Some(600)));
        assert_eq!(exchanges.response(200, AT).exchange, 1);
        // Without a request: an exchange of its own, shared by its interim response.
        assert_eq!((exchanges.response(103, AT).exchange, exchanges.response(200, AT).exchange), (2, 2));
    }

    #[test]
    fn an_early_response_has_no_latency() {
        let mut exchanges = Pairing::default();
        let exchange = exchanges.request(Method::Other, false, 8);
        assert_eq!(exchanges.response(413, AT).latency_nanos, None);
        exchanges.request_sent(exchange, AT);
    }

    #[test]
    fn after_lost_requests_only_a_fresh_round_is_paired() {
        let mut exchanges = Pairing::default();
        let before = ask(&mut exchanges);
        exchanges.lost(false);
        assert_eq!(exchanges.response(200, AT).exchange, before, "the order before the gap still holds");
        exchanges.server_spoke();
        assert_eq!(exchanges.response(200, AT).exchange, 1, "of its own");
        let fresh = ask(&mut exchanges);
        assert_eq!(exchanges.response(200, AT).exchange, fresh);
    }

    #[test]
    fn after_lost_responses_a_client_that_waits_is_paired_again() {
        let mut exchanges = Pairing::default();
        ask(&mut exchanges);
        exchanges.lost(true);
        let next = ask(&mut exchanges);
        assert_eq!(exchanges.response(200, AT).exchange, next);
    }

    #[test]
    fn after_lost_responses_a_client_that_pipelines_is_not() {
        let mut exchanges = Pairing::default();
        ask(&mut exchanges);
        ask(&mut exchanges);
        exchanges.lost(true);
        let next = ask(&mut exchanges);
        assert_ne!(exchanges.response(200, AT).exchange, next);
    }

    #[test]
    fn the_answer_to_a_request_may_be_among_the_lost_responses() {
        // Two responses were lost at once: both requests come before the next response, which
        // answers the second.
        let mut exchanges = Pairing::default();
        ask(&mut exchanges);
        exchanges.lost(true);
        let (answered, asked) = (ask(&mut exchanges), ask(&mut exchanges));
        exchanges.server_spoke();
        let answer = exchanges.response(200, AT).exchange;
        assert!(answer != answered && answer != asked, "it is not certain which it answers");
        let next = ask(&mut exchanges);
        assert_eq!(exchanges.response(200, AT).exchange, next);
        // Nor if the second request was lost too, or if the rest of the first response is seen.
        exchanges.lost(true);
        let answered = ask(&mut exchanges);
        exchanges.lost(false);
        assert_ne!(exchanges.response(200, AT).exchange, answered);
        exchanges.lost(true);
        let answered = ask(&mut exchanges);
        exchanges.server_unread();
        assert_ne!(exchanges.response(200, AT).exchange, answered);
    }

    #[test]
    fn a_client_that_did_not_wait_for_the_lost_answer_pipelines() {
        // A is lost and B follows at once: the answers to later requests come after theirs.
        let mut exchanges = Pairing::default();
        exchanges.lost(false);
        ask(&mut exchanges);
        exchanges.server_spoke();
        exchanges.response(200, AT);
        let third = ask(&mut exchanges);
        assert_ne!(exchanges.response(200, AT).exchange, third, "it answers B");
    }

    #[test]
    fn a_pipeline_over_the_limit_is_paired_by_counting() {
        let mut exchanges = Pairing::default();
        for exchange in 0..20 {
            assert_eq!(ask(&mut exchanges), exchange);
        }
        assert_eq!(exchanges.waiting.len(), 8);
        for exchange in 0..12 {
            assert_eq!(exchanges.response(103, AT).exchange, exchange);
            let answer = exchanges.response(200, AT);
            // Only kept requests have a known method.
            assert_eq!((answer.exchange, answer.known), (exchange, exchange < 8));
        }
        assert_eq!(ask(&mut exchanges), 20);
        for exchange in 12..=20 {
            assert_eq!(exchanges.response(200, AT).exchange, exchange);
        }
        assert_eq!(ask(&mut exchanges), 21);
        assert_eq!(
            exchanges.response(200, AT),
            Answer {
                exchange: 21,
                method: Method::Other,
                known: true,
                latency_nanos: Some(600),
                is_final: true,
                interim: 0
            }
        );
        assert_eq!(exchanges.response(200, AT).exchange, 22, "without a request");
    }

    /// Compares lossless traffic with a plain queue.
    #[test]
    fn without_loss_pairing_is_a_queue() {
        use sniffer_testkit::rng::Rng;

        for seed in 0..2_000 {
            let mut rng = Rng::new(seed);
            let (mut exchanges, mut queue) = (Pairing::default(), VecDeque::new());
            let (mut now, mut opened, mut own) = (0, 0, None);
            for _ in 0..rng.between(1, 60) {
                now += 1;
                let at = Timestamp::from_nanos(now);
                if rng.chance(0.5) {
                    let method = *rng.pick(&[Method::Other, Method::Head, Method::Connect]).unwrap();
                    assert_eq!(exchanges.request(method, rng.chance(0.2), 4), opened, "seed {seed}");
                    exchanges.request_sent(opened, at);
                    queue.push_back((opened, method, now));
                    opened += 1;
                    continue;
                }
                let status = *rng.pick(&[100, 101, 103, 200, 404]).unwrap();
                let answer = exchanges.response(status, at);
                let is_final = status == 101 || status >= 200;
                let Some(&(exchange, method, sent)) = queue.front() else {
                    // Without a request: an exchange of its own, shared by its interim responses.
                    let exchange = own.take().unwrap_or(opened);
                    opened = opened.max(exchange + 1);
                    own = (!is_final).then_some(exchange);
                    assert_eq!((answer.exchange, answer.known), (exchange, false), "seed {seed}");
                    continue;
                };
                assert_eq!(answer.exchange, exchange, "seed {seed}");
                assert!(
                    answer.known || queue.len() > 4 || opened > 4,
                    "seed {seed}: within the limit every method is known"
                );
                if answer.known && is_final {
                    assert_eq!((answer.method, answer.latency_nanos), (method, Some(now - sent)), "seed {seed}");
                }
                if is_final {
                    queue.pop_front();
                }
            }
        }
    }
}
