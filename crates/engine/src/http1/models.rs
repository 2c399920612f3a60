//! Slow, obvious models of the parsers, fed the same random input. Every failure names its seed.

use sniffer_testkit::rng::Rng;

use super::chunked::{ChunkPiece, Dechunker};
use super::head::{EndFinder, read, read_at_once, read_lenient};
use super::start_line::{LineKind, METHOD_MAX, classify, is_strict_start, may_become_strict};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::{Head, StartLine, Version};
use crate::message::HeadText;

/// The result of decoding a chunked body.
#[derive(Debug, PartialEq, Eq)]
struct Dechunked {
    content: Vec<u8>,
    odd: Vec<&'static str>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The line of the last chunk ends at this offset.
    Trailers(usize),
    Bad(Anomaly),
    More,
}

/// Decodes all of the bytes line by line, by RFC 9112 §7.1. Lenient as SUPPORTED.md says: LF for CRLF,
/// white space around a size, anything but CR in extensions.
fn reference(input: &[u8]) -> Dechunked {
    let (mut content, mut odd, mut at) = (Vec::new(), AnomalySet::EMPTY, 0);
    let end = loop {
        let lf = input[at..].iter().position(|&b| b == b'\n').map(|lf| at + lf);
        let line = &input[at..lf.unwrap_or(input.len())];
        // chunk-size [ chunk-ext ] CRLF, up to the first invalid byte.
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
                ChunkPiece::Data(n) => {
                    content.extend_from_slice(&input[at..at + n]);
                    at += n;
                }
                ChunkPiece::Framing(n) => {
                    at += n;
                    if dechunker == Dechunker::Trailers {
                        end = End::Trailers(at);
                        break 'input;
                    }
                }
                ChunkPiece::Bad(anomaly) => {
                    end = End::Bad(anomaly);
                    break 'input;
                }
            }
        }
    }
    Dechunked { content, odd: odd.iter().map(Anomaly::name).collect(), end }
}

/// Makes chunks, mostly well-formed, with a byte changed, inserted or removed here and there.
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

/// Shows a head as text.
fn shown(head: Head<'_>) -> String {
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
        let reason = *rng.pick(&["", " ", " OK", " Not Detected", "  x "]).unwrap();
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

/// The lenient reader reads what httparse accepts in the same way and names no anomaly: `EndFinder`
/// names those of line ends.
#[test]
fn the_lenient_reader_reads_what_httparse_reads() {
    let mut accepted = 0;
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let bytes = random_head(&mut rng);
        // The caller removes blank lines before the start line.
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
        let fast = read(head, 16, |head, odd| (shown(head), odd));
        let lenient = read_lenient(head, 16, |head, odd| (shown(head), odd));
        assert_eq!(fast, lenient, "seed {seed}: {}", head.escape_ascii());
    }
    assert!(accepted > 5_000, "{accepted} accepted: the generator is one-sided");
}

#[test]
fn a_first_line_is_classified_as_soon_as_its_bytes_allow() {
    let (longest, longer) = ([b'M'; METHOD_MAX], [b'M'; METHOD_MAX + 1]);
    for (bytes, want) in [
        (&b""[..], LineKind::Undecided),
        (b"H", LineKind::Undecided),
        (b"HTTP/1", LineKind::Undecided),
        (b"HTTP/1.", LineKind::Undecided),
        (b"HTTP/1.1", LineKind::Undecided),
        (b"HTTP/1.1 ", LineKind::Undecided),
        (b"HTTP/1.1 2", LineKind::Undecided),
        (b"HTTP/1.1 20", LineKind::Undecided),
        (b"HTTP/1.1 200", LineKind::Undecided),
        (b"HTTP/1.1 200\r", LineKind::Response),
        (b"HTTP/1.1 200 ", LineKind::Response),
        (b"HTTP/1.x", LineKind::Neither),
        (b"HTTP/1.12", LineKind::Neither),
        (b"HTTP/1.1 x", LineKind::Neither),
        (b"HTTP/1.1 2x", LineKind::Neither),
        (b"HTTP/1.1 2000", LineKind::Neither),
        (b"HTTP/1.1 099 ", LineKind::Neither),
        (b"HTTP/2", LineKind::Neither),
        (b"GET", LineKind::Undecided),
        (b"GET / HTTP/1.1\r", LineKind::Undecided),
        (b"GET / HTTP/1.1\r\n", LineKind::Request),
        (b"GET /\r\n", LineKind::Neither),
        (b" HTTP/1.1\r\n", LineKind::Neither),
        (b"X TTP/1.1\r\n", LineKind::Neither),
        (b"GE\0", LineKind::Neither),
        (&longest, LineKind::Undecided),
        (&longer, LineKind::Neither),
    ] {
        assert_eq!(classify(bytes), want, "{}", bytes.escape_ascii());
    }
}

