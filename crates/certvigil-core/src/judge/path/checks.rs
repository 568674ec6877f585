//! The checks of one certificate in a path, and of a certificate against its issuer (RFC 5280,
//! section 6.1).

use std::collections::HashSet;

use crate::certificate::{
    Certificate, Extensions, Facts, Key, KeyUsage, Kind, NameOf, Oddity, Part,
};
use crate::finding::{Fault, FaultKind, Role};
use crate::model::Timestamp;

/// Maximum faults of extensions that are reported of one certificate. The number of the others is
/// one more fault.
pub(in crate::judge) const MAX_EXTENSION_FAULTS: usize = 20;

pub(super) fn fault(kind: FaultKind, certificate: &Certificate, role: Role) -> Fault {
    Fault {
        kind,
        role,
        name: match role {
            Role::Leaf => String::new(),
            Role::Intermediate | Role::Anchor => {
                (certificate.facts()).map_or_else(|_| String::new(), |f| f.name().to_owned())
            }
        },
        certificate: Some(certificate.sha256()),
    }
}

/// Returns the faults of a certificate that do not depend on its position in a path. For a leaf,
/// `is_self_signed` states whether its own key verifies its signature.
pub(super) fn own_faults(
    certificate: &Certificate,
    facts: &Facts,
    role: Role,
    is_self_signed: bool,
    now: Timestamp,
) -> Vec<Fault> {
    let mut kinds = Vec::new();
    if !facts.has_validity {
        kinds.push(FaultKind::UnreadableValidity);
    } else if now > facts.not_after {
        kinds.push(FaultKind::Expired(facts.not_after));
    }
    if facts.has_validity && now < facts.not_before {
        kinds.push(FaultKind::NotYetValid(facts.not_before));
    }
    let extensions = &facts.extensions;
    kinds.extend(extension_faults(extensions, facts));
    if extensions.has_unreadable_entry {
        kinds.push(FaultKind::MalformedExtension("unreadable".into()));
    }
    if let Some(kind) = extensions.first_duplicate() {
        kinds.push(FaultKind::DuplicateExtension(kind.name().into()));
    }
    // Most clients require serverAuth of authorities too, but few of a root (section 4.2.1.12
    // requires it of leaves). Server Gated Crypto is sufficient for an authority, as in the clients
    // that know it.
    if let Some(usage) = extensions.extended_key_usage
        && role != Role::Anchor
        && !usage.server_auth
        && !usage.any
        && (role == Role::Leaf || !usage.server_gated && !usage.is_empty)
    {
        kinds.push(FaultKind::NotForServers { usage });
    }
    if role == Role::Leaf
        && let Some(usage) = extensions.key_usage
        && !fits_tls(usage)
    {
        let is_empty = usage.0 == 0;
        kinds.push(FaultKind::NoTlsKeyUsage { is_empty });
    }
    kinds.extend(
        facts
            .oddities
            .iter()
            .filter_map(|o| deviation(o, facts, role)),
    );
    if facts.key.is_tiny() {
        kinds.push(FaultKind::TinyKey(facts.key.to_string()));
    } else if is_rare(facts, role) {
        kinds.push(FaultKind::RareAlgorithm(match &facts.key {
            Key::Ec(curve, _) if !facts.oddities.contains(&Oddity::ExplicitCurve) => {
                format!("a key on {curve}")
            }
            _ => "a key with explicit curve parameters".into(),
        }));
    }
    if role != Role::Anchor && facts.signature.has_rare_hash() {
        let name = format!("a signature of the kind {}", facts.signature.name);
        kinds.push(FaultKind::RareAlgorithm(name));
    }
    if role != Role::Anchor && facts.signature.is_weak && !(role == Role::Leaf && is_self_signed) {
        kinds.push(FaultKind::WeakSignature(facts.signature.name.clone()));
    }
    kinds
        .into_iter()
        .map(|kind| fault(kind, certificate, role))
        .collect()
}

