//! One try: the request, its time-out, and the response.
//!
//! The token is sent to the configured host, in the `Authorization` header, and nowhere else:
//! redirects are not followed, no proxy is used, and errors name no URL.

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url, redirect};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;

use super::delivery::{IN_FLIGHT, Post};
use super::own::Resolver;
use crate::config::Token;
use crate::output::envelope::Key;
use crate::output::retry::{Attempt, judge, retry_after};

/// Time-out of a try, from the name look-up to the head of the response.
const TRY: Duration = Duration::from_secs(5);

/// Limits of a response's body, which is read only so that the connection can be reused.
const BODY_TIME: Duration = Duration::from_secs(1);
const BODY_BYTES: usize = 64 << 10;

/// Posts to one URL over persistent connections.
#[derive(Debug)]
pub(crate) struct Client {
    client: reqwest::Client,
    url: Url,
    timeout: Duration,
}

impl Client {
    /// A client for this URL.
    ///
    /// # Errors
    /// TLS is not available: there are no trusted certificates.
    pub(crate) fn new(url: &Url, token: Option<&Token>, resolver: Resolver) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(SCHEMA, HeaderValue::from_static("1"));
        if let Some(token) = token {
            let value = HeaderValue::from_str(&token.authorization());
            let mut value = value.map_err(|_| "the token cannot stand in a header".to_owned())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("sniffer/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .pool_max_idle_per_host(IN_FLIGHT)
            .tcp_nodelay(true)
            .dns_resolver(Arc::new(resolver))
            .tls_backend_preconfigured(tls(url).map_err(|error| error.to_string())?)
            .build()
            .map_err(reason)?;
        Ok(Self { client, url: url.clone(), timeout: TRY })
    }

    /// The same client with another time-out for a try.
    #[cfg(test)]
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

/// Header that marks a request as ours. Its value is the version of the message's schema.
pub(crate) const SCHEMA: &str = "sniffer-schema";

/// Returns a TLS configuration that trusts the system's certificates; for plain http, none.
fn tls(url: &Url) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(match url.scheme() {
        "https" => versions.with_platform_verifier()?.with_no_client_auth(),
        _ => versions.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth(),
    })
}

impl Post for Client {
    async fn post(&self, key: Key, body: Bytes) -> Attempt {
        let request = self.client.post(self.url.clone()).header("idempotency-key", key.to_string()).body(body);
        let response = match tokio::time::timeout(self.timeout, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Attempt::Retry { why: reason(error), after: None },
            Err(_) => {
                let why = format!("no answer within {} s", self.timeout.as_secs_f64());
                return Attempt::Retry { why, after: None };
            }
        };
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|value| retry_after(value, SystemTime::now()));
        let outcome = judge(response.status().as_u16(), after);
        // The outcome is known. A body that hangs or is huge costs only the connection.
        let _ = tokio::time::timeout(BODY_TIME.min(self.timeout), read(response)).await;
        outcome
    }
}

async fn read(mut response: Response) {
    let mut rest = BODY_BYTES;
    while let Ok(Some(chunk)) = response.chunk().await {
        match rest.checked_sub(chunk.len()) {
            Some(less) => rest = less,
            None => return,
        }
    }
}

/// Returns an error with its causes, without the URL: it may hold secrets.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
