//! The known signature algorithms, by object identifier.

use super::super::hash::Hash;
use super::super::{SignatureAlgorithm, der};
use super::read_pss;

/// The parameter sets of ML-DSA (FIPS 204).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::certificate) enum MlDsa {
    Ml44,
    Ml65,
    Ml87,
}

/// The kind of key that an algorithm needs, regardless of curve, size and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Rsa,
    Ec,
    Ed25519,
    Ed448,
    Dsa,
    MlDsa,
    Other,
}

/// id-RSASSA-PSS, for a key that is restricted to PSS (RFC 4055, section 3.1).
pub(super) const PSS_KEY: &str = "1.2.840.113549.1.1.10";

impl Family {
    pub(super) fn of_key(oid: &str) -> Self {
        match oid {
            "1.2.840.113549.1.1.1" | PSS_KEY => Self::Rsa,
            "1.2.840.10045.2.1" => Self::Ec,
            "1.3.101.112" => Self::Ed25519,
            "1.3.101.113" => Self::Ed448,
            "1.2.840.10040.4.1" => Self::Dsa,
            "2.16.840.1.101.3.4.3.17" | "2.16.840.1.101.3.4.3.18" | "2.16.840.1.101.3.4.3.19" => {
                Self::MlDsa
            }
            _ => Self::Other,
        }
    }
}

/// The method of verifying a signature of an algorithm.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scheme {
    Pkcs1(Hash),
    Pss,
    Ecdsa(Hash),
    Ed25519,
    MlDsa(MlDsa),
    /// Not supported.
    Unverifiable(Family),
}

impl Scheme {
    pub(super) fn family(self) -> Family {
        match self {
            Self::Pkcs1(_) | Self::Pss => Family::Rsa,
            Self::Ecdsa(_) => Family::Ec,
            Self::Ed25519 => Family::Ed25519,
            Self::MlDsa(_) => Family::MlDsa,
            Self::Unverifiable(family) => family,
        }
    }
}

/// A named signature algorithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// OpenSSL's name.
    pub(super) name: &'static str,
    pub(super) scheme: Scheme,
    /// True if the hash is MD5, SHA-1 or weaker.
    pub(super) is_weak: bool,
}

/// Returns the algorithm of an object identifier.
pub(super) fn known(oid: &str) -> Option<Known> {
    use Scheme::{Ecdsa, Ed25519, Pkcs1, Pss, Unverifiable};
    let (name, scheme) = match oid {
        "1.2.840.113549.1.1.2" => ("md2WithRSAEncryption", Unverifiable(Family::Rsa)),
        "1.2.840.113549.1.1.3" => ("md4WithRSAEncryption", Unverifiable(Family::Rsa)),
        "1.2.840.113549.1.1.4" => ("md5WithRSAEncryption", Pkcs1(Hash::Md5)),
        "1.2.840.113549.1.1.5" => ("sha1WithRSAEncryption", Pkcs1(Hash::Sha1)),
        "1.3.14.3.2.29" => ("sha1WithRSA", Pkcs1(Hash::Sha1)),
        "1.2.840.113549.1.1.10" => ("rsassaPss", Pss),
        "1.2.840.113549.1.1.11" => ("sha256WithRSAEncryption", Pkcs1(Hash::Sha256)),
        "1.2.840.113549.1.1.12" => ("sha384WithRSAEncryption", Pkcs1(Hash::Sha384)),
        "1.2.840.113549.1.1.13" => ("sha512WithRSAEncryption", Pkcs1(Hash::Sha512)),
        "1.2.840.113549.1.1.14" => ("sha224WithRSAEncryption", Pkcs1(Hash::Sha224)),
        "1.2.840.113549.1.1.15" => ("sha512-224WithRSAEncryption", Unverifiable(Family::Rsa)),
        "1.2.840.113549.1.1.16" => ("sha512-256WithRSAEncryption", Pkcs1(Hash::Sha512T256)),
        "2.16.840.1.101.3.4.3.13" => ("RSA-SHA3-224", Unverifiable(Family::Rsa)),
        "2.16.840.1.101.3.4.3.14" => ("RSA-SHA3-256", Pkcs1(Hash::Sha3_256)),
        "2.16.840.1.101.3.4.3.15" => ("RSA-SHA3-384", Pkcs1(Hash::Sha3_384)),
        "2.16.840.1.101.3.4.3.16" => ("RSA-SHA3-512", Pkcs1(Hash::Sha3_512)),
        "1.3.36.3.3.1.2" => ("ripemd160WithRSA", Unverifiable(Family::Rsa)),
        "1.2.840.10045.4.1" => ("ecdsa-with-SHA1", Ecdsa(Hash::Sha1)),
        "1.2.840.10045.4.3.1" => ("ecdsa-with-SHA224", Ecdsa(Hash::Sha224)),
        "1.2.840.10045.4.3.2" => ("ecdsa-with-SHA256", Ecdsa(Hash::Sha256)),
        "1.2.840.10045.4.3.3" => ("ecdsa-with-SHA384", Ecdsa(Hash::Sha384)),
        "1.2.840.10045.4.3.4" => ("ecdsa-with-SHA512", Ecdsa(Hash::Sha512)),
        "2.16.840.1.101.3.4.3.9" => ("ecdsa_with_SHA3-224", Unverifiable(Family::Ec)),
        "2.16.840.1.101.3.4.3.10" => ("ecdsa_with_SHA3-256", Ecdsa(Hash::Sha3_256)),
        "2.16.840.1.101.3.4.3.11" => ("ecdsa_with_SHA3-384", Ecdsa(Hash::Sha3_384)),
        "2.16.840.1.101.3.4.3.12" => ("ecdsa_with_SHA3-512", Ecdsa(Hash::Sha3_512)),
        "1.2.840.10040.4.3" => ("dsaWithSHA1", Unverifiable(Family::Dsa)),
        "2.16.840.1.101.3.4.3.1" => ("dsa_with_SHA224", Unverifiable(Family::Dsa)),
        "2.16.840.1.101.3.4.3.2" => ("dsa_with_SHA256", Unverifiable(Family::Dsa)),
        "2.16.840.1.101.3.4.3.3" => ("dsa_with_SHA384", Unverifiable(Family::Dsa)),
        "2.16.840.1.101.3.4.3.4" => ("dsa_with_SHA512", Unverifiable(Family::Dsa)),
        "1.3.101.112" => ("ED25519", Ed25519),
        "1.3.101.113" => ("ED448", Unverifiable(Family::Ed448)),
        "1.2.156.10197.1.501" => ("SM2-with-SM3", Unverifiable(Family::Ec)),
        "1.2.643.7.1.1.3.2" => (
            "GOST R 34.10-2012 with GOST R 34.11-2012 (256 bit)",
            Unverifiable(Family::Other),
        ),
        "1.2.643.7.1.1.3.3" => (
            "GOST R 34.10-2012 with GOST R 34.11-2012 (512 bit)",
            Unverifiable(Family::Other),
        ),
        "2.16.840.1.101.3.4.3.17" => ("ML-DSA-44", Scheme::MlDsa(MlDsa::Ml44)),
        "2.16.840.1.101.3.4.3.18" => ("ML-DSA-65", Scheme::MlDsa(MlDsa::Ml65)),
        "2.16.840.1.101.3.4.3.19" => ("ML-DSA-87", Scheme::MlDsa(MlDsa::Ml87)),
        _ => return None,
    };
    let is_weak = match scheme {
        Pkcs1(hash) | Ecdsa(hash) => hash.is_weak(),
        _ => matches!(
            name,
            "md2WithRSAEncryption" | "md4WithRSAEncryption" | "dsaWithSHA1"
        ),
    };
    Some(Known {
        name,
        scheme,
        is_weak,
    })
}

