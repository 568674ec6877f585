//! From the bytes of a certificate to what it says.

use std::net::IpAddr;

use x509_parser::extensions::{
    CRLDistributionPoint, DistributionPointName, GeneralName, ParsedExtension, X509Extension,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use crate::model::Timestamp;

use super::{Facts, Key, PublicKeyHash, San, algorithm, der, fingerprint, printable};

/// Reads a certificate. What is odd in it is told, and hides nothing else.
///
/// # Errors
/// Why nothing can be made of it.
pub(super) fn read(der: &[u8]) -> Result<Facts, String> {
    let outline = der::outline(der)?;
    let mut oddities = Vec::new();
    if outline.trailing {
        oddities.push("there are bytes after its end".to_owned());
    }
    if outline.version < 3 {
        oddities.push(format!("it is X.509 version {}, not 3", outline.version));
    }
    if outline.serial.first().is_some_and(|b| b & 0x80 != 0) {
        oddities.push("its serial number is negative".to_owned());
    }
    if outline.serial.len() > MAX_SERIAL_OCTETS {
        oddities.push(format!(
            "its serial number is longer than {MAX_SERIAL_OCTETS} octets"
        ));
    }
    let (subject, common_name) = read_name(outline.subject, "subject", &mut oddities);
    let (issuer, issuer_common_name) = read_name(outline.issuer, "issuer", &mut oddities);
    let (not_before, not_after) =
        read_validity(outline.validity, &mut oddities).ok_or("its validity cannot be read")?;
    if not_after < not_before {
        oddities.push("it ends before it begins".to_owned());
    }
    let extensions = read_extensions(outline.extensions, &mut oddities);
    if extensions.sans.is_empty() && !extensions.is_ca {
        oddities.push(NO_SAN.to_owned());
    }
    Ok(Facts {
        version: outline.version,
        subject,
        issuer,
        subject_der: outline.subject.to_vec(),
        issuer_der: outline.issuer.to_vec(),
        common_name,
        issuer_common_name,
        serial: fingerprint::hex(outline.serial),
        sans: extensions.sans,
        not_before,
        not_after,
        key: read_key(outline.spki, &mut oddities),
        public_key_hash: PublicKeyHash::of(outline.spki),
        spki: outline.spki.to_vec(),
        signature: algorithm::describe(outline.signature_algorithm),
        is_ca: extensions.is_ca || outline.version == 1,
        issuer_url: extensions.issuer_url,
        ocsp_url: extensions.ocsp_url,
        crl_urls: extensions.crl_urls,
        must_staple: extensions.must_staple,
        may_sign_ocsp: extensions.may_sign_ocsp,
        oddities,
    })
}

/// The oddity of a leaf that no client can match a name against.
pub(crate) const NO_SAN: &str = "it has no subject alternative name";

/// RFC 5280, section 4.1.2.2; one octet more for the sign.
const MAX_SERIAL_OCTETS: usize = 21;

pub(super) fn read_name(
    der: &[u8],
    of: &str,
    oddities: &mut Vec<String>,
) -> (String, Option<String>) {
    match X509Name::from_der(der) {
        Ok((_, name)) => {
            let common_name = name
                .iter_common_name()
                .last()
                .and_then(|cn| cn.as_str().ok())
                .map(printable);
            if !is_whole_name(der) {
                oddities.push(format!("a part of its {of} cannot be read"));
            }
            (printable(&name.to_string()), common_name)
        }
        Err(_) => {
            oddities.push(format!("its {of} cannot be read"));
            (String::from("(unreadable)"), None)
        }
    }
}

/// Whether a name is a list of sets of pairs and nothing else (RFC 5280, section 4.1.2.4). Who reads it up to its
/// first fault would not know.
fn is_whole_name(mut der: &[u8]) -> bool {
    let Some(name) = der::expect(&mut der, der::SEQUENCE) else {
        return false;
    };
    all_in(name.content, |sets| {
        let Some(set) = der::expect(sets, der::SET) else {
            return false;
        };
        all_in(set.content, |pairs| {
            let Some(pair) = der::expect(pairs, der::SEQUENCE) else {
                return false;
            };
            let mut pair = pair.content;
            der::expect(&mut pair, der::OBJECT_IDENTIFIER).is_some()
                && der::split(&mut pair).is_some()
                && pair.is_empty()
        })
    })
}

/// Whether each of what is in there can be taken out.
fn all_in(mut content: &[u8], mut take: impl FnMut(&mut &[u8]) -> bool) -> bool {
    while !content.is_empty() {
        if !take(&mut content) {
            return false;
        }
    }
    true
}

fn read_validity(der: &[u8], oddities: &mut Vec<String>) -> Option<(Timestamp, Timestamp)> {
    let mut input = der;
    let mut inner = der::expect(&mut input, der::SEQUENCE)?.content;
    let [begin, end] = [der::split(&mut inner)?, der::split(&mut inner)?];
    let (not_before, not_after) = (read_time(begin)?, read_time(end)?);
    let is_early = |at| at < Timestamp(BEGIN_OF_2050);
    if begin.tag == GENERALIZED_TIME && is_early(not_before)
        || end.tag == GENERALIZED_TIME && is_early(not_after)
    {
        oddities.push("it has a GeneralizedTime before 2050, where UTCTime is due".to_owned());
    }
    let has_seconds = |time: der::Tlv<'_>| match time.tag {
        UTC_TIME => time.content.len() == "YYMMDDHHMMSSZ".len(),
        _ => time.content.len() == "YYYYMMDDHHMMSSZ".len(),
    };
    if !has_seconds(begin) || !has_seconds(end) {
        oddities.push("it has a time without seconds".to_owned());
    }
    Some((not_before, not_after))
}

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Only from then on GeneralizedTime is to be used (RFC 5280, section 4.1.2.5).
const BEGIN_OF_2050: i64 = 2_524_608_000;