/// Returns the distinct faults of single extensions: at most `MAX_EXTENSION_FAULTS`, and the number
/// of the others.
fn extension_faults(extensions: &Extensions, facts: &Facts) -> Vec<FaultKind> {
    let mut kinds = Vec::new();
    let mut seen = HashSet::new();
    let mut more = 0;
    for listed in &extensions.list {
        let is_ct_poison = listed.kind == Kind::Poison;
        let is_unknown = listed.is_critical && (!listed.kind.is_processed() || is_ct_poison);
        let is_malformed = !is_unknown && !listed.is_readable && is_needed(&listed.kind, facts);
        if !is_unknown && !is_malformed || !seen.insert((&listed.kind, is_unknown)) {
            continue;
        }
        if kinds.len() == MAX_EXTENSION_FAULTS {
            more += 1;
            continue;
        }
        let name = listed.kind.name().into();
        kinds.push(if is_unknown {
            FaultKind::UnknownCritical(name)
        } else {
            FaultKind::MalformedExtension(name)
        });
    }
    if more > 0 {
        kinds.push(FaultKind::MoreExtensions(more));
    }
    kinds
}

/// Returns true for a key that most clients refuse: in an authority because they cannot verify with
/// it, in a leaf because they offer no signature scheme for it.
fn is_rare(facts: &Facts, role: Role) -> bool {
    let Key::Ec(curve, _) = &facts.key else {
        return false;
    };
    // certvigil cannot verify signatures of an authority on another such curve, which is a separate
    // fault.
    match (curve.as_str(), role) {
        _ if facts.oddities.contains(&Oddity::ExplicitCurve) => role == Role::Leaf,
        ("P-256" | "P-384" | "P-521", _) => false,
        (curve, Role::Intermediate | Role::Anchor) => curve == "secp256k1",
        (_, Role::Leaf) => true,
    }
}

/// Returns the fault for a deviation from RFC 5280, if at least four of the six recorded clients
/// refuse it in this role.
fn deviation(oddity: &Oddity, facts: &Facts, role: Role) -> Option<FaultKind> {
    let is_anchor = role == Role::Anchor;
    let is_refused = match oddity {
        Oddity::SignatureAlgorithmsDiffer if is_anchor => true,
        Oddity::SignatureAlgorithmsDiffer => return Some(FaultKind::AlgorithmMismatch),
        Oddity::SignatureParametersDiffer => {
            return (!is_anchor).then_some(FaultKind::AlgorithmMismatch);
        }
        Oddity::UnreadableExtension(name) => is_anchor && name == "subjectKeyIdentifier",
        Oddity::TimeWithFraction
        | Oddity::TimeWithOffset
        | Oddity::TimeWithoutZone
        | Oddity::UnreadableVersion
        | Oddity::ExtensionsBeforeVersion3(_)
        | Oddity::TrailingBytes
        | Oddity::TrailingFields(Part::SignedPart) => true,
        Oddity::TimeWithoutSeconds => {
            !is_anchor && facts.remarks.contains(&Oddity::GeneralizedTimeBefore2050)
        }
        Oddity::Version(version) => !(1..=3).contains(version),
        Oddity::Critical("authorityKeyIdentifier" | "subjectKeyIdentifier") => !is_anchor,
        Oddity::UnusedKeyBits => role != Role::Leaf,
        Oddity::NonMinimalInteger(Part::PathLength) => role == Role::Intermediate,
        Oddity::NonMinimalInteger(Part::Serial) => is_anchor && facts.serial_der.is_empty(),
        _ => false,
    };
    is_refused.then(|| FaultKind::Deviation(oddity.clone()))
}

/// Returns true if a key of this usage may take part in any TLS key exchange (RFC 5280, section
/// 4.2.1.3).
fn fits_tls(usage: KeyUsage) -> bool {
    let kinds = [
        KeyUsage::DIGITAL_SIGNATURE,
        KeyUsage::KEY_ENCIPHERMENT,
        KeyUsage::KEY_AGREEMENT,
    ];
    kinds.into_iter().any(|kind| usage.allows(kind))
}

