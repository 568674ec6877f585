//! Protocols: TLS from the first byte, or after a cleartext dialogue.

use std::fmt;
use std::str::FromStr;

use super::near::did_you_mean;

/// The table of protocols: for each its public name, its default port, its beginning, and its
/// description.
macro_rules! protocols {
    ($($(#[$attribute:meta])* $variant:ident $name:literal $port:literal $begin:ident $meaning:literal;)+) => {
        /// The protocol that leads to a TLS handshake at an endpoint.
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
    Smtps "smtps" 465 Tls "SMTP inside TLS: RFC 8314.";
    Imaps "imaps" 993 Tls "IMAP inside TLS: RFC 8314.";
    Pop3s "pop3s" 995 Tls "POP3 inside TLS: RFC 8314.";
    Ftps "ftps" 990 Tls "FTP inside TLS.";
    Xmpps "xmpps" 5223 Tls "XMPP for clients inside TLS: XEP-0368.";
    Ldaps "ldaps" 636 Tls "LDAP inside TLS.";
    Nntps "nntps" 563 Tls "NNTP inside TLS: RFC 8143.";
    Ircs "ircs" 6697 Tls "IRC inside TLS: RFC 7194.";
}

/// Aliases of protocols in flags, URLs and configuration, each with its port if that differs.
const ALIASES: [(&str, Protocol, Option<u16>); 4] = [
    // RFC 6409 and RFC 8314: submission of mail by its author.
    ("submission", Protocol::Smtp, Some(587)),
    ("submissions", Protocol::Smtps, None),
    ("postgresql", Protocol::Postgres, None),
    ("mariadb", Protocol::Mysql, None),
];

impl Protocol {
    /// Returns true if a cleartext dialogue precedes TLS.
    pub fn begins_in_the_clear(self) -> bool {
        self.begin() == Begin::Clear
    }

    /// Returns true if QUIC carries TLS, so that the port is a UDP port.
    pub fn is_quic(self) -> bool {
        self.begin() == Begin::Quic
    }

    /// Returns true if there is no connection: the certificate is read from a file.
    pub fn is_file(self) -> bool {
        self.begin() == Begin::File
    }

    /// Returns the protocol and the port of the scheme of a URL.
    ///
    /// # Errors
    /// Returns an error if no supported protocol has the scheme.
    pub fn of_scheme(scheme: &str) -> Result<(Self, u16), String> {
        let alias = ALIASES.iter().find(|(name, ..)| *name == scheme);
        match alias {
            Some((_, protocol, port)) => {
                Ok((*protocol, port.unwrap_or_else(|| protocol.default_port())))
            }
            None => Self::named(scheme).map(|protocol| (protocol, protocol.default_port())),
        }
    }

    /// Returns the schemes of a target, except `tls`.
    pub(super) fn schemes() -> impl Iterator<Item = &'static str> {
        let aliases = ALIASES.iter().map(|(name, ..)| *name);
        Self::ALL.iter().map(|p| p.name()).chain(aliases)
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
            .filter(|protocol| protocol.begins_in_the_clear())
    }

    /// Parses a protocol that begins in cleartext, as given to a flag.
    ///
    /// # Errors
    /// Returns an error if no such protocol has this name.
    pub fn parse_starttls(text: &str) -> Result<Self, String> {
        let is_clear = |protocol: &Self| protocol.begins_in_the_clear();
        match text.parse::<Self>() {
            Ok(protocol) if is_clear(&protocol) => Ok(protocol),
            Ok(_) => Err(format!(
                "`{text}` uses TLS from the first byte; remove the flag and write {text}://host as the target, \
                 or write one of {}",
                names(is_clear)
            )),
            Err(_) => {
                let clear = Self::ALL.iter().filter(|p| is_clear(p)).map(|p| p.name());
                let near = did_you_mean(text, clear).map(|near| format!("; {near}"));
                Err(format!(
                    "`{text}` is not a STARTTLS protocol{}",
                    near.unwrap_or_else(|| format!("; write one of {}", names(is_clear)))
                ))
            }
        }
    }

    fn named(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.iter().copied();
        all.find(|p| p.name() == text).ok_or_else(|| {
            let near = did_you_mean(text, Self::schemes()).map(|near| format!("; {near}"));
            let near = near.unwrap_or_else(|| format!("; supported: {}", names(|_| true)));
            format!("unsupported protocol `{text}`{near}")
        })
    }
}

fn names(wanted: impl Fn(&Protocol) -> bool) -> String {
    let names = Protocol::ALL.iter().filter(|p| wanted(p));
    names.map(|p| p.name()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
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
        ] {
            let (protocol, found) = Protocol::of_scheme(scheme).unwrap();
            assert_eq!((protocol.name(), found), (name, port), "{scheme}");
        }
        assert!(Protocol::of_scheme("gopher").is_err());
    }

    #[test]
    fn a_port_is_known_for_what_begins_in_the_clear_there() {
        assert_eq!(Protocol::in_the_clear_at(25), Some(Protocol::Smtp));
        assert_eq!(Protocol::in_the_clear_at(587), Some(Protocol::Smtp));
        assert_eq!(Protocol::in_the_clear_at(443), None);
        assert_eq!(Protocol::in_the_clear_at(993), None);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for &protocol in Protocol::ALL {
            assert_eq!(protocol.name().parse(), Ok(protocol));
            let starttls = Protocol::parse_starttls(protocol.name());
            assert_eq!(starttls.is_ok(), protocol.begins_in_the_clear());
        }
        assert!(
            Protocol::parse_starttls("imaps")
                .unwrap_err()
                .contains("imap,")
        );
    }
}
