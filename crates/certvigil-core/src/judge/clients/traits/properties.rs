//! The properties that correspond to oddities of certificates and to faults of paths.

use crate::certificate::{Facts, Kind, NameOf, Oddity, Part, San};
use crate::finding::{Fault, FaultKind, Property, Role};

use super::super::super::path::WILDCARD;
use super::name_syntax::go_parses_uri;

/// Returns the property that corresponds to an oddity of a certificate.
pub(super) fn of_oddity(oddity: &Oddity, facts: &Facts) -> Option<Property> {
    let has_remark = |remark: Oddity| facts.remarks.contains(&remark);
    Some(match oddity {
        Oddity::TimeWithoutSeconds if has_remark(Oddity::GeneralizedTimeBefore2050) => {
            Property::GeneralizedTimeWithoutSeconds
        }
        Oddity::TimeWithoutSeconds => Property::UtcTimeWithoutSeconds,
        Oddity::TimeWithFraction => Property::TimeWithFraction,
        Oddity::TimeWithOffset => Property::TimeWithOffset,
        Oddity::TimeWithoutZone => Property::TimeWithoutZone,
        Oddity::UnreadableValidity => Property::UnreadableValidity,
        Oddity::Version(version) if !(1..=3).contains(version) => Property::UnknownVersion,
        Oddity::UnreadableVersion => Property::UnknownVersion,
        Oddity::ExtensionsBeforeVersion3(_) => Property::ExtensionsBeforeVersion3,
        Oddity::EncodedDefault("version") => Property::EncodedDefaultVersion,
        Oddity::EncodedDefault(_) => Property::EncodedNotCritical,
        Oddity::NonDerBoolean => Property::NonDerBoolean,
        Oddity::EcdsaWithNull => Property::EcdsaWithNull,
        Oddity::TrailingBytes => Property::TrailingBytes,
        Oddity::TrailingFields(Part::SignedPart) => Property::TrailingFields,
        Oddity::NonMinimalInteger(Part::Serial) if facts.serial_der.is_empty() => {
            Property::EmptySerial
        }
        Oddity::NonMinimalInteger(Part::Serial) => Property::LongFormSerial,
        Oddity::NonMinimalInteger(Part::PathLength) => Property::LongPathLength,
        Oddity::LongLength => Property::LongLength,
        Oddity::UnusedBitsSet => Property::UnusedBitsSet,
        Oddity::UnusedKeyBits => Property::UnusedKeyBits,
        Oddity::MalformedOtherName => Property::MalformedOtherName,
        Oddity::UnnamedDistributionPoint => Property::UnnamedDistributionPoint,
        Oddity::SignatureAlgorithmsDiffer => Property::AlgorithmMismatch,
        Oddity::SignatureParametersDiffer => Property::AlgorithmParametersDiffer,
        Oddity::InvalidString(NameOf::Subject, kind) => match *kind {
            "UTF8String" => Property::InvalidUtf8,
            "BMPString" => Property::InvalidBmp,
            _ => Property::InvalidPrintable,
        },
        Oddity::NoString(NameOf::Subject) => Property::NoString,
        Oddity::ObsoleteString(NameOf::Subject, "UniversalString") => Property::UniversalString,
        Oddity::EmptyRdn(NameOf::Subject) => Property::EmptyRdn,
        Oddity::EmptyCaSubject => Property::EmptyCaSubject,
        Oddity::SanNotCriticalWithEmptySubject => Property::EmptySubjectWithoutCriticalSan,
        Oddity::UnreadableExtensions | Oddity::UnreadableExtensionEntry => {
            Property::UnreadableExtensions
        }
        Oddity::DuplicateExtension(oid) => {
            // Standard extensions are below id-ce.
            if oid.starts_with("2.5.29.") {
                Property::DuplicateExtension
            } else {
                Property::DuplicateUnknownExtension
            }
        }
        Oddity::Critical("authorityKeyIdentifier" | "subjectKeyIdentifier") => {
            Property::CriticalKeyIdentifier
        }
        Oddity::UnreadableExtension(name) => return of_unreadable(name, facts),
        _ => return None,
    })
}

