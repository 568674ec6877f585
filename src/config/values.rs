//! Parsers of single values.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::error::Cause;
use crate::model::{Hostname, Vantage, parse_duration};

use super::DEFAULT_DNS_PORT;

/// Reason why a value of a configuration file or a flag is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The text is no address of a name server.
    #[error("`{0}` is not a name server address; write an IP address, with or without :port")]
    NameServer(String),
    /// The text is no ALPN protocol ID.
    #[error("`{0}` is not an application protocol name; write it as h2 or http/1.1")]
    Alpn(String),
    /// The text is no argument of EHLO.
    #[error(
        "`{0}` is not a name for EHLO; write a host name, or an address as [192.0.2.1] or [IPv6:2001:db8::1]"
    )]
    Ehlo(String),
    /// The domain is an address.
    #[error("`{0}` is an address; give a domain")]
    AddressAsDomain(String),
    /// The mail domain is an address.
    #[error("`{0}` is an address, which has no MX records; give a domain")]
    AddressAsMailDomain(String),
    /// There are several source addresses of one family.
    #[error("more than one source address of a family; give at most one IPv4 and one IPv6 address")]
    SourceAddresses,
    /// The value is empty.
    #[error("the value is empty; set a value or remove the key")]
    Empty,
    /// The user name has a colon.
    #[error("a user name cannot contain a colon")]
    ColonInUserName,
    /// The text is no positive duration.
    #[error("`{0}` is not a duration; write it as 10s, 5m or 1h")]
    Duration(String),
    /// The text is no positive whole number.
    #[error("`{0}` is not a positive whole number")]
    Count(String),
    /// The text is no IP address.
    #[error("`{0}` is not an IP address")]
    IpAddress(String),
    /// The text is no HTTP URL.
    #[error("`{0}` is not an http or https URL; write it as https://host")]
    Url(String),
    /// The text is no HTTP URL. It may be a secret, which is not part of the error.
    #[error("this is not an http or https URL; write it as https://host/path")]
    SecretUrl,
    /// The URL has credentials, which are not part of the error.
    #[error("a URL in this file must not contain credentials; remove them")]
    CredentialsInUrl,
    /// The name of a vantage is that of the local one.
    #[error("`local` is reserved for the local vantage; choose another name")]
    ReservedVantage,
    /// The name of a vantage could not be written in a list.
    #[error("a name must not be empty or contain a comma")]
    VantageName,
    /// The text is no keyword.
    #[error("`{text}` is not one of: {}", known.join(", "))]
    Keyword {
        /// Given text.
        text: String,
        /// Accepted keywords.
        known: Vec<String>,
    },
    /// The name does not fit the data model of Prometheus.
    #[error(
        "`{0}` is not a label name of Prometheus; use letters, digits and _, and begin with a letter"
    )]
    LabelName(String),
    /// The label is one that certvigil or Prometheus sets.
    #[error("the label `{0}` is reserved for certvigil or Prometheus; choose another name")]
    ReservedLabel(String),
    /// The text is no finding code.
    #[error(
        "`{text}` is not a finding; {}",
        near.map_or("docs/findings.md lists them".to_owned(), |near| format!("did you mean `{near}`?"))
    )]
    Finding {
        /// Given text.
        text: String,
        /// Finding code with a similar name.
        near: Option<&'static str>,
    },
    /// A target in a file of targets has a zone.
    #[error("the zone `{0}` of a link-local address is not supported here; remove it")]
    Zone(String),
    /// A host name, port or similar value is invalid.
    #[error("{0}")]
    Model(Cause),
}

impl ValueError {
    /// Returns the error for a value that the model refused.
    pub(crate) fn model(cause: impl Into<Cause>) -> Self {
        Self::Model(cause.into())
    }
}

/// Parses `ADDR[:PORT]`, the address of a name server. The default port is 53.
pub fn parse_name_server(text: &str) -> Result<SocketAddr, ValueError> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = inner.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, DEFAULT_DNS_PORT));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(address),
        _ => Err(ValueError::NameServer(text.to_owned())),
    }
}

