//! Addresses that the user specifies for names.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::model::{Hostname, HostnameError, PortError, parse_port};

/// Override `--resolve HOST:PORT:ADDR[,ADDR]`: replaces the addresses of DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Host. `None` is any host (`*`).
    pub hostname: Option<Hostname>,
    /// Port.
    pub port: u16,
    /// Addresses, at least one.
    pub addresses: Vec<IpAddr>,
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hostname {
            None => f.write_str("*")?,
            Some(Hostname::Ip(IpAddr::V6(ip))) => write!(f, "[{ip}]")?,
            Some(hostname) => hostname.fmt(f)?,
        }
        let addresses = self.addresses.iter().map(ToString::to_string);
        write!(
            f,
            ":{}:{}",
            self.port,
            addresses.collect::<Vec<_>>().join(",")
        )
    }
}

/// Reason for which text is not an override.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// It has another syntax.
    #[error(
        "`{text}` is not HOST:PORT:ADDR[,ADDR], such as example.com:443:192.0.2.1,[2001:db8::1]"
    )]
    Syntax {
        /// The text.
        text: String,
    },
    /// An address is malformed.
    #[error(
        "`{address}` is not an IP address; `{text}` is not HOST:PORT:ADDR[,ADDR], such as example.com:443:192.0.2.1,[2001:db8::1]"
    )]
    Address {
        /// The text.
        text: String,
        /// The address.
        address: String,
    },
    /// The host is not a host name.
    #[error(transparent)]
    Hostname(#[from] HostnameError),
    /// The port is not a port.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl FromStr for Override {
    type Err = OverrideError;

    /// Parses curl's form `HOST:PORT:ADDR[,ADDR]`. IPv6 addresses may be in brackets, and `*` is
    /// any host.
    fn from_str(text: &str) -> Result<Self, OverrideError> {
        let written = text;
        let form = || OverrideError::Syntax {
            text: written.to_owned(),
        };
        // In curl, `+` marks an entry that times out. Overrides of certvigil never do.
        let text = text.strip_prefix('+').unwrap_or(text);
        let after_host = match text.strip_prefix('[') {
            Some(rest) => rest.find("]:").map(|at| at + 2).ok_or_else(form)?,
            None => text.find(':').ok_or_else(form)?,
        };
        let (host, rest) = text.split_at_checked(after_host).ok_or_else(form)?;
        let rest = rest.strip_prefix(':').ok_or_else(form)?;
        let (port, addresses) = rest.split_once(':').ok_or_else(form)?;
        let addresses: Vec<IpAddr> = addresses
            .split(',')
            .map(|a| {
                let inner = a.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
                inner
                    .unwrap_or(a)
                    .parse()
                    .map_err(|_| OverrideError::Address {
                        text: written.to_owned(),
                        address: a.to_owned(),
                    })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            hostname: if host == "*" {
                None
            } else {
                Some(host.parse()?)
            },
            port: parse_port(port)?,
            addresses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_overrides_are_refused() {
        for text in [
            "",
            "a",
            "a:443",
            "a:0:127.0.0.1",
            "a:443:",
            "a:443:x",
            "[::1:443:127.0.0.1",
            "a:443:127.0.0.1,",
        ] {
            assert!(text.parse::<Override>().is_err(), "{text}");
        }
    }
}
