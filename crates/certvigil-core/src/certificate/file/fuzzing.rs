//! Fuzz target for the containers of certificates: PKCS #7 and PKCS #12.

use super::pkcs12::Opening;
use super::{is_unordered, read_certificates, read_with};
use crate::certificate::{Certificate, is_one_line};

/// Maximum iterations of key derivation for one input. The seeds have far fewer.
const MAX_ITERATIONS: u32 = 5_000;

/// Reads a file, mostly PKCS #7 or PKCS #12. The first octet selects the password. The certificates
/// survive a round trip through PEM.
pub(crate) fn keystore(data: &[u8]) {
    let [password, data @ ..] = data else {
        return;
    };
    let password = match password % 3 {
        0 => None,
        1 => Some(""),
        _ => Some("geheim"),
    };
    let unordered = is_unordered(data);
    let certificates = match read_with(data, &Opening::limited(password, MAX_ITERATIONS)) {
        Ok(certificates) => certificates,
        Err(error) => return assert!(is_one_line(&error.to_string()), "{error}"),
    };
    assert!(!certificates.is_empty());
    let written: String = certificates.iter().map(Certificate::to_pem).collect();
    let again = read_certificates(written.as_bytes(), None);
    // A container may hold bytes that are no certificate. PEM names them, and the reader of the file
    // reports them as malformed.
    let readable = certificates.iter().all(|c| c.facts().is_ok());
    if readable || !unordered {
        assert_eq!(again.as_ref(), Ok(&certificates));
    }
}
