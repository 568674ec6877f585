//! Faults of a path, as data (RFC 5280, section 6).

use serde::Serialize;

use crate::certificate::{ExtendedKeyUsage, Fingerprint, Oddity};
use crate::model::Timestamp;

use super::Role;

/// A fault of one certificate in a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Fault {
    /// The kind of fault.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The role of the certificate.
    #[serde(rename = "position")]
    pub role: Role,
    /// The certificate's name, for messages; empty for the leaf.
    pub name: String,
    /// The certificate; `None` for a trust anchor that is known by name and key only.
    #[serde(rename = "sha256_fingerprint")]
    pub certificate: Option<Fingerprint>,
}

impl Fault {
    /// Returns true if both are faults of one certificate.
    pub fn is_about_the_same(&self, other: &Self) -> bool {
        (self.role, self.certificate) == (other.role, other.certificate)
    }
}

/// A kind of key or signature that this build cannot verify, by name.
pub type AlgorithmName = String;

/// Kind of fault of a certificate in a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum FaultKind {
    /// Its notAfter has passed (section 6.1.3 (a)(2)).
    Expired(Timestamp),
    /// Its notBefore has not come.
    NotYetValid(Timestamp),
    /// It cannot be read.
    Unreadable,
    /// Its validity cannot be read.
    UnreadableValidity,
    /// It is version 3 and has no basicConstraints (section 6.1.4 (k)).
    NoBasicConstraints {
        /// True if it has keyUsage.
        has_key_usage: bool,
    },
    /// basicConstraints does not mark it as a CA.
    NotCa,
    /// Its version is 1 or 2, and it is not in the trust store itself (section 6.1.4 (k)).
    OldVersion(u8),
    /// keyUsage lacks keyCertSign (section 6.1.4 (n)).
    NoKeyCertSign {
        /// True if no bit is set.
        is_empty: bool,
    },
    /// More intermediates are below it than its pathLenConstraint allows (section 6.1.4 (l), (m)).
    PathLength {
        /// The constraint.
        allowed: u32,
        /// The intermediates below it that are not self-issued.
        found: u32,
    },
    /// keyUsage of the leaf has neither digitalSignature nor keyEncipherment nor keyAgreement.
    NoTlsKeyUsage {
        /// True if no bit is set.
        is_empty: bool,
    },
    /// extKeyUsage lists neither serverAuth nor anyExtendedKeyUsage.
    NotForServers {
        /// The listed usages.
        usage: ExtendedKeyUsage,
    },
    /// A name is outside the permitted subtrees, or inside an excluded one (section 6.1.3 (b),
    /// (c)).
    NameConstraint {
        /// The kind of name.
        kind: &'static str,
        /// The name.
        subject: String,
        /// True if it is inside an excluded subtree.
        is_excluded: bool,
    },
    /// A constraint applies to a kind of name that cannot be compared, and a certificate below has
    /// such a name.
    NameConstraintUnsupported(String),
    /// A nameConstraints extension is malformed.
    NameConstraintMalformed,
    /// The comparison of names exceeded `MAX_COMPARISONS`.
    TooManyNames,
    /// The certificate policies do not satisfy requireExplicitPolicy (section 6.1.5 (g)).
    NoValidPolicy,
    /// policyMappings maps from or to anyPolicy (section 6.1.4 (a)).
    AnyPolicyMapped,
    /// It has a critical extension that path validation does not process, by name or object identifier.
    UnknownCritical(String),
    /// An extension that path validation needs cannot be read.
    MalformedExtension(String),
    /// It has this many more faults of extensions, beyond the maximum that is reported.
    MoreExtensions(usize),
    /// An extension is listed more than once.
    DuplicateExtension(String),
    /// certvigil cannot verify the algorithm of its signature.
    Unverifiable(AlgorithmName),
    /// Its signature uses MD5 or SHA-1, which clients no longer accept.
    WeakSignature(String),
    /// The algorithm in the signed part differs from that of the signature (section 4.1.1.2).
    AlgorithmMismatch,
    /// Its key is too small for any client.
    TinyKey(String),
    /// Most clients do not accept the kind of its key or of its signature.
    RareAlgorithm(String),
    /// Its issuer's name is encoded differently than in the issuer, and most clients do not compare
    /// the two as section 7.1 requires.
    NameForm,
    /// It deviates from the standard, and most clients refuse it.
    Deviation(Oddity),
}

impl FaultKind {
    /// Returns true if the certificate may not issue others: the faults of `invalid_authority`.
    pub fn is_of_authority(&self) -> bool {
        matches!(
            self,
            Self::NoBasicConstraints { .. }
                | Self::NotCa
                | Self::OldVersion(_)
                | Self::NoKeyCertSign { .. }
                | Self::PathLength { .. }
        )
    }

    /// Returns true if the fault and an oddity of the same certificate report the same problem.
    pub fn covers(&self, oddity: &Oddity) -> bool {
        match oddity {
            Oddity::UnknownCriticalExtension(_) => matches!(self, Self::UnknownCritical(_)),
            Oddity::UnreadableExtension(_) => matches!(self, Self::MalformedExtension(_)),
            Oddity::DuplicateExtension(_) => matches!(self, Self::DuplicateExtension(_)),
            Oddity::SignatureAlgorithmsDiffer | Oddity::SignatureParametersDiffer => {
                *self == Self::AlgorithmMismatch
            }
            oddity => matches!(self, Self::Deviation(known) if known == oddity),
        }
    }

    /// Returns true for a fault of time, for which there are separate findings.
    pub fn is_of_time(&self) -> bool {
        matches!(self, Self::Expired(_) | Self::NotYetValid(_))
    }
}
