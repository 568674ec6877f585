//! What can be wrong with a path, as data (RFC 5280, section 6).

use std::fmt;

use crate::certificate::{ExtendedKeyUsage, Fingerprint, Oddity};
use crate::model::Timestamp;

/// The role of a certificate in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::judge) enum Role {
    /// The server's own certificate.
    Leaf,
    /// A certificate between the leaf and the trust anchor.
    Intermediate,
    /// The certificate in the trust store.
    Anchor,
}

/// One fault of one certificate in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::judge) struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// The role of the certificate that it is about.
    pub role: Role,
    /// The certificate's name, for messages; empty for the leaf.
    pub name: String,
    /// The certificate; `None` for a trust anchor that is known by name and key only.
    pub certificate: Option<Fingerprint>,
}

impl Fault {
    /// Returns true if both are faults of one certificate.
    pub(in crate::judge) fn is_about_the_same(&self, other: &Self) -> bool {
        (self.role, self.certificate) == (other.role, other.certificate)
    }
}

/// A kind of key or signature that this build cannot verify, by name.
pub(in crate::judge) type AlgorithmName = String;

/// What is wrong with a certificate in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::judge) enum FaultKind {
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
    /// Weight in choosing the attempt that explains best why there is no valid path: the fewest and mildest faults.
    pub(super) fn weight(&self) -> u32 {
        match self {
            Self::Expired(_) | Self::NotYetValid(_) => 10,
            Self::TinyKey(_) | Self::WeakSignature(_) | Self::RareAlgorithm(_) => 12,
            Self::NoTlsKeyUsage { .. }
            | Self::NotForServers { .. }
            | Self::NameConstraint { .. }
            | Self::PathLength { .. } => 20,
            Self::UnknownCritical(_) | Self::NoValidPolicy | Self::AnyPolicyMapped => 20,
            Self::NameConstraintUnsupported(_)
            | Self::NameConstraintMalformed
            | Self::TooManyNames
            | Self::MalformedExtension(_)
            | Self::DuplicateExtension(_)
            | Self::AlgorithmMismatch
            | Self::NameForm
            | Self::Deviation(_)
            | Self::UnreadableValidity => 25,
            Self::NoKeyCertSign { .. } => 30,
            Self::OldVersion(_) | Self::NoBasicConstraints { .. } => 35,
            Self::NotCa => 40,
            Self::Unverifiable(_) => 60,
            Self::Unreadable => 80,
        }
    }

    /// Returns true if the certificate may not issue others: the faults of `invalid_authority`.
    pub(in crate::judge) fn is_of_authority(&self) -> bool {
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
    pub(in crate::judge) fn covers(&self, oddity: &Oddity) -> bool {
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
    pub(in crate::judge) fn is_of_time(&self) -> bool {
        matches!(self, Self::Expired(_) | Self::NotYetValid(_))
    }
}

impl fmt::Display for FaultKind {
    /// What is wrong, without its subject: "has expired on …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(at) => write!(f, "expired on {}", at.date()),
            Self::NotYetValid(at) => write!(f, "is not valid before {at}"),
            Self::Unreadable => f.write_str("cannot be read"),
            Self::UnreadableValidity => f.write_str("has a validity that cannot be read"),
            Self::NoBasicConstraints { .. } => {
                f.write_str("has no basicConstraints extension, so it may not issue certificates")
            }
            Self::NotCa => {
                f.write_str("is no certificate authority (basicConstraints: CA:FALSE)")
            }
            Self::OldVersion(version) => write!(
                f,
                "is an X.509 version {version} certificate, which may not issue certificates"
            ),
            Self::NoKeyCertSign { .. } => {
                f.write_str("may not sign certificates (keyUsage without keyCertSign)")
            }
            Self::PathLength { allowed, found } => {
                let plural = if *allowed == 1 { "" } else { "s" };
                write!(
                    f,
                    "allows {allowed} intermediate{plural} below it (pathlen:{allowed}), and there {} {found}",
                    if *found == 1 { "is" } else { "are" }
                )
            }
            Self::NoTlsKeyUsage { .. } => f.write_str(
                "has a key usage that no key exchange of TLS can use (neither digitalSignature nor keyEncipherment nor keyAgreement)",
            ),
            Self::NotForServers { .. } => {
                f.write_str("is not for TLS servers (extended key usage without serverAuth)")
            }
            Self::NameConstraint {
                subject,
                is_excluded: true,
                ..
            } => write!(f, "excludes the name `{subject}` (name constraints)"),
            Self::NameConstraint { subject, .. } => {
                write!(f, "does not permit the name `{subject}` (name constraints)")
            }
            Self::NameConstraintUnsupported(kind) => write!(
                f,
                "constrains names of the kind {kind}, which cannot be compared, and a certificate below has one"
            ),
            Self::NameConstraintMalformed => {
                f.write_str("has name constraints that cannot be read")
            }
            Self::TooManyNames => f.write_str("has more name constraints than are compared"),
            Self::NoValidPolicy => f.write_str(
                "demands a certificate policy (policyConstraints) that the certificates below do not share",
            ),
            Self::AnyPolicyMapped => f.write_str("maps from or to anyPolicy (policyMappings)"),
            Self::UnknownCritical(name) => write!(
                f,
                "has the critical extension {name}, which clients do not know"
            ),
            Self::MalformedExtension(name) => {
                write!(f, "has a malformed {name} extension")
            }
            Self::DuplicateExtension(name) => {
                write!(f, "has more than one {name} extension")
            }
            Self::Unverifiable(name) => write!(f, "is {name}"),
            Self::WeakSignature(name) => {
                write!(f, "is signed with {name}, which clients no longer accept")
            }
            Self::AlgorithmMismatch => {
                f.write_str("names two different signature algorithms")
            }
            Self::TinyKey(key) => write!(f, "has a key that is too small: {key}"),
            Self::RareAlgorithm(name) => write!(f, "uses {name}, which most clients refuse"),
            Self::NameForm => f.write_str(
                "names its issuer in other letters or another encoding than the issuer does, which most clients refuse",
            ),
            Self::Deviation(oddity) => {
                write!(f, "deviates from {} in a way that most clients refuse: {oddity}", oddity.rule())
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Leaf => write!(f, "the certificate {}", self.kind),
            Role::Intermediate => write!(f, "the intermediate `{}` {}", self.name, self.kind),
            Role::Anchor => write!(f, "the root `{}` {}", self.name, self.kind),
        }
    }
}
