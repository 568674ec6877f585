//! Reads the facts of a certificate from its bytes.

use crate::model::Timestamp;

use super::der::Malformed;
use super::extensions::{Extensions, Kind, Values};
use super::key::{is_negative, is_too_long, read_key};
use super::name::{Notes, normal_name, note, read_name};
use super::profile::{self, MAX_NOTES};
use super::time::read_validity;
use super::{Facts, NameOf, Oddity, Part, PublicKeyHash, algorithm, der, fingerprint};

pub(super) use super::time::read_time;

/// Reads a certificate. A part that deviates from RFC 5280 is an oddity or a remark, and hides no
/// other part.
///
/// # Errors
/// Returns the first part that cannot be read if the parts cannot be separated.
pub(super) fn read(der: &[u8]) -> Result<Facts, Malformed> {
    let outline = der::outline(der)?;
    let (mut oddities, mut remarks) = (Vec::new(), Vec::new());
    note_outline(&outline, &mut oddities, &mut remarks);
    let mut notes = Notes {
        oddities: &mut oddities,
        remarks: &mut remarks,
    };
    let subject = read_name(outline.subject, NameOf::Subject, &mut notes);
    let issuer = read_name(outline.issuer, NameOf::Issuer, &mut notes);
    let validity = read_validity(outline.validity, &mut notes);
    match validity {
        None => oddities.push(Oddity::UnreadableValidity),
        Some((begin, end)) => {
            if end < begin {
                oddities.push(Oddity::EndsBeforeItBegins);
            }
            if begin.min(end) < UNREADABLE {
                oddities.push(Oddity::TimeBefore1970);
            }
        }
    }
    let (not_before, not_after) = validity.unwrap_or((UNREADABLE, UNREADABLE));
    let (extensions, values) = read_extensions(outline.extensions, &mut oddities);
    for (is_found, oddity) in [
        (
            values.has_long_length || der::has_long_length(outline.tbs),
            Oddity::LongLength,
        ),
        (values.has_unused_bits, Oddity::UnusedBitsSet),
        (
            values.has_long_path_length,
            Oddity::NonMinimalInteger(Part::PathLength),
        ),
        (
            der::has_unused_key_bits(outline.spki),
            Oddity::UnusedKeyBits,
        ),
        (values.has_malformed_other_name, Oddity::MalformedOtherName),
        (values.has_unnamed_point, Oddity::UnnamedDistributionPoint),
    ] {
        if is_found {
            oddities.push(oddity);
        }
    }
    let is_ca = extensions.basic_constraints.is_some_and(|b| b.is_ca);
    if values.sans.is_empty() && !is_ca {
        oddities.push(Oddity::NoSan);
    }
    let mut facts = Facts {
        version: outline.version,
        subject: subject.text,
        issuer: issuer.text,
        subject_der: outline.subject.to_vec(),
        issuer_der: outline.issuer.to_vec(),
        subject_normal: normal_name(outline.subject),
        issuer_normal: normal_name(outline.issuer),
        common_name: subject.common_name,
        issuer_common_name: issuer.common_name,
        issuer_organization: issuer.organization,
        serial: serial_text(outline.serial),
        serial_der: outline.serial.into(),
        sans: values.sans,
        not_before,
        not_after,
        has_validity: validity.is_some(),
        key: read_key(outline.spki, &mut oddities),
        public_key_hash: PublicKeyHash::of(outline.spki),
        spki: outline.spki.to_vec(),
        signature: algorithm::describe(outline.signature_algorithm),
        is_ca: is_ca || outline.version == 1,
        issuer_url: values.issuer_url,
        ocsp_url: values.ocsp_url,
        crl_urls: values.crl_urls,
        must_staple: values.must_staple,
        may_sign_ocsp: (extensions.extended_key_usage).is_some_and(|usage| usage.ocsp_signing),
        extensions: Box::new(extensions),
        oddities: Vec::new(),
        remarks: Vec::new(),
    };
    let mut notes = Notes {
        oddities: &mut oddities,
        remarks: &mut remarks,
    };
    if facts.signature.is_ecdsa_with_null {
        notes.oddity(Oddity::EcdsaWithNull);
    }
    profile::examine(&outline, &facts, &mut notes);
    oddities.truncate(MAX_NOTES);
    remarks.truncate(MAX_NOTES);
    (facts.oddities, facts.remarks) = (oddities, remarks);
    Ok(facts)
}

