//! The captures that are measured: six classes, generated from a seed, modelled on what real
//! programs send.
//!
//! Next: [`crate::traffic`], connection by connection.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use sniffer_testkit::rng::Rng;

use crate::traffic::{Line, ScriptedConnection, Wire};

/// A class: its name, a description, and how it is made at a scale (1 is measured).
pub(crate) struct TrafficClass {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    make: fn(&mut Wire, f64) -> io::Result<()>,
}

pub(crate) const CLASSES: [TrafficClass; 6] = [
    TrafficClass { name: "api", what: "300 connections that are kept, JSON of 0.3–4 KiB", make: api },
    TrafficClass { name: "bulk", what: "bodies of 1–50 MB, by length and in chunks", make: bulk },
    TrafficClass { name: "churn", what: "one exchange a connection", make: churn },
    TrafficClass { name: "lossy", what: "api behind 2.5 % loss, 1.5 % duplicates, 3 % reordering", make: lossy },
    TrafficClass { name: "mixed", what: "three quarters something else, one quarter api", make: mixed },
    TrafficClass { name: "half", what: "100 000 connections with a head that never ends", make: half },
];

impl TrafficClass {
    /// Writes the capture.
    pub(crate) fn write(&self, path: &Path, scale: f64) -> io::Result<()> {
        let mut wire = Wire::create(path, 7)?;
        (self.make)(&mut wire, scale)?;
        wire.finish()
    }
}

fn scaled(count: usize, scale: f64) -> usize {
    ((count as f64 * scale) as usize).max(1)
}

