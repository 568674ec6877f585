//! From the bytes of a certificate to what it says.

use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use crate::model::Timestamp;

use super::extensions::{Extensions, Kind, Values};
use super::{
    Facts, Key, NameOf, Oddity, PublicKeyHash, algorithm, der, fingerprint, normal_name, printable,
};

/// Reads a certificate. What is odd in it is told, and hides nothing else.
///
/// # Errors
/// Why nothing can be made of it.
pub(super) fn read(der: &[u8]) -> Result<Facts, String> {
    let outline = der::outline(der)?;
    let mut oddities = Vec::new();
    if outline.trailing {
        oddities.push(Oddity::TrailingBytes);
    }
    if outline.version < 3 {
        oddities.push(Oddity::Version(outline.version));
    }
    if outline.serial.first().is_some_and(|b| b & 0x80 != 0) {
        oddities.push(Oddity::NegativeSerial);
    }
    if outline.serial.len() > MAX_SERIAL_OCTETS {
        oddities.push(Oddity::LongSerial);
    }
    let (subject, common_name) = read_name(outline.subject, NameOf::Subject, &mut oddities);
    let (issuer, issuer_common_name) = read_name(outline.issuer, NameOf::Issuer, &mut oddities);
    let (not_before, not_after) =
        read_validity(outline.validity, &mut oddities).ok_or("its validity cannot be read")?;
    if not_after < not_before {
        oddities.push(Oddity::EndsBeforeItBegins);
    }
    let (extensions, values) = read_extensions(outline.extensions, &mut oddities);
    let is_ca = extensions.basic_constraints.is_some_and(|b| b.is_ca);
    if values.sans.is_empty() && !is_ca {
        oddities.push(Oddity::NoSan);
    }
    Ok(Facts {
        version: outline.version,
        subject,
        issuer,
        subject_der: outline.subject.to_vec(),
        issuer_der: outline.issuer.to_vec(),
        subject_normal: normal_name(outline.subject),
        issuer_normal: normal_name(outline.issuer),
        common_name,
        issuer_common_name,
        serial: fingerprint::hex(outline.serial),
        serial_der: outline.serial.into(),
        sans: values.sans,
        not_before,
        not_after,
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
        oddities,
        remarks: Vec::new(),
    })
}

/// RFC 5280, section 4.1.2.2; one octet more for the sign.
const MAX_SERIAL_OCTETS: usize = 21;

pub(super) fn read_name(
    der: &[u8],
    of: NameOf,
    oddities: &mut Vec<Oddity>,
) -> (String, Option<String>) {
    match X509Name::from_der(der) {
        Ok((_, name)) => {
            let common_name = name
                .iter_common_name()
                .last()
                .and_then(|cn| cn.as_str().ok())
                .map(printable);
            if !is_whole_name(der) {
                oddities.push(Oddity::PartlyUnreadableName(of));
            }
            (printable(&name.to_string()), common_name)
        }
        Err(_) => {
            oddities.push(Oddity::UnreadableName(of));
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

fn read_validity(der: &[u8], oddities: &mut Vec<Oddity>) -> Option<(Timestamp, Timestamp)> {
    let mut input = der;
    let mut inner = der::expect(&mut input, der::SEQUENCE)?.content;
    let [begin, end] = [der::split(&mut inner)?, der::split(&mut inner)?];
    let (not_before, not_after) = (read_time(begin)?, read_time(end)?);
    let is_early = |at| at < Timestamp(BEGIN_OF_2050);
    if begin.tag == GENERALIZED_TIME && is_early(not_before)
        || end.tag == GENERALIZED_TIME && is_early(not_after)
    {
        oddities.push(Oddity::GeneralizedTimeBefore2050);
    }
    let has_seconds = |time: der::Tlv<'_>| match time.tag {
        UTC_TIME => time.content.len() == "YYMMDDHHMMSSZ".len(),
        _ => time.content.len() == "YYYYMMDDHHMMSSZ".len(),
    };
    if !has_seconds(begin) || !has_seconds(end) {
        oddities.push(Oddity::TimeWithoutSeconds);
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

/// Reads the extensions, and adds what is odd about them.
fn read_extensions(list: &[u8], oddities: &mut Vec<Oddity>) -> (Extensions, Values) {
    let (extensions, values) = Extensions::read(list);
    if extensions.is_cut_short {
        oddities.push(Oddity::UnreadableExtensions);
    }
    for listed in &extensions.list {
        let name = || listed.kind.name().to_owned();
        if !listed.is_readable {
            oddities.push(Oddity::UnreadableExtension(name()));
        } else if listed.is_critical && matches!(listed.kind, Kind::Unknown(_)) {
            oddities.push(Oddity::UnknownCriticalExtension(name()));
        }
    }
    (extensions, values)
}

pub(super) fn read_key(spki: &[u8], oddities: &mut Vec<Oddity>) -> Key {
    let Ok((_, info)) = SubjectPublicKeyInfo::from_der(spki) else {
        oddities.push(Oddity::UnreadableKey);
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
