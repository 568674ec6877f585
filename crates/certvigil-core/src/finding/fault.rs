//! What can be wrong with a path, as data (RFC 5280, section 6).

use serde::Serialize;

use crate::certificate::{ExtendedKeyUsage, Fingerprint, Oddity};
use crate::model::Timestamp;

use super::Role;

/// One fault of one certificate in a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Fault {
    /// What is wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The role of the certificate that it is about.
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

/// What is wrong with a certificate in a path.
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
        /// It has keyUsage.
        has_key_usage: bool,
    },
    /// basicConstraints says that it is no CA.
    NotCa,
    /// It is of version 1 or 2, and is not in the trust store itself (section 6.1.4 (k)).
    OldVersion(u8),
    /// keyUsage lacks keyCertSign (section 6.1.4 (n)).
    NoKeyCertSign {
        /// No bit is set.
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
        /// No bit is set.
        is_empty: bool,
    },
    /// extKeyUsage lists neither serverAuth nor anyExtendedKeyUsage.
    NotForServers {
        /// What it lists.
        usage: ExtendedKeyUsage,
    },
    /// A name is outside of the permitted subtrees, or inside of an excluded one (section 6.1.3 (b), (c)).
    NameConstraint {
        /// The kind of name.
        kind: &'static str,
        /// The name.
        subject: String,
        /// It is inside of an excluded subtree.
        is_excluded: bool,
    },
    /// A constraint is on a kind of name that cannot be compared, and a certificate below has such a name.
    NameConstraintUnsupported(String),
    /// A nameConstraints extension is malformed.
    NameConstraintMalformed,
    /// Comparing names was given up at `MAX_COMPARISONS`.
    TooManyNames,
    /// The certificate policies do not satisfy requireExplicitPolicy (section 6.1.5 (g)).
    NoValidPolicy,
    /// policyMappings maps from or to anyPolicy (section 6.1.4 (a)).
    AnyPolicyMapped,
    /// It has a critical extension that path validation does not process, by name or object identifier.
    UnknownCritical(String),
    /// An extension that path validation needs cannot be read.
    MalformedExtension(String),
    /// An extension is listed more than once.
    DuplicateExtension(String),
    /// Its signature is by an algorithm that cannot be verified here.
    Unverifiable(AlgorithmName),
    /// Its signature uses MD5 or SHA-1, which clients no longer accept.
    WeakSignature(String),
    /// The algorithm inside of the signed part is another one than that of the signature (section 4.1.1.2).
    AlgorithmMismatch,
    /// Its key is smaller than any client accepts.
    TinyKey(String),
    /// Its key or its signature is of a kind that most clients do not accept.
    RareAlgorithm(String),
    /// Its issuer's name is written in another way than the issuer has it, and most clients compare it otherwise than
    /// section 7.1 has it.
    NameForm,
    /// It deviates from the standard in a way that most clients refuse.
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

    /// Returns true if the fault says what an oddity of the same certificate says.
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

    /// Returns true for a fault of time, which has findings of its own.
    pub fn is_of_time(&self) -> bool {
        matches!(self, Self::Expired(_) | Self::NotYetValid(_))
    }
}
