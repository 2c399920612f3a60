//! The webhook's own traffic: it is kept out of the capture, or each post would cause another post.
//!
//! The engine learns the addresses that the webhook's name resolves to before the first connection
//! to them, and counts their traffic as our own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sniffer_packet::key::Endpoint;

/// Endpoints of the webhook. The list grows when its name resolves to new addresses.
#[derive(Debug, Default)]
pub(crate) struct SelfTraffic {
    endpoints: Mutex<Vec<Endpoint>>,
    /// Number of endpoints, readable without the lock.
    count: AtomicUsize,
}

impl SelfTraffic {
    fn add(&self, address: SocketAddr) {
        let endpoint = Endpoint::new(address.ip().to_canonical(), address.port());
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
            self.count.store(endpoints.len(), Ordering::Release);
        }
    }

    /// Returns the endpoints after the first `known`.
    pub(crate) fn after(&self, known: usize) -> Vec<Endpoint> {
        if self.count.load(Ordering::Acquire) == known {
            return Vec::new();
        }
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)[known..].to_vec()
    }
}

/// Resolves names as the system does. Remembers the addresses if the webhook's port is watched.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    port: u16,
    own: Option<Arc<SelfTraffic>>,
}

impl Resolver {
    /// A resolver for this URL, with `own` if its port is watched. An address in the URL itself is
    /// never looked up, so it is remembered now.
    pub(crate) fn new(url: &Url, own: Option<Arc<SelfTraffic>>) -> Self {
        let port = url.port_or_known_default().unwrap_or_default();
        let host = url.host_str().unwrap_or_default();
        if let (Some(own), Ok(ip)) = (&own, host.trim_start_matches('[').trim_end_matches(']').parse()) {
            own.add(SocketAddr::new(ip, port));
        }
        Self { port, own }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { port, own } = self.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), port)).await?.collect();
            if let Some(own) = own {
                found.iter().for_each(|&address| own.add(address));
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_remembered_once_before_they_are_used() {
        let own = Arc::new(SelfTraffic::default());
        let resolver = Resolver::new(&"http://localhost:8080/".parse().unwrap(), Some(Arc::clone(&own)));
        assert!(own.after(0).is_empty(), "a name is looked up when it is used");
        let found: Vec<_> = resolver.resolve("localhost".parse().unwrap()).await.unwrap().collect();
        assert_eq!(own.after(0).len(), found.len());
        assert!(own.after(0).iter().all(|endpoint| endpoint.ip.is_loopback() && endpoint.port == 8080));
        let _ = resolver.resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(own.after(found.len()).is_empty());
    }

    #[test]
    fn an_address_in_the_url_is_known_at_once() {
        for (url, ip, port) in [
            ("http://10.0.0.1/x", "10.0.0.1", 80),
            ("https://[2001:db8::1]/", "2001:db8::1", 443),
            ("http://[::ffff:10.0.0.1]:8080/", "10.0.0.1", 8080),
        ] {
            let own = Arc::new(SelfTraffic::default());
            Resolver::new(&url.parse().unwrap(), Some(Arc::clone(&own)));
            assert_eq!(own.after(0), [Endpoint::new(ip.parse().unwrap(), port)], "{url}");
        }
    }
}
