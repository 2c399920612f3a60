//! Masks: the fields that change from run to run, listed in `verify.toml`. Their values are neither
//! compared nor kept.
//!
//! A mask never removes a field: its presence is still compared. Next: `golden`.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// Replaces a masked value.
const MASKED: &str = "[MASKED]";

/// The keys of a message, with one of which a mask must begin.
const KEYS: [&str; 22] = [
    "timestamp",
    "direction",
    "receiver",
    "destination",
    "method",
    "path",
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

/// The masks of a folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Masks {
    /// Keys; a dot reaches inside a key: `headers.date`.
    #[serde(default)]
    mask: Vec<String>,
}

impl Masks {
    /// Reads the file. Without a file there are no masks. An error is one line.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let masks: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            format!("{} line {line}: {}", path.display(), error.message())
        })?;
        match masks.mask.iter().find(|mask| !KEYS.contains(&mask.split('.').next().unwrap_or_default())) {
            Some(mask) => {
                Err(format!("{}: {mask:?} is no key of a message; allowed: {}", path.display(), KEYS.join(", ")))
            }
            None => Ok(masks),
        }
    }

    pub(super) fn apply(&self, message: &mut Value) {
        for mask in &self.mask {
            let mut value = Some(&mut *message);
            // A field name may contain dots, so only the first one separates.
            for key in mask.splitn(2, '.') {
                value = value.and_then(|value| value.get_mut(key));
            }
            if let Some(value) = value {
                *value = MASKED.into();
            }
        }
    }
}