/// Returns true for an extension that path validation requires.
fn is_needed(kind: &Kind, facts: &Facts) -> bool {
    // A malformed alternative name does not hide the others.
    if *kind == Kind::SubjectAltName {
        return facts.sans.is_empty();
    }
    matches!(
        kind,
        Kind::BasicConstraints
            | Kind::KeyUsage
            | Kind::ExtendedKeyUsage
            | Kind::NameConstraints
            | Kind::PolicyConstraints
            | Kind::InhibitAnyPolicy
            | Kind::PolicyMappings
    )
}

/// Returns the faults for which a certificate may not issue the one below it (section 6.1.4 (k) to
/// (n)).
pub(super) fn authority_faults(
    facts: &Facts,
    intermediates_below: u32,
    role: Role,
) -> Vec<FaultKind> {
    let mut kinds = Vec::new();
    let extensions = &facts.extensions;
    match extensions.basic_constraints {
        Some(constraints) if !constraints.is_ca => kinds.push(FaultKind::NotCa),
        Some(constraints) => {
            // Most clients treat a number of more than 31 bits as malformed.
            if role != Role::Anchor
                && constraints
                    .path_len
                    .is_some_and(|n| i32::try_from(n).is_err())
            {
                kinds.push(FaultKind::MalformedExtension("basicConstraints".into()));
            }
            let exceeded = constraints
                .path_len
                .filter(|allowed| intermediates_below > *allowed);
            kinds.extend(exceeded.map(|allowed| FaultKind::PathLength {
                allowed,
                found: intermediates_below,
            }));
        }
        // A trust anchor needs no extensions if its version has none.
        None if facts.version < 3 => {
            if role != Role::Anchor {
                kinds.push(FaultKind::OldVersion(facts.version));
            }
        }
        None => kinds.push(FaultKind::NoBasicConstraints {
            has_key_usage: extensions.key_usage.is_some(),
        }),
    }
    if let Some(usage) = extensions.key_usage
        && !usage.allows(KeyUsage::KEY_CERT_SIGN)
    {
        let is_empty = usage.0 == 0;
        kinds.push(FaultKind::NoKeyCertSign { is_empty });
    }
    kinds
}

/// Returns false if the key identifiers of a certificate and its issuer contradict each other.
pub(super) fn key_ids_match(below: &Facts, issuer: &Facts) -> bool {
    key_id_matches(below, issuer) && issuer_and_serial_match(below, issuer)
}

/// Returns false if the keyIdentifier in an authorityKeyIdentifier differs from the issuer's.
pub(in crate::judge) fn key_id_matches(below: &Facts, issuer: &Facts) -> bool {
    let wanted = below.extensions.authority_key_id.as_ref();
    match (
        wanted.and_then(|w| w.key_id.as_ref()),
        &issuer.extensions.subject_key_id,
    ) {
        (Some(wanted), Some(has)) => wanted == has,
        _ => true,
    }
}

/// Returns true if a certificate and its issuer encode one name in ways that most clients treat as
/// two: TeletexString and another string type, or non-ASCII letters in different case.
pub(super) fn differs_in_form(below: &Facts, issuer: &Facts) -> bool {
    if below.issuer_der == issuer.subject_der {
        return false;
    }
    let has_teletex = |facts: &Facts, of| {
        let teletex = Oddity::ObsoleteString(of, "TeletexString");
        facts.remarks.contains(&teletex)
    };
    let is_ascii = below.issuer.is_ascii() && issuer.subject.is_ascii();
    has_teletex(below, NameOf::Issuer) != has_teletex(issuer, NameOf::Subject)
        || !is_ascii && !below.issuer.eq_ignore_ascii_case(&issuer.subject)
}

/// Returns false if the issuer and serial number in an authorityKeyIdentifier identify another
/// certificate.
pub(in crate::judge) fn issuer_and_serial_match(below: &Facts, issuer: &Facts) -> bool {
    let Some(wanted) = &below.extensions.authority_key_id else {
        return true;
    };
    let by_serial = (wanted.serial.as_ref())
        .is_none_or(|serial| crate::certificate::same_serial(serial, &issuer.serial_der));
    let by_issuer = (wanted.issuer.as_ref())
        .is_none_or(|name| crate::certificate::normal_name(name) == issuer.issuer_normal);
    by_serial && by_issuer
}
