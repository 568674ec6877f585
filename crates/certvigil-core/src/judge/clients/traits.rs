//! The traits of a path: the properties of its certificates on which some client decides, with
//! their positions.

use crate::certificate::{
    Certificate, Facts, Key, KeyUsage, Kind, NameConstraints, NameOf, Oddity, Part, San, Subtree,
};
use crate::finding::{Fault, FaultKind, Place, Property, Role, Trait};

use super::super::path::{
    Path, WILDCARD, email_is_outside, has_trailing_dot, is_name_outside, issuer_and_serial_match,
    policy_fault, wildcard_covers,
};
use super::{Presented, hosts};

/// Maximum certificates of a served chain that Java accepts.
const MAX_SERVED_JAVA: usize = 10;
/// Maximum bits of an RSA key that OpenSSL's security level 2 refuses.
const MAX_WEAK_RSA: usize = 1960;

/// Returns the traits of a path, each with a clause for messages.
pub(super) fn of(path: &Path<'_>, presented: &Presented<'_>) -> Vec<(Trait, String)> {
    let anchor = path.anchor().and_then(|a| a.certificate());
    let is_stored_leaf = path.anchor().is_none();
    let mut out = Found::default();
    for fault in &path.faults {
        if let Some(property) = of_fault(fault, is_stored_leaf) {
            let place = place(fault.role);
            out.list
                .push((Trait { place, property }, fault.to_string()));
        }
    }
    let below = path.certificates.iter().enumerate();
    let below = below.map(|(at, c)| match at {
        0 => (*c, Place::Leaf),
        _ => (*c, Place::Intermediate),
    });
    let anchors = anchor.map(|c| (c, Place::Root));
    let all: Vec<(&Certificate, Place)> = below.chain(anchors).collect();
    let leaf = presented.leaf.facts().ok();
    for (at, (certificate, place)) in all.iter().enumerate() {
        let Ok(facts) = certificate.facts() else {
            continue;
        };
        out.place = *place;
        out.name = facts.name();
        out.of_certificate(certificate, facts);
        if *place != Place::Leaf {
            out.of_authority(facts, at);
            out.of_path_length(path, facts, at);
            if let (Some(constraints), Some(leaf)) = (&facts.extensions.name_constraints, leaf) {
                let is_critical = facts.extensions.is_critical(&Kind::NameConstraints);
                out.of_constraints(constraints, is_critical, leaf);
            }
        }
        if let Some(above) = all.get(at + 1).and_then(|(c, _)| c.facts().ok()) {
            out.of_issuer(facts, above);
        }
    }
    if let Some(leaf) = leaf {
        out.place = Place::Leaf;
        out.of_leaf(leaf, presented);
    }
    if let Some(facts) = anchor.and_then(|c| c.facts().ok()) {
        out.place = Place::Root;
        out.name = facts.name();
        out.of_anchor(facts, path, presented);
    }
    out.of_chain(path, presented, is_stored_leaf);
    out.list
}

/// The traits of a path found so far.
#[derive(Default)]
struct Found<'a> {
    list: Vec<(Trait, String)>,
    /// The position of the certificate being examined.
    place: Place,
    /// Its name, for messages.
    name: &'a str,
}

