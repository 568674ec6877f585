//! Versions of TLS.

use std::fmt;

/// A version of TLS. The oldest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    /// SSL 3.0.
    Ssl30,
    /// TLS 1.0.
    Tls10,
    /// TLS 1.1.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// Returns the name in JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssl30 => "SSL 3.0",
            Self::Tls10 => "1.0",
            Self::Tls11 => "1.1",
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    /// Returns true if current clients refuse the version (RFC 7568, RFC 8996).
    pub fn is_deprecated(self) -> bool {
        self < Self::Tls12
    }
}

impl fmt::Display for TlsVersion {
    /// Writes the name for people: "TLS 1.2".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssl30 => f.write_str(self.name()),
            Self::Tls10 | Self::Tls11 | Self::Tls12 | Self::Tls13 => {
                write!(f, "TLS {}", self.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_tls_1_2_are_deprecated() {
        use TlsVersion::{Ssl30, Tls10, Tls11, Tls12, Tls13};
        let all = [Ssl30, Tls10, Tls11, Tls12, Tls13];
        let names = all.map(|version| format!("{version} {}", version.is_deprecated()));
        assert_eq!(
            names,
            [
                "SSL 3.0 true",
                "TLS 1.0 true",
                "TLS 1.1 true",
                "TLS 1.2 false",
                "TLS 1.3 false"
            ]
        );
    }
}