/// Returns JSON as services send it: an escape every seven bytes.
pub(crate) fn json(bytes: usize, rng: &mut Rng) -> String {
    let mut text = String::from(r#"{"ok": true, "items": ["#);
    while text.len() + 160 < bytes {
        let (id, name) = (rng.below(1_000_000_000), rng.next_u64() >> 16);
        let price = rng.below(100_000) as f64 / 100.0;
        let _ = write!(
            text,
            r#"{{"id": {id}, "name": "item-{name:x}", "price": {price}, "tags": ["alpha", "delta", "beta"], "note": "café \"quoted\""}}, "#
        );
    }
    text + "null]}"
}

/// Returns bodies of 0.3 to 4 KiB, evenly spread over the orders of magnitude.
fn bodies(rng: &mut Rng) -> Vec<String> {
    (0..64).map(|n| json((300.0 * (4096.0_f64 / 300.0).powf(f64::from(n) / 63.0)) as usize, rng)).collect()
}

/// Adds a request and its response.
fn exchange(connection: &mut ScriptedConnection, n: usize, bodies: &[String], close: bool, line: Line, rng: &mut Rng) {
    let body = &bodies[n % bodies.len()];
    let length = body.len();
    let closing = if close { "Connection: close\r\n" } else { "" };
    let head = format!(
        "Host: api.example.test\r\nUser-Agent: bench-client/1.4 (linux; x86_64)\r\nAccept: application/json, text/plain;q=0.8\r\n\
         Accept-Language: en-GB,en;q=0.9\r\nAuthorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkJl\
         bmNoIn0.c2lnbmF0dXJl\r\nX-Trace-Id: {n:08x}-{n:08x}\r\n{closing}"
    );
    let request = match n % 5 {
        0 | 1 if !close => format!(
            "POST /v1/orders?batch={n} HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
        _ => format!("GET /{}.json?seq={n} HTTP/1.1\r\n{head}\r\n", n % 40),
    };
    connection.say(true, request.as_bytes(), line, rng);
    let response = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Feb 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: keep-alive\r\nETag: \"6b065376-{n:x}\"\r\nX-Request-Id: {n:032x}\r\n\
         Cache-Control: no-cache, private\r\nAccept-Ranges: bytes\r\n\r\n{body}"
    );
    connection.say(false, response.as_bytes(), line, rng);
}

/// Writes persistent connections, which take turns at random.
fn keep_alive(wire: &mut Wire, connections: usize, exchanges: usize, line: Line) -> io::Result<()> {
    let mut rng = Rng::new(11);
    let bodies = bodies(&mut rng);
    let mut open: Vec<_> = (0..connections).map(|n| ScriptedConnection::open(n, 80)).collect();
    let mut said = 0;
    while said < exchanges {
        let connection = &mut open[rng.below(connections)];
        if connection.is_quiet() {
            exchange(connection, said, &bodies, false, line, &mut rng);
            said += 1;
        }
        wire.send(connection)?;
    }
    for connection in &mut open {
        connection.close();
        while wire.send(connection)? {}
    }
    Ok(())
}

fn api(wire: &mut Wire, scale: f64) -> io::Result<()> {
    keep_alive(wire, 300, scaled(120_000, scale), Line::Clean)
}

fn lossy(wire: &mut Wire, scale: f64) -> io::Result<()> {
    keep_alive(wire, 300, scaled(70_000, scale), Line::Lossy)
}

fn churn(wire: &mut Wire, scale: f64) -> io::Result<()> {
    let mut rng = Rng::new(13);
    let bodies = bodies(&mut rng)[..32].to_vec();
    let mut open: Vec<ScriptedConnection> = Vec::new();
    let total = scaled(100_000, scale);
    let mut begun = 0;
    while begun < total || !open.is_empty() {
        if open.len() < 200 && begun < total {
            let mut connection = ScriptedConnection::open(begun, 80);
            exchange(&mut connection, begun, &bodies, true, Line::Clean, &mut rng);
            connection.close();
            open.push(connection);
            begun += 1;
            continue;
        }
        let at = rng.below(open.len());
        if !wire.send(&mut open[at])? {
            open.swap_remove(at);
        }
    }
    Ok(())
}

fn bulk(wire: &mut Wire, scale: f64) -> io::Result<()> {
    let mut rng = Rng::new(17);
    let block = json(200_000, &mut rng);
    for (n, megabytes) in [1, 2, 5, 10, 20, 50].into_iter().cycle().take(scaled(24, scale)).enumerate() {
        let mut connection = ScriptedConnection::open(n, 80);
        connection.say(true, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", Line::Clean, &mut rng);
        let chunked = n % 2 == 1;
        let total = megabytes << 20;
        let framing =
            if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {total}") };
        connection.say(false, format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes(), Line::Clean, &mut rng);
        let mut left = total;
        while left > 0 {
            let piece = &block.as_bytes()[..left.min(block.len()).min(50_000)];
            let bytes = match chunked {
                true => [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat(),
                false => piece.to_vec(),
            };
            connection.say(false, &bytes, Line::Clean, &mut rng);
            left -= piece.len();
            while wire.send(&mut connection)? {}
        }
        if chunked {
            connection.say(false, b"0\r\n\r\n", Line::Clean, &mut rng);
        }
        connection.close();
        while wire.send(&mut connection)? {}
    }
    Ok(())
}

fn mixed(wire: &mut Wire, scale: f64) -> io::Result<()> {
    let mut rng = Rng::new(19);
    let bodies = bodies(&mut rng);
    let mut kept: Vec<_> = (0..100).map(|n| ScriptedConnection::open(n, 80)).collect();
    let mut other: Vec<_> = (100..104).map(|n| ScriptedConnection::open(n, 5201)).collect();
    let noise: Vec<u8> = (0..64 << 10).map(|_| rng.next_u64() as u8 | 0x80).collect();
    let exchanges = scaled(30_000, scale);
    let mut said = 0;
    while said < exchanges {
        let connection = &mut kept[rng.below(100)];
        if connection.is_quiet() {
            exchange(connection, said, &bodies, false, Line::Clean, &mut rng);
            said += 1;
        }
        wire.send(connection)?;
        let stream = &mut other[rng.below(4)];
        if stream.is_quiet() {
            stream.say(true, &noise, Line::Clean, &mut rng);
        }
        for _ in 0..2 {
            wire.send(stream)?;
        }
    }
    Ok(())
}

fn half(wire: &mut Wire, scale: f64) -> io::Result<()> {
    let mut rng = Rng::new(23);
    for n in 0..scaled(100_000, scale) {
        let mut connection = ScriptedConnection::open(n, 80);
        connection.say(
            true,
            b"GET /never HTTP/1.1\r\nHost: example.test\r\nX-Padding: ........",
            Line::Clean,
            &mut rng,
        );
        while wire.send(&mut connection)? {}
    }
    Ok(())
}