/// Returns the properties of the alternative names of a certificate, once each.
pub(super) fn of_sans(facts: &Facts) -> Vec<Property> {
    let extensions = &facts.extensions;
    let is_critical = extensions.is_critical(&Kind::SubjectAltName);
    let mut is_readable = None;
    let mut out = Vec::new();
    for san in &facts.sans {
        let property = match san {
            San::Uri(uri) if !go_parses_uri(uri) => Property::MalformedUri,
            San::Email(name) | San::Uri(name) if name.is_empty() => match is_critical {
                true => Property::EmptyCriticalAltName,
                false => Property::EmptyAltName,
            },
            // Java reads the names of a critical extension only.
            San::Uri(uri) if is_critical && !has_scheme(uri) => Property::UriWithoutScheme,
            San::Other(_)
                if *is_readable
                    .get_or_insert_with(|| extensions.is_readable(&Kind::SubjectAltName)) =>
            {
                Property::UnknownAltName
            }
            _ => continue,
        };
        if !out.contains(&property) {
            out.push(property);
        }
    }
    out
}

/// Returns true for a URI with a scheme (RFC 3986, section 3.1).
fn has_scheme(uri: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(is_allowed)
    })
}

/// Returns the property of a certificate with a malformed extension of this name.
fn of_unreadable(name: &str, facts: &Facts) -> Option<Property> {
    let has_trailing_bytes = |name: &str| {
        let mut list = facts.extensions.list.iter();
        list.any(|l| l.has_trailing_bytes && l.kind.name() == name)
    };
    Some(match name {
        "basicConstraints" | "keyUsage" if has_trailing_bytes(name) => {
            Property::TrailingExtensionBytes
        }
        "nameConstraints" if has_trailing_bytes(name) => Property::TrailingConstraintBytes,
        "basicConstraints" => Property::MalformedBasicConstraints,
        "keyUsage" => Property::MalformedKeyUsage,
        "extKeyUsage" => Property::MalformedExtendedKeyUsage,
        "nameConstraints" => Property::MalformedNameConstraints,
        "certificatePolicies" if facts.extensions.policies.is_some() => return None,
        "certificatePolicies" => Property::MalformedPolicies,
        "policyMappings" => Property::MalformedPolicyMappings,
        "policyConstraints" if facts.extensions.policy_constraints.is_some() => {
            Property::EmptyPolicyConstraints
        }
        "policyConstraints" => Property::MalformedPolicyConstraints,
        "inhibitAnyPolicy" => Property::MalformedInhibitAnyPolicy,
        "subjectKeyIdentifier" => Property::MalformedSubjectKeyIdentifier,
        "authorityKeyIdentifier" => Property::MalformedAuthorityKeyIdentifier,
        "authorityInfoAccess" => Property::MalformedInformationAccess,
        "cRLDistributionPoints" => Property::MalformedDistributionPoints,
        "issuerAltName" => Property::MalformedIssuerAltName,
        "netscapeCertType" => Property::MalformedNetscapeType,
        "ipAddrBlocks" | "autonomousSysIds" => Property::MalformedResources,
        "subjectAltName" => {
            let has = |is: fn(&Oddity) -> bool| facts.oddities.iter().any(is);
            let is_empty_name =
                |o: &Oddity| matches!(o, Oddity::MalformedDnsName(name) if name.is_empty());
            let is_beyond_ascii = |o: &Oddity| {
                matches!(
                    o,
                    Oddity::MalformedDnsName(_)
                        | Oddity::NonAsciiName(_)
                        | Oddity::MalformedAddress
                )
            };
            if has(is_empty_name) {
                Property::EmptyDnsName
            } else if has(is_beyond_ascii) {
                Property::NonAsciiAltName
            } else if facts.sans.is_empty() {
                Property::MalformedSubjectAltName
            } else {
                Property::MalformedDirectoryAltName
            }
        }
        _ => return None,
    })
}

