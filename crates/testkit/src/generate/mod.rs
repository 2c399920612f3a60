//! HTTP conversations from a seed, with the messages that must come out.
//!
//! They are well-formed and whole: the corpus has a conversation for every oddity, and loss comes
//! from [`super::net`]. The expectations are made together with the bytes, never read from them.
//! Next: `message` (one message and its expectation), [`Talk::differences`] (the comparison),
//! [`Talk`]'s `Display` (for failure messages).

mod message;

use message::{GeneratedFraming, GeneratedMessage};

use super::rng::Rng;
use super::talk::{Action, Expectation, Marks, PayloadBlock, Talk, TalkConnection, TalkStep};
use super::wire::Way;

/// Limits on the size of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "three numbers that tests choose; no invariant")]
pub struct GenerateOptions {
    /// Most connections; at least one is made.
    pub connections_max: usize,
    /// Most exchanges on each; at least one is made.
    pub exchanges_max: usize,
    /// Most bytes of a body.
    pub body_max: usize,
}

impl Default for GenerateOptions {
    /// Small enough that a person can read a failure.
    fn default() -> Self {
        Self { connections_max: 3, exchanges_max: 5, body_max: 600 }
    }
}

/// Returns the conversation of this seed. Its expectations list every message, in order, with every
/// key that is known: whole headers and trailers, `body`, `exchange`, and the connection's name
/// (`on`).
///
/// Covered: keep-alive and pipelined exchanges, Content-Length, chunks with extensions and
/// trailers, bodies that end with the connection, HEAD, 204, 304, 100 and 103, gzip, HTTP/1.0,
/// repeated fields, text and binary, bodies that look like HTTP.
pub fn conversation(seed: u64, options: &GenerateOptions) -> Talk {
    let mut rng = Rng::new(seed);
    let mut talk = Talk { title: format!("Generated from seed {seed}"), ..Talk::default() };
    let mut waiting: Vec<std::vec::IntoIter<Turn>> = Vec::new();
    for n in 0..rng.between(1, options.connections_max) {
        let mut connection = TalkConnection::usual(&format!("c{n}"), n, rng.chance(0.2));
        connection.timestamps = rng.chance(0.3);
        connection.server.port = *rng.pick(&[80, 8080, 3000, 49_152]).unwrap_or(&80);
        talk.connections.push(connection);
        waiting.push(turns(n, options, &mut rng).into_iter());
    }
    // Connections take turns at random; each keeps its own order.
    while !waiting.is_empty() {
        let at = rng.below(waiting.len());
        match waiting[at].next() {
            Some(turn) => {
                talk.steps.push(TalkStep { line: 0, action: turn.action });
                let name = |mut truth: super::talk::ExpectedMessage| {
                    truth.on = Some(talk.connections[turn.connection].name.clone());
                    Expectation::Message(truth)
                };
                talk.expectations.extend(turn.completes.into_iter().map(name));
            }
            None => drop(waiting.swap_remove(at)),
        }
    }
    talk
}

/// A step, and the messages that its last byte completes.
struct Turn {
    connection: usize,
    action: Action,
    completes: Vec<super::talk::ExpectedMessage>,
}

/// Makes all steps of one connection.
fn turns(connection: usize, options: &GenerateOptions, rng: &mut Rng) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut exchange = 0;
    let last = rng.between(1, options.exchanges_max);
    let mut closed = false;
    while exchange < last && !closed {
        // One at a time, or several requests before the first answer.
        let together = if rng.chance(0.25) { rng.between(1, last - exchange) } else { 1 };
        let numbers = exchange..exchange + together;
        let mut requests: Vec<GeneratedMessage> =
            numbers.map(|n| GeneratedMessage::request(n, options.body_max, rng)).collect();
        // Only a request with a body that is not pipelined can wait for a 100.
        if together == 1 && requests[0].has_body() && rng.chance(0.3) {
            let request = requests.remove(0).expecting_continue();
            let method = request.method.clone();
            let (head, body) = request.split();
            turns.push(say(connection, Way::ToServer, head, Vec::new(), rng));
            let interim = GeneratedMessage::interim(exchange, 100, rng);
            turns.push(say(connection, Way::ToClient, interim.bytes(), vec![interim.truth()], rng));
            turns.push(say(connection, Way::ToServer, body.0, vec![body.1], rng));
            closed = answer(&mut turns, connection, exchange, &method, last, options, rng);
        } else {
            let bytes = requests.iter().flat_map(GeneratedMessage::bytes).collect();
            let truths = requests.iter().map(GeneratedMessage::truth).collect();
            turns.push(say(connection, Way::ToServer, bytes, truths, rng));
            for (n, request) in (exchange..).zip(&requests) {
                closed |= answer(&mut turns, connection, n, &request.method, last, options, rng);
            }
        }
        exchange += together;
    }
    if !closed && rng.chance(0.7) {
        turns.push(Turn { connection, action: Action::Close(connection), completes: Vec::new() });
    }
    turns
}

