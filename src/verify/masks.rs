//! Fields that change from run to run, named in `verify.toml`: what stands there is neither compared nor kept.
//!
//! A mask never removes a field: that it is there is compared. Next: `golden`.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// In place of a value.
const MASKED: &str = "[MASKED]";

/// Keys of a message that a mask can begin with.
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
    /// Keys, and with a dot what is inside them: `headers.date`.
    #[serde(default)]
    mask: Vec<String>,
}

impl Masks {
    /// Reads the file; no file masks nothing. An error in one line.
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
            // A header's name may have dots in it: what follows the first is one name.
            for key in mask.splitn(2, '.') {
                value = value.and_then(|value| value.get_mut(key));
            }
            if let Some(value) = value {
                *value = MASKED.into();
            }
        }
    }
}
