//! Parsers of single values.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::model::{Hostname, Vantage, parse_duration};

use super::DEFAULT_DNS_PORT;

/// Parses `ADDR[:PORT]`, the address of a name server. The default port is 53.
pub fn parse_name_server(text: &str) -> Result<SocketAddr, String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = inner.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, DEFAULT_DNS_PORT));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(address),
        _ => Err(format!(
            "`{text}` is not a name server address; write an IP address, with or without :port"
        )),
    }
}

/// Parses the name of an application protocol (RFC 7301, section 3.1).
pub fn parse_alpn(text: &str) -> Result<String, String> {
    match text.len() {
        1..=255 if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(text.to_owned()),
        _ => Err(format!(
            "`{text}` is not an application protocol name; write it as h2 or http/1.1"
        )),
    }
}

/// Parses the client's name in EHLO: a host name, or an address literal in brackets (RFC 5321,
/// section 4.1.3).
pub fn parse_ehlo(text: &str) -> Result<String, String> {
    let is_literal = |inner: &str| {
        let inner = inner.strip_prefix("IPv6:").unwrap_or(inner);
        inner.parse::<IpAddr>().is_ok()
    };
    let literal = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    match (literal, text.parse()) {
        (Some(inner), _) if is_literal(inner) => Ok(text.to_owned()),
        (None, Ok(Hostname::Dns(name))) => Ok(name),
        _ => Err(format!(
            "`{text}` is not a name for EHLO; write a host name, or an address as [192.0.2.1] or [IPv6:2001:db8::1]"
        )),
    }
}

/// Parses a domain.
pub fn parse_domain(text: &str) -> Result<Hostname, String> {
    match text.parse::<Hostname>().map_err(|e| e.to_string())? {
        Hostname::Ip(_) => Err(format!("`{text}` is an address; give a domain")),
        domain => Ok(domain),
    }
}

/// Checks that there is at most one source address of each family.
pub fn one_of_each_family(addresses: &[IpAddr]) -> Result<(), String> {
    let of_v4 = addresses.iter().filter(|ip| ip.is_ipv4()).count();
    if of_v4 > 1 || addresses.len() - of_v4 > 1 {
        return Err(
            "more than one source address of a family; give at most one IPv4 and one IPv6 address"
                .into(),
        );
    }
    Ok(())
}

/// Parses a mail domain.
pub fn parse_mail_domain(text: &str) -> Result<Hostname, String> {
    match text.parse::<Hostname>().map_err(|e| e.to_string())? {
        Hostname::Ip(_) | Hostname::File(_) => Err(format!(
            "`{text}` is an address, which has no MX records; give a domain"
        )),
        domain => Ok(domain),
    }
}

pub(super) fn non_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("the value is empty; set a value or remove the key".into())
    } else {
        Ok(text.to_owned())
    }
}

/// Parses the user name of HTTP Basic authentication (RFC 7617, section 2).
pub(super) fn user_name(text: &str) -> Result<String, String> {
    match text.contains(':') {
        true => Err("a user name cannot contain a colon".into()),
        false => non_empty(text),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!(
            "`{text}` is not a duration; write it as 10s, 5m or 1h"
        )),
    }
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("`{text}` is not a positive whole number")),
    }
}

pub(super) fn ip_address(text: &str) -> Result<IpAddr, String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    inner
        .parse()
        .map_err(|_| format!("`{text}` is not an IP address"))
}

pub(super) fn base_url(text: &str) -> Result<String, String> {
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
        _ if text.contains('@') => {
            Err("a URL in this file must not contain credentials; remove them".into())
        }
        _ => Err(format!(
            "`{text}` is not an http or https URL; write it as https://host"
        )),
    }
}

pub(super) fn vantage_name(text: &str) -> Result<String, String> {
    match text {
        Vantage::LOCAL => {
            Err("`local` is reserved for the local vantage; choose another name".into())
        }
        other if other.contains(',') || other.trim().is_empty() => {
            Err("a name must not be empty or contain a comma".into())
        }
        other => Ok(other.to_owned()),
    }
}

pub(super) fn one_of(text: &str, known: &[&str]) -> Result<String, String> {
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not one of: {}", known.join(", ")))
    }
}
