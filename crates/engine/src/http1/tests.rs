//! Slow, obvious models beside the machines, fed the same random input. The seed is in every failure.

use super::chunked::{Dechunker, Piece};
use super::head::{read, read_lenient};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::event::{Head, StartLine, Version};
use crate::testkit::rng::Rng;

/// What became of a chunked body.
#[derive(Debug, PartialEq, Eq)]
struct Dechunked {
    content: Vec<u8>,
    odd: Vec<&'static str>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The last chunk's line ends here.
    Trailers(usize),
    Bad(Anomaly),
    More,
}

/// RFC 9112 §7.1 over all of the bytes, line by line. Lenient as SUPPORTED.md says: LF for CRLF, white space around a size,
/// anything but CR in extensions.
fn reference(input: &[u8]) -> Dechunked {
    let (mut content, mut odd, mut at) = (Vec::new(), AnomalySet::EMPTY, 0);
    let end = loop {
        let lf = input[at..].iter().position(|&b| b == b'\n').map(|lf| at + lf);
        let line = &input[at..lf.unwrap_or(input.len())];
        // chunk-size [ chunk-ext ] CRLF, with the first byte that cannot be.
        let blanks = |from: usize| line[from..].iter().take_while(|&&b| b == b' ' || b == b'\t').count();
        let size_at = blanks(0);
        let size_end = size_at + line[size_at..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let digits = std::str::from_utf8(&line[size_at..size_end]).unwrap().trim_start_matches('0');
        if size_at > 0 {
            odd.insert(Anomaly::ChunkSizeWhitespace);
        }
        let size = if digits.is_empty() { 0 } else { u128::from_str_radix(digits, 16).unwrap_or(u128::MAX) };
        let unfinished = lf.is_none() && size_end == line.len();
        if size > i64::MAX as u128 || (size_at == size_end && !unfinished) {
            break End::Bad(Anomaly::BadChunkSize);
        }
        let padding = blanks(size_end);
        if padding > 0 {
            odd.insert(Anomaly::ChunkSizeWhitespace);
        }
        let mut rest = &line[size_end + padding..];
        if rest.starts_with(b";") {
            rest = &rest[rest.iter().position(|&b| b == b'\r').unwrap_or(rest.len())..];
        }
        if !(rest.is_empty() || rest == b"\r") {
            break End::Bad(Anomaly::BadChunkSize);
        }
        let Some(lf) = lf else { break End::More };
        if rest.is_empty() {
            odd.insert(Anomaly::BareLf);
        }
        at = lf + 1;
        if size == 0 {
            break End::Trailers(at);
        }
        let data = &input[at..input.len().min(at + usize::try_from(size).unwrap().min(input.len()))];
        content.extend_from_slice(data);
        at += data.len();
        match &input[at..] {
            _ if (data.len() as u128) < size => break End::More,
            [] | [b'\r'] => break End::More,
            [b'\r', b'\n', ..] => at += 2,
            [b'\n', ..] => {
                odd.insert(Anomaly::BareLf);
                at += 1;
            }
            _ => break End::Bad(Anomaly::BadChunkEnd),
        }
    };
    Dechunked { content, odd: odd.iter().map(Anomaly::name).collect(), end }
}

fn machine(input: &[u8], rng: &mut Rng) -> Dechunked {
    let (mut dechunker, mut content, mut odd, mut at) = (Dechunker::default(), Vec::new(), AnomalySet::EMPTY, 0);
    let mut end = End::More;
    'input: while at < input.len() {
        let piece_end = at + rng.between(1, (input.len() - at).min(9));
        while at < piece_end {
            match dechunker.next(&input[at..piece_end], |anomaly| odd.insert(anomaly)) {
                Piece::Data(n) => {
                    content.extend_from_slice(&input[at..at + n]);
                    at += n;
                }
                Piece::Framing(n) => {
                    at += n;
                    if dechunker == Dechunker::Trailers {
                        end = End::Trailers(at);
                        break 'input;
                    }
                }
                Piece::Bad(anomaly) => {
                    end = End::Bad(anomaly);
                    break 'input;
                }
            }
        }
    }
    Dechunked { content, odd: odd.iter().map(Anomaly::name).collect(), end }
}

