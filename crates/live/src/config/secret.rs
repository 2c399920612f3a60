//! The webhook's bearer token. It is never shown: not in `Debug`, not in a log, not in an error.

use std::fmt;

/// A token that can stand in a header.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// A token from the environment; `None` if the text is empty. Strips white space, because
    /// secrets mounted from files end with a line feed.
    ///
    /// # Errors
    /// The text has a character that a header cannot carry.
    pub(crate) fn new(text: &str) -> Result<Option<Self>, ()> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible { Ok(Some(Self(text.to_owned()))) } else { Err(()) }
    }

    /// Returns the value of the `Authorization` header, the only place where the token goes.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
