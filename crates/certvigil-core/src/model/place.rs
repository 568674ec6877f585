//! Parsing of the target of a probe.

mod error;

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::near::nearest;
use super::userinfo::{userinfo, without_userinfo};
use super::{Hostname, Protocol};

pub use error::{PortError, TargetError, TargetFault};

/// A host, a port and a protocol as the user wrote them: `host`, `host:port`, `[v6]:port` or a URL.
///
/// ```
/// use certvigil_core::model::{Protocol, TargetAddress, TargetError};
///
/// let target: TargetAddress = "imaps://mail.example.com".parse()?;
/// assert_eq!((target.port, target.protocol), (Some(993), Some(Protocol::Imaps)));
/// let error = "htps://example.com".parse::<TargetAddress>().unwrap_err();
/// assert_eq!(error.suggestion.as_deref(), Some("https://example.com"));
/// # Ok::<(), TargetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetAddress {
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

impl FromStr for TargetAddress {
    type Err = TargetError;

    /// Parses user input. White space around it is ignored. The error describes the fault, suggests
    /// a correction, and never repeats a user name or password.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let text = text.trim_matches(is_blank);
        if userinfo(text).is_some() {
            return Err(with_userinfo(text));
        }
        Self::read(text).map_err(|fault| {
            let suggestion = meant(text).filter(|meant| meant != text);
            let fault = match text.split_once("://") {
                Some((scheme, _)) if suggestion.is_some() => of_unsupported(scheme, fault),
                _ => fault,
            };
            TargetError { fault, suggestion }
        })
    }
}

/// Returns the fault of a target with a scheme, without the advice that a suggestion replaces.
fn of_unsupported(scheme: &str, fault: TargetFault) -> TargetFault {
    if Protocol::of_scheme(scheme).is_ok() {
        return fault;
    }
    let is_plain = Protocol::inside_tls(&scheme.to_ascii_lowercase()).is_some();
    let scheme = scheme.to_owned();
    if is_plain {
        TargetFault::SchemeWithoutTls { scheme }
    } else {
        TargetFault::UnsupportedScheme { scheme }
    }
}

/// Returns true for white space, and for the byte order mark of a file.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// Returns the error for a target with a user name or password, neither of which it repeats.
fn with_userinfo(text: &str) -> TargetError {
    let shown = without_userinfo(text);
    let (before, after) = shown.split_once("***@").unwrap_or(("", &shown));
    let plain = format!("{before}{after}");
    let suggestion = match TargetAddress::read(&plain) {
        Ok(_) => Some(plain),
        Err(_) => meant(&plain),
    };
    TargetError {
        fault: TargetFault::Userinfo {
            shown: shown.into(),
        },
        suggestion,
    }
}

impl TargetAddress {
    fn read(text: &str) -> Result<Self, TargetFault> {
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
                return Err(TargetFault::NoHost {
                    text: text.to_owned(),
                    scheme,
                });
            }
            let (hostname, zone, port) = host_and_port(authority)?;
            let port = port.or(usual_port);
            if port.is_none() {
                return Err(TargetFault::NoPort {
                    text: text.to_owned(),
                    scheme,
                });
            }
            return Ok(Self {
                hostname,
                zone,
                port,
                protocol: Some(protocol),
            });
        }
        if let Some(separator) = text.chars().find(|c| matches!(c, ',' | ';')) {
            return Err(TargetFault::Separator {
                text: text.to_owned(),
                separator,
            });
        }
        if text.contains(char::is_whitespace) {
            return Err(TargetFault::WhiteSpace {
                text: text.to_owned(),
            });
        }
        if text.contains(['/', '\\']) {
            return Err(TargetFault::Syntax {
                text: text.to_owned(),
            });
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
    let is_valid = |text: &str| userinfo(text).is_none() && TargetAddress::read(text).is_ok();
    let is_target = |meant: &String| meant != text && is_valid(meant);
    let candidates = [of_scheme(), of_port(), of_host(), unquoted(), of_words()];
    let one = candidates.into_iter().flatten().find(is_target);
    // host,host
    let several = || {
        let words = text.split([',', ';']).flat_map(str::split_whitespace);
        let words: Vec<&str> = words.take(MAX_SUGGESTED).collect();
        let is_list = words.len() > 1 && words.iter().all(|word| is_valid(word));
        is_list.then(|| words.join(" "))
    };
    one.or_else(several)
}

fn host_and_port(text: &str) -> Result<(Hostname, Option<String>, Option<u16>), TargetFault> {
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
        return Err(TargetFault::Ambiguous {
            text: text.to_owned(),
        });
    }
    let port = match port {
        Some("") => {
            return Err(TargetFault::EmptyPort {
                text: text.to_owned(),
            });
        }
        port => port.map(parse_port).transpose()?,
    };
    if host.is_empty() && port.is_some() {
        return Err(TargetFault::PortAlone {
            text: text.to_owned(),
        });
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
fn zoned(text: &str) -> Result<Option<(Hostname, String)>, TargetFault> {
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
        return Err(TargetFault::ZoneIdentifier {
            text: text.to_owned(),
        });
    }
    if !ip.is_unicast_link_local() {
        return Err(TargetFault::NotLinkLocal {
            text: text.to_owned(),
            zone: zone.to_owned(),
        });
    }
    Ok(Some((Hostname::Ip(ip.into()), zone.to_owned())))
}

/// Parses a port, 1 to 65535.
///
/// # Errors
/// Returns an error for other text.
pub fn parse_port(text: &str) -> Result<u16, PortError> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(PortError {
            text: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