/// Policy 15: a known method, single spaces and a target of visible characters.
#[test]
fn a_strict_start_line_looks_like_nothing_else() {
    for (line, want) in [
        (&b"GET / HTTP/1.1"[..], true),
        (b"GET /\xc3\xa9 HTTP/1.0", true),
        (b"HTTP/1.1 200 OK", true),
        (b"HTTP/1.1 20x OK", false),
        (b"FOO / HTTP/1.1", false),
        (b"AD / HTTP/1.1", false),
        (b"GET  / HTTP/1.1", false),
        (b"GET /a\x01 HTTP/1.1", false),
        (b"GET / HTTP/1.1 ", false),
        (b"GET / x\tHTTP/1.1", false),
        (b"GET /a b HTTP/1.1", false),
        (b"GET /", false),
    ] {
        let whole = [line, b"\r\n"].concat();
        assert_eq!(is_strict_start(&whole), want, "{}", line.escape_ascii());
        assert!(!is_strict_start(&line[..line.len().min(8)]), "it needs its line, or its status");
        // Any prefix of a strict line may become one; a status decides before the line ends.
        for cut in 1..line.len() {
            let before = &line[..cut];
            let open = classify(before) == LineKind::Undecided;
            assert!(!want || may_become_strict(before) == open, "{}", before.escape_ascii());
        }
        assert!(!may_become_strict(&whole), "{} is whole", line.escape_ascii());
    }
    for bytes in [
        &b"GE"[..],
        b"GET",
        b"GET ",
        b"GET /a",
        b"GET / ",
        b"GET / HTTP/1.",
        b"GET / HTTP/1.0\r",
        b"HTT",
        b"HTTP/1.1 20",
    ] {
        assert!(may_become_strict(bytes), "{}", bytes.escape_ascii());
    }
    for bytes in [
        &b"GETX"[..],
        b"GE ",
        b"AD /",
        b"GET /\x01",
        b"GET / FOO",
        b"GET / HTTP/1.2",
        b"GET / HTTP/1.1 ",
        b"GET / HTTP/1.1 x",
        b"FOO / HTTP/1.1",
        b"HTTP/2",
    ] {
        assert!(!may_become_strict(bytes), "{}", bytes.escape_ascii());
    }
}

/// This holds whatever stands between the pieces, and whether or not they are UTF-8.
#[test]
fn a_head_is_the_same_text_copied_at_once_and_piece_by_piece() {
    let text_of = |head: &HeadText| {
        let start =
            (head.method().map(str::to_owned), head.path().map(str::to_owned), head.reason().map(str::to_owned));
        let fields = head.fields().iter().map(|(name, value)| format!("[{name}={value}]")).collect::<String>();
        (start, fields)
    };
    let mut copy = read(b"GET / HTTP/1.1\r\n\r\n", 16, |head, _| HeadText::new(&head)).unwrap();
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let bytes = random_head(&mut rng);
        read(&bytes, 16, |head, _| {
            copy.set(&head);
            let pieces = HeadText::new(&Head { raw: b"", ..head });
            assert_eq!(text_of(&copy), text_of(&pieces), "seed {seed}: {}", bytes.escape_ascii());
            assert!(copy.fields().may_repeat() == pieces.fields().may_repeat(), "seed {seed}");
        });
    }
}

