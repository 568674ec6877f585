//! The kinds of extensions, and the list of those in a certificate.

use super::super::oid::dotted;

/// An entry in the list of extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The kind of extension.
    pub kind: Kind,
    /// True if it is critical.
    pub is_critical: bool,
    /// True if its value has the form that its standard requires.
    pub is_readable: bool,
    /// True if bytes follow a well-formed value.
    pub has_trailing_bytes: bool,
}

/// Kind of extension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of RFC 5280")]
pub enum Kind {
    BasicConstraints,
    KeyUsage,
    ExtendedKeyUsage,
    NameConstraints,
    CertificatePolicies,
    PolicyMappings,
    PolicyConstraints,
    InhibitAnyPolicy,
    SubjectKeyIdentifier,
    AuthorityKeyIdentifier,
    SubjectAltName,
    IssuerAltName,
    SubjectDirectoryAttributes,
    CrlDistributionPoints,
    FreshestCrl,
    AuthorityInfoAccess,
    SubjectInfoAccess,
    TlsFeature,
    /// Signed certificate timestamps (RFC 6962).
    Timestamps,
    /// The poison of a precertificate (RFC 6962, section 3.1).
    Poison,
    /// The Netscape certificate type, which old authorities still write.
    NetscapeType,
    /// IP addresses as resources (RFC 3779, section 2.2).
    AddressBlocks,
    /// AS numbers as resources (RFC 3779, section 3.2).
    AsNumbers,
    /// The policy of a proxy certificate (RFC 3820, section 3.8).
    ProxyCertInfo,
    /// Any other, by its object identifier in dotted form.
    Unknown(Box<str>),
}

impl Kind {
    pub(super) fn of(oid: &[u8]) -> Self {
        match oid {
            [0x55, 0x1d, 19] => Self::BasicConstraints,
            [0x55, 0x1d, 15] => Self::KeyUsage,
            [0x55, 0x1d, 37] => Self::ExtendedKeyUsage,
            [0x55, 0x1d, 30] => Self::NameConstraints,
            [0x55, 0x1d, 32] => Self::CertificatePolicies,
            [0x55, 0x1d, 33] => Self::PolicyMappings,
            [0x55, 0x1d, 36] => Self::PolicyConstraints,
            [0x55, 0x1d, 54] => Self::InhibitAnyPolicy,
            [0x55, 0x1d, 14] => Self::SubjectKeyIdentifier,
            [0x55, 0x1d, 35] => Self::AuthorityKeyIdentifier,
            [0x55, 0x1d, 17] => Self::SubjectAltName,
            [0x55, 0x1d, 18] => Self::IssuerAltName,
            [0x55, 0x1d, 9] => Self::SubjectDirectoryAttributes,
            [0x55, 0x1d, 31] => Self::CrlDistributionPoints,
            [0x55, 0x1d, 46] => Self::FreshestCrl,
            [0x2b, 6, 1, 5, 5, 7, 1, 1] => Self::AuthorityInfoAccess,
            [0x2b, 6, 1, 5, 5, 7, 1, 11] => Self::SubjectInfoAccess,
            [0x2b, 6, 1, 5, 5, 7, 1, 24] => Self::TlsFeature,
            [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2] => Self::Timestamps,
            [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 3] => Self::Poison,
            [0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 1] => Self::NetscapeType,
            [0x2b, 6, 1, 5, 5, 7, 1, 7] => Self::AddressBlocks,
            [0x2b, 6, 1, 5, 5, 7, 1, 8] => Self::AsNumbers,
            [0x2b, 6, 1, 5, 5, 7, 1, 14] => Self::ProxyCertInfo,
            other => Self::Unknown(dotted(other).into()),
        }
    }

    /// Returns the name in RFC 5280, or the object identifier.
    pub fn name(&self) -> &str {
        match self {
            Self::BasicConstraints => "basicConstraints",
            Self::KeyUsage => "keyUsage",
            Self::ExtendedKeyUsage => "extKeyUsage",
            Self::NameConstraints => "nameConstraints",
            Self::CertificatePolicies => "certificatePolicies",
            Self::PolicyMappings => "policyMappings",
            Self::PolicyConstraints => "policyConstraints",
            Self::InhibitAnyPolicy => "inhibitAnyPolicy",
            Self::SubjectKeyIdentifier => "subjectKeyIdentifier",
            Self::AuthorityKeyIdentifier => "authorityKeyIdentifier",
            Self::SubjectAltName => "subjectAltName",
            Self::IssuerAltName => "issuerAltName",
            Self::SubjectDirectoryAttributes => "subjectDirectoryAttributes",
            Self::CrlDistributionPoints => "cRLDistributionPoints",
            Self::FreshestCrl => "freshestCRL",
            Self::AuthorityInfoAccess => "authorityInfoAccess",
            Self::SubjectInfoAccess => "subjectInfoAccess",
            Self::TlsFeature => "tlsFeature",
            Self::Timestamps => "signedCertificateTimestampList",
            Self::Poison => "ctPoison",
            Self::NetscapeType => "netscapeCertType",
            Self::AddressBlocks => "ipAddrBlocks",
            Self::AsNumbers => "autonomousSysIds",
            Self::ProxyCertInfo => "proxyCertInfo",
            Self::Unknown(oid) => oid,
        }
    }

    /// Returns true if path validation processes the extension. Any other critical extension makes
    /// a path invalid (RFC 5280, section 4.2). Only OpenSSL processes the Netscape certificate type.
    pub fn is_processed(&self) -> bool {
        matches!(
            self,
            Self::BasicConstraints
                | Self::KeyUsage
                | Self::ExtendedKeyUsage
                | Self::NameConstraints
                | Self::CertificatePolicies
                | Self::PolicyMappings
                | Self::PolicyConstraints
                | Self::InhibitAnyPolicy
                | Self::SubjectAltName
                | Self::SubjectKeyIdentifier
                | Self::AuthorityKeyIdentifier
                | Self::CrlDistributionPoints
        )
    }
}
