//! From the bytes of a certificate to what it says.

use std::net::IpAddr;

use x509_parser::extensions::{
    CRLDistributionPoint, DistributionPointName, GeneralName, ParsedExtension, X509Extension,
};
use x509_parser::prelude::FromDer;

use crate::model::Timestamp;

use super::key::{is_negative, is_too_long, read_key};
use super::name::{Notes, normal_name, read_name};
use super::profile::{self, MAX_NOTES};
use super::time::read_validity;
use super::{
    Facts, NameOf, Oddity, Part, PublicKeyHash, San, der, fingerprint, printable, signature,
};

pub(super) use super::time::read_time;

/// Reads a certificate. A part that deviates from RFC 5280 is an oddity or a remark, and hides no other part.
///
/// # Errors
/// Why the parts cannot be told apart.
pub(super) fn read(der: &[u8]) -> Result<Facts, String> {
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
    let extensions = read_extensions(outline.extensions, &mut oddities);
    if extensions.sans.is_empty() && !extensions.is_ca {
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
        sans: extensions.sans,
        not_before,
        not_after,
        has_validity: validity.is_some(),
        key: read_key(outline.spki, &mut oddities),
        public_key_hash: PublicKeyHash::of(outline.spki),
        spki: outline.spki.to_vec(),
        signature: signature::describe(outline.signature_algorithm),
        is_ca: extensions.is_ca || outline.version == 1,
        issuer_url: extensions.issuer_url,
        ocsp_url: extensions.ocsp_url,
        crl_urls: extensions.crl_urls,
        must_staple: extensions.must_staple,
        may_sign_ocsp: extensions.may_sign_ocsp,
        oddities: Vec::new(),
        remarks: Vec::new(),
    };
    let mut notes = Notes {
        oddities: &mut oddities,
        remarks: &mut remarks,
    };
    profile::examine(&outline, &facts, &mut notes);
    oddities.truncate(MAX_NOTES);
    remarks.truncate(MAX_NOTES);
    (facts.oddities, facts.remarks) = (oddities, remarks);
    Ok(facts)
}

/// What stands for a time in a validity that cannot be read: long ago, so that nothing takes the certificate for
/// valid by mistake.
const UNREADABLE: Timestamp = Timestamp(0);

/// Maximum octets of a serial number (RFC 5280, section 4.1.2.2).
const MAX_SERIAL_OCTETS: usize = 20;

