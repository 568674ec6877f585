//! Types shared by all modules: host names, targets, vantages, times.

mod duration;
mod families;
mod list;
mod near;
mod place;
mod protocol;
mod service;
mod userinfo;

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use duration::{MAX_DURATION, parse_duration};
pub use families::{Families, Family};
pub use list::and_more;
pub use near::{did_you_mean, nearest_within};
pub use place::{Place, parse_port};
pub use protocol::Protocol;
pub use service::Service;
pub use userinfo::{redacted, userinfo, without_userinfo};

/// A name or an address for which a certificate is requested. It is sent as SNI and matched against
/// the certificate's subject alternative names.
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
    type Err = String;

    /// Parses a name, an IPv4 or an IPv6 address (with or without brackets). Internationalised
    /// names become A-labels (UTS 46). The error describes the fault of the name.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner
                .strip_suffix(']')
                .ok_or_else(|| format!("`{text}` has no closing bracket; write [IPv6]:port"))?;
            return inner
                .parse::<Ipv6Addr>()
                .map(|ip| Self::Ip(ip.into()))
                .map_err(|_| match inner.split_once('%') {
                    Some((_, zone)) => format!(
                        "`{inner}` has the zone identifier `{zone}`, which is valid only in a target; remove it"
                    ),
                    None => format!("`{inner}` in brackets is not an IPv6 address"),
                });
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err("the host name is empty".into());
        }
        if let Some((address, zone)) = text.split_once('%')
            && address.parse::<Ipv6Addr>().is_ok()
        {
            return Err(format!(
                "`{text}` has the zone identifier `{zone}`, which is valid only in a target; remove it"
            ));
        }
        if name.starts_with("*.") {
            return Err(format!(
                "`{name}` is a wildcard, not a host; give a host that it matches"
            ));
        }
        // Clients send a name of ASCII as it is, even if its A-labels decode to nothing.
        let name = match name.is_ascii() {
            true => name.to_ascii_lowercase(),
            false => idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::EMPTY)
                .map_err(|_| format!("`{text}` is not a valid host name"))?
                .to_ascii_lowercase(),
        };
        if name.len() > MAX_NAME_LENGTH {
            return Err(format!(
                "`{text}` is longer than {MAX_NAME_LENGTH} characters"
            ));
        }
        for label in name.split('.') {
            let odd = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if label.is_empty() || label.len() > MAX_LABEL_LENGTH {
                return Err(format!(
                    "`{text}`: each label must have 1 to {MAX_LABEL_LENGTH} characters"
                ));
            }
            if let Some(c) = label.chars().find(|&c| odd(c)) {
                return Err(format!("`{text}`: a host name cannot contain {c:?}"));
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
                true => format!("`{text}` is a port without a host; write host:{text}"),
                false => format!("`{text}` is neither a host name nor an IP address"),
            });
        }
        Ok(Self::Dns(name))
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The kind of key that a probe requests, by the signature algorithms that the handshake offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyType {
    /// The server's preferred kind.
    #[default]
    Any,
    /// RSA.
    Rsa,
    /// ECDSA and EdDSA: all kinds but RSA.
    Ecdsa,
}

impl KeyType {
    /// Returns the name in flags, configuration, JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Rsa => "rsa",
            Self::Ecdsa => "ecdsa",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The requested kinds of keys, with one probe for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyTypes {
    /// One probe, for this kind.
    One(KeyType),
    /// A probe for each kind.
    All,
}

impl Default for KeyTypes {
    fn default() -> Self {
        Self::ANY
    }
}

impl KeyTypes {
    /// The server's preferred kind, which is the default.
    pub const ANY: Self = Self::One(KeyType::Any);

    /// Returns the kind of each probe.
    pub fn each(self) -> &'static [KeyType] {
        match self {
            Self::One(KeyType::Any) => &[KeyType::Any],
            Self::One(KeyType::Rsa) => &[KeyType::Rsa],
            Self::One(KeyType::Ecdsa) => &[KeyType::Ecdsa],
            Self::All => &[KeyType::Rsa, KeyType::Ecdsa],
        }
    }
}

impl fmt::Display for KeyTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(kind) => kind.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for KeyTypes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "any" => Ok(Self::ANY),
            "rsa" => Ok(Self::One(KeyType::Rsa)),
            "ecdsa" => Ok(Self::One(KeyType::Ecdsa)),
            "all" => Ok(Self::All),
            other => Err(format!(
                "`{other}` is not a key type; write any, rsa, ecdsa or all"
            )),
        }
    }
}

