//! Signature algorithms: names, supported algorithms, and the cost of verification.

mod known;
#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, EcdsaVerificationAlgorithm, ML_DSA_44, ML_DSA_65, ML_DSA_87,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::der;
use super::hash::Hash;
use super::rsa::{self, Pss};

use known::{Family, PSS_KEY, Scheme, UNREADABLE, known, split, text_of};
pub(super) use known::{MlDsa, describe};

/// The reason for which certvigil cannot verify a signature. The signature may be valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverifiable {
    /// The signature algorithm, by name or object identifier.
    Algorithm(String),
    /// The elliptic curve of the issuer's key, by name or object identifier.
    Curve(String),
    /// The issuer's RSA key has an unsupported size: this many bits.
    RsaSize(usize),
    /// The issuer's RSA key has an unsound modulus or exponent, or verification costs too much.
    RsaNumbers,
    /// The parameters of this algorithm cannot be read, or differ from those of the standard.
    Parameters(String),
    /// The algorithm in the signed part differs from the outer one (RFC 5280, section 4.1.1.2).
    AlgorithmsDiffer,
    /// The issuer's public key cannot be read.
    Key,
}

impl fmt::Display for Unverifiable {
    /// Writes a clause such as `signed with brainpoolP256r1, which certvigil cannot verify`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SUFFIX: &str = "which certvigil cannot verify";
        match self {
            Self::Algorithm(name) | Self::Curve(name) => write!(f, "signed with {name}, {SUFFIX}"),
            Self::RsaSize(bits) => write!(f, "signed with an RSA key of {bits} bits, {SUFFIX}"),
            Self::RsaNumbers => write!(
                f,
                "signed with an RSA key of an unusual modulus or exponent, {SUFFIX}"
            ),
            Self::Parameters(name) => {
                write!(f, "signed with unusual parameters of {name}, {SUFFIX}")
            }
            Self::AlgorithmsDiffer => f.write_str(
                "signed with one algorithm and marked with another, and clients refuse that",
            ),
            Self::Key => write!(f, "signed with a public key that cannot be read, {SUFFIX}"),
        }
    }
}

/// The reason for which there is no method to verify a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A key of this kind cannot make a signature of that kind.
    OtherKind,
    /// certvigil cannot verify this kind of signature.
    Unverifiable(Unverifiable),
}

impl From<Unverifiable> for Unfit {
    fn from(why: Unverifiable) -> Self {
        Self::Unverifiable(why)
    }
}

