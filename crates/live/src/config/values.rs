//! Unchecked values of a [`LiveConfig`](super::LiveConfig), and where each came from.
//!
//! A later value replaces an earlier one, so set those of the environment first, then the arguments.
//! Next: [`super`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::ConfigField;

/// Values by field name, as they were given.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub(super) values: BTreeMap<String, Given>,
}

/// Returns the text of a value that JSON cannot express (NaN, a function), which is given as
/// `{"foreign": text}`. It is valid for no field, and errors name it by its text.
pub(super) fn foreign(value: &Value) -> Option<&str> {
    value.as_object()?.get("foreign")?.as_str()
}

/// A value, and how its source names it.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) by: Option<String>,
}

impl Values {
    /// The values of the environment. An empty variable counts only for the list of redacted headers.
    pub fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut values = Self::default();
        for &field in ConfigField::ALL {
            let variable = field.variable();
            match environment(variable) {
                // An empty variable in a manifest means the default. An empty list of headers means none.
                Some(text) if text.trim().is_empty() && field != ConfigField::RedactHeaders => {}
                Some(text) => values.set_text(field, &text, variable),
                None => {}
            }
        }
        values
    }

    /// Sets a field to the text of an argument or variable, which errors name as `by`.
    pub fn set_text(&mut self, field: ConfigField, text: &str, by: &str) {
        let given = Given { value: field.value(text), by: Some(by.to_owned()) };
        self.values.insert(field.name().to_owned(), given);
    }

    /// Sets a field to a value. An unknown name is an error later. `{"foreign": "NaN"}`, at any depth,
    /// stands for a value that JSON cannot express.
    pub fn set_value(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), Given { value, by: None });
    }

    /// Returns whether a field was given.
    pub fn has(&self, field: ConfigField) -> bool {
        self.values.contains_key(field.name())
    }
}
