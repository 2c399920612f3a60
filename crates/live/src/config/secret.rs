//! The webhook's bearer token. It never shows: not in `Debug`, not in a log, not in an error.

use std::fmt;

/// A token that can stand in a header.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// From the environment; the white space that secrets mounted from files end with is taken off. `None` when empty.
    ///
    /// # Errors
    /// A character that a header cannot carry.
    pub(crate) fn new(text: &str) -> Result<Option<Self>, ()> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible { Ok(Some(Self(text.to_owned()))) } else { Err(()) }
    }

    /// The value of the `Authorization` header, the only place that it goes to.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
