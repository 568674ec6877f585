//! The kinds of keys that probes request.

use std::fmt;
use std::str::FromStr;

use super::UnknownValue;

/// The kind of key that a probe requests, by the signature algorithms that the handshake offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyType {
    /// The server's preferred kind.
    #[default]
    Any,
    /// RSA.
    Rsa,
    /// ECDSA and EdDSA: all kinds but RSA.
    Ecdsa,
}

impl KeyType {
    /// Returns the name in flags, configuration, JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Rsa => "rsa",
            Self::Ecdsa => "ecdsa",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The requested kinds of keys, with one probe for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyTypes {
    /// One probe, for this kind.
    One(KeyType),
    /// A probe for each kind.
    All,
}

impl Default for KeyTypes {
    fn default() -> Self {
        Self::ANY
    }
}

impl KeyTypes {
    /// The server's preferred kind, which is the default.
    pub const ANY: Self = Self::One(KeyType::Any);

    /// Returns the kind of each probe.
    pub fn each(self) -> &'static [KeyType] {
        match self {
            Self::One(KeyType::Any) => &[KeyType::Any],
            Self::One(KeyType::Rsa) => &[KeyType::Rsa],
            Self::One(KeyType::Ecdsa) => &[KeyType::Ecdsa],
            Self::All => &[KeyType::Rsa, KeyType::Ecdsa],
        }
    }
}

impl fmt::Display for KeyTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(kind) => kind.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for KeyTypes {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        match text {
            "any" => Ok(Self::ANY),
            "rsa" => Ok(Self::One(KeyType::Rsa)),
            "ecdsa" => Ok(Self::One(KeyType::Ecdsa)),
            "all" => Ok(Self::All),
            other => Err(UnknownValue::new(
                other,
                "a key type",
                "any, rsa, ecdsa or all",
            )),
        }
    }
}
