//! Who signed whom: signature algorithms by name, and the link from one certificate to its issuer.

use std::ops::RangeInclusive;

use super::{Certificate, Key, SignatureAlgorithm, der};

/// Whether one certificate issued another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It did: the names fit and the signature was verified.
    Verified,
    /// The names fit, and the signature is of a kind that cannot be verified here (MD5, SHA-1,
    /// RSA keys of an unusual size, rare curves).
    Plausible,
    /// It did not.
    No,
}

/// Whether `issuer` issued `subject`: the names fit, the issuer may issue, and its key made the
/// signature. Time plays no part: an expired issuer is an issuer.
pub fn certifies(issuer: &Certificate, subject: &Certificate) -> Link {
    match issuer.facts() {
        Ok(above) if may_certify(issuer, subject) => key_signed(&above.spki, subject),
        _ => Link::No,
    }
}

/// Whether the names fit and the issuer may issue: all of [`certifies`] but the signature, which
/// costs a thousand times as much.
pub(crate) fn may_certify(issuer: &Certificate, subject: &Certificate) -> bool {
    match (issuer.facts(), subject.facts()) {
        // A self-signed leaf is its own issuer without being an authority.
        (Ok(above), Ok(below)) => {
            above.subject_der == below.issuer_der && (above.is_ca || issuer == subject)
        }
        _ => false,
    }
}

/// Whether the key of this SubjectPublicKeyInfo signed the certificate.
pub(crate) fn key_signed(spki: &[u8], certificate: &Certificate) -> Link {
    let Ok(outline) = der::outline(certificate.der()) else {
        return Link::No;
    };
    Signed {
        message: outline.tbs,
        algorithm: outline.signature_algorithm,
        signature: outline.signature,
    }
    .by(spki)
}

/// Something signed in X.509's manner: a certificate, a revocation list, an OCSP response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// What the signature is over.
    pub(super) message: &'a [u8],
    /// The content of the AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    /// The signature's bits.
    pub(super) signature: &'a [u8],
}

impl Signed<'_> {
    /// Whether the key of this SubjectPublicKeyInfo made the signature.
    pub(super) fn by(self, spki: &[u8]) -> Link {
        let Some((key_algorithm, key)) = der::public_key(spki) else {
            return Link::No;
        };
        let kind_of_signature = Kind::of(self.algorithm);
        let kind_of_key = Kind::of(key_algorithm);
        if kind_of_signature != kind_of_key
            && kind_of_signature != Kind::Other
            && kind_of_key != Kind::Other
        {
            return Link::No;
        }
        let mut fitting = webpki::ALL_VERIFICATION_ALGS
            .iter()
            .filter(|a| a.signature_alg_id().as_ref() == self.algorithm)
            .filter(|a| a.public_key_alg_id().as_ref() == key_algorithm)
            .peekable();
        let is_verifiable = match super::read_key(spki, &mut Vec::new()) {
            Key::Rsa(bits) => VERIFIABLE_RSA_BITS.contains(&bits),
            Key::Ec(..) | Key::Other(_) => true,
        };
        if fitting.peek().is_none() || !is_verifiable {
            return Link::Plausible;
        }
        if fitting.any(|a| {
            a.verify_signature(key, self.message, self.signature)
                .is_ok()
        }) {
            Link::Verified
        } else {
            Link::No
        }
    }
}

/// The library refuses an RSA key of any other size, whatever the signature.
const VERIFIABLE_RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// What kind of key an algorithm goes with, whatever the curve, the size and the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ec,
    Ed25519,
    Ed448,
    Other,
}

impl Kind {
    /// From the content of an AlgorithmIdentifier, of a key or of a signature.
    fn of(algorithm: &[u8]) -> Self {
        let oid = oid(algorithm);
        if oid.starts_with("1.2.840.113549.1.1.") {
            return Self::Rsa;
        }
        if oid.starts_with("1.2.840.10045.2.") || oid.starts_with("1.2.840.10045.4.") {
            return Self::Ec;
        }
        match oid.as_str() {
            "1.3.101.112" => Self::Ed25519,
            "1.3.101.113" => Self::Ed448,
            _ => Self::Other,
        }
    }
}

fn oid(mut algorithm: &[u8]) -> String {
    der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)
        .map(|tlv| x509_parser::der_parser::oid::Oid::new(tlv.content.into()).to_id_string())
        .unwrap_or_default()
}

/// The algorithm's name, from the content of an AlgorithmIdentifier.
pub(super) fn describe(algorithm: &[u8]) -> SignatureAlgorithm {
    let oid = oid(algorithm);
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
