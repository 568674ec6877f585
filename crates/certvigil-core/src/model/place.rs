//! Parsing of the target of a probe.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::near::nearest;
use super::userinfo::{userinfo, without_userinfo};
use super::{Hostname, Protocol};

/// A host, a port and a protocol as the user wrote them: `host`, `host:port`, `[v6]:port` or a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The requested name.
    pub hostname: Hostname,
    /// The zone of a link-local address (RFC 4007): a network interface, by name or index.
    pub zone: Option<String>,
    /// The port, if it is written or the URL's scheme has one.
    pub port: Option<u16>,
    /// The protocol, if the URL's scheme gives one.
    pub protocol: Option<Protocol>,
}

/// The scheme of direct TLS at a port that must be given.
const SCHEME_OF_ANY_PORT: &str = "tls";

/// Maximum targets in a suggestion.
const MAX_SUGGESTED: usize = 4;

impl FromStr for Place {
    type Err = String;

    /// Parses user input. White space around it is ignored. The error describes the fault, suggests
    /// a correction, and never repeats a user name or password.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim_matches(is_blank);
        if userinfo(text).is_some() {
            return Err(with_userinfo(text));
        }
        Self::read(text).map_err(|why| match (meant(text), text.split_once("://")) {
            (Some(meant), Some((scheme, _))) if Protocol::of_scheme(scheme).is_err() => {
                let is_plain = Protocol::inside_tls(&scheme.to_ascii_lowercase()).is_some();
                let what = if is_plain {
                    format!("`{scheme}` has no TLS")
                } else {
                    format!("unsupported scheme `{scheme}`")
                };
                format!("{what}; did you mean `{meant}`?")
            }
            (Some(meant), _) => format!("{why}; did you mean `{meant}`?"),
            (None, _) => why,
        })
    }
}

/// Returns true for white space, and for the byte order mark of a file.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// Returns the error for a target with a user name or password, neither of which it repeats.
fn with_userinfo(text: &str) -> String {
    let shown = without_userinfo(text);
    let what = format!("`{shown}` contains a user name or password; remove it");
    let (before, after) = shown.split_once("***@").unwrap_or(("", &shown));
    let plain = format!("{before}{after}");
    let is_target = |meant: &&String| Place::read(meant).is_ok();
    match Some(plain.clone())
        .filter(|plain| is_target(&plain))
        .or_else(|| meant(&plain))
    {
        Some(meant) => format!("{what}; did you mean `{meant}`?"),
        None => what,
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
            // A URL may have an empty port, which means the default (RFC 3986, section 3.2.3).
            let authority = authority.strip_suffix(':').unwrap_or(authority);
            if authority.is_empty() {
                return Err(format!("`{text}` has no host; write {scheme}://host"));
            }
            let (hostname, zone, port) = host_and_port(authority)?;
            let port = port.or(usual_port);
            if port.is_none() {
                return Err(format!("`{text}` has no port; write {scheme}://host:port"));
            }
            return Ok(Self {
                hostname,
                zone,
                port,
                protocol: Some(protocol),
            });
        }
        if let Some(separator) = text.chars().find(|c| matches!(c, ',' | ';')) {
            return Err(format!(
                "`{text}` contains a {}; separate targets by spaces",
                if separator == ',' {
                    "comma"
                } else {
                    "semicolon"
                }
            ));
        }
        if text.contains(char::is_whitespace) {
            return Err(format!(
                "`{text}` contains white space; write each target as an argument, or as a line, of its own"
            ));
        }
        if text.contains(['/', '\\']) {
            return Err(format!(
                "`{text}` is not a target; write host, host:port, [IPv6]:port or a URL with its scheme"
            ));
        }
        let (hostname, zone, port) = host_and_port(text)?;
        Ok(Self {
            hostname,
            zone,
            port,
            protocol: None,
        })
    }
}

/// Returns a suggestion for text that is not a target. The suggestion is a valid target, or several
/// that are separated by spaces.
fn meant(text: &str) -> Option<String> {
    let schemes = || Protocol::schemes().chain([SCHEME_OF_ANY_PORT]);
    let scheme = |word: &str| {
        let near = || nearest(word, schemes()).first().copied();
        Protocol::inside_tls(word).or_else(near)
    };
    // htps://host, smtp//host, https:/host, https:\\host, smtp:host
    let of_scheme = || {
        let end = text.find([':', '/', '\\'])?;
        let (word, rest) = text.split_at(end);
        let word = word.to_ascii_lowercase();
        if Protocol::is_known_unsupported(&word) {
            return None;
        }
        let rest = rest
            .trim_start_matches([':', '/', '\\'])
            .trim_end_matches('\\');
        // The port of plain HTTP has no TLS.
        let rest = match rest.trim_end_matches('/').strip_suffix(":80") {
            Some(host) if word == "http" => host,
            _ => rest,
        };
        Some(format!("{}://{rest}", scheme(&word)?))
    };
    // host:imap
    let of_port = || {
        let (host, word) = text.rsplit_once(':')?;
        Some(format!("{}://{host}", scheme(word)?))
    };
    // host/path, host:
    let of_host = || {
        let host = text.split(['/', '\\']).next()?;
        let is_whole = host == text;
        Some(
            if is_whole {
                host.trim_end_matches(':')
            } else {
                host
            }
            .to_owned(),
        )
    };
    // "host", <host>
    let unquoted = || {
        Some(
            text.trim_matches(['"', '\'', '`', '<', '>', '(', ')'])
                .to_owned(),
        )
    };
    // host 443
    let of_words = || {
        let (host, port) = text.split_once(char::is_whitespace)?;
        Some(format!("{host}:{}", parse_port(port.trim()).ok()?))
    };
    let is_target = |meant: &String| meant != text && Place::read(meant).is_ok();
    let candidates = [of_scheme(), of_port(), of_host(), unquoted(), of_words()];
    let one = candidates.into_iter().flatten().find(is_target);
    // host,host
    let several = || {
        let words = text.split([',', ';']).flat_map(str::split_whitespace);
        let words: Vec<&str> = words.take(MAX_SUGGESTED).collect();
        let is_list = words.len() > 1 && words.iter().all(|word| Place::read(word).is_ok());
        is_list.then(|| words.join(" "))
    };
    one.or_else(several)
}

