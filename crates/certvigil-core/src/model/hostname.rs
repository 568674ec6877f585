//! Host names: DNS names, IP addresses and paths of files.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A name or an address for which a certificate is requested. It is sent as SNI and matched against
/// the certificate's subject alternative names.
///
/// ```
/// use certvigil_core::model::{Hostname, HostnameError};
///
/// let name: Hostname = "Bücher.example.".parse()?;
/// assert_eq!(name.sni(), Some("xn--bcher-kva.example"));
/// assert_eq!("[::1]".parse::<Hostname>()?.sni(), None);
/// let wildcard = "*.example.com".parse::<Hostname>();
/// assert!(matches!(wildcard, Err(HostnameError::Wildcard { .. })));
/// # Ok::<(), HostnameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hostname {
    /// A DNS name: lower case, A-labels, no trailing dot.
    Dns(String),
    /// An IP literal. It is never sent as SNI (RFC 6066, section 3) and matches only
    /// `iPAddress` names (RFC 9525, section 6.5).
    Ip(IpAddr),
    /// The path of a certificate file. It takes the place of the host name in results, and is never
    /// sent or matched. It is never parsed from text.
    File(PathBuf),
}

/// Reason for which text is not a host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostnameError {
    /// An opening bracket has no closing bracket.
    #[error("`{text}` has no closing bracket; write [IPv6]:port")]
    UnclosedBracket {
        /// The text.
        text: String,
    },
    /// An IPv6 address has a zone identifier (RFC 4007), which names an interface of this machine.
    #[error(
        "`{address}` has the zone identifier `{zone}`, which is valid only in a target; remove it"
    )]
    ZoneIdentifier {
        /// The address with its zone identifier.
        address: String,
        /// The zone identifier.
        zone: String,
    },
    /// The text in brackets is not an IPv6 address.
    #[error("`{text}` in brackets is not an IPv6 address")]
    NotIpv6 {
        /// The text in brackets.
        text: String,
    },
    /// The text is empty.
    #[error("the host name is empty")]
    Empty,
    /// The first label is `*`.
    #[error("`{name}` is a wildcard, not a host; give a host that it matches")]
    Wildcard {
        /// The name.
        name: String,
    },
    /// An internationalised name has no A-labels (UTS 46).
    #[error("`{text}` is not a valid host name")]
    NotInternationalised {
        /// The text.
        text: String,
    },
    /// The name is longer than DNS allows (RFC 1035, section 2.3.4).
    #[error("`{text}` is longer than {MAX_NAME_LENGTH} characters")]
    TooLong {
        /// The text.
        text: String,
    },
    /// A label is empty, or longer than DNS allows (RFC 1035, section 2.3.4).
    #[error("`{text}`: each label must have 1 to {MAX_LABEL_LENGTH} characters")]
    LabelLength {
        /// The text.
        text: String,
    },
    /// A character is neither a letter, a digit, a hyphen nor an underscore.
    #[error("`{text}`: a host name cannot contain {character:?}")]
    Character {
        /// The text.
        text: String,
        /// The first such character.
        character: char,
    },
    /// The text is a port number.
    #[error("`{text}` is a port without a host; write host:{text}")]
    PortAlone {
        /// The text.
        text: String,
    },
    /// The last label is a number, so the text is an address to some resolvers, and is not one.
    #[error("`{text}` is neither a host name nor an IP address")]
    EndsInNumber {
        /// The text.
        text: String,
    },
}

/// Maximum length of a DNS name in text form without the trailing dot (RFC 1035, section 2.3.4).
const MAX_NAME_LENGTH: usize = 253;
/// Maximum length of a label of a DNS name (RFC 1035, section 2.3.4).
const MAX_LABEL_LENGTH: usize = 63;

impl Hostname {
    /// Returns the name for SNI, or `None` for an address.
    pub fn sni(&self) -> Option<&str> {
        match self {
            Self::Dns(name) => Some(name),
            Self::Ip(_) | Self::File(_) => None,
        }
    }

    /// Returns true for the path of a file.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

impl FromStr for Hostname {
    type Err = HostnameError;

