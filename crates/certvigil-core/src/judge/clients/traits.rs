//! The traits of a path: the properties of its certificates on which some client decides, with
//! their positions.

mod forms;
mod name_syntax;
mod others;
mod properties;
mod signatures;
mod subtrees;

use crate::certificate::{
    Certificate, Facts, Key, KeyUsage, Kind, Oddity, Part, has_email_beyond_ia5, rsa,
};
use crate::finding::{FaultKind, Property, Role, Trait, TraitPosition};

use super::super::path::{Path, issuer_and_serial_match, policy_fault};
use super::{Presented, hosts};

use forms::{is_compressed, lacks_null, name_difference};
use properties::{of_fault, of_oddity, of_sans};
use signatures::{is_of_unknown_kind, of_new_hash, of_signature};
pub(in crate::judge) use subtrees::Constraints;

/// Maximum certificates of a served chain that Java accepts.
const MAX_SERVED_JAVA: usize = 10;
/// Maximum certificates of a served chain that GnuTLS accepts (`DEFAULT_MAX_VERIFY_DEPTH`).
const MAX_SERVED_GNUTLS: usize = 16;
/// Maximum bits of an RSA exponent that Chromium accepts (BoringSSL).
const MAX_EXPONENT_CHROMIUM: u64 = 33;
/// Maximum bits of an RSA exponent that Go reads.
const MAX_EXPONENT_GO: u64 = 63;
/// The maximum octets of a Certificate message for a client, in ascending order: Java's
/// `jdk.tls.maxHandshakeMessageSize`, Go's `maxHandshake`, `SSL_get_max_cert_list` of OpenSSL and
/// BoringSSL, and GnuTLS' `gnutls_handshake_set_max_packet_length`.
const MAX_MESSAGES: [(usize, Property); 4] = [
    (32_768, Property::LargeMessage),
    (65_536, Property::LargeMessage64),
    (102_400, Property::LargeMessage100),
    (131_072, Property::LargeMessage128),
];
/// Maximum bits of an RSA key that OpenSSL's security level 2 refuses.
const MAX_WEAK_RSA: usize = 1960;

/// Returns the property of the leaf's names on which clients decide differently, if there is one.
pub(super) fn of_name(presented: &Presented<'_>) -> Option<Property> {
    let leaf = presented.leaf.facts().ok()?;
    hosts::property(leaf, presented.hostname?, presented.hostname_match)
}

/// Returns the traits of a path, each with a clause for messages; `of_name` is the property of the
/// leaf's names.
pub(super) fn of(
    path: &Path<'_>,
    presented: &Presented<'_>,
    of_name: Option<Property>,
) -> Vec<(Trait, String)> {
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
        0 => (*c, TraitPosition::Leaf),
        _ => (*c, TraitPosition::Intermediate),
    });
    let anchors = anchor.map(|c| (c, TraitPosition::Root));
    let all: Vec<(&Certificate, TraitPosition)> = below.chain(anchors).collect();
    let leaf = presented.leaf.facts().ok();
    for (at, (certificate, place)) in all.iter().enumerate() {
        let Ok(facts) = certificate.facts() else {
            continue;
        };
        out.place = *place;
        out.name = facts.name();
        let next = all.get(at + 1).and_then(|(c, _)| c.facts().ok());
        let above = path.anchor().filter(|_| next.is_none()).map(|a| a.key());
        let above = next.map(|facts| &facts.key).or(above.as_ref());
        out.of_certificate(certificate, facts, above, presented.is_self_signed);
        if *place != TraitPosition::Leaf {
            out.of_authority(facts, at);
            out.of_path_length(path, facts, at);
            let below = all.iter().take(at).filter_map(|(c, _)| c.facts().ok());
            out.of_features(facts, below);
            out.of_constraints(&presented.constraints.of(certificate, facts));
            out.of_mail(
                facts,
                all.iter().take(at).filter_map(|(c, _)| c.facts().ok()),
            );
        }
        if let Some(above) = all.get(at + 1).and_then(|(c, _)| c.facts().ok()) {
            out.of_issuer(facts, above);
        }
    }
    if let Some(leaf) = leaf {
        out.place = TraitPosition::Leaf;
        let above = all.iter().skip(1).filter_map(|(c, _)| c.facts().ok());
        out.of_resources(leaf, above);
        if let Some(property) = of_name {
            out.add(property);
        }
        out.of_leaf(leaf, presented);
    }
    if let Some(facts) = anchor.and_then(|c| c.facts().ok()) {
        out.place = TraitPosition::Root;
        out.name = facts.name();
        out.of_anchor(facts, path, presented);
    }
    for (property, words) in others::properties(path, presented) {
        let place = TraitPosition::Beside;
        out.list.push((Trait { place, property }, words));
    }
    out.of_chain(presented, is_stored_leaf);
    out.list
}

