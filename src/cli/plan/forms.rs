//! Forms of a target on the command line: a host, a mail domain, a service, an XMPP domain or a
//! file.

use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::cli::targets::TargetError;
use crate::config::{Entry, FoundPlace, ReachSettings, parse_mail_domain};
use crate::model::{Hostname, Protocol, Service, TargetAddress, parse_port};

/// Prefix of a target that is a service.
const SRV_PREFIX: &str = "srv:";

/// Targets of the command line, by their forms.
#[derive(Debug, Default)]
pub(in crate::cli) struct Targets {
    /// Hosts.
    pub(in crate::cli) places: Vec<TargetAddress>,
    /// Domains whose mail servers are probed.
    pub(super) mail: Vec<Mail>,
    /// Services whose SRV records name the hosts.
    pub(super) services: Vec<Service>,
    /// XMPP domains whose servers are probed.
    pub(super) xmpp: Vec<Xmpp>,
    /// Certificate files.
    pub(super) files: Vec<FoundPlace>,
}

impl Targets {
    /// Adds a target. With `has_xmpp_domain`, a flag has the domain, and an XMPP target is the host.
    ///
    /// # Errors
    /// If the text is none.
    pub(in crate::cli) fn add(
        &mut self,
        text: &str,
        has_xmpp_domain: bool,
    ) -> Result<(), TargetError> {
        if let Some(mail) = Mail::parse(text) {
            self.mail.push(mail?);
        } else if let Some(service) = service_of(text) {
            self.services
                .push(service.parse().map_err(TargetError::model)?);
        } else if let Some(domain) = Xmpp::parse(text).filter(|_| !has_xmpp_domain) {
            self.xmpp.push(domain);
        } else if let Some(file) = parse_file_url(text) {
            let file = FoundPlace::file(file?, &[]);
            if !self.files.contains(&file) {
                self.files.push(file);
            }
        } else {
            self.places.push(text.parse().map_err(TargetError::model)?);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
            && self.mail.is_empty()
            && self.services.is_empty()
            && self.xmpp.is_empty()
            && self.files.is_empty()
    }
}

/// Returns the service of `srv:_service._proto.DOMAIN`. Returns `None` for any other target, such as
/// a port of a host named `srv`.
fn service_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(SRV_PREFIX)?;
    let is_port = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    (!is_port && !rest.starts_with('/')).then_some(rest)
}

/// Parses `file:///PATH` and `file:/PATH`, with percent-encoding (RFC 8089). Returns `None` for any
/// other target.
pub(super) fn parse_file_url(text: &str) -> Option<Result<PathBuf, TargetError>> {
    let scheme = text.get(..5).filter(|s| s.eq_ignore_ascii_case("file:"))?;
    let rest = text.strip_prefix(scheme)?;
    let path = match rest.strip_prefix("//") {
        // A number is the port of a host with this name.
        None if rest.bytes().all(|b| b.is_ascii_digit()) => return None,
        None if !rest.starts_with('/') => {
            return Some(Err(TargetError::RelativeFileUrl(text.to_owned())));
        }
        None => rest,
        Some(rest) => match rest.strip_prefix("localhost").unwrap_or(rest) {
            path if path.starts_with('/') => path,
            _ => {
                return Some(Err(TargetError::HostInFileUrl(text.to_owned())));
            }
        },
    };
    if let Some(character) = path.chars().find(|c| matches!(c, '?' | '#')) {
        return Some(Err(TargetError::CharacterInFileUrl {
            url: text.to_owned(),
            character,
        }));
    }
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    if bytes.contains(&0) {
        return Some(Err(TargetError::ZeroInFileUrl(text.to_owned())));
    }
    Some(path_of_bytes(bytes).map_err(|()| TargetError::FileUrlNotUtf8(text.to_owned())))
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "paths are text on other systems")]
fn path_of_bytes(bytes: Vec<u8>) -> Result<PathBuf, ()> {
    let path: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
    Ok(path.into())
}

#[cfg(not(unix))]
fn path_of_bytes(bytes: Vec<u8>) -> Result<PathBuf, ()> {
    String::from_utf8(bytes).map(PathBuf::from).map_err(drop)
}

/// A target that means the mail servers of a domain.
#[derive(Debug)]
pub(in crate::cli) struct Mail {
    pub(super) domain: Hostname,
    pub(super) port: u16,
}

