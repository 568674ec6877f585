//! Parsing of the target of a probe.

use std::net::IpAddr;
use std::str::FromStr;

use super::near::nearest;
use super::{Hostname, Protocol};

/// A host, a port and a protocol as the user wrote them: `host`, `host:port`, `[v6]:port` or a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The requested name.
    pub hostname: Hostname,
    /// The port, if it is written or the URL's scheme has one.
    pub port: Option<u16>,
    /// The protocol, if the URL's scheme gives one.
    pub protocol: Option<Protocol>,
}

/// The scheme of direct TLS at a port that must be given.
const SCHEME_OF_ANY_PORT: &str = "tls";

impl FromStr for Place {
    type Err = String;

    /// Parses user input. The error describes the fault, and suggests a correction.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|why| match (meant(text), text.split_once("://")) {
            (Some(meant), Some((scheme, _))) => {
                let is_plain = Protocol::inside_tls(&scheme.to_ascii_lowercase()).is_some();
                let what = if is_plain {
                    format!("`{scheme}` has no TLS")
                } else {
                    format!("unsupported scheme `{scheme}`")
                };
                format!("{what}; did you mean `{meant}`?")
            }
            (Some(meant), None) => format!("{why}; did you mean `{meant}`?"),
            (None, _) => why,
        })
    }
}

impl Place {
    fn read(text: &str) -> Result<Self, String> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let scheme = scheme.to_ascii_lowercase();
            let (protocol, usual_port) = match scheme.as_str() {
                SCHEME_OF_ANY_PORT => (Protocol::default(), None),
                other => Protocol::of_scheme(other).map(|(p, port)| (p, Some(port)))?,
            };
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            if authority.contains('@') {
                return Err(format!(
                    "`{text}` contains a user name or password; remove it"
                ));
            }
            let (hostname, port) = host_and_port(authority)?;
            let port = port.or(usual_port);
            if port.is_none() {
                return Err(format!("`{text}` has no port; write {scheme}://host:port"));
            }
            return Ok(Self {
                hostname,
                port,
                protocol: Some(protocol),
            });
        }
        if text.contains('/') {
            return Err(format!(
                "`{text}` is not a target; write host, host:port, [IPv6]:port or a URL with its scheme"
            ));
        }
        let (hostname, port) = host_and_port(text)?;
        Ok(Self {
            hostname,
            port,
            protocol: None,
        })
    }
}

/// Returns a suggestion for text that is not a target. The suggestion is a valid target.
fn meant(text: &str) -> Option<String> {
    let schemes = || Protocol::schemes().chain([SCHEME_OF_ANY_PORT]);
    let scheme = |word: &str| {
        let near = || nearest(word, schemes()).first().copied();
        Protocol::inside_tls(word).or_else(near)
    };
    // htps://host, smtp//host, https:/host, smtp:host
    let of_scheme = || {
        let end = text.find([':', '/'])?;
        let (word, rest) = text.split_at(end);
        let rest = rest.trim_start_matches([':', '/']);
        let word = word.to_ascii_lowercase();
        if Protocol::is_known_unsupported(&word) {
            return None;
        }
        Some(format!("{}://{rest}", scheme(&word)?))
    };
    // host:imap
    let of_port = || {
        let (host, word) = text.rsplit_once(':')?;
        Some(format!("{}://{host}", scheme(word)?))
    };
    // host/path
    let of_host = || Some(text.split_once('/')?.0.to_owned());
    let is_target = |meant: &String| meant != text && Place::read(meant).is_ok();
    let candidates = [of_scheme(), of_port(), of_host()];
    candidates.into_iter().flatten().find(is_target)
}

