//! Signatures of RSA keys that the cryptographic library refuses: those under 2048 bits, which some
//! appliances still have, those over 8192 bits, and those with a long exponent. Clients accept them,
//! and their proof is verified like any other.

use rustls::SignatureScheme;

use crate::certificate::hash::Hash;
use crate::certificate::rsa::{Pss, PublicKey};

/// Returns true for an RSA public key (RFC 8017, appendix A.1.1) that the library refuses, and that
/// can be verified here.
pub(super) fn is_unusual(key: &[u8]) -> bool {
    PublicKey::read(key).is_some_and(|key| key.is_usable() && !key.is_for_library())
}

/// Verifies a signature of a key that the library refuses.
pub(super) fn verify(
    scheme: SignatureScheme,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    use SignatureScheme as S;
    let Some(key) = PublicKey::read(key) else {
        return false;
    };
    let pkcs1 = |hash: Hash| key.verify_info(&hash.digest_info(message), signature);
    let pss = |hash| key.verify_pss(Pss::with(hash), message, signature);
    match scheme {
        S::RSA_PKCS1_SHA256 => pkcs1(Hash::Sha256),
        S::RSA_PKCS1_SHA384 => pkcs1(Hash::Sha384),
        S::RSA_PKCS1_SHA512 => pkcs1(Hash::Sha512),
        S::RSA_PSS_SHA256 => pss(Hash::Sha256),
        S::RSA_PSS_SHA384 => pss(Hash::Sha384),
        S::RSA_PSS_SHA512 => pss(Hash::Sha512),
        _ => false,
    }
}

/// Verifies a PKCS #1 v1.5 signature over `info`, for keys of any size. `info` is a DigestInfo, or
/// the two bare hashes of TLS 1.1 and before (RFC 4346, section 4.7).
pub(super) fn verify_info(key: &[u8], info: &[u8], signature: &[u8]) -> bool {
    PublicKey::read(key).is_some_and(|key| key.verify_info(info, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"what the server signs";

    /// Keys and signatures made by OpenSSL. With 1025 bits, the encoded message is one octet
    /// shorter than the modulus. The last key has an exponent of 41 bits.
    const CASES: [(SignatureScheme, &[u8], &[u8]); 10] = [
        (
            SignatureScheme::RSA_PKCS1_SHA256,
            KEY_1024,
            include_bytes!("testdata/rsa1024-pkcs1-sha256.sig"),
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA384,
            KEY_1024,
            include_bytes!("testdata/rsa1024-pkcs1-sha384.sig"),
        ),
        (
            SignatureScheme::RSA_PSS_SHA256,
            KEY_1024,
            include_bytes!("testdata/rsa1024-pss-sha256.sig"),
        ),
        (
            SignatureScheme::RSA_PSS_SHA384,
            KEY_1024,
            include_bytes!("testdata/rsa1024-pss-sha384.sig"),
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA256,
            KEY_1025,
            include_bytes!("testdata/rsa1025-pkcs1-sha256.sig"),
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA384,
            KEY_1025,
            include_bytes!("testdata/rsa1025-pkcs1-sha384.sig"),
        ),
        (
            SignatureScheme::RSA_PSS_SHA256,
            KEY_1025,
            include_bytes!("testdata/rsa1025-pss-sha256.sig"),
        ),
        (
            SignatureScheme::RSA_PSS_SHA384,
            KEY_1025,
            include_bytes!("testdata/rsa1025-pss-sha384.sig"),
        ),
        (
            SignatureScheme::RSA_PSS_SHA256,
            include_bytes!("testdata/rsa9216.der"),
            include_bytes!("testdata/rsa9216-pss-sha256.sig"),
        ),
        (
            SignatureScheme::RSA_PSS_SHA256,
            include_bytes!("testdata/rsa2048-e41.der"),
            include_bytes!("testdata/rsa2048-e41-pss-sha256.sig"),
        ),
    ];
    const KEY_1024: &[u8] = include_bytes!("testdata/rsa1024.der");
    const KEY_1025: &[u8] = include_bytes!("testdata/rsa1025.der");

    #[test]
    fn openssl_signatures_of_unusual_rsa_keys_are_verified() {
        for (scheme, key, signature) in CASES {
            assert!(is_unusual(key));
            assert!(
                verify(scheme, key, MESSAGE, signature),
                "{scheme:?} {}",
                key.len()
            );
        }
    }

    #[test]
    fn wrong_signature_of_an_unusual_rsa_key_is_refused() {
        for (scheme, key, signature) in CASES {
            assert!(
                !verify(scheme, key, b"what another signs", signature),
                "{scheme:?}"
            );
            for at in [0, signature.len() / 2, signature.len() - 1] {
                let mut changed = signature.to_vec();
                changed[at] ^= 1;
                assert!(!verify(scheme, key, MESSAGE, &changed), "{scheme:?} {at}");
            }
            for (other, ..) in CASES.into_iter().filter(|(other, ..)| *other != scheme) {
                assert!(
                    !verify(other, key, MESSAGE, signature),
                    "{scheme:?} as {other:?}"
                );
            }
            assert!(!verify(scheme, key, MESSAGE, &[]));
            assert!(!verify(scheme, &[], MESSAGE, signature));
            assert!(!verify(scheme, key, MESSAGE, &[0xff; 129]));
        }
    }
}