impl Found<'_> {
    fn add(&mut self, property: Property) {
        let meaning = property.meaning();
        let words = match self.place {
            Place::Leaf => format!("the certificate {meaning}"),
            Place::Intermediate => format!("the intermediate `{}` {meaning}", self.name),
            Place::Root => format!("the root `{}` {meaning}", self.name),
            Place::Chain => format!("the served chain {meaning}"),
        };
        let place = self.place;
        self.list.push((Trait { place, property }, words));
    }

    fn has(&self, property: Property) -> bool {
        self.list.iter().any(|(of, _)| of.property == property)
    }

    fn of_certificate(&mut self, certificate: &Certificate, facts: &Facts) {
        for oddity in &facts.oddities {
            if let Some(property) = of_oddity(oddity, facts) {
                self.add(property);
            }
        }
        let extensions = &facts.extensions;
        for listed in extensions.list.iter().filter(|l| l.is_critical) {
            let property = match listed.kind {
                Kind::PolicyConstraints => Property::PolicyConstraints,
                Kind::PolicyMappings => Property::PolicyMappings,
                Kind::InhibitAnyPolicy => Property::InhibitAnyPolicy,
                Kind::CrlDistributionPoints => Property::CriticalDistributionPoints,
                _ => continue,
            };
            self.add(property);
        }
        if let Some(policies) = &extensions.policies {
            let mut numbered = policies.iter().enumerate();
            if policies.is_empty() {
                self.add(Property::EmptyPolicies);
            } else if numbered.any(|(at, p)| policies.iter().take(at).any(|q| q == p)) {
                self.add(Property::DuplicatePolicy);
            }
        }
        for san in &facts.sans {
            match san {
                San::Uri(uri) if uri.contains("://[") && !uri.contains(']') => {
                    self.add(Property::MalformedUri);
                }
                San::Other(_) if extensions.is_readable(&Kind::SubjectAltName) => {
                    self.add(Property::UnknownAltName);
                }
                _ => {}
            }
        }
        if let Some(usage) = extensions.extended_key_usage
            && !usage.server_auth
            && usage.any
        {
            self.add(Property::AnyExtendedKeyUsage);
        }
        self.of_key(certificate, facts);
        let signature = &facts.signature;
        if is_of_unknown_kind(&signature.name) {
            self.add(Property::UnknownSignature);
        } else if self.place != Place::Root
            && !(self.place == Place::Leaf && facts.is_self_issued())
        {
            // No client verifies the signature of a root, or of a self-signed leaf that is in its
            // store.
            if signature.is_weak && has_letters(&signature.name, "md5") {
                self.add(Property::Md5Signature);
            } else if signature.is_weak {
                self.add(Property::Sha1Signature);
            } else if has_letters(&signature.name, "sha224") {
                self.add(Property::Sha224Signature);
            }
        }
    }

    fn of_key(&mut self, certificate: &Certificate, facts: &Facts) {
        if facts
            .oddities
            .contains(&Oddity::TrailingFields(Part::PublicKey))
        {
            self.add(Property::TrailingKeyBytes);
        }
        if facts.oddities.contains(&Oddity::ExponentOfOne) {
            self.add(Property::ExponentOfOne);
        }
        let property = match &facts.key {
            Key::Rsa(bits) if *bits < 1024 => Property::TinyRsa,
            Key::Rsa(bits) if *bits <= MAX_WEAK_RSA => Property::WeakRsa,
            Key::Rsa(_) if lacks_null(certificate) => Property::RsaWithoutNull,
            Key::Rsa(_) => return,
            Key::RsaPss(_) => Property::RsaPssKey,
            Key::Dsa(_) => Property::Dsa,
            Key::Ec(..) if facts.oddities.contains(&Oddity::ExplicitCurve) => {
                Property::ExplicitCurve
            }
            Key::Ec(curve, _) => match curve.as_str() {
                "P-256" | "P-384" if !is_compressed(certificate) => return,
                "P-521" if self.place == Place::Leaf => Property::P521,
                "P-521" => return,
                "P-256" | "P-384" => Property::CompressedPoint,
                "P-192" => Property::P192,
                "P-224" => Property::P224,
                _ => Property::OtherCurve,
            },
            Key::Other(name) => match name.as_str() {
                "Ed25519" => Property::Ed25519,
                "Ed448" => Property::Ed448,
                _ => Property::OtherKey,
            },
        };
        self.add(property);
    }

    /// Adds the traits that only authorities can have.
    fn of_authority(&mut self, facts: &Facts, _at: usize) {
        let extensions = &facts.extensions;
        if self.place == Place::Root
            && facts.version == 2
            && extensions.basic_constraints.is_none()
            && extensions.list.is_empty()
        {
            self.add(Property::Version2);
        }
        if let Some(usage) = extensions.extended_key_usage
            && usage.is_empty
        {
            self.add(Property::EmptyExtendedKeyUsage);
        } else if let Some(usage) = extensions.extended_key_usage
            && !usage.server_auth
            && !usage.any
        {
            if usage.server_gated {
                self.add(Property::ServerGatedCrypto);
            } else if self.place == Place::Root {
                self.add(Property::NotForServers);
            }
        }
    }

    /// Adds the traits of path length. GnuTLS and Go count self-issued intermediates too.
    fn of_path_length(&mut self, path: &Path<'_>, facts: &Facts, at: usize) {
        let allowed = facts.extensions.basic_constraints.and_then(|b| b.path_len);
        let Some(allowed) = allowed else { return };
        if i32::try_from(allowed).is_err() {
            self.add(Property::HugePathLength);
            return;
        }
        let below = path.certificates.iter().take(at).skip(1);
        let below: Vec<&Facts> = below.filter_map(|c| c.facts().ok()).collect();
        let others = below.iter().filter(|f| !f.is_self_issued()).count();
        let exceeds = |count: usize| u32::try_from(count).is_ok_and(|count| count > allowed);
        if exceeds(below.len()) && !exceeds(others) {
            self.add(Property::PathLengthWithSelfIssued);
        }
    }

    fn of_constraints(&mut self, constraints: &NameConstraints, is_critical: bool, leaf: &Facts) {
        let before = self.list.len();
        if constraints.has_distance {
            self.add(Property::ConstraintDistance);
        }
        if constraints.has_encoded_minimum {
            self.add(Property::EncodedMinimum);
        }
        if constraints.is_empty
            && constraints.permitted.is_empty()
            && constraints.excluded.is_empty()
        {
            self.add(Property::EmptyNameConstraints);
        }
        let permitted = constraints.permitted.iter().map(|s| (s, false));
        let excluded = constraints.excluded.iter().map(|s| (s, true));
        for (subtree, is_excluded) in permitted.chain(excluded) {
            if let Some(property) = of_subtree(subtree, is_excluded, is_critical, leaf)
                && !self
                    .list
                    .iter()
                    .skip(before)
                    .any(|(of, _)| of.property == property)
            {
                self.add(property);
            }
        }
        if is_name_outside(constraints, leaf) {
            self.add(Property::CommonNameNotAllowed);
        }
        if email_is_outside(constraints, leaf) {
            self.add(Property::EmailInSubjectNotAllowed);
        }
        // The fault has no separate trait if its cause has one.
        let is_explained = self.list.len() > before;
        if !is_explained && self.has(Property::NameConstraintUnclear) {
            return;
        }
        let place = self.place;
        if is_explained {
            self.list.retain(|(of, _)| {
                of.property != Property::NameConstraintUnclear || of.place != place
            });
        }
    }

    /// Adds the traits of the issuer's name and key identifiers in a certificate.
    fn of_issuer(&mut self, below: &Facts, above: &Facts) {
        if below.issuer_der != above.subject_der {
            self.add(name_difference(below, above));
        }
        let wanted = below.extensions.authority_key_id.as_ref();
        let wanted = wanted.and_then(|id| id.key_id.as_ref());
        if let (Some(wanted), Some(has)) = (wanted, &above.extensions.subject_key_id)
            && wanted != has
        {
            self.add(if has.is_empty() {
                Property::KeyIdentifierOfNone
            } else {
                Property::KeyIdentifier
            });
        }
        if !issuer_and_serial_match(below, above) {
            self.add(Property::KeyIdentifierIssuer);
        }
    }

    fn of_leaf(&mut self, leaf: &Facts, presented: &Presented<'_>) {
        let extensions = &leaf.extensions;
        let of_host = |hostname| hosts::property(leaf, hostname, presented.hostname_match);
        if let Some(property) = presented.hostname.and_then(of_host) {
            self.add(property);
        }
        if let Some(usage) = extensions.key_usage
            && !usage.allows(KeyUsage::DIGITAL_SIGNATURE)
            && usage.0 != 0
            && (usage.allows(KeyUsage::KEY_ENCIPHERMENT) || usage.allows(KeyUsage::KEY_AGREEMENT))
        {
            self.add(Property::NoDigitalSignature);
        }
        if extensions.netscape_type.is_some_and(|t| !t.ssl_server) {
            self.add(Property::NetscapeTypeNotServer);
        }
        if leaf.must_staple && !presented.is_stapled {
            self.add(Property::MustStaple);
        }
    }

    fn of_anchor(&mut self, facts: &Facts, path: &Path<'_>, presented: &Presented<'_>) {
        let is_of_another = facts.is_self_issued() && !issuer_and_serial_match(facts, facts);
        if is_of_another || facts.remarks.contains(&Oddity::KeyIdsDiffer) {
            self.add(Property::RootKeyIdsDiffer);
        }
        // OpenSSL continues the path in the trust store.
        if !facts.is_self_issued() && presented.trust.named(&facts.issuer_normal).next().is_none() {
            self.add(Property::NotSelfIssued);
        }
        let extensions = &facts.extensions;
        let limits_policies =
            extensions.policy_constraints.is_some() || extensions.inhibit_any_policy.is_some();
        let no_policy_fault = || {
            !path
                .faults
                .iter()
                .any(|f| f.kind == FaultKind::NoValidPolicy)
        };
        if limits_policies && no_policy_fault() {
            let below = path.certificates.iter().rev();
            let below: Vec<&Facts> = below.filter_map(|c| c.facts().ok()).collect();
            if policy_fault(Some(facts), below.into_iter()).is_some() {
                self.add(Property::NoValidPolicyOfRoot);
            }
        }
    }

    fn of_chain(&mut self, path: &Path<'_>, presented: &Presented<'_>, is_stored_leaf: bool) {
        self.place = Place::Chain;
        let others = presented
            .rest
            .iter()
            .filter(|c| !path.certificates.contains(c));
        let has_odd_version = |o: &Oddity| match o {
            Oddity::Version(version) => !(1..=3).contains(version),
            Oddity::UnreadableVersion | Oddity::ExtensionsBeforeVersion3(_) => true,
            _ => false,
        };
        let mut others = others.filter_map(|c| c.facts().ok());
        if others.any(|facts| facts.oddities.iter().any(has_odd_version)) {
            self.add(Property::UnrelatedVersion);
        }
        if presented.rest.len() >= MAX_SERVED_JAVA {
            self.add(Property::ManyServed);
        }
        let Some(facts) = presented.leaf.facts().ok().filter(|_| is_stored_leaf) else {
            return;
        };
        if facts.is_self_issued() {
            let is_ca = facts.extensions.basic_constraints.is_some_and(|b| b.is_ca);
            let usage = facts.extensions.key_usage;
            if !is_ca || usage.is_some_and(|u| !u.allows(KeyUsage::KEY_CERT_SIGN)) {
                self.add(Property::StoredLeafNoAuthority);
            }
        } else if presented.rest.is_empty() {
            self.add(Property::StoredLeafAlone);
        } else {
            self.add(Property::StoredLeaf);
        }
    }
}