/// Classified as a start line, ended where `EndFinder` ends it, with normal line ends, and read the same.
#[test]
fn reading_at_once_gives_what_the_long_way_gives() {
    let mut accepted = 0;
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let mut bytes = random_head(&mut rng);
        bytes.extend(rng.pick(&[&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\n", b"body"]).unwrap().iter());
        bytes.truncate(rng.between(1, 4 * bytes.len()));
        let bytes_max = *rng.pick(&[30, 60, 1_000]).unwrap();
        let at_once = read_at_once(&bytes, bytes_max, 16, |head, length| (shown(head), length));
        let Some((shown_at_once, length)) = at_once else { continue };
        accepted += 1;
        let because = format!("seed {seed}: {}", bytes.escape_ascii());
        assert!(matches!(classify(&bytes), LineKind::Request | LineKind::Response), "{because}");
        let mut finder = EndFinder::default();
        assert_eq!(finder.find(&bytes), Some(length), "{because}");
        assert!(finder.anomalies.is_empty() && length <= bytes_max, "{because}");
        let long = read_lenient(&bytes[..length], 16, |head, odd| (shown(head), odd));
        assert_eq!(long, Some((shown_at_once, AnomalySet::EMPTY)), "{because}");
    }
    assert!(accepted > 2_000, "{accepted} accepted: the generator is one-sided");
}

#[test]
fn odd_or_incomplete_heads_are_not_read_at_once() {
    let is_read = |bytes: &[u8]| read_at_once(bytes, 4_096, 16, |_, _| ()).is_some();
    assert!(is_read(b"GET / HTTP/1.1\r\nA: b\r\nC:\r\n\r\nbody"));
    assert!(is_read(b"HTTP/1.1 100\r\n\r\n"));
    for refused in [
        &b""[..],
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\n\r\n",
        b"GET / HTTP/1.1\nA: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n\n",
        b"GET / HTTP/1.1\r\nA: b\r\n\r",
        b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
    ] {
        assert!(!is_read(refused), "{}", refused.escape_ascii());
    }
    for (method, accepted) in [(METHOD_MAX - 1, true), (METHOD_MAX, false)] {
        let head = format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(method));
        assert_eq!(
            (is_read(head.as_bytes()), classify(head.as_bytes()) == LineKind::Request),
            (accepted, accepted),
            "{method}"
        );
    }
}

#[test]
fn a_head_ends_at_its_first_empty_line_however_it_is_cut() {
    for (bytes, length, bare) in [
        (&b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n"[..], Some(24), false),
        (b"GET / HTTP/1.1\n\nbody", Some(16), true),
        (b"GET / HTTP/1.1\r\n\nbody", Some(17), true),
        (b"GET / HTTP/1.1\r\n\r", None, false),
        (b"\n", Some(1), true),
        (b"\r\n", Some(2), false),
        (b"\r\r\n\r\n", Some(5), false),
    ] {
        let (mut whole, mut pieces) = (EndFinder::default(), EndFinder::default());
        assert_eq!(whole.find(bytes), length, "{}", bytes.escape_ascii());
        let found = (1..=bytes.len()).find_map(|end| pieces.find(&bytes[..end]));
        assert_eq!(found, length, "{} byte by byte", bytes.escape_ascii());
        for finder in [whole, pieces] {
            assert_eq!(finder.anomalies.contains(Anomaly::BareLf), bare, "{}", bytes.escape_ascii());
        }
    }
    let mut finder = EndFinder::default();
    finder.find(b"GET / HTTP/1.1\r\nA: b\r\nC: ");
    assert_eq!(finder.complete_lines(), 22);
}

/// Lines that RFC 9112 forbids and that are read all the same (policy 14), and lines that are no start line.
#[test]
fn the_lenient_reader_takes_lines_apart_as_they_stand() {
    for (head, want, odd) in [
        ("GET  / HTTP/1.0\n", Some("1.0 GET / "), &["start-line-whitespace"][..]),
        ("GET\t/ HTTP/1.1\n", Some("1.1 GET / "), &["start-line-whitespace"]),
        ("GET / HTTP/1.1\t\n", Some("1.1 GET / "), &["start-line-whitespace"]),
        ("HTTP/1.0 \t 204 x\n", Some("1.0 204 x "), &["start-line-whitespace"]),
        ("HTTP/1.1\t204\tx\n", Some("1.1 204 x "), &["start-line-whitespace"]),
        ("HTTP/1.1 204\n", Some("1.1 204  "), &[]),
        ("HTTP/1.1204 x\n", None, &[]),
        ("HTTP/1.x 204 x\n", None, &[]),
        ("HTTP/1.1 2x4 x\n", None, &[]),
        ("HTTP/1.1 20\n", None, &[]),
        ("GET HTTP/1.1\n", None, &[]),
        (" / HTTP/1.1\n", None, &[]),
        ("GET / HTTP/1.1", None, &[]),
        ("GET / HTTP/1.1\nA:b\n\nC: d\n", Some("1.1 GET / [A=b]"), &[]),
        ("GET / HTTP/1.1\nA: b", Some("1.1 GET / [A=b]"), &[]),
        ("GET / HTTP/1.1\nA : b\n", Some("1.1 GET / [A=b]"), &["space-before-colon"]),
        ("GET / HTTP/1.1\nA: b\n c\n\td\nE:f\n", Some("1.1 GET / [A=b\\n c\\n\\td][E=f]"), &["obs-fold"]),
        ("GET / HTTP/1.1\nA:\n b\n", Some("1.1 GET / [A=b]"), &["obs-fold"]),
        ("GET / HTTP/1.1\n A: b\nC: d\n", Some("1.1 GET / [C=d]"), &["invalid-field-line"]),
        ("GET / HTTP/1.1\n: b\nC: d\n", Some("1.1 GET / [C=d]"), &["invalid-field-line"]),
        ("GET / HTTP/1.1\nno\nC: d\n", Some("1.1 GET / [C=d]"), &["invalid-field-line"]),
        ("GET / HTTP/1.1\nA(: b\n", Some("1.1 GET / [A(=b]"), &["invalid-field-name"]),
        ("GET / HTTP/1.1\nA: b\rc\n", Some("1.1 GET / [A=b\\rc]"), &["bare-cr"]),
    ] {
        let got = read_lenient(head.as_bytes(), 16, |head, odd| (shown(head), odd));
        let names: Vec<_> = got.iter().flat_map(|(_, odd)| odd.iter().map(Anomaly::name)).collect();
        assert_eq!(got.as_ref().map(|(shown, _)| shown.as_str()), want, "{head:?}");
        assert!(names.len() == odd.len() && odd.iter().all(|name| names.contains(name)), "{head:?}: {names:?}");
    }
}

/// Of the fields over the limit only those that frame the body are read (policy 19).
#[test]
fn a_limit_on_fields_counts_them_exactly() {
    let head = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n");
    for (fields, want, over) in [
        ("A: 1\r\nB: 2\r\n", "1.1 GET / [A=1][B=2]", false),
        ("A: 1\r\nB: 2\r\nC: 3\r\n", "1.1 GET / [A=1][B=2]", true),
        ("A: 1\r\nB: 2\r\nC: 3\r\n 4\r\nD: 5\r\n", "1.1 GET / [A=1][B=2]", true),
        ("A: 1\r\nB: 2\r\nContent-Length: 3\r\nC: 4\r\n", "1.1 GET / [A=1][B=2][Content-Length=3]", true),
    ] {
        let got = read(head(fields).as_bytes(), 2, |head, odd| (shown(head), odd.contains(Anomaly::TooManyFields)));
        assert_eq!(got, Some((want.to_owned(), over)), "{fields:?}");
    }
    let response = |n: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(n));
    for (n, over) in [(2, false), (3, true)] {
        let got = read(response(n).as_bytes(), 2, |_, odd| odd.contains(Anomaly::TooManyFields));
        assert_eq!(got, Some(over), "{n} fields of 2");
    }
}
