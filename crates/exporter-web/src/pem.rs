//! Parsing of certificates in PEM files, with errors that describe the actual content.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error, PemObject as _, SectionKind};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use yaml_config::printable;

use super::error::PemError;
use super::limits::MAX_CERTIFICATES;

/// Parses all certificates of a PEM text, in order. Other sections are ignored.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    if pem.iter().all(u8::is_ascii_whitespace) {
        return Err(PemError::Empty);
    }
    let mut certificates = Vec::new();
    let mut others = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|e| PemError::Malformed(describe(&e)))?;
        match kind {
            SectionKind::Certificate => certificates.push(CertificateDer::from(der)),
            SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => {
                others.push("a private key");
            }
            SectionKind::Csr => others.push("a certificate signing request"),
            SectionKind::Crl => others.push("a certificate revocation list"),
            SectionKind::PublicKey => others.push("a public key"),
            _ => others.push("something else"),
        }
        if certificates.len() > MAX_CERTIFICATES {
            return Err(PemError::TooMany);
        }
    }
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    if let Some(other) = others.first() {
        return Err(PemError::NoCertificate(other));
    }
    if X509Certificate::from_der(pem).is_ok() {
        return Err(PemError::Der);
    }
    Err(PemError::NotPem)
}

fn describe(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { end_marker } => format!(
            "the line `-----END {}-----` is missing",
            printable(&String::from_utf8_lossy(end_marker))
        ),
        Error::IllegalSectionStart { line } => format!(
            "`{}` is no line that begins a section",
            printable(&String::from_utf8_lossy(line))
        ),
        Error::Base64Decode(_) => "between its lines is something else than base64".into(),
        other => other.to_string(),
    }
}
