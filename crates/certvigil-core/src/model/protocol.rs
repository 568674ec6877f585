//! Protocols: TLS from the first byte, or after a cleartext dialogue.

use std::fmt;
use std::str::FromStr;

use super::near::{question, suggestions};

/// The table of protocols: for each its public name, its default port, its beginning, and its
/// description.
macro_rules! protocols {
    ($($(#[$attribute:meta])* $variant:ident $name:literal $port:literal $begin:ident $meaning:literal;)+) => {
        /// The protocol that leads to a TLS handshake at an endpoint.
        // Exhaustive: a catch-all could skip the dialogue of a new protocol.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Protocol {
            $($(#[$attribute])* #[doc = $meaning] $variant,)+
            /// None: the certificate is read from a file.
            File,
        }

        impl Protocol {
            /// Every protocol of a server.
            pub const ALL: &'static [Protocol] = &[$(Self::$variant,)+];

            /// Returns the name in flags, URLs, configuration and JSON.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ Self::File => "file" }
            }

            /// Returns the default port; 0 for a file.
            pub fn default_port(self) -> u16 {
                match self { $(Self::$variant => $port,)+ Self::File => 0 }
            }

            fn begin(self) -> Begin {
                match self { $(Self::$variant => Begin::$begin,)+ Self::File => Begin::File }
            }
        }
    };
}

/// The beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Tls,
    Clear,
    Quic,
    File,
}

protocols! {
    #[default]
    Https "https" 443 Tls "TLS from the first byte, whatever is inside.";
    H3 "h3" 443 Quic "TLS inside of QUIC, over UDP, as HTTP/3 has it: RFC 9001.";
    Smtp "smtp" 25 Clear "Mail between servers and, at port 587, from its author: STARTTLS of RFC 3207.";
    Lmtp "lmtp" 24 Clear "Mail to its mailbox: RFC 2033, with STARTTLS as in SMTP.";
    Imap "imap" 143 Clear "Mailboxes: STARTTLS of RFC 3501.";
    Pop3 "pop3" 110 Clear "Mailboxes: STLS of RFC 2595.";
    Ftp "ftp" 21 Clear "Files: AUTH TLS of RFC 4217.";
    Xmpp "xmpp" 5222 Clear "XMPP for clients: STARTTLS of RFC 6120.";
    XmppServer "xmpp-server" 5269 Clear "XMPP between servers: STARTTLS of RFC 6120.";
    Ldap "ldap" 389 Clear "Directories: the StartTLS operation of RFC 4511.";
    Postgres "postgres" 5432 Clear "PostgreSQL: the SSLRequest message.";
    Mysql "mysql" 3306 Clear "MySQL and MariaDB: the SSLRequest packet.";
    Sieve "sieve" 4190 Clear "Mail filters: STARTTLS of RFC 5804.";
    Nntp "nntp" 119 Clear "Netnews: STARTTLS of RFC 4642.";
    Irc "irc" 6667 Clear "Chat: the STARTTLS command of IRCv3.";
    Rdp "rdp" 3389 Clear "Remote Desktop: the negotiation of [MS-RDPBCGR], section 5.4.";
    Mssql "mssql" 1433 Clear "Microsoft SQL Server: PRELOGIN, and TLS inside of TDS packets, of [MS-TDS].";
    Nats "nats" 4222 Clear "NATS: TLS after the INFO line.";
    Smtps "smtps" 465 Tls "SMTP inside TLS: RFC 8314.";
    Imaps "imaps" 993 Tls "IMAP inside TLS: RFC 8314.";
    Pop3s "pop3s" 995 Tls "POP3 inside TLS: RFC 8314.";
    Ftps "ftps" 990 Tls "FTP inside TLS.";
    Xmpps "xmpps" 5223 Tls "XMPP for clients inside TLS: XEP-0368.";
    XmppsServer "xmpps-server" 5270 Tls "XMPP between servers inside TLS: XEP-0368.";
    Ldaps "ldaps" 636 Tls "LDAP inside TLS.";
    Nntps "nntps" 563 Tls "NNTP inside TLS: RFC 8143.";
    Ircs "ircs" 6697 Tls "IRC inside TLS: RFC 7194.";
    MssqlStrict "mssql-strict" 1433 Tls "Microsoft SQL Server with strict encryption: TDS 8.0 inside TLS.";
    NatsTls "nats-tls" 4222 Tls "NATS inside TLS: `handshake_first`.";
    Wss "wss" 443 Tls "WebSocket inside TLS: RFC 6455.";
    Rediss "rediss" 6379 Tls "Redis inside TLS.";
    Mqtts "mqtts" 8883 Tls "MQTT inside TLS.";
    Amqps "amqps" 5671 Tls "AMQP inside TLS.";
    Kafka "kafka" 9093 Tls "Apache Kafka: a listener of the protocol SSL or SASL_SSL.";
    Mongodb "mongodb" 27017 Tls "MongoDB with `net.tls`.";
    Cassandra "cassandra" 9042 Tls "Apache Cassandra: CQL inside TLS.";
    Etcd "etcd" 2379 Tls "etcd, for clients.";
    Docker "docker" 2376 Tls "Docker's API with `--tlsverify`.";
    Kubernetes "kubernetes" 6443 Tls "The API server of Kubernetes.";
    Sips "sips" 5061 Tls "SIP inside TLS: RFC 3261.";
    Turns "turns" 5349 Tls "STUN and TURN inside TLS: RFC 7065.";
    Dot "dot" 853 Tls "DNS inside TLS: RFC 7858.";
    Syslog "syslog-tls" 6514 Tls "Syslog inside TLS: RFC 5425.";
    Radsec "radsec" 2083 Tls "RADIUS inside TLS: RFC 6614.";
    Rtsps "rtsps" 322 Tls "RTSP inside TLS: RFC 7826.";
    Telnets "telnets" 992 Tls "Telnet inside TLS.";
    Gemini "gemini" 1965 Tls "Gemini.";
}

/// Aliases of protocols in flags, URLs and configuration, each with its port if that differs.
const ALIASES: [(&str, Protocol, Option<u16>); 16] = [
    // RFC 6409 and RFC 8314: submission of mail by its author.
    ("submission", Protocol::Smtp, Some(587)),
    ("submissions", Protocol::Smtps, None),
    ("postgresql", Protocol::Postgres, None),
    ("mariadb", Protocol::Mysql, None),
    ("sqlserver", Protocol::Mssql, None),
    ("tds", Protocol::Mssql, None),
    ("managesieve", Protocol::Sieve, None),
    ("natss", Protocol::NatsTls, None),
    ("http3", Protocol::H3, None),
    ("grpcs", Protocol::Https, None),
    ("doh", Protocol::Https, None),
    ("winrms", Protocol::Https, Some(5986)),
    ("valkeys", Protocol::Rediss, None),
    ("mongodbs", Protocol::Mongodb, None),
    ("stuns", Protocol::Turns, None),
    ("k8s", Protocol::Kubernetes, None),
];

/// Schemes without TLS, each with the scheme of the same protocol inside TLS. They are common in
/// URLs of applications, so the error names the other one.
const PLAIN: [(&str, &str); 17] = [
    ("http", "https"),
    ("ws", "wss"),
    ("grpc", "grpcs"),
    ("redis", "rediss"),
    ("valkey", "rediss"),
    ("mqtt", "mqtts"),
    ("amqp", "amqps"),
    ("sip", "sips"),
    ("turn", "turns"),
    ("stun", "turns"),
    ("dns", "dot"),
    ("syslog", "syslog-tls"),
    ("radius", "radsec"),
    ("rtsp", "rtsps"),
    ("telnet", "telnets"),
    ("winrm", "winrms"),
    ("cql", "cassandra"),
];

/// Schemes of protocols that are not probed, each with the reason and what to write instead.
const UNSUPPORTED: [(&str, &str); 11] = [
    (
        "mongodb+srv",
        "it names a DNS record; write srv:_mongodb._tcp.DOMAIN",
    ),
    ("coaps", "it is DTLS, over UDP, which is not supported"),
    ("quic", "write h3:// for HTTP/3"),
    ("ssh", "it does not use TLS"),
    (
        "sftp",
        "it is SSH, which does not use TLS; write ftp:// or ftps:// for FTP with TLS",
    ),
    ("wg", "it does not use TLS"),
    ("tcp", "write tls://HOST:PORT"),
    ("ssl", "write tls://HOST:PORT"),
    (
        "stomp",
        "write tls://HOST:PORT, with the port of STOMP inside TLS, often 61614",
    ),
    (
        "stomp+ssl",
        "write tls://HOST:PORT, with the port of STOMP inside TLS, often 61614",
    ),
    (
        "jdbc",
        "write the scheme of the database, such as postgres://, mysql:// or mssql://",
    ),
];

/// Reason for which text is not a protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The scheme has no TLS, and another one has.
    #[error("`{written}` has no TLS; did you mean `{tls}`?")]
    WithoutTls {
        /// The text.
        written: String,
        /// The scheme of the same protocol inside TLS.
        tls: &'static str,
    },
    /// The protocol is known, and is not probed.
    #[error("unsupported protocol `{written}`: {advice}")]
    Unsupported {
        /// The text.
        written: String,
        /// The reason, or what to write instead.
        advice: &'static str,
    },
    /// No protocol has the name.
    #[error(
        "unsupported protocol `{written}`; {}",
        question(.suggestions).unwrap_or_else(|| format!("supported: {}", names(|_| true)))
    )]
    Unknown {
        /// The text.
        written: String,
        /// Names of protocols, the most similar first.
        suggestions: Vec<&'static str>,
    },
    /// A STARTTLS protocol is required, and this one has TLS from the first byte.
    #[error(
        "`{written}` uses TLS from the first byte; remove the flag and write {written}://host as the target, \
         or write one of {}",
        names(Protocol::uses_starttls)
    )]
    DirectTls {
        /// The text.
        written: String,
    },
    /// A STARTTLS protocol is required, and no protocol has the name.
    #[error(
        "`{written}` is not a STARTTLS protocol; {}",
        question(.suggestions)
            .unwrap_or_else(|| format!("write one of {}", names(Protocol::uses_starttls)))
    )]
    UnknownStarttls {
        /// The text.
        written: String,
        /// Names of STARTTLS protocols, the most similar first.
        suggestions: Vec<&'static str>,
    },
}

