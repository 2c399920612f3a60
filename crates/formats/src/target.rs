//! Parts of a request-target: host, port and path (RFC 9112 §3.2).

use sniffer_engine::message::Message;

/// Where a request was meant to go: the authority of an absolute target, else the Host field (RFC 9112 §3.2).
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

/// `a.test:80` and `[::1]:80` without the port.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { authority }
        }
        _ => authority,
    }
}

/// Path and query of a request-target; of an absolute one (to a proxy), what stands behind its authority.
pub fn path_of(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => match rest.find(['/', '?']) {
            Some(at) => &rest[at..],
            None => "/",
        },
        _ => target,
    }
}