/// A signature algorithm together with the public key, ready to verify.
#[derive(Debug)]
pub(super) enum Method<'a> {
    /// RSA, verified by the library.
    LibraryRsa(&'static RsaParameters, &'a [u8], u64),
    /// PKCS #1 v1.5 in a form that the library does not support.
    Pkcs1(rsa::PublicKey, Hash),
    /// PSS in a form that the library does not support.
    Pss(rsa::PublicKey, Pss),
    Ecdsa(Curve, Hash, &'a [u8]),
    Ed25519(&'a [u8]),
    MlDsa(MlDsa, &'a [u8]),
}

impl<'a> Method<'a> {
    /// Returns the method that verifies a signature of this algorithm (content of the
    /// AlgorithmIdentifier) with the key of this SubjectPublicKeyInfo.
    pub(super) fn of(algorithm: &[u8], spki: &'a [u8]) -> Result<Self, Unfit> {
        let (key_algorithm, key) = der::public_key(spki).ok_or(Unverifiable::Key)?;
        let (key_oid, key_parameters) = split(key_algorithm).ok_or(Unverifiable::Key)?;
        let (oid, parameters) =
            split(algorithm).ok_or_else(|| Unverifiable::Algorithm(UNREADABLE.to_owned()))?;
        let known = known(&oid);
        let signer = Family::of_key(&key_oid);
        let family = known.map_or(Family::Other, |k| k.scheme.family());
        if family != signer && family != Family::Other && signer != Family::Other {
            return Err(Unfit::OtherKind);
        }
        let unknown = || Unverifiable::Algorithm(known.map_or(&*oid, |k| k.name).to_owned());
        let odd = || Unverifiable::Parameters(known.map_or(&*oid, |k| k.name).to_owned());
        let scheme = known.ok_or_else(unknown)?.scheme;
        if signer == Family::Other {
            return Err(Unverifiable::Algorithm(key_oid).into());
        }
        match scheme {
            Scheme::Pkcs1(_) if key_oid == PSS_KEY => Err(Unfit::OtherKind),
            Scheme::Pkcs1(hash) if is_absent_or_null(parameters) => {
                let pkcs1 = |key| Self::Pkcs1(key, hash);
                Self::rsa(library_pkcs1(hash), key, pkcs1)
            }
            Scheme::Pss => {
                let pss = read_pss(parameters).ok_or_else(odd)?;
                if key_oid == PSS_KEY && !key_parameters.is_empty() {
                    // The key restricts both hashes and sets a minimum length of the salt (RFC
                    // 4055, section 3.3).
                    let demanded = read_pss(key_parameters).ok_or_else(odd)?;
                    let hashes = |pss: Pss| (pss.hash, pss.mask_hash);
                    if hashes(pss) != hashes(demanded) || pss.salt < demanded.salt {
                        return Err(Unfit::OtherKind);
                    }
                }
                Self::rsa(library_pss(pss), key, |key| Self::Pss(key, pss))
            }
            Scheme::Ecdsa(hash) if is_absent_or_null(parameters) => {
                let curve = Curve::of(key_parameters)?;
                Ok(Self::Ecdsa(curve, hash, key))
            }
            Scheme::Ed25519 if parameters.is_empty() && key_parameters.is_empty() => {
                Ok(Self::Ed25519(key))
            }
            Scheme::MlDsa(_) if oid != key_oid => Err(Unfit::OtherKind),
            Scheme::MlDsa(set) if parameters.is_empty() && key_parameters.is_empty() => {
                Ok(Self::MlDsa(set, key))
            }
            Scheme::Pkcs1(_) | Scheme::Ecdsa(_) | Scheme::Ed25519 | Scheme::MlDsa(_) => {
                Err(odd().into())
            }
            Scheme::Unverifiable(_) => Err(unknown().into()),
        }
    }

    /// Returns the library's method if it supports this key, otherwise our own.
    fn rsa(
        library: Option<&'static RsaParameters>,
        key: &'a [u8],
        own: impl FnOnce(rsa::PublicKey) -> Self,
    ) -> Result<Self, Unfit> {
        let numbers = rsa::PublicKey::read(key).ok_or(Unverifiable::Key)?;
        match library {
            Some(parameters) if numbers.is_for_library() => {
                Ok(Self::LibraryRsa(parameters, key, numbers.work()))
            }
            _ if numbers.is_usable() => Ok(own(numbers)),
            _ if !rsa::MODULUS_BITS.contains(&numbers.bits()) => {
                Err(Unverifiable::RsaSize(numbers.bits()).into())
            }
            _ => Err(Unverifiable::RsaNumbers.into()),
        }
    }

    /// Returns true if the library verifies this with its own algorithm and the same key.
    pub(super) fn is_of_library(&self) -> bool {
        match self {
            Self::LibraryRsa(..) | Self::Ecdsa(..) | Self::Ed25519(_) | Self::MlDsa(..) => true,
            Self::Pkcs1(..) | Self::Pss(..) => false,
        }
    }

    /// Verifies a signature.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::LibraryRsa(parameters, key, _) => {
                is_verified(*parameters, key, message, signature)
            }
            Self::Pkcs1(key, hash) => key.verify_info(&hash.digest_info(message), signature),
            Self::Pss(key, pss) => key.verify_pss(*pss, message, signature),
            Self::Ecdsa(curve, hash, key) => curve.verify(*hash, key, message, signature),
            Self::Ed25519(key) => is_verified(&ED25519, key, message, signature),
            Self::MlDsa(MlDsa::Ml44, key) => is_verified(&ML_DSA_44, key, message, signature),
            Self::MlDsa(MlDsa::Ml65, key) => is_verified(&ML_DSA_65, key, message, signature),
            Self::MlDsa(MlDsa::Ml87, key) => is_verified(&ML_DSA_87, key, message, signature),
        }
    }

    /// Returns the CPU time of one verification of a message of this many bytes, in the units of
    /// [`super::verification_cost`].
    pub(super) fn cost(&self, message: usize) -> u32 {
        let units = |work: u64, per_unit: u64| u32::try_from(work / per_unit).unwrap_or(u32::MAX);
        let signature = match self {
            Self::LibraryRsa(_, _, work) => units(*work, LIBRARY_RSA_WORK_PER_UNIT),
            Self::Pkcs1(key, _) | Self::Pss(key, _) => units(key.work(), OWN_RSA_WORK_PER_UNIT),
            Self::Ecdsa(Curve::P256, ..) => 0,
            Self::Ecdsa(Curve::Secp256k1, ..) => SECP256K1_UNITS,
            Self::Ecdsa(Curve::P384, ..) => P384_UNITS,
            Self::Ecdsa(Curve::P521, ..) => P521_UNITS,
            Self::Ed25519(_) => 0,
            Self::MlDsa(..) => ML_DSA_UNITS,
        };
        let hash = units(message as u64, HASHED_BYTES_PER_UNIT);
        signature.saturating_add(hash).saturating_add(1)
    }
}

fn is_verified(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let key = UnparsedPublicKey::new(algorithm, key);
    key.verify(message, signature).is_ok()
}

fn library_pkcs1(hash: Hash) -> Option<&'static RsaParameters> {
    match hash {
        Hash::Sha1 => Some(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        Hash::Sha256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Hash::Sha384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Hash::Sha512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        _ => None,
    }
}

