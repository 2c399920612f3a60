//! Who may import whom inside the engine: no arrow goes back.
//!
//! Reads the sources as text. The vocabulary is free for all; every other module names what it may use.

use std::fs;
use std::path::{Path, PathBuf};

const VOCABULARY: &[&str] = &["anomaly", "ledger"];

/// A module, and what it may use besides the vocabulary and itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("anomaly", &[]),
    ("ledger", &[]),
    ("event", &[]),
    ("config", &[]),
    ("stream", &[]),
    ("reassembly", &[]),
    ("tcp", &["reassembly", "stream", "config"]),
    ("app", &["http1"]),
    ("http1", &["app", "stream", "event", "config"]),
    ("flow", &["tcp", "stream", "http1", "app", "event", "config"]),
    ("content", &[]),
    ("message", &["event"]),
    ("json", &["message"]),
    ("collect", &["event", "message", "content", "config"]),
    ("engine", &["flow", "event", "config"]),
    ("budget", &[]),
    ("shard", &["event", "engine", "collect", "message", "config"]),
    ("extract", &["event", "budget", "shard", "message", "config"]),
    // For tests: it may see everything.
    ("fuzzing", &["*"]),
];

#[test]
fn every_import_points_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let relative = path.strip_prefix(&src).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib"
            || relative.components().any(|part| ["tests", "tests.rs"].iter().any(|name| part.as_os_str() == *name))
        {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            panic!("module `{module}` is not in the table of layers");
        };
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            // Unit tests stand last and may use what they like.
            if line == "mod tests {" {
                break;
            }
            let code = line.split("//").next().unwrap_or("");
            for used in code.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                seen += 1;
                let fine = used == module
                    || VOCABULARY.contains(&used.as_str())
                    || allowed.contains(&used.as_str())
                    || allowed.contains(&"*");
                if !fine {
                    wrong.push(format!("{}:{}: `{module}` may not use `{used}`", relative.display(), number + 1));
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} imports were found: the reader of this test is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
