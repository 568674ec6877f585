//! Allowed host names of requests. A page of another site can make its own name resolve to this
//! server (DNS rebinding), and then has the same origin. Its requests still contain that name in
//! `Host`.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::{HeaderMap, Uri};

use super::cross_site::split_port;

/// Host names that are allowed in addition to IP addresses and `localhost`.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowedHosts {
    /// Names in lower case. Empty allows all names.
    names: Vec<String>,
}

impl AllowedHosts {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| normal(&name));
        Self {
            names: names.collect(),
        }
    }

    /// Returns true if every host that a request names is allowed. Clients that send no host are
    /// not browsers.
    pub(super) fn allow(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        if self.names.is_empty() {
            return true;
        }
        let of_uri = uri
            .authority()
            .map(|authority| authority.as_str().as_bytes());
        let of_headers = headers.get_all(HOST).iter().map(|host| host.as_bytes());
        let mut hosts = of_uri.into_iter().chain(of_headers);
        hosts.all(|host| std::str::from_utf8(host).is_ok_and(|host| self.allows(host)))
    }

    fn allows(&self, authority: &str) -> bool {
        let (host, _) = split_port(authority);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        // DNS cannot change the meaning of an IP address, nor of `localhost` in browsers.
        if bare.unwrap_or(host).parse::<IpAddr>().is_ok() {
            return true;
        }
        let host = normal(host);
        host == "localhost" || self.names.contains(&host)
    }
}

/// Returns a name in the form for comparison: lower case, without the root's dot.
fn normal(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(names: &[&str], uri: &str, hosts: &[&str]) -> bool {
        let allowed = AllowedHosts::new(names.iter().map(|name| (*name).to_owned()));
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        allowed.allow(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn without_names_every_host_is_allowed() {
        assert!(allows(&[], "/", &["evil.example"]));
        assert!(allows(&[], "http://evil.example/", &[]));
    }

    #[test]
    fn only_named_hosts_addresses_and_localhost_are_allowed() {
        let names = ["Monitor.example."];
        for host in [
            "monitor.example",
            "MONITOR.example:10843",
            "monitor.example.",
            "127.0.0.1:10843",
            "[::1]:10843",
            "[::1]",
            "localhost:10843",
        ] {
            assert!(allows(&names, "/", &[host]), "{host}");
        }
        for host in [
            "evil.example",
            "monitor.example.evil.example",
            "evil.monitor.example",
            "127.0.0.1.evil.example:10843",
            "localhost.evil.example",
            "",
            "user@monitor.example",
            "monitor.example:port",
        ] {
            assert!(!allows(&names, "/", &[host]), "{host}");
        }
        assert!(allows(&names, "/", &[]));
        assert!(!allows(&names, "/", &["monitor.example", "evil.example"]));
        assert!(!allows(
            &names,
            "http://evil.example/",
            &["monitor.example"]
        ));
    }
}