/// Parses the name of an application protocol (RFC 7301, section 3.1).
pub fn parse_alpn(text: &str) -> Result<String, ValueError> {
    match text.len() {
        1..=255 if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(text.to_owned()),
        _ => Err(ValueError::Alpn(text.to_owned())),
    }
}

/// Parses the client's name in EHLO: a host name, or an address literal in brackets (RFC 5321,
/// section 4.1.3).
pub fn parse_ehlo(text: &str) -> Result<String, ValueError> {
    let is_literal = |inner: &str| {
        let inner = inner.strip_prefix("IPv6:").unwrap_or(inner);
        inner.parse::<IpAddr>().is_ok()
    };
    let literal = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    match (literal, text.parse()) {
        (Some(inner), _) if is_literal(inner) => Ok(text.to_owned()),
        (None, Ok(Hostname::Dns(name))) => Ok(name),
        _ => Err(ValueError::Ehlo(text.to_owned())),
    }
}

/// Parses a domain.
pub fn parse_domain(text: &str) -> Result<Hostname, ValueError> {
    match text.parse().map_err(ValueError::model)? {
        Hostname::Ip(_) => Err(ValueError::AddressAsDomain(text.to_owned())),
        domain => Ok(domain),
    }
}

/// Checks that there is at most one source address of each family.
pub fn one_of_each_family(addresses: &[IpAddr]) -> Result<(), ValueError> {
    let of_v4 = addresses.iter().filter(|ip| ip.is_ipv4()).count();
    if of_v4 > 1 || addresses.len() - of_v4 > 1 {
        return Err(ValueError::SourceAddresses);
    }
    Ok(())
}

/// Parses a mail domain.
pub fn parse_mail_domain(text: &str) -> Result<Hostname, ValueError> {
    match text.parse().map_err(ValueError::model)? {
        Hostname::Ip(_) | Hostname::File(_) => {
            Err(ValueError::AddressAsMailDomain(text.to_owned()))
        }
        domain => Ok(domain),
    }
}

pub(super) fn non_empty(text: &str) -> Result<String, ValueError> {
    if text.trim().is_empty() {
        Err(ValueError::Empty)
    } else {
        Ok(text.to_owned())
    }
}

/// Parses the user name of HTTP Basic authentication (RFC 7617, section 2).
pub(super) fn user_name(text: &str) -> Result<String, ValueError> {
    match text.contains(':') {
        true => Err(ValueError::ColonInUserName),
        false => non_empty(text),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, ValueError> {
    match parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(ValueError::Duration(text.to_owned())),
    }
}

pub(super) fn count(text: &str) -> Result<usize, ValueError> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(ValueError::Count(text.to_owned())),
    }
}

pub(super) fn ip_address(text: &str) -> Result<IpAddr, ValueError> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    inner
        .parse()
        .map_err(|_| ValueError::IpAddress(text.to_owned()))
}

pub(super) fn base_url(text: &str) -> Result<String, ValueError> {
    match url::Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none() =>
        {
            Ok(text.trim_end_matches('/').to_owned())
        }
        // A URL that cannot be parsed may contain credentials too, so the error does not show it.
        _ if text.contains('@') => Err(ValueError::CredentialsInUrl),
        _ => Err(ValueError::Url(text.to_owned())),
    }
}

/// Parses the URL of a download, whose path is a secret.
pub(super) fn download_url(text: &str) -> Result<String, ValueError> {
    base_url(text).map_err(|error| match error {
        ValueError::Url(_) => ValueError::SecretUrl,
        other => other,
    })
}

pub(super) fn vantage_name(text: &str) -> Result<String, ValueError> {
    match text {
        Vantage::LOCAL => Err(ValueError::ReservedVantage),
        other if other.contains(',') || other.trim().is_empty() => Err(ValueError::VantageName),
        other => Ok(other.to_owned()),
    }
}

pub(super) fn one_of(text: &str, known: &[&str]) -> Result<String, ValueError> {
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(ValueError::Keyword {
            text: text.to_owned(),
            known: known.iter().map(ToString::to_string).collect(),
        })
    }
}