fn place(role: Role) -> Place {
    match role {
        Role::Leaf => Place::Leaf,
        Role::Intermediate => Place::Intermediate,
        Role::Anchor => Place::Root,
    }
}

fn of_subtree(
    subtree: &Subtree,
    is_excluded: bool,
    is_critical: bool,
    leaf: &Facts,
) -> Option<Property> {
    const X400_ADDRESS: u8 = 0xa3;
    const EDI_PARTY_NAME: u8 = 0xa5;
    const REGISTERED_ID: u8 = 0x88;
    const OTHER_NAME: u8 = 0xa0;
    let has = |is: fn(&San) -> bool| leaf.sans.iter().any(is);
    let property = match subtree {
        Subtree::Dns(domain) if has_trailing_dot(domain) && is_excluded => {
            Property::DomainExcludedWithDot
        }
        Subtree::Dns(domain) if has_trailing_dot(domain) => Property::DomainPermittedWithDot,
        Subtree::Dns(domain) if domain.is_empty() && !is_excluded => Property::EmptyDomainPermitted,
        Subtree::Dns(domain)
            if is_excluded
                && leaf
                    .sans
                    .iter()
                    .any(|san| matches!(san, San::Dns(name) if wildcard_covers(name, domain))) =>
        {
            Property::WildcardCoversExcluded
        }
        Subtree::Dns(_) if leaf.sans.iter().any(is_malformed_dns) => {
            Property::MalformedDnsNameConstrained
        }
        Subtree::Dns(_) | Subtree::Email(_) => return None,
        Subtree::Ip(network, mask) => return of_network(*network, *mask),
        Subtree::BadIp if has(|san| matches!(san, San::Ip(_))) => {
            Property::BadAddressConstraintOfAddress
        }
        Subtree::BadIp => Property::BadAddressConstraint,
        Subtree::Uri(host) if host.contains("://") => Property::UrlConstraint,
        Subtree::Uri(_) if !has(|san| matches!(san, San::Uri(_))) => return None,
        Subtree::Uri(_) if is_excluded => Property::UriExcluded,
        Subtree::Uri(_) => Property::UriConstraint,
        Subtree::Directory(base) if is_excluded && base.len() > EMPTY_NAME => {
            Property::DirectoryExcluded
        }
        Subtree::Directory(_) if is_critical => Property::DirectoryConstraint,
        Subtree::Directory(_) => return None,
        Subtree::Other(OTHER_NAME, _) if is_critical => Property::OtherNameConstraint,
        Subtree::Other(OTHER_NAME, _) => return None,
        Subtree::Other(X400_ADDRESS | EDI_PARTY_NAME | REGISTERED_ID, _) if is_critical => {
            Property::RareConstraint
        }
        Subtree::Other(X400_ADDRESS | EDI_PARTY_NAME | REGISTERED_ID, _) => return None,
        Subtree::Other(..) => Property::UnknownConstraint,
    };
    Some(property)
}