impl Mail {
    /// Parses `mx:DOMAIN[:PORT]`. Returns `None` for any other target, such as a port of a host
    /// named `mx`.
    pub(in crate::cli) fn parse(text: &str) -> Option<Result<Self, TargetError>> {
        let rest = text.strip_prefix("mx:")?;
        if rest.is_empty() {
            return Some(Err(TargetError::NoMailDomain));
        }
        if rest.starts_with('/') || rest.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (domain, port) = match rest.rsplit_once(':') {
            Some((domain, port)) => (domain, parse_port(port)),
            None => (rest, Ok(Protocol::Smtp.default_port())),
        };
        let parse = || {
            Ok(Self {
                domain: parse_mail_domain(domain)?,
                port: port.map_err(TargetError::model)?,
            })
        };
        Some(parse())
    }
}

/// A target that means the servers of an XMPP domain.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Xmpp {
    pub(super) domain: Hostname,
    protocol: Protocol,
}

impl Xmpp {
    /// Parses `xmpp:DOMAIN` or `xmpp-server:DOMAIN`, with or without `//`. Returns `None` for any
    /// other target, such as a host with its port, or an address.
    pub(in crate::cli) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "xmpp" => Protocol::Xmpp,
            "xmpp-server" => Protocol::XmppServer,
            _ => return None,
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        // A number is the port of a host with the name of the scheme.
        match rest.strip_suffix('/').unwrap_or(rest).parse().ok()? {
            Hostname::Ip(_) => None,
            domain => Some(Self { domain, protocol }),
        }
    }

    /// Returns an entry with this domain in place of its hosts.
    pub(super) fn entry(&self, entry: Entry) -> Entry {
        Entry {
            hostnames: vec![self.domain.clone()],
            mx: Vec::new(),
            srv: Vec::new(),
            addresses: Vec::new(),
            ports: vec![self.protocol.default_port()],
            protocol: self.protocol,
            finds_xmpp_hosts: true,
            reach: Arc::new(ReachSettings {
                xmpp_domain: Some(self.domain.clone()),
                ..ReachSettings::clone(&entry.reach)
            }),
            ..entry
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_urls_are_decoded() {
        let read = |text: &str| {
            parse_file_url(text).map(|p| p.map(|p| p.display().to_string()).map_err(drop))
        };
        for (text, path) in [
            ("file:///etc/a.pem", "/etc/a.pem"),
            ("FILE:/etc/a.pem", "/etc/a.pem"),
            ("file://localhost/etc/a%20b%23.pem", "/etc/a b#.pem"),
        ] {
            assert_eq!(read(text), Some(Ok(path.to_owned())), "{text}");
        }
        for text in [
            "file://etc/a.pem",
            "file:///a?b",
            "file:///a#b",
            "file:///a%00",
            "file:a.pem",
            "file:sub/a.pem",
        ] {
            assert!(read(text).unwrap().is_err(), "{text}");
        }
        for text in ["file:443", "file", "files:///a", "/etc/a.pem"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn xmpp_domain_is_a_target_without_a_port() {
        let read = |text| Xmpp::parse(text).map(|x| (x.domain.to_string(), x.protocol));
        let of = |protocol| Some(("bar.example".to_owned(), protocol));
        assert_eq!(read("xmpp:Bar.example"), of(Protocol::Xmpp));
        assert_eq!(read("XMPP://bar.example/"), of(Protocol::Xmpp));
        assert_eq!(read("xmpp-server:bar.example"), of(Protocol::XmppServer));
        for other in [
            "xmpp:5222",
            "xmpp://bar.example:5222",
            "xmpp://192.0.2.1",
            "xmpp:a@bar.example",
            "xmpps://bar.example",
            "bar.example",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn mx_target_is_distinguished_from_a_host() {
        let read = |text: &str| {
            Mail::parse(text).map(|m| m.map(|m| (m.domain.to_string(), m.port)).map_err(drop))
        };
        assert_eq!(read("mx:example.com"), Some(Ok(("example.com".into(), 25))));
        assert_eq!(
            read("mx:example.com:26"),
            Some(Ok(("example.com".into(), 26)))
        );
        assert_eq!(read("mx:25"), None);
        assert_eq!(read("mx.example.com"), None);
        for wrong in [
            "mx:192.0.2.1",
            "mx:",
            "mx:example.com:x",
            "mx:*.example.com",
        ] {
            assert!(read(wrong).is_none_or(|r| r.is_err()), "{wrong}");
        }
    }
}