    /// Parses a name, an IPv4 or an IPv6 address (with or without brackets). Internationalised
    /// names become A-labels (UTS 46). The error describes the fault of the name.
    fn from_str(text: &str) -> Result<Self, HostnameError> {
        let own = || text.to_owned();
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner
                .strip_suffix(']')
                .ok_or_else(|| HostnameError::UnclosedBracket { text: own() })?;
            return inner
                .parse::<Ipv6Addr>()
                .map(|ip| Self::Ip(ip.into()))
                .map_err(|_| match inner.split_once('%') {
                    Some((_, zone)) => HostnameError::ZoneIdentifier {
                        address: inner.to_owned(),
                        zone: zone.to_owned(),
                    },
                    None => HostnameError::NotIpv6 {
                        text: inner.to_owned(),
                    },
                });
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(HostnameError::Empty);
        }
        if let Some((address, zone)) = text.split_once('%')
            && address.parse::<Ipv6Addr>().is_ok()
        {
            return Err(HostnameError::ZoneIdentifier {
                address: own(),
                zone: zone.to_owned(),
            });
        }
        if name.starts_with("*.") {
            return Err(HostnameError::Wildcard {
                name: name.to_owned(),
            });
        }
        // Clients send a name of ASCII as it is, even if its A-labels decode to nothing.
        let name = match name.is_ascii() {
            true => name.to_ascii_lowercase(),
            false => idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::EMPTY)
                .map_err(|_| HostnameError::NotInternationalised { text: own() })?
                .to_ascii_lowercase(),
        };
        if name.len() > MAX_NAME_LENGTH {
            return Err(HostnameError::TooLong { text: own() });
        }
        for label in name.split('.') {
            let odd = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if label.is_empty() || label.len() > MAX_LABEL_LENGTH {
                return Err(HostnameError::LabelLength { text: own() });
            }
            if let Some(character) = label.chars().find(|&c| odd(c)) {
                return Err(HostnameError::Character {
                    text: own(),
                    character,
                });
            }
        }
        // Names such as "1.2.3", "127.1" or "0x7f000001" are addresses to some resolvers and names
        // to others (the URL Standard says that such a host ends in a number).
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_number = match last.strip_prefix("0x") {
            Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
            None => last.bytes().all(|b| b.is_ascii_digit()),
        };
        if is_number {
            let port = text.parse::<u16>().is_ok_and(|port| port > 0);
            return Err(match port {
                true => HostnameError::PortAlone { text: own() },
                false => HostnameError::EndsInNumber { text: own() },
            });
        }
        Ok(Self::Dns(name))
    }
}

/// Returns a path as text. Each byte that is not UTF-8 is written like `\xE9`, and the backslash of a
/// name that has such characters itself like `\x5C`, so that different paths have different texts.
///
/// ```
/// use std::path::Path;
///
/// assert_eq!(certvigil_core::model::path_text(Path::new("tls/café.pem")), "tls/café.pem");
/// ```
pub fn path_text(path: &Path) -> Cow<'_, str> {
    if let Some(text) = path.to_str()
        && !has_escape(text)
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        let mut valid = chunk.valid().chars();
        loop {
            let is_escape = cfg!(unix) && escape(valid.as_str().as_bytes()).is_some();
            match valid.next() {
                Some(_) if is_escape => text.push_str("\\x5C"),
                Some(character) => text.push(character),
                None => break,
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    Cow::Owned(text)
}

/// Returns true if a path with this text needs [`path_text`]'s escapes. Only Unix has paths of
/// arbitrary bytes.
fn has_escape(text: &str) -> bool {
    let mut backslashes = text.match_indices('\\');
    cfg!(unix)
        && backslashes.any(|(at, _)| text.get(at..).and_then(|t| escape(t.as_bytes())).is_some())
}

/// Returns the byte that a text begins with as [`path_text`] writes it.
fn escape(text: &[u8]) -> Option<u8> {
    let [
        b'\\',
        b'x',
        high @ (b'0'..=b'9' | b'A'..=b'F'),
        low @ (b'0'..=b'9' | b'A'..=b'F'),
        ..,
    ] = text
    else {
        return None;
    };
    let digit = |c: u8| if c < b'A' { c - b'0' } else { c - b'A' + 10 };
    let byte = digit(*high) << 4 | digit(*low);
    (!byte.is_ascii() || byte == b'\\').then_some(byte)
}

/// Returns the path whose text [`path_text`] returns.
#[cfg(unix)]
pub fn path_of_text(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    const ESCAPE_LENGTH: usize = 4;
    let mut rest = text.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let [first, ..] = rest {
        let (byte, length) = match escape(rest) {
            Some(byte) => (byte, ESCAPE_LENGTH),
            None => (*first, 1),
        };
        bytes.push(byte);
        rest = rest.get(length..).unwrap_or_default();
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// Returns the path with this text.
#[cfg(not(unix))]
pub fn path_of_text(text: &str) -> PathBuf {
    text.into()
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
            Self::File(path) => f.write_str(&path_text(path)),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn path_that_is_not_utf8_has_a_text_of_its_own() {
        let text = |bytes: &[u8]| Hostname::File(OsStr::from_bytes(bytes).into()).to_string();
        assert_eq!(text(b"/tls/caf\xe9.pem"), "/tls/caf\\xE9.pem");
        assert_eq!(text(b"/tls/caf\xe8.pem"), "/tls/caf\\xE8.pem");
        assert_eq!(text("/tls/caf\u{e9}.pem".as_bytes()), "/tls/caf\u{e9}.pem");
        assert_eq!(text(b"/tls/\\x41.pem"), "/tls/\\x41.pem");
        assert_eq!(text(b"/tls/caf\\xE9.pem"), "/tls/caf\\x5CxE9.pem");
    }

    proptest! {
        #[test]
        fn path_is_read_back_from_its_text(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), proptest::sample::select(b"\\x5CE9".as_slice())],
                0..20,
            ),
        ) {
            let path = Path::new(OsStr::from_bytes(&bytes));
            prop_assert_eq!(path_of_text(&path_text(path)), path);
        }
    }
}
