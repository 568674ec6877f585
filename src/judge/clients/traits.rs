//! The traits of a path that some client decides by.

use crate::certificate::{Certificate, Facts, Key, KeyUsage, Kind, Oddity};

use super::super::path::{Fault, FaultKind, Path, PathRole, issuer_and_serial_match};
use super::Presented;

macro_rules! traits {
    ($($variant:ident $meaning:literal;)+) => {
        /// A trait of a path that some client decides by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Trait { $(#[doc = $meaning] $variant,)+ }

        impl Trait {
            /// Every trait, in the order of the table.
            pub const ALL: &'static [Trait] = &[$(Self::$variant,)+];

            /// What it is, for the table.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

traits! {
    LeafExpired "The leaf has expired.";
    LeafNotYetValid "The leaf is not valid yet.";
    IntermediateExpired "An intermediate of the path has expired.";
    IntermediateNotYetValid "An intermediate of the path is not valid yet.";
    RootExpired "The root has expired.";
    RootNotYetValid "The root is not valid yet.";
    IntermediateNotCa "An intermediate is no CA (basicConstraints CA:FALSE).";
    IntermediateNoBasicConstraints "An intermediate of version 3 has no basicConstraints.";
    IntermediateOldVersion "An intermediate is of X.509 version 1 or 2.";
    IntermediateNoKeyCertSign "An intermediate's keyUsage lacks keyCertSign.";
    RootNotCa "The root is no CA (basicConstraints CA:FALSE).";
    RootNoBasicConstraints "The root is of version 3 and has no basicConstraints.";
    RootNoKeyCertSign "The root's keyUsage lacks keyCertSign.";
    PathLength "The pathLenConstraint of an intermediate is exceeded.";
    RootPathLength "The pathLenConstraint of the root is exceeded.";
    LeafNotForServers "The leaf's extKeyUsage has neither serverAuth nor anyExtendedKeyUsage.";
    IntermediateNotForServers "An intermediate's extKeyUsage has neither serverAuth nor anyExtendedKeyUsage.";
    RootNotForServers "The root's extKeyUsage has neither serverAuth nor anyExtendedKeyUsage.";
    NoTlsKeyUsage "The leaf's keyUsage fits no key exchange of TLS.";
    RsaWithoutDigitalSignature "The keyUsage of a leaf with an RSA key lacks digitalSignature.";
    EcWithoutDigitalSignature "The keyUsage of a leaf with an EC key lacks digitalSignature.";
    NameConstraint "A name violates the name constraints of an intermediate.";
    RootNameConstraint "A name violates the name constraints of the root.";
    NameConstraintUnsupported "A name constraint is on a kind of name that cannot be compared.";
    NameConstraintMalformed "Name constraints are malformed.";
    NoValidPolicy "requireExplicitPolicy is not satisfied.";
    AnyPolicyMapped "policyMappings maps from or to anyPolicy.";
    LeafUnknownCritical "The leaf has an unknown critical extension.";
    IntermediateUnknownCritical "An intermediate has an unknown critical extension.";
    RootUnknownCritical "The root has an unknown critical extension.";
    MalformedExtension "An extension that path validation needs is malformed.";
    RootMalformedExtension "An extension of the root that path validation needs is malformed.";
    DuplicateExtension "An extension occurs twice.";
    Unverifiable "A signature is of a kind that certvigil cannot verify.";
    WeakSignature "A certificate below the root is signed with SHA-1 or MD5.";
    AlgorithmMismatch "The signature algorithms inside and outside of the signed part differ.";
    TinyKey "A key is RSA under 1024 bits or EC under 224 bits.";
    WeakKey "A key is RSA of 1024 to 2047 bits.";
    Unreadable "A certificate, or its validity, cannot be read.";
    NameEncoding "An issuer and the subject above it are one name in two encodings.";
    KeyIdentifier "An authorityKeyIdentifier's key identifier is not that of the issuer.";
    KeyIdentifierIssuer "An authorityKeyIdentifier names another issuer and serial number.";
    CriticalPolicies "A certificate has a critical extension about policies.";
    CriticalKeyIdentifier "A key identifier extension is critical.";
    LeafIsAuthority "The leaf is a CA, and is not in the trust store itself.";
    LeafInStore "The leaf is in the trust store itself.";
    RootNotSelfIssued "The trust anchor is an intermediate.";
    ManyIntermediates "The path has more than six intermediates.";
    NegativeSerial "A serial number is negative.";
    UniqueIdentifiers "A certificate has unique identifiers.";
    UnknownVersion "A certificate's version is not 1, 2 or 3.";
    LeafEd25519 "The leaf's key is Ed25519.";
    LeafP521 "The leaf's key is P-521.";
    LeafRsaPss "The leaf's key is bound to RSASSA-PSS.";
}

/// The traits of a path, each with words that say where it is.
pub(super) fn of(path: &Path<'_>, presented: &Presented<'_>) -> Vec<(Trait, String)> {
    let mut out: Vec<(Trait, String)> = path
        .faults
        .iter()
        .map(|fault| (of_fault(fault), fault.to_string()))
        .collect();
    let anchor = path.anchor().and_then(|a| a.certificate());
    let all: Vec<&Certificate> = path.certificates.iter().copied().chain(anchor).collect();
    for (position, certificate) in all.iter().enumerate() {
        let Ok(facts) = certificate.facts() else {
            continue;
        };
        let is_anchor = anchor.is_some() && position + 1 == all.len();
        let what = describe(facts, position == 0, is_anchor);
        let mut add = |of: Trait, words: &str| out.push((of, format!("{what} {words}")));
        of_certificate(facts, position == 0, is_anchor, &mut add);
        if let Some(above) = all.get(position + 1).and_then(|c| c.facts().ok()) {
            if facts.issuer_der != above.subject_der {
                add(
                    Trait::NameEncoding,
                    "names its issuer in another encoding than the issuer itself",
                );
            }
            of_key_ids(facts, above, &mut add);
        }
    }
    let intermediates = path.certificates.len().saturating_sub(1);
    if intermediates > MANY {
        let words = format!("the path has {intermediates} intermediates");
        out.push((Trait::ManyIntermediates, words));
    }
    if let Some(facts) = anchor.and_then(|c| c.facts().ok())
        && !facts.is_self_issued()
    {
        let words = format!("the trust anchor `{}` is an intermediate", facts.name());
        out.push((Trait::RootNotSelfIssued, words));
    }
    if path.anchor().is_none() && presented.trust.holds(presented.leaf) {
        out.push((
            Trait::LeafInStore,
            "the certificate is in the trust store itself".into(),
        ));
    }
    out
}

/// Intermediates that every client follows.
const MANY: usize = 6;

fn describe(facts: &Facts, is_leaf: bool, is_anchor: bool) -> String {
    match (is_leaf, is_anchor) {
        (true, _) => "the certificate".into(),
        (_, true) => format!("the root `{}`", facts.name()),
        _ => format!("the intermediate `{}`", facts.name()),
    }
}

fn of_certificate(
    facts: &Facts,
    is_leaf: bool,
    is_anchor: bool,
    add: &mut impl FnMut(Trait, &str),
) {
    let extensions = &facts.extensions;
    if matches!(facts.key, Key::Rsa(bits) | Key::RsaPss(bits) if (1024..2048).contains(&bits)) {
        add(Trait::WeakKey, &format!("has a weak key: {}", facts.key));
    }
    for oddity in &facts.oddities {
        let of = match oddity {
            Oddity::NegativeSerial => Trait::NegativeSerial,
            Oddity::UniqueIdentifiers => Trait::UniqueIdentifiers,
            Oddity::Version(version) if !(1..=3).contains(version) => Trait::UnknownVersion,
            Oddity::UnreadableVersion => Trait::UnknownVersion,
            _ => continue,
        };
        add(of, &format!("is odd: {oddity}"));
    }
    let policies = [
        Kind::CertificatePolicies,
        Kind::PolicyMappings,
        Kind::PolicyConstraints,
        Kind::InhibitAnyPolicy,
    ];
    if let Some(kind) = policies.iter().find(|kind| extensions.is_critical(kind)) {
        add(
            Trait::CriticalPolicies,
            &format!("has a critical {} extension", kind.name()),
        );
    }
    let key_ids = [Kind::SubjectKeyIdentifier, Kind::AuthorityKeyIdentifier];
    if let Some(kind) = key_ids.iter().find(|kind| extensions.is_critical(kind)) {
        add(
            Trait::CriticalKeyIdentifier,
            &format!("has a critical {} extension", kind.name()),
        );
    }
    if !is_leaf || is_anchor {
        return;
    }
    if extensions.basic_constraints.is_some_and(|b| b.is_ca) {
        add(Trait::LeafIsAuthority, "is a certificate authority");
    }
    let lacks_signature =
        (extensions.key_usage).is_some_and(|usage| !usage.allows(KeyUsage::DIGITAL_SIGNATURE));
    if lacks_signature {
        let of = match facts.key {
            Key::Rsa(_) | Key::RsaPss(_) => Trait::RsaWithoutDigitalSignature,
            _ => Trait::EcWithoutDigitalSignature,
        };
        add(of, "has a key usage without digitalSignature");
    }
    let key = match &facts.key {
        Key::Ec(curve, _) if curve == "P-521" => Some(Trait::LeafP521),
        Key::Other(name) if name == "Ed25519" => Some(Trait::LeafEd25519),
        Key::RsaPss(_) => Some(Trait::LeafRsaPss),
        _ => None,
    };
    if let Some(of) = key {
        add(of, &format!("has a key of the kind {}", facts.key));
    }
}

fn of_key_ids(below: &Facts, above: &Facts, add: &mut impl FnMut(Trait, &str)) {
    let wanted = below.extensions.authority_key_id.as_ref();
    let wanted = wanted.and_then(|id| id.key_id.as_ref());
    if let (Some(wanted), Some(has)) = (wanted, &above.extensions.subject_key_id)
        && wanted != has
    {
        add(
            Trait::KeyIdentifier,
            "names another key of its issuer (authorityKeyIdentifier)",
        );
    }
    if !issuer_and_serial_match(below, above) {
        add(
            Trait::KeyIdentifierIssuer,
            "names another certificate of its issuer (authorityKeyIdentifier)",
        );
    }
}

fn of_fault(fault: &Fault) -> Trait {
    use PathRole::{Anchor, Intermediate, Leaf};
    match (&fault.kind, fault.role) {
        (FaultKind::Expired(_), Leaf) => Trait::LeafExpired,
        (FaultKind::Expired(_), Intermediate) => Trait::IntermediateExpired,
        (FaultKind::Expired(_), Anchor) => Trait::RootExpired,
        (FaultKind::NotYetValid(_), Leaf) => Trait::LeafNotYetValid,
        (FaultKind::NotYetValid(_), Intermediate) => Trait::IntermediateNotYetValid,
        (FaultKind::NotYetValid(_), Anchor) => Trait::RootNotYetValid,
        (FaultKind::Unreadable | FaultKind::UnreadableValidity, _) => Trait::Unreadable,
        (FaultKind::NoBasicConstraints, Anchor) => Trait::RootNoBasicConstraints,
        (FaultKind::NoBasicConstraints, _) => Trait::IntermediateNoBasicConstraints,
        (FaultKind::NotCa, Anchor) => Trait::RootNotCa,
        (FaultKind::NotCa, _) => Trait::IntermediateNotCa,
        (FaultKind::OldVersion(_), _) => Trait::IntermediateOldVersion,
        (FaultKind::NoKeyCertSign, Anchor) => Trait::RootNoKeyCertSign,
        (FaultKind::NoKeyCertSign, _) => Trait::IntermediateNoKeyCertSign,
        (FaultKind::PathLength { .. }, Anchor) => Trait::RootPathLength,
        (FaultKind::PathLength { .. }, _) => Trait::PathLength,
        (FaultKind::NoTlsKeyUsage, _) => Trait::NoTlsKeyUsage,
        (FaultKind::NotForServers, Leaf) => Trait::LeafNotForServers,
        (FaultKind::NotForServers, Intermediate) => Trait::IntermediateNotForServers,
        (FaultKind::NotForServers, Anchor) => Trait::RootNotForServers,
        (FaultKind::NameConstraint { .. }, Anchor) => Trait::RootNameConstraint,
        (FaultKind::NameConstraint { .. }, _) => Trait::NameConstraint,
        (FaultKind::NameConstraintUnsupported(_), _) => Trait::NameConstraintUnsupported,
        (FaultKind::NameConstraintMalformed | FaultKind::TooManyNames, _) => {
            Trait::NameConstraintMalformed
        }
        (FaultKind::NoValidPolicy, _) => Trait::NoValidPolicy,
        (FaultKind::AnyPolicyMapped, _) => Trait::AnyPolicyMapped,
        (FaultKind::UnknownCritical(_), Leaf) => Trait::LeafUnknownCritical,
        (FaultKind::UnknownCritical(_), Intermediate) => Trait::IntermediateUnknownCritical,
        (FaultKind::UnknownCritical(_), Anchor) => Trait::RootUnknownCritical,
        (FaultKind::MalformedExtension(_), Anchor) => Trait::RootMalformedExtension,
        (FaultKind::MalformedExtension(_), _) => Trait::MalformedExtension,
        (FaultKind::DuplicateExtension(_), _) => Trait::DuplicateExtension,
        (FaultKind::Unverifiable(_), _) => Trait::Unverifiable,
        (FaultKind::WeakSignature(_), _) => Trait::WeakSignature,
        (FaultKind::AlgorithmMismatch, _) => Trait::AlgorithmMismatch,
        (FaultKind::TinyKey(_), _) => Trait::TinyKey,
    }
}
