//! Text of the faults of a path.

use std::fmt;

use super::super::{Fault, FaultKind, NoPath, Role};

/// Returns the advice for a fault of a path.
pub(super) fn advice(fault: &Fault) -> &'static str {
    match (&fault.kind, fault.role) {
        (FaultKind::Unverifiable(_), _) => {
            "test with a client that knows this algorithm, or have the certificate reissued with RSA or ECDSA (P-256, P-384)"
        }
        (kind, Role::Anchor) if kind.is_of_authority() => {
            "make the root again as a certificate authority (basicConstraints CA:TRUE, keyUsage keyCertSign), and give it to clients and as --ca-file"
        }
        (kind, _) if kind.is_of_authority() => {
            "have the certificate issued by an authority that may issue it, and serve its chain"
        }
        (FaultKind::NotForServers { .. }, Role::Leaf) => {
            "have the certificate reissued for TLS servers (extended key usage serverAuth)"
        }
        (FaultKind::NameConstraint { .. }, _) => {
            "have the certificate issued by an authority that may issue for this name, and serve its chain"
        }
        (
            FaultKind::UnknownCritical(_)
            | FaultKind::MalformedExtension(_)
            | FaultKind::MoreExtensions(_)
            | FaultKind::DuplicateExtension(_),
            Role::Leaf,
        ) => {
            "have the certificate reissued without that extension, or with one that is well-formed"
        }
        (FaultKind::WeakSignature(_), _) => {
            "have the certificate reissued: today's authorities sign with SHA-256 or better"
        }
        (FaultKind::TinyKey(_) | FaultKind::RareAlgorithm(_), _) => {
            "have the certificate reissued for a key of RSA 2048, EC P-256 or stronger"
        }
        (FaultKind::Expired(_) | FaultKind::NotYetValid(_), _) => {
            "install a certificate that is valid now, with the chain that came with it"
        }
        _ => {
            "have the certificate reissued by an authority whose chain clients accept, and serve that chain"
        }
    }
}

impl fmt::Display for FaultKind {
    /// Writes the fault without its subject: "has expired on …".
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
            Self::MoreExtensions(1) => f.write_str("has 1 more faulty extension"),
            Self::MoreExtensions(count) => write!(f, "has {count} more faulty extensions"),
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

impl fmt::Display for NoPath {
    /// Writes a clause: "`Root` is not a trusted root".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIssuer { issuer } => write!(
                f,
                "the issuer `{issuer}` is neither served nor a trusted root"
            ),
            Self::UntrustedRoot { subject } => write!(f, "`{subject}` is not a trusted root"),
            Self::Circle => {
                f.write_str("the authorities issued each other, and none is a trusted root")
            }
            Self::Unreadable => f.write_str("the certificate cannot be read"),
            Self::Fault { fault } => fault.fmt(f),
            Self::OtherIssuerFirst => {
                f.write_str("clients follow another served certificate of the same name first")
            }
            Self::GivenUp => f.write_str("the search for a path was given up at its bounds"),
            Self::Hostname { hostname } => {
                write!(f, "the certificate is not valid for {hostname}")
            }
        }
    }
}
