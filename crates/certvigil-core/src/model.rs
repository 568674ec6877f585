//! Types shared by all modules: host names, targets, vantages, times.

mod duration;
mod families;
mod hostname;
mod key_type;
mod list;
mod near;
mod place;
mod protocol;
mod service;
mod sni;
mod target;
mod threshold;
mod time;
mod userinfo;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use duration::{DurationError, MAX_DURATION, parse_duration};
pub use families::{Families, Family};
pub use hostname::{Hostname, HostnameError, path_of_text, path_text};
pub use key_type::{KeyType, KeyTypes};
pub use list::and_more;
pub use near::{did_you_mean, nearest_within};
pub use place::{PortError, TargetAddress, TargetError, TargetFault, parse_port};
pub use protocol::{Protocol, ProtocolError};
pub use service::{Service, ServiceError};
pub use sni::{Sni, SniError};
pub use target::Target;
pub use threshold::{CritBeforeWarn, Threshold, ThresholdError, Thresholds};
pub use time::{TimeError, Timestamp, parse_date};
pub use userinfo::{redacted, userinfo, without_userinfo};

/// Text that is none of the values of a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{written}` is not {kind}; write {values}")]
pub struct UnknownValue {
    /// The text.
    pub written: String,
    /// The kind of value, with its article: `a key type`.
    pub kind: &'static str,
    /// The values, as a list in English.
    pub values: &'static str,
}

impl UnknownValue {
    pub(crate) fn new(written: &str, kind: &'static str, values: &'static str) -> Self {
        Self {
            written: written.to_owned(),
            kind,
            values,
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
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        match text {
            "off" => Ok(Self::Off),
            "staple" => Ok(Self::Staple),
            "crl" => Ok(Self::Crl),
            "full" => Ok(Self::Full),
            other => Err(UnknownValue::new(
                other,
                "a revocation check",
                "off, staple, crl or full",
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
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        match text {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            other => Err(UnknownValue::new(
                other,
                "a PROXY protocol version",
                "v1 or v2",
            )),
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
