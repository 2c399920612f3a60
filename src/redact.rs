//! What becomes of the values of redacted fields: `[REDACTED]`, or with a key a token that is equal for equal secrets.
//!
//! A token is HMAC-SHA256 of the value under the key, cut to 128 bits: without the key it cannot be guessed back, with the
//! same key it is the same in every capture. Cookies are replaced one by one, so that what a `Set-Cookie` gave can be
//! found in later `Cookie` fields whatever stands beside it; the names of cookies and the attributes stay.

use std::fs;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sniffer_engine::message::Message;

/// Below this a key can be tried out. 128 bits as text in hexadecimal are 32 bytes.
const KEY_MIN: usize = 16;

/// Bytes of a token.
const TOKEN: usize = 16;

/// Which fields, and how.
#[derive(Clone)]
pub(crate) struct Redaction {
    names: Vec<String>,
    key: Option<Key>,
}

/// The key, ready for use.
#[derive(Clone)]
struct Key(Hmac<Sha256>);

impl Redaction {
    /// Fields with these names; without a key their values are all alike.
    ///
    /// # Errors
    /// The file with the key cannot be read, or holds too little; in one line.
    pub(crate) fn new(names: &[String], key: Option<&Path>) -> Result<Self, String> {
        let key = key.map(Key::read).transpose()?;
        Ok(Self { names: names.to_vec(), key })
    }

    /// Replaces the values.
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
        // An editor's line end is not part of the key.
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

    /// `name=value`, or what a server that cares for no grammar made of it.
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
