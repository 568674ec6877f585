//! Certificates in PEM files, with errors that say what is in the file instead.

use rustls::pki_types::pem::{Error, PemObject as _, SectionKind};

use super::Certificate;

/// More certificates than any chain file or bundle of roots has.
pub const MAX_PEM_CERTIFICATES: usize = 10_000;

/// Reads every certificate of a PEM text, in order; other sections are passed over.
///
/// # Errors
/// One line, without the file's name: the text is empty, is not PEM, is DER, has no certificate
/// (and what it has instead), or a section cannot be decoded.
pub fn parse_certificates(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    if pem.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty".into());
    }
    let mut certificates = Vec::new();
    let mut others = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) =
            section.map_err(|e| format!("its PEM cannot be read: {}", describe(&e)))?;
        match kind {
            SectionKind::Certificate => certificates.push(Certificate::from_der(der)),
            SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => {
                others.push("a private key");
            }
            SectionKind::Csr => others.push("a certificate signing request"),
            SectionKind::Crl => others.push("a certificate revocation list"),
            SectionKind::PublicKey => others.push("a public key"),
            _ => others.push("something else"),
        }
        if certificates.len() > MAX_PEM_CERTIFICATES {
            return Err(format!(
                "it has more than {MAX_PEM_CERTIFICATES} certificates"
            ));
        }
    }
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    if let Some(other) = others.first() {
        return Err(format!("it has no certificate, only {other}"));
    }
    if Certificate::from_der(pem.to_vec()).facts().is_ok() {
        return Err(
            "it is a certificate in DER form: convert it with `openssl x509 -inform DER`".into(),
        );
    }
    Err("it is not PEM: there is no `-----BEGIN CERTIFICATE-----` in it".into())
}

fn describe(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { end_marker } => format!(
            "the line `-----END {}-----` is missing",
            super::printable(&String::from_utf8_lossy(end_marker))
        ),
        Error::IllegalSectionStart { line } => format!(
            "`{}` is no line that begins a section",
            super::printable(&String::from_utf8_lossy(line))
        ),
        Error::Base64Decode(_) => "between its lines is something else than base64".into(),
        other => other.to_string(),
    }
}