/// Chunks, mostly well-formed, with a byte changed, put in or taken out here and there.
fn chunks(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.between(1, 4) {
        let size = rng.below(20);
        let zeros = "0".repeat(if rng.chance(0.2) { rng.below(30) } else { 0 });
        let extension = rng.pick(&["", "", "", ";", ";a=b", " ;a", ";\"x\"", " "]).unwrap();
        let end = rng.pick(&["\r\n", "\r\n", "\r\n", "\n"]).unwrap();
        bytes.extend(format!("{zeros}{size:x}{extension}{end}").bytes());
        bytes.extend((0..size).map(|_| *rng.pick(b"0a;\r\n \x00z").unwrap()));
        bytes.extend(rng.pick(&["\r\n", "\r\n", "\r\n", "\n"]).unwrap().bytes());
    }
    bytes.extend(b"0\r\nbehind");
    for _ in 0..rng.below(3) {
        let (at, byte) = (rng.below(bytes.len()), *rng.pick(b"0123459abcdefABCDEF;\r\n\t -+_xg\"\x00\xff").unwrap());
        match rng.below(4) {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at + 1),
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

#[test]
fn the_dechunker_reads_what_the_reference_reads() {
    let (mut whole, mut bad) = (0, 0);
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let input = chunks(&mut rng);
        let want = reference(&input);
        assert_eq!(machine(&input, &mut rng), want, "seed {seed}: {}", input.escape_ascii());
        whole += usize::from(matches!(want.end, End::Trailers(_)));
        bad += usize::from(matches!(want.end, End::Bad(_)));
    }
    assert!(whole > 5_000 && bad > 2_000, "{whole} whole, {bad} bad: the generator is one-sided");
}

/// What a head says, as text.
fn said(head: Head<'_>) -> String {
    let start = match head.start {
        StartLine::Request { method, target } => format!("{} {}", method.escape_ascii(), target.escape_ascii()),
        StartLine::Response { status, reason } => format!("{status} {}", reason.escape_ascii()),
    };
    let minor = if head.version == Version::Http10 { 0 } else { 1 };
    let fields = head.fields.iter().map(|f| format!("[{}={}]", f.name.escape_ascii(), f.value.escape_ascii()));
    format!("1.{minor} {start} {}", fields.collect::<String>())
}

fn random_head(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = if rng.chance(0.5) {
        let method = *rng.pick(&["GET", "POST", "x-y", "M!"]).unwrap();
        format!("{method} {} HTTP/1.{}", *rng.pick(&["/", "/a?b", "*", "http://a/"]).unwrap(), rng.below(2))
            .into_bytes()
    } else {
        let reason = *rng.pick(&["", " ", " OK", " Not Found", "  x "]).unwrap();
        format!("HTTP/1.{} {}{reason}", rng.below(2), rng.between(100, 999)).into_bytes()
    };
    for _ in 0..rng.below(6) {
        bytes.extend(rng.pick(&["\r\n", "\r\n", "\r\n", "\n"]).unwrap().bytes());
        bytes.extend(rng.pick(&["Host", "A", "Content-Length", "x_y", "!#"]).unwrap().bytes());
        bytes.extend(rng.pick(&[":", ": ", ":\t ", ": "]).unwrap().bytes());
        bytes.extend(rng.pick(&["", "a", "a b", "5", "\u{e9}\t", "x:y ", "\"q\""]).unwrap().bytes());
    }
    bytes.extend(b"\r\n\r\n");
    for _ in 0..rng.below(3) {
        let (at, byte) = (rng.below(bytes.len()), *rng.pick(b"aZ0 \t\r\n:;\x00\x0b\x7f\xe9/(").unwrap());
        match rng.below(3) {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

/// What httparse accepts, the lenient reader reads alike, and names nothing: where a line ends is `EndFinder`'s to name.
#[test]
fn the_lenient_reader_reads_what_httparse_reads() {
    let mut accepted = 0;
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let bytes = random_head(&mut rng);
        // Blank lines before the start line are taken off by who calls.
        if bytes.starts_with(b"\r") || bytes.starts_with(b"\n") {
            continue;
        }
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let strict = if bytes.starts_with(b"HTTP/") {
            httparse::Response::new(&mut headers).parse(&bytes)
        } else {
            httparse::Request::new(&mut headers).parse(&bytes)
        };
        let Ok(httparse::Status::Complete(length)) = strict else { continue };
        accepted += 1;
        let head = &bytes[..length];
        let fast = read(head, 16, |head, odd| (said(head), odd));
        let lenient = read_lenient(head, 16, |head, odd| (said(head), odd));
        assert_eq!(fast, lenient, "seed {seed}: {}", head.escape_ascii());
    }
    assert!(accepted > 5_000, "{accepted} accepted: the generator is one-sided");
}
