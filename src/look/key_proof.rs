//! The handshake's signature: does the server have the key of the certificate that it shows?
//!
//! First by strict rules. A certificate that strict parsers refuse (version 1, odd extensions,
//! short RSA keys) is checked against its bare public key, since appliances serve such things, and
//! a copied certificate must not pass for the real one.

use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, DigitallySignedStruct, Error};

use crate::certificate::Certificate;
use crate::observation::KeyProof;

use super::rsa;

/// Checks a ServerKeyExchange's signature (RFC 5246, section 7.4.3).
pub(super) fn tls12(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<KeyProof, Error> {
    match verify_tls12_signature(message, certificate, signed, algorithms) {
        Ok(_) => Ok(KeyProof::Handshake),
        Err(_) => bare_key(algorithms, message, certificate, signed, usize::MAX),
    }
}

/// Checks a CertificateVerify's signature (RFC 8446, section 4.4.3).
pub(super) fn tls13(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<KeyProof, Error> {
    match verify_tls13_signature(message, certificate, signed, algorithms) {
        Ok(_) => Ok(KeyProof::Handshake),
        // TLS 1.3 ties a scheme to one curve, the first in rustls' list.
        Err(_) => bare_key(algorithms, message, certificate, signed, 1),
    }
}

fn bare_key(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    fitting: usize,
) -> Result<KeyProof, Error> {
    let wrong = || Error::InvalidCertificate(CertificateError::BadSignature);
    let certificate = Certificate::from_der(certificate.to_vec());
    let unreadable = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let (algorithm, key) = certificate.public_key().ok_or_else(unreadable)?;
    let schemes = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme);
    let (_, candidates) = schemes.ok_or_else(wrong)?;
    let mut candidates = candidates
        .iter()
        .take(fitting)
        .filter(|a| a.public_key_alg_id().as_ref() == algorithm);
    let proved = candidates.any(|a| a.verify_signature(key, message, signed.signature()).is_ok())
        || rsa::is_short(key) && rsa::verify(signed.scheme, key, message, signed.signature());
    if proved {
        Ok(KeyProof::BareKey)
    } else {
        Err(wrong())
    }
}