/// Octets of an empty Name.
const EMPTY_NAME: usize = 2;

fn is_malformed_dns(san: &San) -> bool {
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'*');
    matches!(san, San::Dns(name) if !name.bytes().all(is_host))
}

fn of_network(network: std::net::IpAddr, mask: std::net::IpAddr) -> Option<Property> {
    use std::net::IpAddr::{V4, V6};
    let (network, mask, width) = match (network, mask) {
        (V4(network), V4(mask)) => {
            let widen = |ip: std::net::Ipv4Addr| u128::from(ip.to_bits());
            (widen(network), widen(mask), u32::BITS)
        }
        (V6(network), V6(mask)) => (network.to_bits(), mask.to_bits(), u128::BITS),
        _ => return None,
    };
    let has_gap = mask.trailing_zeros().min(width) + mask.count_ones() < width;
    if has_gap {
        Some(Property::MaskWithGap)
    } else {
        (network & !mask != 0).then_some(Property::AddressOutsideMask)
    }
}

/// Returns the difference in form between the issuer's name in a certificate and the issuer's
/// subject, which are the same name.
fn name_difference(below: &Facts, above: &Facts) -> Property {
    let has = |facts: &Facts, of: NameOf, kind: &'static str| {
        facts.remarks.contains(&Oddity::ObsoleteString(of, kind))
    };
    let differs = |kind| has(below, NameOf::Issuer, kind) != has(above, NameOf::Subject, kind);
    if differs("TeletexString") {
        return Property::NameInTeletex;
    }
    if differs("BMPString") {
        return Property::NameInBmp;
    }
    if below.issuer == above.subject {
        return Property::NameEncoding;
    }
    let is_ascii = below.issuer.is_ascii() && above.subject.is_ascii();
    if is_ascii || below.issuer.eq_ignore_ascii_case(&above.subject) {
        Property::NameCase
    } else {
        Property::NameCaseBeyondAscii
    }
}