fn host_and_port(text: &str) -> Result<(Hostname, Option<String>, Option<u16>), String> {
    // A bare IPv6 address contains colons, and has no port.
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok((Hostname::Ip(ip), None, None));
    }
    if let Some((ip, zone)) = zoned(text)? {
        return Ok((ip, Some(zone), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.contains(':') && !host.starts_with('[') {
        return Err(format!(
            "`{text}` is ambiguous; write an IPv6 address with a port as [address]:port"
        ));
    }
    let port = match port {
        Some("") => {
            return Err(format!(
                "`{text}` has an empty port; write 1 to 65535 after the colon, or remove it: `` is not a port"
            ));
        }
        port => port.map(parse_port).transpose()?,
    };
    if host.is_empty() && port.is_some() {
        return Err(format!(
            "`{text}` has no host; write host{text}: the host name is empty"
        ));
    }
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Some((ip, zone)) = inner.map(zoned).transpose()?.flatten() {
        return Ok((ip, Some(zone), port));
    }
    Ok((host.parse()?, None, port))
}

/// Parses a link-local address with its zone: `fe80::1%eth0` (RFC 4007, section 11), or
/// `fe80::1%25eth0` as in a URL (RFC 6874). Returns `None` for text without an address and a zone.
fn zoned(text: &str) -> Result<Option<(Hostname, String)>, String> {
    let Some((address, zone)) = text.split_once('%') else {
        return Ok(None);
    };
    let Ok(ip) = address.parse::<Ipv6Addr>() else {
        return Ok(None);
    };
    // A zone that is itself `25` is not escaped.
    let zone = zone
        .strip_prefix("25")
        .filter(|zone| !zone.is_empty())
        .unwrap_or(zone);
    if zone.is_empty()
        || !zone
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '/' | ':' | '[' | ']'))
    {
        return Err(format!(
            "`{text}`: the zone identifier after `%` is not a network interface; write it as in fe80::1%eth0"
        ));
    }
    if !ip.is_unicast_link_local() {
        return Err(format!(
            "`{text}` has a zone identifier, which only link-local addresses (fe80::/10) have; remove `%{zone}`"
        ));
    }
    Ok(Some((Hostname::Ip(ip.into()), zone.to_owned())))
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
        for odd in [
            "foo-.example",
            "-foo.example",
            "r3---sn.example",
            "xn--a.example",
            "xn--.example",
        ] {
            assert_eq!(place(odd), (odd.into(), None));
        }
        for blank in ["a.example:1\r", "\u{feff}a.example:1", " a.example:1\t\n"] {
            assert_eq!(place(blank), ("a.example".into(), Some(1)));
        }
        assert_eq!(
            place("https://a.example:/"),
            ("a.example".into(), Some(443))
        );
        assert_eq!(place("https://[::1]:?q"), ("::1".into(), Some(443)));
    }

    #[test]
    fn a_link_local_address_has_its_zone() {
        for (text, zone, port) in [
            ("fe80::1%eth0", "eth0", None),
            ("fe80::1%2", "2", None),
            ("fe80::1%25", "25", None),
            ("[fe80::1%eth0]:443", "eth0", Some(443)),
            ("[fe80::1%25eth0]:443", "eth0", Some(443)),
            ("imaps://[fe80::1%25br-lan.7]/", "br-lan.7", Some(993)),
        ] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.hostname.to_string(), "fe80::1", "{text}");
            assert_eq!(
                (place.zone.as_deref(), place.port),
                (Some(zone), port),
                "{text}"
            );
        }
        for (text, says) in [
            ("2001:db8::1%eth0", "only link-local"),
            ("fe80::1%", "not a network interface"),
            ("a%b.example", "cannot contain"),
        ] {
            let error = text.parse::<Place>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_user_name_and_password_are_never_repeated() {
        for (text, meant) in [
            ("https://u:secret@a.example/", "https://a.example/"),
            ("https//u:secret@a.example", "https://a.example"),
            ("htps://u:secret@a.example", "https://a.example"),
            ("u:secret@a.example", "a.example"),
            ("secret@a.example:443", "a.example:443"),
            ("https://u:se/secret@a.example", "https://a.example"),
        ] {
            let error = text.parse::<Place>().unwrap_err();
            assert!(!error.contains("secret"), "{text}: {error}");
            assert!(error.contains("remove it"), "{text}: {error}");
            assert!(
                error.ends_with(&format!("did you mean `{meant}`?")),
                "{text}: {error}"
            );
        }
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
            ("exa mple.com", "white space"),
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
            ("https:\\\\example.com\\", "https://example.com"),
            ("a.example:443,b.example:443", "a.example:443 b.example:443"),
            ("a.example; b.example", "a.example b.example"),
            ("a.example b.example", "a.example b.example"),
            ("a.example 8443", "a.example:8443"),
            ("a.example:", "a.example"),
            ("http://a.example:80/", "https://a.example"),
            ("\"a.example\"", "a.example"),
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