/// Makes the responses to one request. Returns true if the last of them closes the connection.
fn answer(
    turns: &mut Vec<Turn>,
    connection: usize,
    exchange: usize,
    method: &str,
    last: usize,
    options: &GenerateOptions,
    rng: &mut Rng,
) -> bool {
    if rng.chance(0.1) {
        let interim = GeneratedMessage::interim(exchange, 103, rng);
        turns.push(say(connection, Way::ToClient, interim.bytes(), vec![interim.truth()], rng));
    }
    let may_close = exchange + 1 == last;
    let response = GeneratedMessage::response(exchange, method, may_close, options.body_max, rng);
    if response.framing != GeneratedFraming::Close {
        turns.push(say(connection, Way::ToClient, response.bytes(), vec![response.truth()], rng));
        return false;
    }
    // Complete only when the server has closed.
    turns.push(say(connection, Way::ToClient, response.bytes(), Vec::new(), rng));
    let marks = Marks { fin: true, ..Marks::default() };
    let fin = Action::Send(PayloadBlock { connection, way: Way::ToClient, payload: Vec::new(), marks });
    turns.push(Turn { connection, action: fin, completes: vec![response.truth()] });
    turns.push(Turn { connection, action: Action::Close(connection), completes: Vec::new() });
    true
}

fn say(
    connection: usize,
    way: Way,
    payload: Vec<u8>,
    completes: Vec<super::talk::ExpectedMessage>,
    rng: &mut Rng,
) -> Turn {
    let mss = match rng.below(4) {
        0 => 1_460,
        1 => rng.between(1, 20),
        _ => rng.between(50, 1_460),
    };
    // One block must not become thousands of frames.
    let mss = Some(mss.max(payload.len() / 200));
    let marks = Marks { mss, ..Marks::default() };
    Turn { connection, action: Action::Send(PayloadBlock { connection, way, payload, marks }), completes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_conversation_that_can_be_written_and_read() {
        for seed in 0..100 {
            let talk = conversation(seed, &GenerateOptions::default());
            assert_eq!(talk, conversation(seed, &GenerateOptions::default()), "seed {seed}");
            let frames = talk.frames().unwrap();
            let again = Talk::parse(&talk.to_string()).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{talk}"));
            assert_eq!(again.frames().unwrap(), frames, "seed {seed}");
            assert_eq!(again.expectations.len(), talk.expectations.len(), "seed {seed}");
        }
    }

    #[test]
    fn every_documented_kind_is_generated() {
        let talks: Vec<String> =
            (0..300).map(|seed| conversation(seed, &GenerateOptions::default()).to_string()).collect();
        for part in [
            "request HEAD ",
            "response 204 ",
            "response 304 ",
            "response 100 ",
            "response 103 ",
            "ransfer-",
            "; q=",
            "trailers {",
            "contentDecoded true",
            "bodyEncoding \"base64\"",
            "httpVersion \"1.0\"",
            "<<< fin",
            "ipv6",
            "timestamps",
            "[c2]",
            "not the next message",
            "[\"",
        ] {
            let count = talks.iter().filter(|talk| talk.contains(part)).count();
            assert!(count > 5, "{part:?} in {count} of 300");
        }
    }
}