/// Returns the property that corresponds to an oddity of a certificate.
fn of_oddity(oddity: &Oddity, facts: &Facts) -> Option<Property> {
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
fn of_fault(fault: &Fault, is_stored_leaf: bool) -> Option<Property> {
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
            _ if is_stored => Property::StoredLeafUnknownCritical,
            _ => Property::UnknownCritical,
        },
        FaultKind::Unverifiable(_) => Property::Unverifiable,
        FaultKind::TinyKey(_)
        | FaultKind::RareAlgorithm(_)
        | FaultKind::WeakSignature(_)
        | FaultKind::UnreadableValidity
        | FaultKind::MalformedExtension(_)
        | FaultKind::DuplicateExtension(_)
        | FaultKind::AlgorithmMismatch
        | FaultKind::NameForm
        | FaultKind::Deviation(_) => return None,
    })
}

/// Returns true if the name of a signature algorithm is its object identifier.
fn is_of_unknown_kind(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit())
}

fn has_letters(name: &str, part: &str) -> bool {
    name.to_ascii_lowercase().contains(part)
}

/// Returns true if the algorithm identifier of an RSA key has no parameters, although RFC 3279
/// requires NULL.
fn lacks_null(certificate: &Certificate) -> bool {
    /// Octets of rsaEncryption's object identifier.
    const RSA_ENCRYPTION: usize = 11;
    certificate
        .public_key()
        .is_some_and(|(algorithm, _)| algorithm.len() == RSA_ENCRYPTION)
}

/// Returns true if the point of an EC key is in compressed form (RFC 5480, section 2.2).
fn is_compressed(certificate: &Certificate) -> bool {
    let key = certificate.public_key();
    key.is_some_and(|(_, point)| matches!(point.first(), Some(2 | 3)))
}
