//! Signatures of RSA keys that are too short for the cryptographic library. Appliances still have
//! such keys; that they are weak is a finding, but their proof is checked like any other.

use aws_lc_rs::digest;
use num_bigint::BigUint;
use rustls::SignatureScheme;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::RSAPublicKey;

/// What the library verifies begins here.
const LIBRARY_MIN_BITS: usize = 2048;
/// What is verified here begins here: shorter keys have no room for a PSS signature with SHA-512.
const MIN_BITS: usize = 512;
/// The largest modulus; what is beyond costs more than it is worth.
const MAX_BITS: u64 = 16 * 1024;
/// The largest public exponent that the library takes has 33 bits.
const MAX_EXPONENT_BITS: u64 = 33;

/// Whether this is an RSA public key (RFC 8017, appendix A.1.1) that the library refuses for its size.
pub(super) fn is_short(key: &[u8]) -> bool {
    read(key).is_some_and(|(n, _)| (MIN_BITS..LIBRARY_MIN_BITS).contains(&(n.bits() as usize)))
}

/// Verifies a signature of a short key.
pub(super) fn verify(
    scheme: SignatureScheme,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    use SignatureScheme as S;
    let Some((encoded, bits)) = open(key, signature) else {
        return false;
    };
    let pkcs1 = |hash, prefix: &[u8]| {
        let digest = digest::digest(hash, message);
        pkcs1(&encoded, &[prefix, digest.as_ref()].concat())
    };
    match scheme {
        S::RSA_PKCS1_SHA256 => pkcs1(&digest::SHA256, PREFIX_SHA256),
        S::RSA_PKCS1_SHA384 => pkcs1(&digest::SHA384, PREFIX_SHA384),
        S::RSA_PKCS1_SHA512 => pkcs1(&digest::SHA512, PREFIX_SHA512),
        S::RSA_PSS_SHA256 => pss(&encoded, bits, &digest::SHA256, message),
        S::RSA_PSS_SHA384 => pss(&encoded, bits, &digest::SHA384, message),
        S::RSA_PSS_SHA512 => pss(&encoded, bits, &digest::SHA512, message),
        _ => false,
    }
}

/// Verifies a PKCS #1 v1.5 signature over this, whatever the key's size: a DigestInfo, or the two bare hashes of
/// TLS 1.1 and before (RFC 4346, section 4.7).
pub(super) fn verify_info(key: &[u8], info: &[u8], signature: &[u8]) -> bool {
    open(key, signature).is_some_and(|(encoded, _)| pkcs1(&encoded, info))
}

/// The encoded message in a signature, as long as the key's modulus, and the bits of that (RFC 8017, section 5.2.2).
fn open(key: &[u8], signature: &[u8]) -> Option<(Vec<u8>, u64)> {
    let (n, e) = read(key)?;
    let length = n.bits().div_ceil(8) as usize;
    let signature = BigUint::from_bytes_be(signature);
    if signature >= n {
        return None;
    }
    let opened = signature.modpow(&e, &n).to_bytes_be();
    let mut encoded = vec![0; length.saturating_sub(opened.len())];
    encoded.extend(opened);
    Some((encoded, n.bits()))
}

fn read(key: &[u8]) -> Option<(BigUint, BigUint)> {
    let (_, key) = RSAPublicKey::from_der(key).ok()?;
    let (n, e) = (
        BigUint::from_bytes_be(key.modulus),
        BigUint::from_bytes_be(key.exponent),
    );
    let fits = e.bits() <= MAX_EXPONENT_BITS && (1..=MAX_BITS).contains(&n.bits());
    fits.then_some((n, e))
}

