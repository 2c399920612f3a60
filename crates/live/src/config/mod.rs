//! The configuration of a live sniffer: read, checked and completed in one place.
//!
//! TypeScript, command line and environment all give [`Values`]. Only [`LiveConfig::new`] makes a
//! configuration of them, so every [`LiveConfig`] is valid. Each error names the field, the value
//! given and the values allowed. This module opens nothing: a start finds out whether an interface
//! exists. Next: [`ConfigField`], the table of fields.

mod fields;
mod secret;
mod values;

use std::time::Duration;

use sniffer_engine::http::is_token;

use reqwest::Url;
use serde_json::Value;

pub use fields::ConfigField;
pub(crate) use secret::Token;
pub use values::Values;
use values::{Given, foreign};

/// Headers whose values are hidden by default.
pub(crate) const REDACTED_BY_DEFAULT: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    pub(crate) ports: Vec<u16>,
    pub(crate) interface: String,
    pub(crate) output_url: Option<Url>,
    pub(crate) output_stdout: bool,
    pub(crate) sample_rate: f64,
    pub(crate) max_body_size: usize,
    pub(crate) max_connections: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) redact_headers: Vec<String>,
    pub(crate) promiscuous: bool,
    pub(crate) buffer_size: i32,
    pub(crate) snaplen: i32,
    pub(crate) drain_timeout: Duration,
    pub(crate) token: Option<Token>,
    pub(crate) placement: Placement,
    /// Valid but doubtful settings, logged at start.
    pub(crate) warnings: Vec<String>,
}

/// Pod and node of this process, from the container's environment. For the log only.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placement {
    pub(crate) pod: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) node: Option<String>,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field, by its name in TypeScript (or `OUTPUT_URL_AUTH_TOKEN`, which is no field).
    pub field: String,
    /// A sentence with the field, the value given and the values allowed.
    pub message: String,
}

impl LiveConfig {
    /// Checks the values and fills in the defaults. `environment` gives what is no field:
    /// `NODE_ENV`, `OUTPUT_URL_AUTH_TOKEN`, and the placement for the log.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn new(values: &Values, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        if let Some(name) = values.values.keys().find(|name| ConfigField::named(name).is_none()) {
            let message = format!("{name} is not a field; did you mean {}?", ConfigField::nearest(name));
            return Err(ConfigError { field: name.clone(), message });
        }
        let mut warnings = Vec::new();
        let given = |field: ConfigField| values.values.get(field.name()).map(|given| Check { field, given });
        let ports = match given(ConfigField::Ports) {
            Some(check) => check.ports(&mut warnings)?,
            None => return Err(missing(ConfigField::Ports)),
        };
        let interface = match given(ConfigField::Interface) {
            Some(check) => check.text()?,
            // Only Linux has a pseudo-interface that stands for all.
            None if cfg!(target_os = "linux") => "any".to_owned(),
            None => return Err(missing(ConfigField::Interface)),
        };
        let production = environment("NODE_ENV").as_deref() == Some("production");
        let output_url = given(ConfigField::OutputUrl).map(|check| check.url(production)).transpose()?;
        let integer = |field, default: u64, least, most| given(field).map_or(Ok(default), |c| c.integer(least, most));
        let small = |field, default| integer(field, default, 1, i32::MAX.unsigned_abs().into());
        let flag = |field| given(field).map_or(Ok(false), |check| check.flag());
        let token = token(environment)?;
        warnings.extend(output_url.as_ref().filter(|_| token.is_some()).and_then(exposed_token));
        let config = Self {
            ports,
            interface,
            output_url,
            output_stdout: flag(ConfigField::OutputStdout)?,
            sample_rate: given(ConfigField::SampleRate).map_or(Ok(1.0), |check| check.fraction())?,
            max_body_size: usize::try_from(integer(ConfigField::MaxBodySize, 1 << 20, 0, u64::MAX)?)
                .unwrap_or(usize::MAX),
            max_connections: usize::try_from(integer(ConfigField::MaxConcurrentConnections, 10_000, 1, u64::MAX)?)
                .unwrap_or(usize::MAX),
            idle_timeout: Duration::from_millis(integer(ConfigField::ConnectionIdleTimeoutMs, 300_000, 1, u64::MAX)?),
            redact_headers: match given(ConfigField::RedactHeaders) {
                Some(check) => check.names()?,
                None => REDACTED_BY_DEFAULT.map(str::to_owned).to_vec(),
            },
            promiscuous: flag(ConfigField::Promiscuous)?,
            buffer_size: i32::try_from(small(ConfigField::BufferSizeBytes, 32 << 20)?).unwrap_or(i32::MAX),
            snaplen: i32::try_from(small(ConfigField::Snaplen, 262_144)?).unwrap_or(i32::MAX),
            drain_timeout: Duration::from_millis(integer(ConfigField::DrainTimeoutMs, 10_000, 1, u64::MAX)?),
            token,
            placement: Placement::new(environment),
            warnings,
        };
        Ok(config)
    }
}

impl Placement {
    fn new(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        Self { pod: environment("POD_NAME"), namespace: environment("NAMESPACE"), node: environment("NODE_NAME") }
    }
}