/// Method of checking revocation. Each method includes the previous ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevocationCheck {
    /// No check, except the report of the expected certificate's source.
    Off,
    /// The OCSP response that the server staples.
    #[default]
    Staple,
    /// The issuer's revocation list.
    Crl,
    /// The issuer's OCSP responder, if no list gives the status.
    Full,
}

impl fmt::Display for RevocationCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Staple => "staple",
            Self::Crl => "crl",
            Self::Full => "full",
        })
    }
}

impl FromStr for RevocationCheck {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "staple" => Ok(Self::Staple),
            "crl" => Ok(Self::Crl),
            "full" => Ok(Self::Full),
            other => Err(format!(
                "`{other}` is not a revocation check; write off, staple, crl or full"
            )),
        }
    }
}

/// Version of the PROXY protocol header that precedes all other data
/// (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProxyProtocol {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyProtocol {
    /// Returns the name in flags and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

impl FromStr for ProxyProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            other => Err(format!(
                "`{other}` is not a PROXY protocol version; write v1 or v2"
            )),
        }
    }
}

/// The server name to send as SNI (RFC 6066, section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sni {
    /// The host name, unless it is an address.
    #[default]
    Hostname,
    /// Another name.
    Name(String),
    /// No server name.
    None,
}

impl FromStr for Sni {
    type Err = String;

    /// Parses a host name, or `none`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        match text.parse()? {
            Hostname::Dns(name) => Ok(Self::Name(name)),
            Hostname::Ip(_) | Hostname::File(_) => Err(format!(
                "`{text}` is an address, which SNI must not contain (RFC 6066); write a host name, or none"
            )),
        }
    }
}

/// A target of probes: a certificate's hostname at a port. Each of its addresses is an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The certificate's name in the inventory.
    pub certificate: String,
    /// The requested name, whose addresses are probed; the path of a file.
    pub hostname: Hostname,
    /// The TCP port; the UDP port if the protocol is QUIC; 0 for a file.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// Names that the certificate must match, all of them, in place of `hostname`. The first is
    /// sent to the server. Empty if `hostname` itself is the name, and for a file without names.
    pub names: Box<[Hostname]>,
}

impl Target {
    /// Creates a target whose host name is the name that the certificate must match.
    pub fn new(
        certificate: impl Into<String>,
        hostname: Hostname,
        port: u16,
        protocol: Protocol,
    ) -> Self {
        Self {
            certificate: certificate.into(),
            hostname,
            port,
            protocol,
            names: Box::default(),
        }
    }

    /// Returns the names that the certificate must match; none for a file without names.
    pub fn names_to_match(&self) -> &[Hostname] {
        match &*self.names {
            [] if self.hostname.is_file() => &[],
            [] => std::slice::from_ref(&self.hostname),
            names => names,
        }
    }

    /// Returns the name that is sent to the server: as SNI, and in dialogues that name the service.
    pub fn sent_name(&self) -> &Hostname {
        self.names.first().unwrap_or(&self.hostname)
    }

    /// Returns true if the target is a file, which has neither address nor port.
    pub fn is_file(&self) -> bool {
        self.protocol.is_file()
    }

    /// Returns the port in the form that distinguishes endpoints of one host and address: `443`,
    /// `443/udp` for QUIC, and nothing for a file.
    pub fn port_label(&self) -> String {
        if self.is_file() {
            String::new()
        } else if self.protocol.is_quic() {
            format!("{}/udp", self.port)
        } else {
            self.port.to_string()
        }
    }
}

/// The name of a vantage, from which probes are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vantage(Cow<'static, str>);

impl Vantage {
    /// The name of the local vantage, which makes our own handshakes.
    pub const LOCAL: &'static str = "local";
    /// The default name of SSLMate's `/test`; the configuration may give it another.
    pub const SSLMATE: &'static str = "sslmate";

    /// Returns the local vantage.
    pub fn local() -> Self {
        Self(Cow::Borrowed(Self::LOCAL))
    }

    /// Returns a remote vantage by its name.
    pub fn named(name: impl Into<String>) -> Self {
        Self(Cow::Owned(name.into()))
    }

    /// Returns true if probes from this vantage are our own handshakes.
    pub fn is_local(&self) -> bool {
        self.0 == Self::LOCAL
    }

    /// Returns the name, as in the `vantage` key and label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Duration of each phase of a probe; `None` for a phase that did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Name resolution; shared by all addresses of a name.
    pub resolve: Option<Duration>,
    /// TCP connect; QUIC has none.
    pub connect: Option<Duration>,
    /// The cleartext dialogue before TLS.
    pub starttls: Option<Duration>,
    /// From the ClientHello to the end of the handshake.
    pub handshake: Option<Duration>,
}

