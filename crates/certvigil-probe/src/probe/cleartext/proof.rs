//! Verification that the data read in cleartext proves possession of the certificate's key.

use aws_lc_rs::digest::{self, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, UnparsedPublicKey,
};
use md5::{Digest as _, Md5};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;

use crate::certificate::Certificate;
use crate::observation::KeyProof;

use super::super::{key_proof, rsa};
use super::hello::{ECDSA_SHA1, RSA_SHA1, Random};
use super::reader::{ServerHello, Signed};
use super::suites::{Exchange, Key};

/// Error in the server's certificate or proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The public key cannot be read.
    Certificate,
    /// The suite requires another kind of key than the certificate contains.
    Suite,
    /// The signature is not by the certificate's key.
    Signature,
}

/// Verifies the signature of a ServerKeyExchange. Returns `KeyProof::None` if the suite has no
/// signature, or if signatures of the kind of key cannot be verified here: DSA, and curves that no
/// current library supports.
///
/// # Errors
/// If the proof is invalid, or the certificate and the suite are incompatible.
pub(super) fn check(
    algorithms: &WebPkiSupportedAlgorithms,
    client_random: &Random,
    hello: &ServerHello,
    leaf: &Certificate,
    signed: Option<&Signed>,
) -> Result<KeyProof, Wrong> {
    let (algorithm, key) = leaf.public_key().ok_or(Wrong::Certificate)?;
    let kind = Kind::of(algorithm).ok_or(Wrong::Suite)?;
    if kind.key() != hello.suite.key {
        return Err(Wrong::Suite);
    }
    let signed = match (hello.suite.exchange, signed) {
        // The temporary key of an export suite is sent only if the certificate's key is too long
        // for the suite.
        (Exchange::Static, _) | (Exchange::RsaExport, None) => return Ok(KeyProof::None),
        (Exchange::Dhe | Exchange::Ecdhe | Exchange::RsaExport, Some(signed)) => signed,
        // The parser requires a signature for these suites.
        (Exchange::Dhe | Exchange::Ecdhe, None) => return Err(Wrong::Signature),
    };
    if matches!(kind, Kind::OtherCurve | Kind::Dsa) {
        return Ok(KeyProof::None);
    }
    let message = [client_random, &hello.random[..], &signed.parameters].concat();
    let signature = &signed.signature;
    let Some(scheme) = signed.scheme else {
        return bare(legacy(kind, key, &message, signature));
    };
    // A scheme that was not offered is also a proof, if it can be verified.
    let scheme = SignatureScheme::from(scheme);
    match scheme {
        RSA_SHA1 => bare(rsa::verify_info(key, &sha1_info(&message), signature)),
        ECDSA_SHA1 => bare(ecdsa_sha1(kind, key, &message, signature)),
        _ => {
            let leaf = CertificateDer::from(leaf.der());
            key_proof::tls12_in_cleartext(algorithms, &message, &leaf, scheme, signature)
                .map_err(|_| Wrong::Signature)
        }
    }
}

/// Returns true if a scheme of TLS 1.2 signs with SHA-1 (RFC 5246, section 7.4.1.4.1).
pub(super) fn is_sha1(scheme: u16) -> bool {
    const SHA1: u8 = 2;
    let [hash, _signature] = scheme.to_be_bytes();
    hash == SHA1
}

/// Returns a proof of the bare key at most, because strict parsers reject SHA-1 and MD5.
fn bare(is_proved: bool) -> Result<KeyProof, Wrong> {
    is_proved
        .then_some(KeyProof::BareKey)
        .ok_or(Wrong::Signature)
}

/// Verifies a signature of TLS 1.1 and before: MD5 and SHA-1 together with RSA, SHA-1 with ECDSA
/// (RFC 4346, section 7.4.3; RFC 4492, section 5.4). SSL 3.0 has the same (RFC 6101, section
/// 5.6.3).
fn legacy(kind: Kind, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match kind {
        Kind::Rsa => {
            let sha1 = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
            let hashes = [&Md5::digest(message)[..], sha1.as_ref()].concat();
            rsa::verify_info(key, &hashes, signature)
        }
        _ => ecdsa_sha1(kind, key, message, signature),
    }
}

/// DER of a DigestInfo with SHA-1 (RFC 8017, section 9.2, note 1).
fn sha1_info(message: &[u8]) -> Vec<u8> {
    const PREFIX: &[u8] = &[
        0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
    ];
    let sha1 = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
    [PREFIX, sha1.as_ref()].concat()
}

/// Verifies ECDSA with SHA-1, which the library does not support for every curve. The signature is
/// over a number, so leading zeros do not change the hash (FIPS 186-4, section 6.4).
pub(super) fn ecdsa_sha1(kind: Kind, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (algorithm, hash) = match kind {
        Kind::P256 => (&ECDSA_P256_SHA256_ASN1, &SHA256),
        Kind::P384 => (&ECDSA_P384_SHA384_ASN1, &SHA384),
        Kind::P521 => (&ECDSA_P521_SHA512_ASN1, &SHA512),
        Kind::Rsa | Kind::PssRsa | Kind::Ed25519 | Kind::OtherCurve | Kind::Dsa => return false,
    };
    let sha1 = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
    let mut padded = vec![0; hash.output_len() - sha1.as_ref().len()];
    padded.extend(sha1.as_ref());
    Digest::import_less_safe(&padded, hash).is_ok_and(|digest| {
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify_digest(&digest, signature).is_ok()
    })
}

/// Kind of key that can sign a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    /// RSA key restricted to PSS.
    PssRsa,
    P256,
    P384,
    P521,
    Ed25519,
    OtherCurve,
    Dsa,
}

impl Kind {
    /// Returns the kind for the content of an AlgorithmIdentifier: an object identifier, then
    /// parameters (RFC 3279, section 2.3; RFC 4055, section 1.2; RFC 5480, section 2.1; RFC 8410,
    /// section 3).
    pub(super) fn of(algorithm: &[u8]) -> Option<Self> {
        const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
        const RSA_PSS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
        const EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
        const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";
        const P521: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x23";
        const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
        const ED448: &[u8] = b"\x06\x03\x2b\x65\x71";
        const DSA: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x38\x04\x01";

        if let Some(curve) = algorithm.strip_prefix(EC) {
            return Some(match curve {
                P256 => Self::P256,
                P384 => Self::P384,
                P521 => Self::P521,
                _ => Self::OtherCurve,
            });
        }
        let kinds = [
            (RSA, Self::Rsa),
            (RSA_PSS, Self::PssRsa),
            (ED25519, Self::Ed25519),
            (ED448, Self::OtherCurve),
            (DSA, Self::Dsa),
        ];
        let found = kinds.iter().find(|(oid, _)| algorithm.starts_with(oid));
        found.map(|(_, kind)| *kind)
    }

    /// Returns true if rustls supports TLS 1.2 signatures by such keys.
    pub(super) fn is_of_rustls(self) -> bool {
        match self {
            Self::Rsa | Self::P256 | Self::P384 | Self::P521 | Self::Ed25519 => true,
            Self::PssRsa | Self::OtherCurve | Self::Dsa => false,
        }
    }

    fn key(self) -> Key {
        match self {
            Self::Rsa | Self::PssRsa => Key::Rsa,
            Self::P256 | Self::P384 | Self::P521 | Self::Ed25519 | Self::OtherCurve => Key::Curve,
            Self::Dsa => Key::Dsa,
        }
    }
}
