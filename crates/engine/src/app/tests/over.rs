//! The number of an interim response, and when an exchange is over ([`Over`]).

use super::*;
use crate::event::Over;

/// Status (none for a request), exchange, interim number and `over` of each message, as they end.
type Ended = (Option<u16>, u32, u32, Over);

#[derive(Default)]
struct Ends {
    open: [(Option<u16>, u32); 2],
    done: Vec<Ended>,
}

impl Sink for Ends {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head { about, head, interim, .. } => {
                let status = match head.start {
                    StartLine::Request { .. } => None,
                    StartLine::Response { status, .. } => Some(status),
                };
                self.open[about.direction.index()] = (status, interim);
            }
            Event::End { about, over, .. } => {
                let (status, interim) = self.open[about.direction.index()];
                self.done.push((status, about.exchange, interim, over));
            }
            _ => {}
        }
    }
}

/// Checks every message: status, exchange, interim number, and whether its exchange is over.
#[track_caller]
fn check_over(steps: &[Step<'_>], want: &[(Option<u16>, u32, u32, bool)]) {
    for cut in [WHOLE, Cut::Pieces(1)] {
        let mut ends = Ends::default();
        run_into(&mut ends, &Config::default(), steps, cut, true);
        let want: Vec<Ended> = want
            .iter()
            .map(|&(status, exchange, interim, own)| (status, exchange, interim, Over { own, below: exchange }))
            .collect();
        assert_eq!(ends.done, want, "{cut:?}");
    }
}

#[test]
fn interim_responses_are_numbered_and_only_the_final_one_ends_the_exchange() {
    check_over(
        &[
            C(b"GET /a HTTP/1.1\r\n\r\n"),
            S(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"),
            S(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            C(b"GET /b HTTP/1.1\r\n\r\n"),
            S(b"HTTP/1.1 204 No Content\r\n\r\n"),
        ],
        &[
            (None, 0, 0, true),
            (Some(100), 0, 0, false),
            (Some(103), 0, 1, false),
            (Some(200), 0, 2, true),
            (None, 1, 0, true),
            (Some(204), 1, 0, true),
        ],
    );
}

#[test]
fn pipelined_exchanges_number_their_interim_responses_apart() {
    check_over(
        &[
            C(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
            S(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            S(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"),
            S(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        ],
        &[
            (None, 0, 0, true),
            (None, 1, 0, true),
            (Some(103), 0, 0, false),
            (Some(200), 0, 1, true),
            (Some(100), 1, 0, false),
            (Some(103), 1, 1, false),
            (Some(103), 1, 2, false),
            (Some(404), 1, 3, true),
        ],
    );
}

#[test]
fn a_101_ends_its_exchange() {
    check_over(
        &[
            C(b"GET /a HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
            S(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nx"),
        ],
        &[(None, 0, 0, true), (Some(100), 0, 0, false), (Some(101), 0, 1, true)],
    );
}

#[test]
fn a_response_that_is_cut_ends_its_exchange_and_an_interim_one_without_a_request_does_not() {
    check_over(
        &[C(b"GET /a HTTP/1.1\r\n\r\n"), S(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), FIN],
        &[(None, 0, 0, true), (Some(200), 0, 0, true)],
    );
    check_over(
        &[S(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
        &[(Some(103), 0, 0, false), (Some(200), 0, 1, true)],
    );
}
