//! Who signed whom: signature algorithms by name, and the link from one certificate to its issuer.

use rustls::pki_types::SignatureVerificationAlgorithm;

use super::{Certificate, SignatureAlgorithm, der};

/// Whether one certificate issued another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It did: the names fit and the signature was verified.
    Verified,
    /// The names fit, and the signature is of a kind that cannot be verified here (MD5, SHA-1,
    /// short RSA keys, rare curves).
    Plausible,
    /// It did not.
    No,
}

/// Whether `issuer` issued `subject`: the names fit, the issuer may issue, and its key made the
/// signature. Time plays no part: an expired issuer is an issuer.
pub fn certifies(issuer: &Certificate, subject: &Certificate) -> Link {
    match (issuer.facts(), subject.facts()) {
        (Ok(above), Ok(below)) if above.subject_der == below.issuer_der => {
            // A self-signed leaf is its own issuer without being an authority.
            if !above.is_ca && issuer != subject {
                return Link::No;
            }
            key_signed(&above.spki, subject)
        }
        _ => Link::No,
    }
}

/// Whether the key of this SubjectPublicKeyInfo signed the certificate.
pub(crate) fn key_signed(spki: &[u8], certificate: &Certificate) -> Link {
    let Ok(outline) = der::outline(certificate.der()) else {
        return Link::No;
    };
    let Some((key_algorithm, key)) = der::public_key(spki) else {
        return Link::No;
    };
    let same_family = |a: &&dyn SignatureVerificationAlgorithm| {
        a.signature_alg_id().as_ref() == outline.signature_algorithm
    };
    let mut known = webpki::ALL_VERIFICATION_ALGS
        .iter()
        .copied()
        .filter(same_family)
        .peekable();
    if known.peek().is_none() {
        return Link::Plausible;
    }
    let mut fitting = known
        .filter(|a| a.public_key_alg_id().as_ref() == key_algorithm)
        .peekable();
    if fitting.peek().is_none() || super::read_key(spki, &mut Vec::new()).is_weak() {
        // A short key is refused by the library whatever the signature; another kind of key
        // cannot have made it.
        return if fitting.peek().is_some() {
            Link::Plausible
        } else {
            Link::No
        };
    }
    if fitting.any(|a| {
        a.verify_signature(key, outline.tbs, outline.signature)
            .is_ok()
    }) {
        Link::Verified
    } else {
        Link::No
    }
}

/// The algorithm's name, from the content of an AlgorithmIdentifier.
pub(super) fn describe(mut algorithm: &[u8]) -> SignatureAlgorithm {
    let oid = der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)
        .map(|tlv| x509_parser::der_parser::oid::Oid::new(tlv.content.into()).to_id_string())
        .unwrap_or_default();
    let (name, is_weak) = match oid.as_str() {
        "1.2.840.113549.1.1.2" => ("md2WithRSAEncryption", true),
        "1.2.840.113549.1.1.4" => ("md5WithRSAEncryption", true),
        "1.2.840.113549.1.1.5" => ("sha1WithRSAEncryption", true),
        "1.3.14.3.2.29" => ("sha1WithRSA", true),
        "1.2.840.10040.4.3" => ("dsaWithSHA1", true),
        "1.2.840.10045.4.1" => ("ecdsa-with-SHA1", true),
        "1.2.840.113549.1.1.10" => ("rsassaPss", false),
        "1.2.840.113549.1.1.11" => ("sha256WithRSAEncryption", false),
        "1.2.840.113549.1.1.12" => ("sha384WithRSAEncryption", false),
        "1.2.840.113549.1.1.13" => ("sha512WithRSAEncryption", false),
        "1.2.840.113549.1.1.14" => ("sha224WithRSAEncryption", false),
        "1.2.840.10045.4.3.1" => ("ecdsa-with-SHA224", false),
        "1.2.840.10045.4.3.2" => ("ecdsa-with-SHA256", false),
        "1.2.840.10045.4.3.3" => ("ecdsa-with-SHA384", false),
        "1.2.840.10045.4.3.4" => ("ecdsa-with-SHA512", false),
        "1.3.101.112" => ("ED25519", false),
        "1.3.101.113" => ("ED448", false),
        "2.16.840.1.101.3.4.3.17" => ("ML-DSA-44", false),
        "2.16.840.1.101.3.4.3.18" => ("ML-DSA-65", false),
        "2.16.840.1.101.3.4.3.19" => ("ML-DSA-87", false),
        "" => ("(unreadable)", false),
        _ => (oid.as_str(), false),
    };
    SignatureAlgorithm {
        name: name.to_owned(),
        is_weak,
    }
}
