//! Detection of requests that a page of another site made a browser send (cross-site request
//! forgery).

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};

/// Relation between the page that sent a request and this server, as browsers report it (Fetch
/// Metadata, section 2.3). Scripts cannot set it.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Returns true if a browser sent the request for a page of another site.
///
/// `Sec-Fetch-Site` decides if it is present. Otherwise, `Origin` must have the host and port of
/// `Host`. The scheme is ignored, because a proxy in front may speak TLS. Clients that send neither
/// header, such as curl, are not browsers.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let mut origins = headers.get_all(ORIGIN).iter();
    origins.any(|origin| {
        let origin = origin.to_str().ok().and_then(Authority::of_origin);
        let (Some(origin), Some(host)) = (origin, host) else {
            return true;
        };
        origin != Authority::of_host(host, origin.default_port)
    })
}

/// Host and port.
struct Authority<'a> {
    host: &'a str,
    port: &'a str,
    /// Default port of the scheme.
    default_port: &'static str,
}

impl PartialEq for Authority<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.port == other.port
    }
}

impl<'a> Authority<'a> {
    /// Parses `https://host:port`. Returns `None` for `null` and other schemes, which cannot be
    /// this server's origin.
    fn of_origin(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        match scheme {
            "http" => Some(Self::of_host(authority, "80")),
            "https" => Some(Self::of_host(authority, "443")),
            _ => None,
        }
    }

    fn of_host(authority: &'a str, default_port: &'static str) -> Self {
        let (host, port) = split_port(authority);
        Self {
            host,
            port: port.unwrap_or(default_port),
            default_port,
        }
    }
}

/// Splits `host:port` and `[::1]:port`. A missing or empty port is `None` (RFC 3986, section
/// 3.2.3).
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // The colons of a bare IPv6 address do not separate a port.
            if host.contains(':') && !host.ends_with(']') {
                return (authority, None);
            }
            (host, Some(port).filter(|port| !port.is_empty()))
        }
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn is_refused(headers: &[(&str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        });
        is_cross_site(&headers.collect())
    }

    #[test]
    fn request_without_browser_headers_is_allowed() {
        assert!(!is_refused(&[]));
        assert!(!is_refused(&[("host", "monitor:10843")]));
    }

    #[test]
    fn sec_fetch_site_header_decides() {
        let host = ("host", "monitor:10843");
        let own = ("origin", "http://monitor:10843");
        let other = ("origin", "https://evil.example");
        for site in ["same-origin", "none"] {
            // A proxy in front may change `Host`.
            assert!(!is_refused(&[host, other, ("sec-fetch-site", site)]));
        }
        for site in ["cross-site", "same-site", "", "same-origin, cross-site"] {
            assert!(is_refused(&[host, own, ("sec-fetch-site", site)]), "{site}");
        }
        let twice = [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "cross-site"),
        ];
        let headers = twice.map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        });
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name, value);
        }
        assert!(is_cross_site(&all));
    }

    #[test]
    fn origin_must_match_the_host_without_sec_fetch_site() {
        for (host, origin) in [
            ("monitor:10843", "http://monitor:10843"),
            ("Monitor:10843", "https://monitor:10843"),
            ("monitor", "https://monitor"),
            ("monitor:443", "https://monitor"),
            ("monitor", "http://monitor:80"),
            ("[::1]:10843", "http://[::1]:10843"),
            ("[::1]", "http://[::1]"),
        ] {
            let headers = [("host", host), ("origin", origin)];
            assert!(!is_refused(&headers), "{host} {origin}");
        }
        for (host, origin) in [
            ("monitor:10843", "https://evil.example"),
            ("monitor:10843", "http://monitor:8080"),
            ("monitor:10843", "http://monitor:10843.evil.example"),
            ("monitor", "https://monitor:80"),
            ("monitor", "null"),
            ("monitor", "file://monitor"),
            ("monitor", "monitor"),
            ("monitor", ""),
        ] {
            let headers = [("host", host), ("origin", origin)];
            assert!(is_refused(&headers), "{host} {origin}");
        }
        assert!(is_refused(&[("origin", "http://monitor")]));
    }
}
