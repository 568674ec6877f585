//! Verification of the handshake's signature, which proves that the server has the private key of
//! its certificate.
//!
//! The check follows strict rules first. If strict parsers refuse the certificate (version 1, odd
//! extensions, short RSA keys), the signature is verified with the bare public key: appliances
//! serve such certificates, and a copied certificate must not be mistaken for the real one.

use aws_lc_rs::signature::{
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    UnparsedPublicKey,
};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{AlgorithmIdentifier, CertificateDer, alg_id};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::EndEntityCert;

use crate::certificate::Certificate;
use crate::observation::KeyProof;

use super::rsa;

/// Signature schemes of RSA keys whose certificates restrict them to PSS (`rsa_pss_pss_*` of RFC
/// 8446, section 4.2.3). rustls does not offer them, and with TLS 1.3 it leaves their verification
/// to the caller.
pub(super) const PSS_KEY_SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
];

/// Verifies the signature of a ServerKeyExchange (RFC 5246, section 7.4.3).
pub(super) fn tls12(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<KeyProof, Error> {
    match verify_tls12_signature(message, certificate, signed, algorithms) {
        Ok(_) => Ok(KeyProof::Handshake),
        Err(_) => bare_key(
            algorithms,
            message,
            certificate,
            signed.scheme,
            signed.signature(),
            usize::MAX,
        ),
    }
}

/// Verifies the signature of a ServerKeyExchange as [`tls12`] does, for a handshake that rustls
/// does not perform.
pub(super) fn tls12_in_cleartext(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    scheme: SignatureScheme,
    signature: &[u8],
) -> Result<KeyProof, Error> {
    if PSS_KEY_SCHEMES.contains(&scheme) {
        return pss_key(message, certificate, scheme, signature);
    }
    let is_strict = EndEntityCert::try_from(certificate).is_ok_and(|certificate| {
        let mut mapping = algorithms.mapping.iter();
        mapping.find(|(s, _)| *s == scheme).is_some_and(|(_, all)| {
            all.iter()
                .any(|a| certificate.verify_signature(*a, message, signature).is_ok())
        })
    });
    if is_strict {
        return Ok(KeyProof::Handshake);
    }
    bare_key(
        algorithms,
        message,
        certificate,
        scheme,
        signature,
        usize::MAX,
    )
}

/// Verifies the signature of a CertificateVerify (RFC 8446, section 4.4.3).
pub(super) fn tls13(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<KeyProof, Error> {
    if PSS_KEY_SCHEMES.contains(&signed.scheme) {
        return pss_key(message, certificate, signed.scheme, signed.signature());
    }
    match verify_tls13_signature(message, certificate, signed, algorithms) {
        Ok(_) => Ok(KeyProof::Handshake),
        // TLS 1.3 binds a scheme to one curve, which is the first in rustls' list.
        Err(_) => bare_key(
            algorithms,
            message,
            certificate,
            signed.scheme,
            signed.signature(),
            1,
        ),
    }
}

/// The object identifier `id-RSASSA-PSS` in DER; parameters may follow it (RFC 4055, section 3.1).
const RSASSA_PSS: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a,
];

/// Verifies a signature of a key that is restricted to PSS. The key's parameters may forbid a hash;
/// path validation checks them.
fn pss_key(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    scheme: SignatureScheme,
    signature: &[u8],
) -> Result<KeyProof, Error> {
    let wrong = || Error::InvalidCertificate(CertificateError::BadSignature);
    let strict = EndEntityCert::try_from(certificate).is_ok();
    let certificate = Certificate::from_der(certificate.to_vec());
    let unreadable = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let (algorithm, key) = certificate.public_key().ok_or_else(unreadable)?;
    let algorithm = with_null(algorithm);
    let (parameters, same_hash): (&'static RsaParameters, _) = match u16::from(scheme) {
        0x0809 => (&RSA_PSS_2048_8192_SHA256, SignatureScheme::RSA_PSS_SHA256),
        0x080a => (&RSA_PSS_2048_8192_SHA384, SignatureScheme::RSA_PSS_SHA384),
        _ => (&RSA_PSS_2048_8192_SHA512, SignatureScheme::RSA_PSS_SHA512),
    };
    let proved = algorithm.starts_with(RSASSA_PSS)
        && (UnparsedPublicKey::new(parameters, key)
            .verify(message, signature)
            .is_ok()
            || rsa::is_unusual(key) && rsa::verify(same_hash, key, message, signature));
    match (proved, strict) {
        (true, true) => Ok(KeyProof::Handshake),
        (true, false) => Ok(KeyProof::BareKey),
        (false, _) => Err(wrong()),
    }
}

fn bare_key(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    scheme: SignatureScheme,
    signature: &[u8],
    fitting: usize,
) -> Result<KeyProof, Error> {
    let wrong = || Error::InvalidCertificate(CertificateError::BadSignature);
    let certificate = Certificate::from_der(certificate.to_vec());
    let unreadable = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let (algorithm, key) = certificate.public_key().ok_or_else(unreadable)?;
    let algorithm = with_null(algorithm);
    let schemes = algorithms
        .mapping
        .iter()
        .find(|(known, _)| *known == scheme);
    let (_, candidates) = schemes.ok_or_else(wrong)?;
    let mut candidates = candidates
        .iter()
        .take(fitting)
        .filter(|a| a.public_key_alg_id().as_ref() == algorithm);
    let proved = candidates.any(|a| a.verify_signature(key, message, signature).is_ok())
        || rsa::is_unusual(key) && rsa::verify(scheme, key, message, signature);
    // TLS 1.3 binds each scheme to one kind of key, so a scheme of another kind is an error.
    let is_tied = fitting == 1;
    if proved {
        Ok(KeyProof::BareKey)
    } else if is_tied || is_known(algorithms, algorithm) || rsa::is_unusual(key) {
        Err(wrong())
    } else {
        Err(unknown_kind_of_key())
    }
}

/// Returns the proof for a key whose signatures cannot be verified here, which is none. A key whose
/// signatures can be verified must use a scheme of its own kind, so this is an error for it.
pub(super) fn of_unknown_kind(
    algorithms: &WebPkiSupportedAlgorithms,
    certificate: &CertificateDer<'_>,
) -> Result<KeyProof, Error> {
    let certificate = Certificate::from_der(certificate.to_vec());
    let unreadable = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let (algorithm, key) = certificate.public_key().ok_or_else(unreadable)?;
    let algorithm = with_null(algorithm);
    let is_pss = algorithm.starts_with(RSASSA_PSS);
    if is_pss || is_known(algorithms, algorithm) || rsa::is_unusual(key) {
        return Err(Error::InvalidCertificate(CertificateError::BadSignature));
    }
    Ok(KeyProof::None)
}

/// Returns the AlgorithmIdentifier of a key with the NULL that RFC 3279, section 2.3.1, requires for
/// RSA. OpenSSL and GnuTLS accept a key without it.
fn with_null(algorithm: &[u8]) -> &[u8] {
    const NULL: [u8; 2] = [5, 0];
    static RSA: AlgorithmIdentifier = alg_id::RSA_ENCRYPTION;
    match RSA.strip_suffix(&NULL) {
        Some(oid) if oid == algorithm => &RSA,
        _ => algorithm,
    }
}

/// Returns true if an algorithm can verify signatures of such keys.
fn is_known(algorithms: &WebPkiSupportedAlgorithms, algorithm: &[u8]) -> bool {
    let mut known = algorithms.all.iter();
    known.any(|a| a.public_key_alg_id().as_ref() == algorithm)
}

/// Error that [`is_unknown_kind_of_key`] recognizes.
fn unknown_kind_of_key() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

/// Returns true if a handshake failed because the signatures of the server's kind of key cannot be
/// verified here.
pub(super) fn is_unknown_kind_of_key(error: &Error) -> bool {
    *error == unknown_kind_of_key()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rsa_key_without_null_is_an_rsa_key() {
        let rsa = alg_id::RSA_ENCRYPTION;
        assert_eq!(with_null(&rsa[..rsa.len() - 2]), &*rsa);
        for other in [rsa, alg_id::ECDSA_P256, alg_id::ED25519] {
            assert_eq!(with_null(&other), &*other);
        }
        assert_eq!(with_null(&rsa[..rsa.len() - 1]), &rsa[..rsa.len() - 1]);
    }
}