fn library_pss(pss: Pss) -> Option<&'static RsaParameters> {
    if pss != Pss::with(pss.hash) {
        return None;
    }
    match pss.hash {
        Hash::Sha256 => Some(&RSA_PSS_2048_8192_SHA256),
        Hash::Sha384 => Some(&RSA_PSS_2048_8192_SHA384),
        Hash::Sha512 => Some(&RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

/// Reads the parameters of RSASSA-PSS.
fn read_pss(mut parameters: &[u8]) -> Option<Pss> {
    let fields = der::expect(&mut parameters, der::SEQUENCE)?;
    Pss::read(fields.content).filter(|_| parameters.is_empty())
}

/// Elliptic curves on which the library verifies ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

impl Curve {
    /// Returns the curve of a key's parameters.
    fn of(mut parameters: &[u8]) -> Result<Self, Unverifiable> {
        let explicit = || Unverifiable::Curve("explicit curve parameters".to_owned());
        let tlv = der::expect(&mut parameters, der::OBJECT_IDENTIFIER).ok_or_else(explicit)?;
        let oid = text_of(tlv.content);
        match &*oid {
            "1.2.840.10045.3.1.7" => Ok(Self::P256),
            "1.3.132.0.34" => Ok(Self::P384),
            "1.3.132.0.35" => Ok(Self::P521),
            "1.3.132.0.10" => Ok(Self::Secp256k1),
            _ => Err(Unverifiable::Curve(
                curve_name(&oid).map_or(oid, str::to_owned),
            )),
        }
    }

    /// Verifies a signature with any hash; the library supports only some hashes for each curve.
    /// ECDSA signs the hash as a number no longer than the curve's order (FIPS 186-5, section 6.4).
    /// A shorter hash is therefore padded with leading zeros, and a longer one is truncated to its
    /// leftmost bits.
    fn verify(self, hash: Hash, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let (algorithm, container): (&EcdsaVerificationAlgorithm, _) = match self {
            Self::P256 => (&ECDSA_P256_SHA256_ASN1, &digest::SHA256),
            Self::P384 => (&ECDSA_P384_SHA384_ASN1, &digest::SHA384),
            Self::P521 => (&ECDSA_P521_SHA512_ASN1, &digest::SHA512),
            Self::Secp256k1 => (&ECDSA_P256K1_SHA256_ASN1, &digest::SHA256),
        };
        let hash = hash.digest(&[message]);
        let length = container.output_len();
        let mut number = vec![0; length.saturating_sub(hash.len())];
        number.extend(hash.iter().take(length));
        Digest::import_less_safe(&number, container).is_ok_and(|digest| {
            let key = UnparsedPublicKey::new(algorithm, key);
            key.verify_digest(&digest, signature).is_ok()
        })
    }
}

/// Returns the usual name of an unsupported curve, by its object identifier.
pub(super) fn curve_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "1.2.840.10045.3.1.1" => "P-192",
        "1.3.132.0.33" => "P-224",
        "1.3.36.3.3.2.8.1.1.1" => "brainpoolP160r1",
        "1.3.36.3.3.2.8.1.1.3" => "brainpoolP192r1",
        "1.3.36.3.3.2.8.1.1.5" => "brainpoolP224r1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.8" => "brainpoolP256t1",
        "1.3.36.3.3.2.8.1.1.9" => "brainpoolP320r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.12" => "brainpoolP384t1",
        "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1",
        "1.3.36.3.3.2.8.1.1.14" => "brainpoolP512t1",
        "1.2.156.10197.1.301" => "SM2",
        _ => return None,
    })
}

/// Returns true if the parameters are absent or NULL. RFC 4055, section 5, requires NULL for RSA,
/// and RFC 5758, section 3.2, requires absent parameters for ECDSA. Issuers confuse the two, and
/// clients accept both.
fn is_absent_or_null(parameters: &[u8]) -> bool {
    const NULL: &[u8] = &[5, 0];
    parameters.is_empty() || parameters == NULL
}

// One unit is about 40 µs of CPU, and at most 100 µs. Measured in a release build on one core of
// x86-64, best of many runs, in µs:
// - P-256 67, Ed25519 43, P-384 340, P-521 400 to 600, secp256k1 250 to 370
// - RSA by the library: 30 (2048 bits), 100 (4096), 380 (8192)
// - RSA by our own code: 24 (1024 bits), 72 (2048), 230 (4096), 810 (8192), 2500 (16384)
/// Work ([`rsa::PublicKey::work`]) of the library in one unit.
const LIBRARY_RSA_WORK_PER_UNIT: u64 = 32 * 32 * 17 * 2;
/// Work of our own code in one unit.
const OWN_RSA_WORK_PER_UNIT: u64 = 32 * 32 * 17;
/// Units of the slower curves and of ML-DSA, in addition to the one unit of every verification.
const P384_UNITS: u32 = 6;
const P521_UNITS: u32 = 14;
const SECP256K1_UNITS: u32 = 6;
const ML_DSA_UNITS: u32 = 4;
/// Bytes that the slowest hash function processes in one unit.
const HASHED_BYTES_PER_UNIT: u64 = 16 * 1024;