impl Protocol {
    /// Returns true if a cleartext dialogue precedes TLS.
    pub fn uses_starttls(self) -> bool {
        self.begin() == Begin::Clear
    }

    /// Returns true if mail servers send mail by it. They use DANE as RFC 7672 has it.
    pub fn is_mail_transfer(self) -> bool {
        matches!(self, Self::Smtp | Self::Smtps | Self::Lmtp)
    }

    /// Returns true if QUIC carries TLS, so that the port is a UDP port.
    pub fn is_quic(self) -> bool {
        self.begin() == Begin::Quic
    }

    /// Returns true if there is no connection: the certificate is read from a file.
    pub fn is_file(self) -> bool {
        self.begin() == Begin::File
    }

    /// Returns true for XMPP, which names the domain of the service in its stream.
    pub fn is_xmpp(self) -> bool {
        matches!(
            self,
            Self::Xmpp | Self::XmppServer | Self::Xmpps | Self::XmppsServer
        )
    }

    /// Returns true if the dialogue names the client in EHLO or LHLO (RFC 5321, section 4.1.1.1).
    pub fn has_ehlo(self) -> bool {
        matches!(self, Self::Smtp | Self::Lmtp)
    }

    /// Returns the application protocol (ALPN) that clients of the protocol offer, if servers
    /// expect one: [MS-TDS] 3.2.5.1, and XEP-0368, where one port may serve several protocols.
    pub fn alpn(self) -> Option<&'static str> {
        match self {
            Self::MssqlStrict => Some("tds/8.0"),
            Self::Xmpps => Some("xmpp-client"),
            Self::XmppsServer => Some("xmpp-server"),
            _ => None,
        }
    }

    /// Returns the protocol that is the same with TLS from the first byte, if there is one.
    pub fn with_direct_tls(self) -> Option<Self> {
        Some(match self {
            Self::Smtp => Self::Smtps,
            Self::Imap => Self::Imaps,
            Self::Pop3 => Self::Pop3s,
            Self::Ftp => Self::Ftps,
            Self::Xmpp => Self::Xmpps,
            Self::XmppServer => Self::XmppsServer,
            Self::Ldap => Self::Ldaps,
            Self::Nntp => Self::Nntps,
            Self::Irc => Self::Ircs,
            other => return other.tls_first(),
        })
    }

    /// Returns the protocol that has TLS from the first byte at the same port, if servers of this
    /// one may be configured for it.
    pub fn tls_first(self) -> Option<Self> {
        match self {
            Self::Mssql => Some(Self::MssqlStrict),
            Self::Nats => Some(Self::NatsTls),
            _ => None,
        }
    }

    /// Returns the protocol and the port of the scheme of a URL.
    ///
    /// # Errors
    /// Returns an error if no supported protocol has the scheme.
    pub fn of_scheme(scheme: &str) -> Result<(Self, u16), ProtocolError> {
        let alias = ALIASES.iter().find(|(name, ..)| *name == scheme);
        match alias {
            Some((_, protocol, port)) => {
                Ok((*protocol, port.unwrap_or_else(|| protocol.default_port())))
            }
            None => Self::named(scheme).map(|protocol| (protocol, protocol.default_port())),
        }
    }

    /// Returns the aliases of protocols.
    pub fn aliases() -> impl Iterator<Item = &'static str> {
        ALIASES.iter().map(|(name, ..)| *name)
    }

    /// Returns the scheme inside TLS of a scheme without TLS.
    pub(super) fn inside_tls(scheme: &str) -> Option<&'static str> {
        let found = PLAIN.iter().find(|(plain, _)| *plain == scheme);
        found.map(|(_, tls)| *tls)
    }

    /// Returns true for a scheme whose error says what to write instead.
    pub(super) fn is_known_unsupported(scheme: &str) -> bool {
        UNSUPPORTED.iter().any(|(known, _)| *known == scheme)
    }

    /// Returns the schemes of a target, except `tls`.
    pub(super) fn schemes() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|p| p.name()).chain(Self::aliases())
    }

    /// Returns the protocol that usually begins in cleartext at a port, by the registered ports.
    pub fn in_the_clear_at(port: u16) -> Option<Self> {
        let by_alias = ALIASES.iter().find(|(.., of)| *of == Some(port));
        let registered = || {
            let mut all = Self::ALL.iter().copied();
            all.find(|p| p.default_port() == port)
        };
        by_alias
            .map(|(_, protocol, _)| *protocol)
            .or_else(registered)
            .filter(|protocol| protocol.uses_starttls())
    }

    /// Parses a protocol that begins in cleartext, as given to a flag.
    ///
    /// # Errors
    /// Returns an error if no such protocol has this name.
    pub fn parse_starttls(text: &str) -> Result<Self, ProtocolError> {
        let written = text.to_owned();
        match text.parse::<Self>() {
            Ok(protocol) if protocol.uses_starttls() => Ok(protocol),
            Ok(_) => Err(ProtocolError::DirectTls { written }),
            Err(_) => {
                let clear = Self::ALL.iter().filter(|p| p.uses_starttls());
                Err(ProtocolError::UnknownStarttls {
                    written,
                    suggestions: suggestions(text, clear.map(|p| p.name())),
                })
            }
        }
    }

    fn named(text: &str) -> Result<Self, ProtocolError> {
        let mut all = Self::ALL.iter().copied();
        all.find(|p| p.name() == text).ok_or_else(|| {
            let written = text.to_owned();
            if let Some(tls) = Self::inside_tls(text) {
                return ProtocolError::WithoutTls { written, tls };
            }
            if let Some((_, advice)) = UNSUPPORTED.iter().find(|(scheme, _)| *scheme == text) {
                return ProtocolError::Unsupported { written, advice };
            }
            ProtocolError::Unknown {
                written,
                suggestions: suggestions(text, Self::schemes()),
            }
        })
    }
}