/// The traits of a path found so far.
#[derive(Default)]
struct Found<'a> {
    list: Vec<(Trait, String)>,
    /// The position of the certificate being examined.
    place: TraitPosition,
    /// Its name, for messages.
    name: &'a str,
}

impl Found<'_> {
    fn add(&mut self, property: Property) {
        let meaning = property.meaning();
        let words = match self.place {
            TraitPosition::Leaf => format!("the certificate {meaning}"),
            TraitPosition::Intermediate => format!("the intermediate `{}` {meaning}", self.name),
            TraitPosition::Root => format!("the root `{}` {meaning}", self.name),
            TraitPosition::Beside => {
                format!("the certificate `{}` beside the path {meaning}", self.name)
            }
            TraitPosition::Chain => format!("the served chain {meaning}"),
        };
        let place = self.place;
        self.list.push((Trait { place, property }, words));
    }

    /// Adds a property of a certificate, unless it is in the list from this position on.
    fn add_once(&mut self, start: usize, property: Property) {
        let mut own = self.list.iter().skip(start);
        if !own.any(|(of, _)| of.property == property) {
            self.add(property);
        }
    }

    /// Adds the traits of a certificate. `is_self_signed` is a property of the leaf.
    fn of_certificate(
        &mut self,
        certificate: &Certificate,
        facts: &Facts,
        above: Option<&Key>,
        is_self_signed: bool,
    ) {
        let start = self.list.len();
        for oddity in &facts.oddities {
            if let Some(property) = of_oddity(oddity, facts) {
                self.add_once(start, property);
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
            self.add_once(start, property);
        }
        if let Some(policies) = &extensions.policies {
            let mut sorted: Vec<&[u8]> = policies.iter().map(|p| &**p).collect();
            sorted.sort_unstable();
            let mut pairs = sorted.iter().zip(sorted.iter().skip(1));
            if policies.is_empty() {
                self.add(Property::EmptyPolicies);
            } else if pairs.any(|(one, next)| one == next) {
                self.add(Property::DuplicatePolicy);
            }
        }
        for property in of_sans(facts) {
            self.add_once(start, property);
        }
        if extensions.listed(&Kind::ProxyCertInfo).is_some() {
            self.add(Property::ProxyCertificate);
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
            return;
        }
        // No client verifies the signature of a root, or of a self-signed leaf that is in its
        // store.
        let is_verified = self.place != TraitPosition::Root
            && !(self.place == TraitPosition::Leaf && is_self_signed);
        if is_verified && let Some(property) = of_signature(signature, above) {
            self.add(property);
        } else if self.place == TraitPosition::Root
            && let Some(property) = of_new_hash(signature)
            && property != Property::Sha3Signature
        {
            // OpenSSL does not read the signature algorithm, so it finds no level of security.
            self.add(property);
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
        let numbers = certificate
            .public_key()
            .filter(|_| matches!(facts.key, Key::Rsa(_)));
        let numbers = numbers.and_then(|(_, key)| rsa::PublicKey::read(key));
        match numbers.map(|key| key.exponent_bits()) {
            Some(bits) if bits > MAX_EXPONENT_GO => self.add(Property::HugeExponent),
            Some(bits) if bits > MAX_EXPONENT_CHROMIUM => self.add(Property::LongExponent),
            _ => {}
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
                "P-521" if self.place == TraitPosition::Leaf => Property::P521,
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
        if self.place == TraitPosition::Root
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
            } else if self.place == TraitPosition::Root {
                self.add(Property::NotForServers);
            }
        }
    }

    /// Adds the trait of TLS features that a certificate below lacks.
    fn of_features<'f>(&mut self, facts: &Facts, mut below: impl Iterator<Item = &'f Facts>) {
        let features = &facts.extensions.tls_features;
        let lacks = |f: &Facts| {
            let own = &f.extensions.tls_features;
            features.iter().any(|feature| !own.contains(feature))
        };
        if below.any(lacks) {
            self.add(Property::FeatureNotBelow);
        }
    }

    /// Adds the trait of the resources of RFC 3779 in a leaf.
    fn of_resources<'f>(&mut self, leaf: &Facts, above: impl Iterator<Item = &'f Facts>) {
        let of = |facts: &Facts| {
            [Kind::AddressBlocks, Kind::AsNumbers].map(|kind| facts.extensions.is_readable(&kind))
        };
        let [addresses, numbers] = of(leaf);
        if !addresses && !numbers {
            return;
        }
        let lacks = |facts: &Facts| {
            let [above_addresses, above_numbers] = of(facts);
            addresses && !above_addresses || numbers && !above_numbers
        };
        let is_lacking = above.map(lacks).fold(false, |any, one| any | one);
        self.add(match is_lacking {
            true => Property::ResourcesNotAbove,
            false => Property::ResourcesCompared,
        });
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

    /// Adds the properties of an authority's name constraints. The fault has no separate trait if
    /// its cause has one.
    fn of_constraints(&mut self, properties: &[Property]) {
        let is_cause = |property: &&Property| {
            !matches!(
                property,
                Property::NameConstraintUnclear
                    | Property::NameSyntaxConstrained
                    | Property::CommonNameNotAllowed
                    | Property::CommonNameLabelNotAllowed
                    | Property::CommonNameHostNotAllowed
                    | Property::CommonNameTextNotAllowed
            )
        };
        if properties.iter().any(|property| is_cause(&property)) {
            let place = self.place;
            self.list.retain(|(of, _)| {
                of.property != Property::NameConstraintUnclear || of.place != place
            });
        }
        for property in properties {
            self.add(*property);
        }
    }

    /// Adds the trait of an emailAddress below name constraints that OpenSSL cannot compare. Other
    /// self-issued certificates than the leaf are exempt (RFC 5280, section 6.1.3 (b)).
    fn of_mail<'f>(&mut self, facts: &Facts, below: impl Iterator<Item = &'f Facts>) {
        let mut constrained = below
            .enumerate()
            .filter(|(at, f)| *at == 0 || !f.is_self_issued());
        if facts.extensions.name_constraints.is_some()
            && constrained.any(|(_, f)| has_email_beyond_ia5(&f.subject_der))
        {
            self.add(Property::EmailNoIa5String);
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
        if let Some(usage) = extensions.key_usage.filter(|usage| usage.0 != 0) {
            let signs = usage.allows(KeyUsage::DIGITAL_SIGNATURE);
            let enciphers = usage.allows(KeyUsage::KEY_ENCIPHERMENT);
            let is_of_tls = signs || enciphers || usage.allows(KeyUsage::KEY_AGREEMENT);
            if is_of_tls && presented.is_static_rsa && !enciphers {
                self.add(Property::NoKeyEncipherment);
            } else if is_of_tls && !presented.is_static_rsa && !signs {
                self.add(Property::NoDigitalSignature);
            }
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
        let is_self_issued = facts.subject_normal == facts.issuer_normal;
        if !is_self_issued && presented.trust.named(&facts.issuer_normal).next().is_none() {
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

    fn of_chain(&mut self, presented: &Presented<'_>, is_stored_leaf: bool) {
        self.place = TraitPosition::Chain;
        if presented.rest.iter().any(|c| c.der().is_empty()) {
            self.add(Property::EmptyEntry);
        } else if presented.rest.iter().any(|c| c.facts().is_err()) {
            self.add(Property::UnreadableEntry);
        }
        let octets = presented.message_bytes();
        for (_, property) in MAX_MESSAGES.iter().filter(|(max, _)| octets > *max) {
            self.add(*property);
        }
        if presented.rest.len() >= MAX_SERVED_JAVA {
            self.add(Property::ManyServed);
        }
        if presented.rest.len() >= MAX_SERVED_GNUTLS {
            self.add(Property::MoreServed);
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

fn place(role: Role) -> TraitPosition {
    match role {
        Role::Leaf => TraitPosition::Leaf,
        Role::Intermediate => TraitPosition::Intermediate,
        Role::Anchor => TraitPosition::Root,
    }
}
