//! The fields of a configuration: their names, their environment variables, what a text stands for, and the rule.
//!
//! One table for TypeScript, command line and environment. It checks nothing itself. Next: [`super`], which does.

use serde_json::Value;

/// What kind of value a field takes; decides how a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    Text,
    Flag,
    Number,
    /// Comma-separated as a text.
    Numbers,
    /// Comma-separated as a text.
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
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name, as in TypeScript.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Its environment variable.
            pub const fn variable(self) -> &'static str {
                match self { $(Self::$variant => $variable,)+ }
            }

            /// What it must be, to follow "must be".
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
    /// Where to capture.
    Interface = "interface", "INTERFACE", Text, "the name of an interface";
    /// The webhook.
    OutputUrl = "outputUrl", "OUTPUT_URL", Text, "an http or https URL";
    /// JSON lines.
    OutputStdout = "outputStdout", "OUTPUT_STDOUT", Flag, "true or false";
    /// Fraction of connections.
    SampleRate = "sampleRate", "SAMPLE_RATE", Number, "a number from 0 to 1";
    /// Bytes of a body to keep.
    MaxBodySize = "maxBodySize", "MAX_BODY_SIZE", Number, "an integer, 0 or more";
    /// Connections tracked at once.
    MaxConcurrentConnections = "maxConcurrentConnections", "MAX_CONCURRENT_CONNECTIONS", Number, "an integer, 1 or more";
    /// When a connection is given up.
    ConnectionIdleTimeoutMs = "connectionIdleTimeoutMs", "CONNECTION_IDLE_TIMEOUT_MS", Number, "an integer, 1 or more";
    /// Headers whose values are not shown.
    RedactHeaders = "redactHeaders", "REDACT_HEADERS", Texts, "a list of header names";
    /// Frames for others too.
    Promiscuous = "promiscuous", "PROMISCUOUS", Flag, "true or false";
    /// The kernel's buffer.
    BufferSizeBytes = "bufferSizeBytes", "BUFFER_SIZE_BYTES", Number, "an integer from 1 to 2147483647";
    /// Bytes of a packet to capture.
    Snaplen = "snaplen", "SNAPLEN", Number, "an integer from 1 to 2147483647";
    /// How long outputs may take at the end.
    DrainTimeoutMs = "drainTimeoutMs", "DRAIN_TIMEOUT_MS", Number, "an integer, 1 or more";
}

/// Known to [`super::Values::set_value`]'s callers and not to us; only ever suggested.
const ELSEWHERE: [&str; 1] = ["onHttpMessage"];

impl ConfigField {
    /// The field with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// The known name that is most like this one.
    pub(super) fn nearest(name: &str) -> &'static str {
        let lower = name.to_lowercase();
        let likeness = |known: &str| strsim::jaro_winkler(&lower, &known.to_lowercase());
        let known = Self::ALL.iter().map(|field| field.name()).chain(ELSEWHERE);
        known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default()
    }

    /// A text (argument, environment) as the value it stands for. What it does not stand for stays a text, so that the
    /// check can name it.
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