/// Name of an algorithm without a readable object identifier.
pub(super) const UNREADABLE: &str = "(unreadable)";

/// Returns the algorithm's name, from the content of an AlgorithmIdentifier.
pub(in crate::certificate) fn describe(algorithm: &[u8]) -> SignatureAlgorithm {
    let unknown = |name| SignatureAlgorithm {
        name,
        is_weak: false,
        is_ecdsa_with_null: false,
        hash: None,
        pss: None,
        has_pss_trailer: false,
        is_common: false,
    };
    let Some((oid, parameters)) = split(algorithm) else {
        return unknown(UNREADABLE.to_owned());
    };
    let Some(known) = known(&oid) else {
        return unknown(oid);
    };
    let is_pss = matches!(known.scheme, Scheme::Pss);
    let pss = is_pss.then(|| read_pss(parameters)).flatten();
    let hash = match known.scheme {
        Scheme::Pkcs1(hash) | Scheme::Ecdsa(hash) => Some(hash),
        Scheme::Pss => pss.map(|pss| pss.hash),
        Scheme::Ed25519 | Scheme::MlDsa(_) | Scheme::Unverifiable(_) => None,
    };
    let is_common_hash = matches!(hash, Some(Hash::Sha256 | Hash::Sha384 | Hash::Sha512));
    SignatureAlgorithm {
        name: known.name.to_owned(),
        is_weak: known.is_weak || pss.is_some_and(|pss| pss.hash.is_weak()),
        is_ecdsa_with_null: matches!(known.scheme, Scheme::Ecdsa(_)) && parameters == [0x05, 0],
        hash,
        pss,
        has_pss_trailer: is_pss && has_trailer(parameters),
        is_common: is_common_hash && (!is_pss || pss.is_some_and(|p| parameters == p.encode())),
    }
}

/// Returns true if the parameters of RSASSA-PSS have the trailer field.
fn has_trailer(mut parameters: &[u8]) -> bool {
    const TRAILER: u8 = 0xa3;
    let Some(fields) = der::expect(&mut parameters, der::SEQUENCE) else {
        return false;
    };
    let mut fields = fields.content;
    std::iter::from_fn(|| der::split(&mut fields)).any(|field| field.tag == TRAILER)
}

/// Splits the content of an AlgorithmIdentifier into the object identifier and the parameters' DER.
pub(super) fn split(mut algorithm: &[u8]) -> Option<(String, &[u8])> {
    let oid = der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)?;
    Some((text_of(oid.content), algorithm))
}

/// Returns the dotted form of an object identifier.
pub(super) fn text_of(oid: &[u8]) -> String {
    // The high bit of the last octet is clear, and no number begins with zeros (X.690, section
    // 8.19.2).
    let is_whole = oid.last().is_some_and(|last| last & 0x80 == 0);
    let is_padded = |pair: &[u8]| matches!(pair, [before, 0x80] if before & 0x80 == 0);
    if !is_whole || oid.first() == Some(&0x80) || oid.windows(2).any(is_padded) {
        return UNREADABLE.to_owned();
    }
    super::super::oid::dotted(oid)
}
