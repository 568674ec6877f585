//! The faults of text that is not a target.

use crate::model::{HostnameError, ProtocolError};

/// Reason for which text is not a target, with a suggestion. It never contains a user name or a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}{}", .suggestion.as_ref().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default())]
pub struct TargetError {
    /// The fault.
    pub fault: TargetFault,
    /// A target, or several that are separated by spaces.
    pub suggestion: Option<String>,
}

/// The fault of text that is not a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetFault {
    /// It contains a user name or a password.
    #[error("`{shown}` contains a user name or password; remove it")]
    Userinfo {
        /// The text without them.
        shown: String,
    },
    /// A URL has the scheme of a protocol without TLS.
    #[error("`{scheme}` has no TLS")]
    SchemeWithoutTls {
        /// The scheme.
        scheme: String,
    },
    /// A URL has a scheme that is similar to a supported one.
    #[error("unsupported scheme `{scheme}`")]
    UnsupportedScheme {
        /// The scheme.
        scheme: String,
    },
    /// A URL has an unsupported scheme.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// A URL has no host.
    #[error("`{text}` has no host; write {scheme}://host")]
    NoHost {
        /// The text.
        text: String,
        /// The scheme.
        scheme: String,
    },
    /// A URL has no port, and its scheme has no default.
    #[error("`{text}` has no port; write {scheme}://host:port")]
    NoPort {
        /// The text.
        text: String,
        /// The scheme.
        scheme: String,
    },
    /// There is a comma or a semicolon.
    #[error(
        "`{text}` contains a {}; separate targets by spaces",
        match .separator { ',' => "comma", _ => "semicolon" }
    )]
    Separator {
        /// The text.
        text: String,
        /// The comma or semicolon.
        separator: char,
    },
    /// There is white space.
    #[error(
        "`{text}` contains white space; write each target as an argument, or as a line, of its own"
    )]
    WhiteSpace {
        /// The text.
        text: String,
    },
    /// It has another syntax.
    #[error(
        "`{text}` is not a target; write host, host:port, [IPv6]:port or a URL with its scheme"
    )]
    Syntax {
        /// The text.
        text: String,
    },
    /// The last colon may separate a port, or be a part of an IPv6 address.
    #[error("`{text}` is ambiguous; write an IPv6 address with a port as [address]:port")]
    Ambiguous {
        /// The text.
        text: String,
    },
    /// Nothing follows the last colon.
    #[error(
        "`{text}` has an empty port; write 1 to 65535 after the colon, or remove it: `` is not a port"
    )]
    EmptyPort {
        /// The text.
        text: String,
    },
    /// The port is not a number from 1 to 65535.
    #[error(transparent)]
    Port(#[from] PortError),
    /// There is a port and no host.
    #[error("`{text}` has no host; write host{text}: the host name is empty")]
    PortAlone {
        /// The text.
        text: String,
    },
    /// The zone identifier is empty, or has characters that no interface has.
    #[error(
        "`{text}`: the zone identifier after `%` is not a network interface; write it as in fe80::1%eth0"
    )]
    ZoneIdentifier {
        /// The text.
        text: String,
    },
    /// The address with a zone identifier is not link-local.
    #[error(
        "`{text}` has a zone identifier, which only link-local addresses (fe80::/10) have; remove `%{zone}`"
    )]
    NotLinkLocal {
        /// The text.
        text: String,
        /// The zone identifier.
        zone: String,
    },
    /// The host is not a host name.
    #[error(transparent)]
    Hostname(#[from] HostnameError),
}

/// Text that is not a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a port; write 1 to 65535")]
pub struct PortError {
    /// The text.
    pub text: String,
}
