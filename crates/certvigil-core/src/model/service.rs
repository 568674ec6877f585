//! Services that SRV records locate (RFC 2782).

use std::fmt;
use std::str::FromStr;

use super::near::{question, suggestions};
use super::{Hostname, HostnameError, Protocol};

/// A service of a domain, written `_service._proto.DOMAIN`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    /// The first label without its underscore, in lower case, such as `xmpp-client`.
    pub name: String,
    /// The second label without its underscore: `tcp`, or `tls` as Microsoft's SIP clients use it.
    pub transport: String,
    /// The domain.
    pub domain: Hostname,
    /// The protocol through which TLS is reached.
    pub protocol: Protocol,
}

/// The name that clients of a service match against the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matched {
    /// The host that the SRV record names.
    Target,
    /// The domain that the user gave.
    Domain,
}

use Matched::{Domain, Target};

/// Known services: the name, the protocol, and the name to match.
///
/// The domain is matched for XMPP (RFC 6120, section 13.7.2.1), SIP (RFC 5922, section 7.1) and
/// Matrix (its server-server API, section 2.1).
const SERVICES: [(&str, Protocol, Matched); 40] = [
    ("xmpp-client", Protocol::Xmpp, Domain),
    ("xmpp-server", Protocol::XmppServer, Domain),
    ("xmpps-client", Protocol::Xmpps, Domain),
    ("xmpps-server", Protocol::XmppsServer, Domain),
    ("sips", Protocol::Sips, Domain),
    ("matrix-fed", Protocol::Https, Domain),
    ("matrix", Protocol::Https, Domain),
    ("smtp", Protocol::Smtp, Target),
    ("submission", Protocol::Smtp, Target),
    ("submissions", Protocol::Smtps, Target),
    ("smtps", Protocol::Smtps, Target),
    ("lmtp", Protocol::Lmtp, Target),
    ("imap", Protocol::Imap, Target),
    ("imaps", Protocol::Imaps, Target),
    ("pop3", Protocol::Pop3, Target),
    ("pop3s", Protocol::Pop3s, Target),
    ("sieve", Protocol::Sieve, Target),
    ("ldap", Protocol::Ldap, Target),
    ("ldaps", Protocol::Ldaps, Target),
    ("gc", Protocol::Ldap, Target),
    ("ftp", Protocol::Ftp, Target),
    ("ftps", Protocol::Ftps, Target),
    ("nntp", Protocol::Nntp, Target),
    ("nntps", Protocol::Nntps, Target),
    ("irc", Protocol::Irc, Target),
    ("ircs", Protocol::Ircs, Target),
    ("postgresql", Protocol::Postgres, Target),
    ("postgres", Protocol::Postgres, Target),
    ("mysql", Protocol::Mysql, Target),
    ("mariadb", Protocol::Mysql, Target),
    ("https", Protocol::Https, Target),
    ("caldavs", Protocol::Https, Target),
    ("carddavs", Protocol::Https, Target),
    ("turns", Protocol::Turns, Target),
    ("stuns", Protocol::Turns, Target),
    ("mqtts", Protocol::Mqtts, Target),
    ("secure-mqtt", Protocol::Mqtts, Target),
    ("amqps", Protocol::Amqps, Target),
    ("etcd-server-ssl", Protocol::Etcd, Target),
    ("etcd-client-ssl", Protocol::Etcd, Target),
];

/// Services without TLS, each with the one that has it.
const IN_THE_CLEAR: [(&str, &str); 7] = [
    ("http", "https"),
    ("caldav", "caldavs"),
    ("carddav", "carddavs"),
    ("turn", "turns"),
    ("stun", "stuns"),
    ("mqtt", "mqtts"),
    ("amqp", "amqps"),
];

/// The transport of Microsoft's SIP clients, `_sip._tls`.
const TLS_TRANSPORT: &str = "tls";

impl Service {
    /// Returns the names to match in place of the host of an SRV record: the domain, for services
    /// whose clients match it, and none for others.
    pub fn names_to_match(&self) -> Box<[Hostname]> {
        let known = SERVICES.iter().find(|(name, ..)| *name == self.name);
        match known {
            Some((_, _, Domain)) => [self.domain.clone()].into(),
            _ if self.name == "sip" => [self.domain.clone()].into(),
            _ => Box::default(),
        }
    }

    /// Returns the owner name of the SRV records.
    pub fn owner(&self) -> String {
        format!("_{}._{}.{}", self.name, self.transport, self.domain)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.owner())
    }
}