fn names(wanted: impl Fn(Protocol) -> bool) -> String {
    let names = Protocol::ALL.iter().filter(|p| wanted(**p));
    names.map(|p| p.name()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        let alias = ALIASES.iter().find(|(name, ..)| *name == text);
        alias.map_or_else(|| Self::named(text), |(_, protocol, _)| Ok(*protocol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_have_their_registered_ports() {
        for (scheme, name, port) in [
            ("https", "https", 443),
            ("smtp", "smtp", 25),
            ("submission", "smtp", 587),
            ("submissions", "smtps", 465),
            ("smtps", "smtps", 465),
            ("postgresql", "postgres", 5432),
            ("mariadb", "mysql", 3306),
            ("xmpp-server", "xmpp-server", 5269),
            ("ircs", "ircs", 6697),
            ("sqlserver", "mssql", 1433),
            ("mssql-strict", "mssql-strict", 1433),
            ("rdp", "rdp", 3389),
            ("nats", "nats", 4222),
            ("rediss", "rediss", 6379),
            ("mqtts", "mqtts", 8883),
            ("amqps", "amqps", 5671),
            ("sips", "sips", 5061),
            ("wss", "wss", 443),
            ("mongodb", "mongodb", 27017),
            ("etcd", "etcd", 2379),
            ("docker", "docker", 2376),
            ("dot", "dot", 853),
            ("winrms", "https", 5986),
        ] {
            let (protocol, found) = Protocol::of_scheme(scheme).unwrap();
            assert_eq!((protocol.name(), found), (name, port), "{scheme}");
        }
        assert!(Protocol::of_scheme("gopher").is_err());
    }

    #[test]
    fn direct_tls_has_no_cleartext_dialogue() {
        for &protocol in Protocol::ALL {
            if let Some(direct) = protocol.with_direct_tls() {
                assert!(protocol.uses_starttls(), "{protocol}");
                assert!(!direct.uses_starttls(), "{direct}");
            }
        }
    }

    #[test]
    fn scheme_without_tls_names_the_one_with_tls() {
        for (plain, tls) in PLAIN {
            assert!(Protocol::of_scheme(tls).is_ok(), "{tls}");
            let error = plain.parse::<Protocol>().unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `{tls}`?")), "{error}");
        }
        for (scheme, what) in UNSUPPORTED {
            let error = Protocol::of_scheme(scheme).unwrap_err().to_string();
            assert!(error.ends_with(what), "{error}");
        }
        let known: Vec<&str> = Protocol::schemes().collect();
        for scheme in PLAIN.iter().chain(&UNSUPPORTED).map(|(scheme, _)| scheme) {
            assert!(!known.contains(scheme), "{scheme}");
        }
    }

    #[test]
    fn starttls_protocol_is_known_by_its_port() {
        assert_eq!(Protocol::in_the_clear_at(25), Some(Protocol::Smtp));
        assert_eq!(Protocol::in_the_clear_at(587), Some(Protocol::Smtp));
        assert_eq!(Protocol::in_the_clear_at(443), None);
        assert_eq!(Protocol::in_the_clear_at(993), None);
    }

    #[test]
    fn protocol_name_round_trips() {
        for &protocol in Protocol::ALL {
            assert_eq!(protocol.name().parse(), Ok(protocol));
            let starttls = Protocol::parse_starttls(protocol.name());
            assert_eq!(starttls.is_ok(), protocol.uses_starttls());
        }
        assert!(
            Protocol::parse_starttls("imaps")
                .unwrap_err()
                .to_string()
                .contains("imap,")
        );
    }
}
