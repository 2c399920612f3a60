//! Helpers of the black-box tests: the built binary, the corpus, and checks of every printed line.
//!
//! Nothing here uses the engine: expectations come from files, the schema and the page of each
//! capture.
#![allow(dead_code, reason = "every test file is a crate of its own and uses a part")]

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use assert_cmd::Command;
use jsonschema::Validator;
use serde_json::{Map, Value};
use walkdir::{DirEntry, WalkDir};

/// Extensions of captures.
const CAPTURES: [&str; 4] = [".pcap", ".pcapng", ".gz", ".zst"];

/// Keys of a message in their order (as in `message.schema.json` and docs/message.md).
const KEYS: [&str; 24] = [
    "timestamp",
    "direction",
    "receiver",
    "destination",
    "method",
    "path",
    "scheme",
    "authority",
    "statusCode",
    "reason",
    "httpVersion",
    "headers",
    "trailers",
    "body",
    "bodyEncoding",
    "bodySize",
    "contentDecoded",
    "bodyTruncated",
    "incomplete",
    "missingBytes",
    "anomalies",
    "connection",
    "exchange",
    "latencyMs",
];

pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the path of a capture, from its path in the corpus.
pub(crate) fn capture(name: &str) -> PathBuf {
    top().join("corpus").join(name)
}

/// Returns the paths in the corpus of all captures, with `/`, sorted.
pub(crate) fn captures() -> Vec<String> {
    let corpus = top().join("corpus");
    let files = WalkDir::new(&corpus).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let inside = |entry: DirEntry| {
        let parts = entry.path().strip_prefix(&corpus).unwrap().components();
        parts.map(|part| part.as_os_str().to_str().unwrap()).collect::<Vec<_>>().join("/")
    };
    let mut found: Vec<_> = files.map(inside).filter(|name| CAPTURES.iter().any(|end| name.ends_with(end))).collect();
    found.sort();
    found
}

/// Returns the path of the built binary.
pub(crate) fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("sniffer").to_owned()
}

/// Returns a command for the binary, without the variables that influence colours.
pub(crate) fn sniffer() -> Command {
    let mut command = Command::new(binary());
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"] {
        command.env_remove(name);
    }
    command
}

/// Runs `sniffer replay` with these arguments and returns its output.
pub(crate) fn replay<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    sniffer().arg("replay").args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

/// Parses and checks every line as a message.
#[track_caller]
pub(crate) fn messages(stdout: &[u8]) -> Vec<Map<String, Value>> {
    let stdout = text(stdout);
    assert!(stdout.is_empty() || stdout.ends_with('\n'), "the last line is whole");
    stdout.lines().map(message).collect()
}

/// Parses a line as a message. Checks that it is valid by the schema, has no null and no unknown
/// key, and that its keys are in order.
#[track_caller]
pub(crate) fn message(line: &str) -> Map<String, Value> {
    static SCHEMA: OnceLock<Validator> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let schema = std::fs::read_to_string(top().join("message.schema.json")).unwrap();
        jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap()
    });
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error}: {line}"));
    if let Err(error) = schema.validate(&value) {
        panic!("not valid by the schema at {}: {error}\n{line}", error.instance_path());
    }
    assert!(!has_null(&value), "null in {line}");
    let Value::Object(message) = value else { panic!("not an object: {line}") };
    let mut known = KEYS.iter().chain(["frames"].iter());
    for key in message.keys() {
        assert!(known.any(|known| known == key), "key {key} is unknown or out of order: {line}");
    }
    message
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

/// Parses the accounts printed by `--stats=json`: one line of stderr. Checks that every byte has
/// one fate.
#[track_caller]
pub(crate) fn accounts(stderr: &[u8]) -> Map<String, Value> {
    let line = text(stderr).lines().find(|line| line.starts_with('{')).expect("--stats=json prints an object");
    let accounts: Map<String, Value> = serde_json::from_str(line).unwrap();
    let sum = |columns: &Value| columns.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
    assert_eq!(accounts["payload"], sum(&accounts["bytes"]), "bytes sum to the payload: {line}");
    assert_eq!(accounts["pending"], 0, "nothing is held after the end: {line}");
    assert_eq!(accounts["frames"], sum(&accounts["frameFates"]), "frames sum to the frames: {line}");
    accounts
}

/// Returns the bytes of a message's body.
pub(crate) fn body(message: &Map<String, Value>) -> Vec<u8> {
    use base64::Engine;
    let body = message.get("body").map_or("", |body| body.as_str().unwrap());
    match message.contains_key("bodyEncoding") {
        true => base64::engine::general_purpose::STANDARD.decode(body).unwrap(),
        false => body.as_bytes().to_vec(),
    }
}

/// Returns the SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a pcap with these packets, a millisecond apart.
pub(crate) fn pcap(link_type: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let words = |bytes: &mut Vec<u8>, words: &[u32]| words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    let mut bytes = Vec::new();
    words(&mut bytes, &[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link_type]);
    for (at, packet) in packets.iter().enumerate() {
        let length = packet.len() as u32;
        words(&mut bytes, &[1_771_675_200, at as u32 * 1000, length, length]);
        bytes.extend(packet);
    }
    bytes
}

/// Makes an IPv4 packet with a TCP segment from a client, midstream.
pub(crate) fn segment(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((40 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend([0xc3, 0x50, 0, 80, 0, 0, 1, 0, 0, 0, 2, 0, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend(payload);
    packet
}

/// Makes the capture of a conversation (`corpus/TALK.md`) with `sniffer talk`.
#[track_caller]
pub(crate) fn talk(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    let output = sniffer().args(["talk", "-", "-o"]).arg(file.path()).write_stdin(text).output().unwrap();
    assert!(output.status.success(), "{}", self::text(&output.stderr));
    file
}