/// Returns the property that corresponds to a fault of a path. Returns `None` if the certificate
/// itself has a more precise one.
pub(super) fn of_fault(fault: &Fault, is_stored_leaf: bool) -> Option<Property> {
    let is_leaf = fault.role == Role::Leaf;
    let is_stored = is_leaf && is_stored_leaf;
    Some(match &fault.kind {
        FaultKind::Expired(_) if is_stored => Property::StoredLeafExpired,
        FaultKind::Expired(_) => Property::Expired,
        FaultKind::NotYetValid(_) if is_stored => Property::StoredLeafNotYetValid,
        FaultKind::NotYetValid(_) => Property::NotYetValid,
        FaultKind::Unreadable => Property::Unreadable,
        FaultKind::NoBasicConstraints {
            has_key_usage: true,
        } => Property::NoBasicConstraints,
        FaultKind::NoBasicConstraints { .. } => Property::NoBasicConstraintsOrKeyUsage,
        FaultKind::NotCa => Property::NotCa,
        FaultKind::OldVersion(_) => Property::OldVersion,
        FaultKind::NoKeyCertSign { is_empty: true } => Property::EmptyKeyUsage,
        FaultKind::NoKeyCertSign { .. } => Property::NoKeyCertSign,
        FaultKind::PathLength { .. } => Property::PathLength,
        FaultKind::NoTlsKeyUsage { is_empty: true } => Property::EmptyKeyUsage,
        FaultKind::NoTlsKeyUsage { .. } => Property::NoTlsKeyUsage,
        FaultKind::NotForServers { usage } if is_leaf && usage.is_empty => {
            Property::EmptyExtendedKeyUsage
        }
        FaultKind::NotForServers { usage } if usage.is_empty => return None,
        FaultKind::NotForServers { usage } if is_leaf && usage.server_gated => {
            Property::ServerGatedCrypto
        }
        FaultKind::NotForServers { .. } if is_stored => Property::StoredLeafNotForServers,
        FaultKind::NotForServers { .. } => Property::NotForServers,
        FaultKind::NameConstraint {
            kind: "directoryName",
            is_excluded: false,
            ..
        } => Property::DirectoryNotPermitted,
        FaultKind::NameConstraint {
            kind: "uniformResourceIdentifier",
            is_excluded: false,
            ..
        } => Property::UriNotPermitted,
        FaultKind::NameConstraint { kind: WILDCARD, .. } => return None,
        FaultKind::NameConstraint { .. } => Property::NameConstraint,
        FaultKind::NameConstraintUnsupported(kind) if kind == "otherName" => {
            Property::OtherNameNotCompared
        }
        FaultKind::NameConstraintUnsupported(_) => Property::NameNotCompared,
        FaultKind::NameConstraintMalformed | FaultKind::TooManyNames => {
            Property::NameConstraintUnclear
        }
        FaultKind::NoValidPolicy => Property::NoValidPolicy,
        FaultKind::AnyPolicyMapped => Property::AnyPolicyMapped,
        FaultKind::UnknownCritical(name) => match name.as_str() {
            "issuerAltName" => Property::CriticalIssuerAltName,
            "authorityInfoAccess" | "subjectInfoAccess" => Property::CriticalInformationAccess,
            "netscapeCertType" if is_stored => Property::StoredLeafCriticalNetscapeType,
            "netscapeCertType" => Property::CriticalNetscapeType,
            _ if is_stored => Property::StoredLeafUnknownCritical,
            _ => Property::UnknownCritical,
        },
        FaultKind::Unverifiable(_) => Property::Unverifiable,
        FaultKind::TinyKey(_)
        | FaultKind::RareAlgorithm(_)
        | FaultKind::WeakSignature(_)
        | FaultKind::UnreadableValidity
        | FaultKind::MalformedExtension(_)
        | FaultKind::MoreExtensions(_)
        | FaultKind::DuplicateExtension(_)
        | FaultKind::AlgorithmMismatch
        | FaultKind::NameForm
        | FaultKind::Deviation(_) => return None,
    })
}