/// A point in time, in whole seconds since the Unix epoch. Certificates contain times before 1970
/// and after 9999, which the types of the standard library and of the path builder cannot
/// represent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns `self - earlier`, in seconds; negative if `self` is the earlier one.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the date in UTC, such as `2027-02-20`.
    pub fn date(self) -> String {
        let text = self.to_string();
        text.split('T').next().unwrap_or_default().to_owned()
    }

    fn to_datetime(self) -> OffsetDateTime {
        let (first, last) = (-62_167_219_200, 253_402_300_799); // years 0000 and 9999
        OffsetDateTime::from_unix_timestamp(self.0.clamp(first, last))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self
                .to_datetime()
                .format(&Rfc3339)
                .map_err(|_| fmt::Error)?,
        )
    }
}

impl FromStr for Timestamp {
    type Err = String;

    /// Parses RFC 3339, such as `2026-11-24T12:00:00Z`.
    fn from_str(text: &str) -> Result<Self, String> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|t| Self(t.unix_timestamp()))
            .map_err(|_| {
                format!("`{text}` is not an RFC 3339 time; write it as 2026-11-24T12:00:00Z")
            })
    }
}

/// Remaining time from which a certificate counts as expiring: a share of its lifetime, a duration,
/// or the smaller of both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    share: Option<f64>,
    duration: Option<Duration>,
}

impl Threshold {
    /// Default of the warning threshold: `25%,30d`.
    pub const WARN: Self = Self::new(25.0, 30);
    /// Default of the critical threshold: `10%,7d`.
    pub const CRIT: Self = Self::new(10.0, 7);

    const fn new(percent: f64, days: u64) -> Self {
        Self {
            share: Some(percent),
            duration: Some(Duration::from_secs(days * 86_400)),
        }
    }

    /// Returns the seconds before expiry from which a certificate of this lifetime (in seconds)
    /// counts as expiring.
    pub fn seconds_of(&self, lifetime: i64) -> i64 {
        let share = self
            .share
            .map(|p| (lifetime.max(0) as f64 * p / 100.0) as i64);
        let fixed = self
            .duration
            .map(|d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        share.unwrap_or(i64::MAX).min(fixed.unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Returns a duration as flags accept it: whole days as `7d`.
        fn short(duration: Duration) -> String {
            const DAY: u64 = 86_400;
            match duration.as_secs() {
                seconds if seconds % DAY == 0 && duration.subsec_nanos() == 0 => {
                    format!("{}d", seconds / DAY)
                }
                _ => humantime::format_duration(duration).to_string(),
            }
        }
        match (self.share, self.duration) {
            (Some(p), Some(d)) => write!(f, "{p}%,{}", short(d)),
            (Some(p), None) => write!(f, "{p}%"),
            (None, Some(d)) => f.write_str(&short(d)),
            (None, None) => Ok(()),
        }
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |part: &str| {
            format!(
                "`{part}` is not an expiry threshold; write a share and a duration (25%,30d), or one of them"
            )
        };
        let mut threshold = Self {
            share: None,
            duration: None,
        };
        for part in text.split(',').map(str::trim) {
            if let Some(number) = part.strip_suffix('%') {
                let share: f64 = number.parse().map_err(|_| wrong(part))?;
                if !(0.0..=100.0).contains(&share) {
                    return Err(format!(
                        "`{part}` is not a share of the lifetime; write 0% to 100%"
                    ));
                }
                if threshold.share.replace(share).is_some() {
                    return Err(format!(
                        "`{text}` has two shares; write one share, one duration, or both"
                    ));
                }
            } else {
                let duration = parse_duration(part).map_err(|_| wrong(part))?;
                if threshold.duration.replace(duration).is_some() {
                    return Err(format!(
                        "`{text}` has two durations; write one share, one duration, or both"
                    ));
                }
            }
        }
        Ok(threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_the_smaller_of_share_and_duration() {
        let day = 86_400;
        let t: Threshold = "25%,30d".parse().unwrap();
        assert_eq!(t.seconds_of(398 * day), 30 * day);
        assert_eq!(t.seconds_of(40 * day), 10 * day);
        assert_eq!(
            "50%".parse::<Threshold>().unwrap().seconds_of(6 * day),
            3 * day
        );
        assert_eq!("7d".parse::<Threshold>().unwrap().seconds_of(day), 7 * day);
        for bad in ["", "101%", "-1%", "x", "1d,2d", "1%,2%", "NaN%"] {
            assert!(bad.parse::<Threshold>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        let t: Timestamp = "2026-11-24T13:00:00+01:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-11-24T12:00:00Z");
        assert_eq!(t.date(), "2026-11-24");
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert_eq!(Timestamp(i64::MAX).date(), "9999-12-31");
    }
}
