//! The fields of a configuration: their names, environment variables, kinds and rules.
//!
//! This is the one table for TypeScript, command line and environment. It checks nothing itself.
//! Next: [`super`], which checks.

use serde_json::Value;

/// The kind of a field's value. It decides how a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    Text,
    Flag,
    Number,
    /// As a text: separated by commas.
    Numbers,
    /// As a text: separated by commas.
    Texts,
}

macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $variable:literal, $kind:ident, $rule:literal;)+) => {
        /// A field of the configuration.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ConfigField {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ConfigField {
            /// All fields.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns its name in TypeScript.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Returns its environment variable.
            pub const fn variable(self) -> &'static str {
                match self { $(Self::$variant => $variable,)+ }
            }

            /// Returns the rule for its values, as it follows "must be".
            pub const fn rule(self) -> &'static str {
                match self { $(Self::$variant => $rule,)+ }
            }

            pub(super) const fn kind(self) -> FieldKind {
                match self { $(Self::$variant => FieldKind::$kind,)+ }
            }
        }
    };
}

fields! {
    /// Server ports.
    Ports = "ports", "PORTS", Numbers, "a list of one or more ports, each an integer from 1 to 65535";
    /// Interface to capture on.
    Interface = "interface", "INTERFACE", Text, "the name of an interface";
    /// URL of the webhook.
    OutputUrl = "outputUrl", "OUTPUT_URL", Text, "an http or https URL";
    /// JSON lines on standard output.
    OutputStdout = "outputStdout", "OUTPUT_STDOUT", Flag, "true or false";
    /// Fraction of connections to report.
    SampleRate = "sampleRate", "SAMPLE_RATE", Number, "a number from 0 to 1";
    /// Bytes of a body to keep.
    MaxBodySize = "maxBodySize", "MAX_BODY_SIZE", Number, "an integer, 0 or more";
    /// Connections that are tracked at once.
    MaxConcurrentConnections = "maxConcurrentConnections", "MAX_CONCURRENT_CONNECTIONS", Number, "an integer, 1 or more";
    /// Idle time after which a connection times out.
    ConnectionIdleTimeoutMs = "connectionIdleTimeoutMs", "CONNECTION_IDLE_TIMEOUT_MS", Number, "an integer, 1 or more";
    /// Headers whose values are hidden.
    RedactHeaders = "redactHeaders", "REDACT_HEADERS", Texts, "a list of header names";
    /// Promiscuous mode: captures frames for other machines too.
    Promiscuous = "promiscuous", "PROMISCUOUS", Flag, "true or false";
    /// Size of the kernel's buffer.
    BufferSizeBytes = "bufferSizeBytes", "BUFFER_SIZE_BYTES", Number, "an integer from 1 to 2147483647";
    /// Bytes of a packet to capture.
    Snaplen = "snaplen", "SNAPLEN", Number, "an integer from 1 to 2147483647";
    /// Time that outputs have to drain at the end.
    DrainTimeoutMs = "drainTimeoutMs", "DRAIN_TIMEOUT_MS", Number, "an integer, 1 or more";
}

/// Fields that only callers of [`super::Values::set_value`] know. Here they are only suggested.
const ELSEWHERE: [&str; 1] = ["onHttpMessage"];

impl ConfigField {
    /// Returns the field with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// Returns the known name that is most like this one.
    pub(super) fn nearest(name: &str) -> &'static str {
        let lower = name.to_lowercase();
        let likeness = |known: &str| strsim::jaro_winkler(&lower, &known.to_lowercase());
        let known = Self::ALL.iter().map(|field| field.name()).chain(ELSEWHERE);
        known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default()
    }

    /// Converts a text (argument, environment) to the kind of value that the field takes. A text that
    /// cannot be converted stays a text, so that the check can name it.
    pub(super) fn value(self, text: &str) -> Value {
        let text = text.trim();
        let number = |text: &str| match serde_json::from_str(text) {
            Ok(number @ Value::Number(_)) => number,
            _ => Value::from(text),
        };
        let parts = || text.split(',').map(str::trim).filter(|_| !text.is_empty());
        match self.kind() {
            FieldKind::Text => Value::from(text),
            FieldKind::Flag => match text {
                "true" | "1" => Value::Bool(true),
                "false" | "0" => Value::Bool(false),
                _ => Value::from(text),
            },
            FieldKind::Number => number(text),
            FieldKind::Numbers => parts().map(number).collect(),
            FieldKind::Texts => parts().map(Value::from).collect(),
        }
    }
}
