//! Untyped values on their way to a [`LiveConfig`](super::LiveConfig), and where each came from.
//!
//! Later ones win, so: environment first, then arguments. Next: [`super`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::ConfigField;

/// Values by field name, as they came.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub(super) values: BTreeMap<String, Given>,
}

/// The text of a value that JSON has no word for (NaN, a function): given as `{"foreign": text}`, right for no field, and
/// named by its text in the error.
pub(super) fn foreign(value: &Value) -> Option<&str> {
    value.as_object()?.get("foreign")?.as_str()
}

/// A value with what its giver calls it.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) by: Option<String>,
}

impl Values {
    /// What the environment says; a variable that is set and empty counts only where a list is meant.
    pub fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut values = Self::default();
        for &field in ConfigField::ALL {
            let variable = field.variable();
            match environment(variable) {
                // A manifest that leaves a variable empty means its default; an empty list means none.
                Some(text) if text.trim().is_empty() && field != ConfigField::RedactHeaders => {}
                Some(text) => values.set_text(field, &text, variable),
                None => {}
            }
        }
        values
    }

    /// Sets a field by the text of an argument or a variable, which `by` names in errors.
    pub fn set_text(&mut self, field: ConfigField, text: &str, by: &str) {
        let given = Given { value: field.value(text), by: Some(by.to_owned()) };
        self.values.insert(field.name().to_owned(), given);
    }

    /// Sets a field by a value; the name may be unknown, which is an error later. `{"foreign": "NaN"}` stands for a value
    /// that JSON has no word for, at any place of it.
    pub fn set_value(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), Given { value, by: None });
    }

    /// Whether a field was given.
    pub fn has(&self, field: ConfigField) -> bool {
        self.values.contains_key(field.name())
    }
}
