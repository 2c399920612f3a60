//! The parts of a request-target: host, port and path (RFC 9112 §3.2).

use sniffer_engine::message::Message;

/// Returns the host a request is for: the authority of its target, else the Host field
/// (RFC 9112 §3.2).
pub fn host_of(request: &Message) -> Option<&str> {
    let target = request.target()?;
    if let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) {
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        return Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
    }
    if request.method() == Some("CONNECT") {
        return Some(target);
    }
    request.fields().values("host").next()
}

/// Removes the port of `a.test:80` or `[::1]:80`.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { authority }
        }
        _ => authority,
    }
}

/// Returns path and query of a request-target, also of an absolute one, as sent to a proxy.
pub fn path_of(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => match rest.find(['/', '?']) {
            Some(at) => &rest[at..],
            None => "/",
        },
        _ => target,
    }
}