fn missing(field: ConfigField) -> ConfigError {
    let (name, rule) = (field.name(), field.rule());
    ConfigError { field: name.to_owned(), message: format!("{name} is missing; it must be {rule}") }
}

fn token(environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<Token>, ConfigError> {
    /// The only source of the token: a field would end up in shell histories and manifests.
    const VARIABLE: &str = "OUTPUT_URL_AUTH_TOKEN";
    let Some(text) = environment(VARIABLE) else { return Ok(None) };
    Token::new(&text).map_err(|()| {
        let message = format!("{VARIABLE} holds a character that a header cannot carry; it must be visible ASCII");
        ConfigError { field: VARIABLE.to_owned(), message }
    })
}

/// Returns the warning for a token that goes over plain http to another machine.
fn exposed_token(url: &Url) -> Option<String> {
    (url.scheme() == "http" && !is_loopback(url)).then(|| {
        let host = url.host_str().unwrap_or_default();
        format!("the bearer token goes to {host} over plain http, where others can read it: use https")
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']')) {
        Some("localhost") => true,
        Some(host) => host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// A value, to be checked for its field.
#[derive(Clone, Copy)]
struct Check<'a> {
    field: ConfigField,
    given: &'a Given,
}

impl Check<'_> {
    /// Returns the error for this value, or for a part of it.
    fn wrong(self, part: Option<usize>, got: &str) -> ConfigError {
        self.because(part, got, &format!("it must be {}", self.field.rule()))
    }

    fn because(self, part: Option<usize>, got: &str, why: &str) -> ConfigError {
        let name = self.field.name();
        let place = part.map(|at| format!("[{at}]")).unwrap_or_default();
        let by = self.given.by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
        ConfigError { field: name.to_owned(), message: format!("{name}{place}{by} is {got}; {why}") }
    }

    fn text(self) -> Result<String, ConfigError> {
        match &self.given.value {
            Value::String(text) if !text.is_empty() => Ok(text.clone()),
            other => Err(self.wrong(None, &shown(other))),
        }
    }

    fn flag(self) -> Result<bool, ConfigError> {
        self.given.value.as_bool().ok_or_else(|| self.wrong(None, &shown(&self.given.value)))
    }

    fn integer(self, least: u64, most: u64) -> Result<u64, ConfigError> {
        let found = integer(&self.given.value).filter(|n| (least..=most).contains(n));
        found.ok_or_else(|| self.wrong(None, &shown(&self.given.value)))
    }

    fn fraction(self) -> Result<f64, ConfigError> {
        let found = self.given.value.as_f64().filter(|n| (0.0..=1.0).contains(n));
        found.ok_or_else(|| self.wrong(None, &shown(&self.given.value)))
    }

    fn list(self) -> Result<Vec<Value>, ConfigError> {
        self.given.value.as_array().cloned().ok_or_else(|| self.wrong(None, &shown(&self.given.value)))
    }

    fn ports(self, warnings: &mut Vec<String>) -> Result<Vec<u16>, ConfigError> {
        let mut ports = Vec::new();
        for (at, value) in self.list()?.iter().enumerate() {
            let port = integer(value).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0);
            let port =
                port.ok_or_else(|| self.because(Some(at), &shown(value), "a port is an integer from 1 to 65535"))?;
            if ports.contains(&port) {
                warnings.push(format!("ports names {port} twice; once is enough"));
            } else {
                ports.push(port);
            }
        }
        if ports.is_empty() { Err(self.wrong(None, "empty")) } else { Ok(ports) }
    }

    fn names(self) -> Result<Vec<String>, ConfigError> {
        // A token, RFC 9110 §5.6.2: any other name would silently redact nothing.
        let name = |(at, value): (usize, &Value)| match value {
            Value::String(name) if is_token(name.as_bytes()) => Ok(name.to_ascii_lowercase()),
            other => {
                Err(self.because(Some(at), &shown(other), "it must be the name of a header, such as authorization"))
            }
        };
        self.list()?.iter().enumerate().map(name).collect()
    }

    fn url(self, production: bool) -> Result<Url, ConfigError> {
        let text = self.text()?;
        let got = shown(&Value::from(text.as_str()));
        let url = Url::parse(&text).map_err(|_| self.wrong(None, &got))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(self.wrong(None, &got));
        }
        // The error does not repeat the value, because it holds a secret.
        if !url.username().is_empty() || url.password().is_some() {
            let why = "a token belongs into the environment variable OUTPUT_URL_AUTH_TOKEN";
            return Err(self.because(None, "a URL with a user name or password", why));
        }
        if production && url.scheme() != "https" {
            return Err(self.because(None, &got, "it must be an https URL where NODE_ENV is production"));
        }
        Ok(url)
    }
}

/// Returns a value as an integer that is not negative. JavaScript's 8080.0 is one.
fn integer(value: &Value) -> Option<u64> {
    /// A double represents every integer up to here.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..=EXACT).contains(n))?;
        Some(number as u64)
    })
}

/// Returns a value for an error: as JSON, cut to a length that fits into a sentence.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = foreign(value).map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