fn host_and_port(text: &str) -> Result<(Hostname, Option<u16>), String> {
    // A bare IPv6 address contains colons, and has no port.
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok((Hostname::Ip(ip), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
        _ => (text, None),
    };
    if host.contains(':') && !host.starts_with('[') {
        return Err(format!(
            "`{text}` is ambiguous; write an IPv6 address with a port as [address]:port"
        ));
    }
    Ok((host.parse()?, port))
}

/// Parses a port, 1 to 65535.
pub fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("`{text}` is not a port; write 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> (String, Option<u16>) {
        let place: Place = text.parse().unwrap();
        (place.hostname.to_string(), place.port)
    }

    #[test]
    fn targets_are_read_as_people_write_them() {
        assert_eq!(place("Example.COM."), ("example.com".into(), None));
        assert_eq!(
            place("example.com:8443"),
            ("example.com".into(), Some(8443))
        );
        assert_eq!(
            place("https://example.com/a?b"),
            ("example.com".into(), Some(443))
        );
        assert_eq!(
            place("https://example.com:444"),
            ("example.com".into(), Some(444))
        );
        assert_eq!(
            place("submission://example.com"),
            ("example.com".into(), Some(587))
        );
        assert_eq!(place("tls://[::1]:7"), ("::1".into(), Some(7)));
        assert_eq!(place("h3://example.com"), ("example.com".into(), Some(443)));
        let h3: Place = "H3://[::1]:8443".parse().unwrap();
        assert_eq!((h3.port, h3.protocol), (Some(8443), Some(Protocol::H3)));
        assert_eq!(place("192.0.2.1:1"), ("192.0.2.1".into(), Some(1)));
        assert_eq!(place("2001:db8::1"), ("2001:db8::1".into(), None));
        assert_eq!(place("[2001:db8::1]"), ("2001:db8::1".into(), None));
        assert_eq!(
            place("[2001:db8::1]:993"),
            ("2001:db8::1".into(), Some(993))
        );
        assert_eq!(
            place("bücher.example"),
            ("xn--bcher-kva.example".into(), None)
        );
        assert_eq!(place("_srv.example.com"), ("_srv.example.com".into(), None));
    }

    #[test]
    fn bad_targets_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("example.com:0", "not a port"),
            ("example.com:65536", "not a port"),
            ("example.com:", "not a port"),
            ("gopher://example.com", "unsupported"),
            ("mongodb+srv://example.com", "srv:_mongodb._tcp"),
            ("tcp://example.com:1", "write tls://"),
            ("tls://example.com", "no port"),
            ("https://user:pw@example.com", "remove it"),
            ("example.com/path", "not a target"),
            ("[::1", "bracket"),
            ("[192.0.2.1]:443", "not an IPv6"),
            ("*.example.com", "wildcard"),
            ("exa mple.com", "cannot contain"),
            ("a..example.com", "each label"),
            ("127.1", "neither"),
            ("2001:db8::1:x:443", "write an IPv6"),
        ] {
            let error = text.parse::<Place>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn what_was_meant_is_said() {
        for (text, meant) in [
            ("example.com:imap", "imap://example.com"),
            ("example.com:https", "https://example.com"),
            ("[::1]:imaps", "imaps://[::1]"),
            ("smtp//mail.example.com", "smtp://mail.example.com"),
            ("smtp:mail.example.com", "smtp://mail.example.com"),
            ("https:/example.com:8443/x", "https://example.com:8443/x"),
            ("htps://example.com", "https://example.com"),
            ("http://example.com", "https://example.com"),
            ("imapss://example.com:144", "imaps://example.com:144"),
            (
                "redis://cache.example:6379/0",
                "rediss://cache.example:6379/0",
            ),
            ("WS://example.com/chat", "wss://example.com/chat"),
            ("mqtt://example.com", "mqtts://example.com"),
            ("amqp://example.com", "amqps://example.com"),
            ("example.com/path", "example.com"),
            ("example.com:443/path", "example.com:443"),
        ] {
            let error = text.parse::<Place>().unwrap_err();
            let end = format!("did you mean `{meant}`?");
            assert!(error.ends_with(&end), "{text}: {error}");
        }
        for text in [
            "gopher://example.com",
            "example.com:99999",
            "",
            "//",
            ":",
            "a:b:c/",
            "mongodb+srv://example.com",
            "ssh://example.com",
        ] {
            let error = text.parse::<Place>().unwrap_err();
            assert!(!error.contains("did you mean"), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_meant_is_a_target(text in "[a-z:/.\\[\\]0-9@?-]{0,24}") {
            if let Some(meant) = meant(&text) {
                meant.parse::<Place>().unwrap();
            }
        }
    }
}