/// Time used for a validity that cannot be read: the distant past, so that no code treats the
/// certificate as valid.
const UNREADABLE: Timestamp = Timestamp(0);

/// Maximum octets of a serial number (RFC 5280, section 4.1.2.2).
const MAX_SERIAL_OCTETS: usize = 20;

/// Notes the oddities of the outline, without reading any part.
fn note_outline(outline: &der::Outline<'_>, oddities: &mut Vec<Oddity>, remarks: &mut Vec<Oddity>) {
    let serial = outline.serial;
    // The first octet may be only the sign.
    let digits = match serial {
        [0, rest @ ..] => rest,
        all => all,
    };
    let is_same_algorithm = outline.inner_algorithm == outline.signature_algorithm;
    let identifier = |mut algorithm| der::split(&mut algorithm).map(|oid| oid.whole);
    let is_same_identifier = is_same_algorithm
        || identifier(outline.inner_algorithm) == identifier(outline.signature_algorithm);
    let is_trailing = outline.has_more_after_signature;
    for (is_found, oddity) in [
        (outline.trailing, Oddity::TrailingBytes),
        (
            outline.has_more_in_tbs,
            Oddity::TrailingFields(Part::SignedPart),
        ),
        (is_trailing, Oddity::TrailingFields(Part::Certificate)),
        (
            outline.is_version_default,
            Oddity::EncodedDefault("version"),
        ),
        (outline.version == 0, Oddity::UnreadableVersion),
        (
            !matches!(outline.version, 0 | 3),
            Oddity::Version(outline.version),
        ),
        (is_negative(serial), Oddity::NegativeSerial),
        (is_too_long(serial), Oddity::NonMinimalInteger(Part::Serial)),
        (
            !is_same_algorithm && !is_same_identifier,
            Oddity::SignatureAlgorithmsDiffer,
        ),
        (
            !is_same_algorithm && is_same_identifier,
            Oddity::SignatureParametersDiffer,
        ),
        (outline.signature.is_empty(), Oddity::MalformedSignature),
        (outline.has_unique_ids, Oddity::UniqueIdentifiers),
        (
            outline.has_unreadable_extensions,
            Oddity::UnreadableExtensions,
        ),
    ] {
        if is_found {
            oddities.push(oddity);
        }
    }
    if digits.len() > MAX_SERIAL_OCTETS {
        remarks.push(Oddity::LongSerial);
    }
    if !serial.is_empty() && serial.iter().all(|octet| *octet == 0) {
        remarks.push(Oddity::ZeroSerial);
    }
}

/// Returns a serial number as `openssl x509 -serial` writes it, in lower case: without leading zero
/// octets, and with a sign if it is negative.
fn serial_text(content: &[u8]) -> String {
    let magnitude: Vec<u8> = if is_negative(content) {
        // Two's complement: inverted, plus one.
        let mut carry = true;
        let mut octets: Vec<u8> = content
            .iter()
            .rev()
            .map(|octet| {
                let (sum, is_over) = (!octet).overflowing_add(u8::from(carry));
                carry = is_over;
                sum
            })
            .collect();
        octets.reverse();
        octets
    } else {
        content.to_vec()
    };
    let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
    let zeros = zeros.min(magnitude.len().saturating_sub(1));
    let digits = fingerprint::hex(magnitude.get(zeros..).unwrap_or_default());
    match (is_negative(content), digits.is_empty()) {
        (true, _) => format!("-{digits}"),
        (false, true) => "00".into(),
        (false, false) => digits,
    }
}

/// Reads the extensions, and adds their oddities.
fn read_extensions(list: &[u8], oddities: &mut Vec<Oddity>) -> (Extensions, Values) {
    let (extensions, values) = Extensions::read(list);
    if extensions.is_cut_short {
        oddities.push(Oddity::UnreadableExtensions);
    } else if extensions.has_unreadable_entry {
        oddities.push(Oddity::UnreadableExtensionEntry);
    }
    for listed in &extensions.list {
        let name = || listed.kind.name().to_owned();
        if !listed.is_readable {
            note(oddities, Oddity::UnreadableExtension(name()));
        } else if listed.is_critical
            && matches!(
                listed.kind,
                Kind::Unknown(_) | Kind::AddressBlocks | Kind::AsNumbers | Kind::ProxyCertInfo
            )
        {
            note(oddities, Oddity::UnknownCriticalExtension(name()));
        }
    }
    (extensions, values)
}

#[cfg(test)]
mod tests;
