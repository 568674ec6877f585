//! The server name that a probe sends.

use std::str::FromStr;

use super::{Hostname, HostnameError};

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

/// Reason for which text is not a server name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SniError {
    /// It is not a host name.
    #[error(transparent)]
    Hostname(#[from] HostnameError),
    /// It is an address.
    #[error(
        "`{text}` is an address, which SNI must not contain (RFC 6066); write a host name, or none"
    )]
    Address {
        /// The text.
        text: String,
    },
}

impl FromStr for Sni {
    type Err = SniError;

    /// Parses a host name, or `none`.
    fn from_str(text: &str) -> Result<Self, SniError> {
        if text == "none" {
            return Ok(Self::None);
        }
        match text.parse::<Hostname>()? {
            Hostname::Dns(name) => Ok(Self::Name(name)),
            Hostname::Ip(_) | Hostname::File(_) => Err(SniError::Address {
                text: text.to_owned(),
            }),
        }
    }
}
