//! Forms in which equal names and equal keys are written.

use crate::certificate::{Certificate, Facts, NameOf, Oddity, has_long_length};
use crate::finding::Property;

/// Returns the difference in form between the issuer's name in a certificate and the issuer's
/// subject, which are the same name.
pub(super) fn name_difference(below: &Facts, above: &Facts) -> Property {
    if has_long_length(&below.issuer_der) != has_long_length(&above.subject_der) {
        return Property::NameLength;
    }
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

/// Returns true if the algorithm identifier of an RSA key has no parameters, although RFC 3279
/// requires NULL.
pub(super) fn lacks_null(certificate: &Certificate) -> bool {
    /// Octets of rsaEncryption's object identifier.
    const RSA_ENCRYPTION: usize = 11;
    certificate
        .public_key()
        .is_some_and(|(algorithm, _)| algorithm.len() == RSA_ENCRYPTION)
}

/// Returns true if the point of an EC key is in compressed form (RFC 5480, section 2.2).
pub(super) fn is_compressed(certificate: &Certificate) -> bool {
    let key = certificate.public_key();
    key.is_some_and(|(_, point)| matches!(point.first(), Some(2 | 3)))
}
