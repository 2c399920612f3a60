//! Redaction: replaces the values of fields by `[REDACTED]`, or with a key by a token.
//!
//! A token is the HMAC-SHA256 of the value under the key, cut to 128 bits. Equal secrets get equal
//! tokens in every capture, and without the key a token does not reveal its value. Cookies are
//! replaced one by one, so that the value of a `Set-Cookie` can be found in later `Cookie` fields;
//! the names of cookies and the attributes stay.

use std::fs;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sniffer_engine::message::Message;

/// Minimum bytes of a key. A shorter key can be found by trying all.
const KEY_MIN: usize = 16;

/// Length of a token in bytes.
const TOKEN: usize = 16;

/// The fields to redact, and the key if their values become tokens.
#[derive(Clone)]
pub(crate) struct Redaction {
    names: Vec<String>,
    key: Option<Key>,
}

/// The key, as an initialised HMAC.
#[derive(Clone)]
struct Key(Hmac<Sha256>);

impl Redaction {
    /// Redacts the fields with these names, with the key in a file if one is given.
    ///
    /// # Errors
    /// The key file cannot be read, or the key is too short. The error is one line.
    pub(crate) fn new(names: &[String], key: Option<&Path>) -> Result<Self, String> {
        let key = key.map(Key::read).transpose()?;
        Ok(Self { names: names.to_vec(), key })
    }

    /// Replaces the values of the fields in a message.
    #[inline]
    pub(crate) fn apply(&self, message: &mut Message) {
        if self.names.is_empty() {
            return;
        }
        match &self.key {
            None => message.redact(&self.names),
            Some(key) => message.redact_with(&self.names, &mut |name, value| key.value(name, value)),
        }
    }
}

impl Key {
    fn read(path: &Path) -> Result<Self, String> {
        let bytes = fs::read(path).map_err(|error| format!("cannot read the key {}: {error}", path.display()))?;
        // The line end that an editor adds is not part of the key.
        let key = bytes.trim_ascii_end();
        if key.len() < KEY_MIN {
            return Err(format!(
                "the key in {} has {} bytes, {KEY_MIN} are the least; `openssl rand -hex 32` makes a good one",
                path.display(),
                key.len()
            ));
        }
        let hmac = Hmac::new_from_slice(key).map_err(|error| error.to_string())?;
        Ok(Self(hmac))
    }

    fn value(&self, name: &str, value: &str) -> String {
        match name {
            "cookie" => value.split(';').map(|pair| self.pair(pair)).collect::<Vec<_>>().join("; "),
            "set-cookie" => {
                let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
                let end = if attributes.is_empty() { String::new() } else { format!(";{attributes}") };
                self.pair(pair) + &end
            }
            _ => self.token(value),
        }
    }

    /// Redacts `name=value`. Text without a `=`, which breaks the grammar, is redacted whole.
    fn pair(&self, pair: &str) -> String {
        match pair.trim().split_once('=') {
            Some((name, value)) => format!("{name}={}", self.token(value.trim_matches('"'))),
            None => self.token(pair.trim()),
        }
    }

    fn token(&self, secret: &str) -> String {
        let digest = self.0.clone().chain_update(secret).finalize().into_bytes();
        let hex: String = digest[..TOKEN].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[REDACTED:{hex}]")
    }
}