/// DER of a DigestInfo up to the hash (RFC 8017, section 9.2, note 1).
const PREFIX_SHA256: &[u8] = &[
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
const PREFIX_SHA384: &[u8] = &[
    0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05,
    0x00, 0x04, 0x30,
];
const PREFIX_SHA512: &[u8] = &[
    0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05,
    0x00, 0x04, 0x40,
];

/// EMSA-PKCS1-v1_5 (RFC 8017, section 9.2): encode anew and compare, so that nothing is parsed.
fn pkcs1(encoded: &[u8], info: &[u8]) -> bool {
    // Two octets before the padding, at least eight of it, and one after.
    let padding = encoded.len().checked_sub(info.len() + 3);
    let Some(padding) = padding.filter(|p| *p >= 8) else {
        return false;
    };
    let mut wanted = vec![0x00, 0x01];
    wanted.resize(2 + padding, 0xff);
    wanted.push(0x00);
    wanted.extend(info);
    encoded == wanted
}

/// EMSA-PSS verification (RFC 8017, section 9.1.2) with MGF1 of the same hash and a salt as long as
/// the hash (RFC 8446, section 4.2.3).
fn pss(
    encoded: &[u8],
    modulus_bits: u64,
    hash: &'static digest::Algorithm,
    message: &[u8],
) -> bool {
    let message_hash = digest::digest(hash, message);
    let hash_length = message_hash.as_ref().len();
    let em_bits = modulus_bits - 1;
    let em_length = em_bits.div_ceil(8) as usize;
    // Where the modulus has 8k + 1 bits, the encoded message is one octet shorter than it.
    let (leading, em) = encoded.split_at(encoded.len().saturating_sub(em_length));
    if leading.iter().any(|b| *b != 0) || em.len() < 2 * hash_length + 2 {
        return false;
    }
    let (masked, rest) = em.split_at(em.len() - hash_length - 1);
    let Some((0xbc, h)) = rest.split_last().map(|(last, h)| (*last, h)) else {
        return false;
    };
    let unused = (8 * em_length as u64 - em_bits) as u32;
    let top_mask = 0xffu8.checked_shr(unused).unwrap_or(0);
    if masked.first().is_some_and(|top| top & !top_mask != 0) {
        return false;
    }
    let mut block: Vec<u8> = masked
        .iter()
        .zip(mgf1(h, masked.len(), hash))
        .map(|(a, b)| a ^ b)
        .collect();
    if let Some(top) = block.first_mut() {
        *top &= top_mask;
    }
    let (padding, salt) = block.split_at(block.len() - hash_length);
    let Some((0x01, zeros)) = padding.split_last().map(|(last, zeros)| (*last, zeros)) else {
        return false;
    };
    if zeros.iter().any(|b| *b != 0) {
        return false;
    }
    let mut context = digest::Context::new(hash);
    context.update(&[0; 8]);
    context.update(message_hash.as_ref());
    context.update(salt);
    context.finish().as_ref() == h
}

/// The mask generation function (RFC 8017, appendix B.2.1).
fn mgf1(seed: &[u8], length: usize, hash: &'static digest::Algorithm) -> Vec<u8> {
    let mut mask = Vec::with_capacity(length);
    for counter in 0u32.. {
        if mask.len() >= length {
            break;
        }
        let mut context = digest::Context::new(hash);
        context.update(seed);
        context.update(&counter.to_be_bytes());
        mask.extend(context.finish().as_ref());
    }
    mask.truncate(length);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"what the server signs";

    /// Keys and signatures that OpenSSL made; 1025 bits, so that the encoded message is an octet
    /// shorter than the modulus.
    const CASES: [(SignatureScheme, &[u8], &[u8]); 8] = [
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
    ];
    const KEY_1024: &[u8] = include_bytes!("testdata/rsa1024.der");
    const KEY_1025: &[u8] = include_bytes!("testdata/rsa1025.der");

    #[test]
    fn what_openssl_signed_is_verified() {
        for (scheme, key, signature) in CASES {
            assert!(is_short(key));
            assert!(
                verify(scheme, key, MESSAGE, signature),
                "{scheme:?} {}",
                key.len()
            );
        }
    }

    #[test]
    fn anything_else_is_not() {
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