/// Reason for which text is not a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// It has another syntax.
    #[error("`{text}` is not a service; write _service._tcp.DOMAIN, as in _imaps._tcp.example.com")]
    Syntax {
        /// The text.
        text: String,
    },
    /// The domain is not a host name.
    #[error(transparent)]
    Domain(#[from] HostnameError),
    /// The domain is an address.
    #[error("`{text}`: an address has no SRV records; give a domain")]
    Address {
        /// The text.
        text: String,
    },
    /// The transport is not TCP.
    #[error("`{text}`: the transport `_{transport}` is not supported; write _tcp")]
    Transport {
        /// The text.
        text: String,
        /// The transport, without its underscore.
        transport: String,
    },
    /// The service has no TLS, and another one has.
    #[error("`{text}`: _{name} has no TLS; did you mean _{secure}._{transport}?")]
    WithoutTls {
        /// The text.
        text: String,
        /// The service.
        name: String,
        /// The service with TLS.
        secure: &'static str,
        /// The transport, without its underscore.
        transport: String,
    },
    /// SIP over TCP has no TLS.
    #[error("`{text}`: _sip._tcp has no TLS; did you mean _sips._tcp?")]
    SipWithoutTls {
        /// The text.
        text: String,
    },
    /// The name is similar to names of known services, and is none of them.
    #[error("`{text}`: unknown service `_{name}`; {}", question(.suggestions).unwrap_or_default())]
    Unknown {
        /// The text.
        text: String,
        /// The name of the service.
        name: String,
        /// Names of known services, the most similar first.
        suggestions: Vec<&'static str>,
    },
}

impl FromStr for Service {
    type Err = ServiceError;

    /// Parses `_service._proto.DOMAIN`. The protocol follows from the name of the service; an
    /// unknown service starts with TLS.
    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let own = || text.to_owned();
        let wrong = || ServiceError::Syntax { text: own() };
        let mut labels = text.splitn(3, '.');
        let mut label = || {
            let label = labels.next()?.strip_prefix('_')?;
            (!label.is_empty()).then(|| label.to_ascii_lowercase())
        };
        let (name, transport) = label().zip(label()).ok_or_else(wrong)?;
        let domain: Hostname = labels.next().ok_or_else(wrong)?.parse()?;
        if !matches!(domain, Hostname::Dns(_)) {
            return Err(ServiceError::Address { text: own() });
        }
        let is_label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !name.chars().all(is_label) {
            return Err(wrong());
        }
        match transport.as_str() {
            "tcp" => {}
            TLS_TRANSPORT if name == "sip" => {}
            _ => {
                return Err(ServiceError::Transport {
                    text: own(),
                    transport,
                });
            }
        }
        if let Some((_, secure)) = IN_THE_CLEAR.iter().find(|(clear, _)| *clear == name) {
            return Err(ServiceError::WithoutTls {
                text: own(),
                name,
                secure,
                transport,
            });
        }
        if name == "sip" && transport != TLS_TRANSPORT {
            return Err(ServiceError::SipWithoutTls { text: own() });
        }
        let known = SERVICES.iter().find(|(known, ..)| *known == name);
        // A typing error would probe the wrong protocol.
        let suggestions = suggestions(&name, SERVICES.iter().map(|(known, ..)| *known));
        if known.is_none() && !suggestions.is_empty() && name != "sip" {
            return Err(ServiceError::Unknown {
                text: own(),
                name,
                suggestions,
            });
        }
        Ok(Self {
            protocol: known.map_or_else(Protocol::default, |(_, protocol, _)| *protocol),
            name,
            transport,
            domain,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_has_its_protocol_and_name_to_match() {
        for (text, protocol, matched) in [
            ("_xmpp-client._tcp.Example.com", "xmpp", "example.com"),
            ("_xmpps-client._tcp.example.com", "xmpps", "example.com"),
            (
                "_xmpp-server._tcp.example.com",
                "xmpp-server",
                "example.com",
            ),
            ("_sips._tcp.example.com", "sips", "example.com"),
            ("_sip._tls.example.com", "https", "example.com"),
            ("_imaps._tcp.example.com", "imaps", ""),
            ("_submission._tcp.example.com", "smtp", ""),
            ("_ldap._tcp.dc._msdcs.example.com", "ldap", ""),
            ("_HTTPS._TCP.example.com.", "https", ""),
            ("_own-thing._tcp.example.com", "https", ""),
        ] {
            let service: Service = text.parse().unwrap();
            let names: Vec<String> = service
                .names_to_match()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(
                (service.protocol.name(), names.concat().as_str()),
                (protocol, matched),
                "{text}"
            );
            let canonical = text.to_ascii_lowercase();
            assert_eq!(service.to_string(), canonical.trim_end_matches('.'));
            assert_eq!(service.to_string().parse(), Ok(service));
        }
    }

    #[test]
    fn other_text_is_refused_with_advice() {
        for (text, wanted) in [
            ("example.com", "write _service._tcp.DOMAIN"),
            ("_imaps.example.com", "write _service._tcp.DOMAIN"),
            ("_imaps._tcp", "write _service._tcp.DOMAIN"),
            ("_imaps._tcp.192.0.2.1", "an address has no SRV records"),
            ("_imaps._udp.example.com", "`_udp` is not supported"),
            ("_sip._tcp.example.com", "did you mean _sips._tcp?"),
            ("_http._tcp.example.com", "did you mean _https._tcp?"),
            (
                "_xmpp-cleint._tcp.example.com",
                "did you mean `xmpp-client`",
            ),
            ("_a b._tcp.example.com", "write _service._tcp.DOMAIN"),
        ] {
            let error = text.parse::<Service>().unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