/// Notes what is known without reading any part.
fn note_outline(outline: &der::Outline<'_>, oddities: &mut Vec<Oddity>, remarks: &mut Vec<Oddity>) {
    let serial = outline.serial;
    // The first octet may be there for the sign alone.
    let digits = match serial {
        [0, rest @ ..] => rest,
        all => all,
    };
    let is_trailing = outline.has_more_after_signature;
    for (is_found, oddity) in [
        (outline.trailing, Oddity::TrailingBytes),
        (
            outline.has_more_in_tbs,
            Oddity::TrailingFields(Part::SignedPart),
        ),
        (is_trailing, Oddity::TrailingFields(Part::Certificate)),
        (outline.version == 0, Oddity::UnreadableVersion),
        (
            !matches!(outline.version, 0 | 3),
            Oddity::Version(outline.version),
        ),
        (is_negative(serial), Oddity::NegativeSerial),
        (is_too_long(serial), Oddity::NonMinimalInteger(Part::Serial)),
        (
            outline.inner_algorithm != outline.signature_algorithm,
            Oddity::SignatureAlgorithmsDiffer,
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

/// A serial number as `openssl x509 -serial` writes it, in lower case: without leading zero octets, and with a sign if
/// it is negative.
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

#[derive(Default)]
struct Extensions {
    sans: Vec<San>,
    is_ca: bool,
    issuer_url: Option<String>,
    ocsp_url: Option<String>,
    crl_urls: Vec<String>,
    must_staple: bool,
    may_sign_ocsp: bool,
}

fn read_extensions(mut list: &[u8], oddities: &mut Vec<Oddity>) -> Extensions {
    let mut out = Extensions::default();
    while !list.is_empty() {
        let Some(one) = der::expect(&mut list, der::SEQUENCE) else {
            oddities.push(Oddity::UnreadableExtensions);
            break;
        };
        let Ok((_, extension)) = X509Extension::from_der(one.whole) else {
            oddities.push(Oddity::UnreadableExtensionEntry);
            continue;
        };
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                out.sans.extend(names.general_names.iter().map(read_san));
            }
            ParsedExtension::BasicConstraints(constraints) => out.is_ca = constraints.ca,
            ParsedExtension::AuthorityInfoAccess(access) => {
                let urls = |method: &'static str| {
                    access.iter().filter_map(move |d| match &d.access_location {
                        GeneralName::URI(url) if d.access_method.to_id_string() == method => {
                            Some(*url)
                        }
                        _ => None,
                    })
                };
                // Some name a directory (LDAP) first, which few can ask.
                let issuer = urls(CA_ISSUERS).find(|url| is_http(url));
                out.issuer_url = issuer.or(urls(CA_ISSUERS).next()).map(printable);
                out.ocsp_url = urls(OCSP).find(|url| is_http(url)).map(printable);
            }
            ParsedExtension::CRLDistributionPoints(points) => {
                out.crl_urls = points.iter().flat_map(whole_lists).collect();
                out.crl_urls.truncate(MAX_CRL_URLS);
            }
            ParsedExtension::ExtendedKeyUsage(usages) => out.may_sign_ocsp = usages.ocsp_signing,
            _ if extension.oid.to_id_string() == TLS_FEATURE => {
                out.must_staple = demands_staple(extension.value);
            }
            ParsedExtension::ParseError { .. } => {
                oddities.push(Oddity::UnreadableExtension(extension.oid.to_id_string()))
            }
            ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::Unparsed
                if extension.critical =>
            {
                oddities.push(Oddity::UnknownCriticalExtension(
                    extension.oid.to_id_string(),
                ));
            }
            _ => {}
        }
    }
    out
}

/// id-ad-caIssuers (RFC 5280, section 4.2.2.1).
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

/// id-ad-ocsp (RFC 6960, section 4.2.2.2).
const OCSP: &str = "1.3.6.1.5.5.7.48.1";

/// id-pe-tlsfeature (RFC 7633, section 6).
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";

/// So many places to fetch a revocation list from are taken from a certificate, which usually has one.
const MAX_CRL_URLS: usize = 8;

/// Where a distribution point's list is to be had, if it is its issuer's own, for all reasons (RFC 5280, section
/// 4.2.1.13).
fn whole_lists(point: &CRLDistributionPoint<'_>) -> Vec<String> {
    let names = match &point.distribution_point {
        Some(DistributionPointName::FullName(names))
            if point.reasons.is_none() && point.crl_issuer.is_none() =>
        {
            names.as_slice()
        }
        _ => &[],
    };
    let urls = names.iter().filter_map(|name| match name {
        GeneralName::URI(url) if is_http(url) => Some(printable(url)),
        _ => None,
    });
    urls.collect()
}

fn is_http(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https"))
}

/// Whether the list of TLS extensions has status_request (RFC 6066, section 8).
fn demands_staple(mut value: &[u8]) -> bool {
    const STATUS_REQUEST: &[u8] = &[5];
    let Some(list) = der::expect(&mut value, der::SEQUENCE) else {
        return false;
    };
    let mut features = list.content;
    std::iter::from_fn(|| der::expect(&mut features, der::INTEGER))
        .any(|feature| feature.content == STATUS_REQUEST)
}

fn read_san(name: &GeneralName<'_>) -> San {
    match name {
        GeneralName::DNSName(name) => San::Dns(printable(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or(v6)
                .map_or_else(|_| San::Other("an unreadable address".into()), San::Ip)
        }
        GeneralName::URI(uri) => San::Other(printable(uri)),
        GeneralName::RFC822Name(mail) => San::Other(printable(mail)),
        other => San::Other(printable(&other.to_string())),
    }
}

#[cfg(test)]
mod tests;