/// UTCTime or GeneralizedTime in the forms of RFC 5280, section 4.1.2.5, and without seconds.
pub(super) fn read_time(tlv: der::Tlv<'_>) -> Option<Timestamp> {
    let text = std::str::from_utf8(tlv.content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tlv.tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| -> Option<u8> { rest.get(at..at + 2)?.parse().ok() };
    let month = time::Month::try_from(two(0)?).ok()?;
    let date = time::Date::from_calendar_date(year, month, two(2)?).ok()?;
    let seconds = match rest.len() {
        8 => 0,
        10 => two(8)?,
        _ => return None,
    };
    let clock = time::Time::from_hms(two(4)?, two(6)?, seconds).ok()?;
    Some(Timestamp(
        date.with_time(clock).assume_utc().unix_timestamp(),
    ))
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

fn read_extensions(mut list: &[u8], oddities: &mut Vec<String>) -> Extensions {
    let mut out = Extensions::default();
    while !list.is_empty() {
        let Some(one) = der::expect(&mut list, der::SEQUENCE) else {
            oddities.push("its extensions cannot be read".to_owned());
            break;
        };
        let Ok((_, extension)) = X509Extension::from_der(one.whole) else {
            oddities.push("one of its extensions cannot be read".to_owned());
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
            ParsedExtension::ParseError { .. } => oddities.push(format!(
                "its extension {} cannot be read",
                extension.oid.to_id_string()
            )),
            ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::Unparsed
                if extension.critical =>
            {
                oddities.push(format!(
                    "its extension {} is critical and not widely known",
                    extension.oid.to_id_string()
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

pub(super) fn read_key(spki: &[u8], oddities: &mut Vec<String>) -> Key {
    let Ok((_, info)) = SubjectPublicKeyInfo::from_der(spki) else {
        oddities.push("its public key cannot be read".to_owned());
        return Key::Other("(unreadable)".into());
    };
    let oid = info.algorithm.algorithm.to_id_string();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => Key::Rsa(key.key_size()),
        Ok(PublicKey::EC(point)) => {
            let curve = info
                .algorithm
                .parameters
                .as_ref()
                .and_then(|p| p.as_oid().ok())
                .map(|oid| oid.to_id_string());
            match curve.as_deref() {
                Some("1.2.840.10045.3.1.7") => Key::Ec("P-256".into(), 256),
                Some("1.3.132.0.34") => Key::Ec("P-384".into(), 384),
                Some("1.3.132.0.35") => Key::Ec("P-521".into(), 521),
                Some("1.2.840.10045.3.1.1") => Key::Ec("P-192".into(), 192),
                Some("1.3.132.0.33") => Key::Ec("P-224".into(), 224),
                Some("1.3.132.0.10") => Key::Ec("secp256k1".into(), 256),
                Some(other) => Key::Ec(other.into(), point.key_size()),
                None => Key::Ec("(explicit curve)".into(), point.key_size()),
            }
        }
        _ => Key::Other(match oid.as_str() {
            "1.3.101.112" => "Ed25519".into(),
            "1.3.101.113" => "Ed448".into(),
            "2.16.840.1.101.3.4.3.17" => "ML-DSA-44".into(),
            "2.16.840.1.101.3.4.3.18" => "ML-DSA-65".into(),
            "2.16.840.1.101.3.4.3.19" => "ML-DSA-87".into(),
            _ => oid,
        }),
    }
}
