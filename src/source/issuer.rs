//! Download of an issuer's certificate from the URL in the certificate that it issued.

use certvigil_probe::io::{Http, SourceError};
use tokio::time::Instant;
use url::Url;

use crate::certificate::{Certificate, parse_certificates};

use super::IssuerError;

/// Maximum size of a response, in bytes. A certificate has one or two thousand.
const MAX_BYTES: usize = 64 << 10;

/// Fetches the certificates at the URL.
pub(super) async fn fetch(
    http: &Http,
    url: &str,
    deadline: Instant,
) -> Result<Vec<Certificate>, IssuerError> {
    let parsed = Url::parse(url)
        .ok()
        .filter(|u| matches!(u.scheme(), "https" | "http"))
        .ok_or(IssuerError::Scheme)?;
    let answer = http.get(&parsed, None, MAX_BYTES, deadline).await;
    let answer = answer.map_err(|error| match error {
        SourceError::TooLarge(limit) => IssuerError::TooLarge(limit),
        other => IssuerError::Response(other.to_string().into()),
    })?;
    if answer.status != 200 {
        return Err(IssuerError::Status(answer.status));
    }
    read(&answer.body)
}

/// Parses the response. RFC 5280, section 4.2.2.1, requires one certificate in DER or PKCS #7; some authorities
/// send PEM.
fn read(body: &[u8]) -> Result<Vec<Certificate>, IssuerError> {
    let certificates = parse_certificates(body)
        .map_err(|error| IssuerError::Response(error.to_string().into()))?;
    let malformed = certificates.iter().map(|c| c.facts().err());
    let malformed: Option<Vec<_>> = malformed.collect();
    match malformed.as_deref() {
        // None of them can be read.
        Some([first, ..]) => Err(IssuerError::Malformed(first.to_string().into())),
        _ => Ok(certificates),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: &[u8] = include_bytes!("../../crates/certvigil-core/src/judge/testdata/leaf.pem");

    #[test]
    fn a_certificate_is_read_as_der_pem_and_pkcs7() {
        const FOLDER: &str = "crates/certvigil-core/src/certificate/file/testdata";
        let leaf = parse_certificates(LEAF).unwrap();
        assert_eq!(read(LEAF).unwrap(), leaf);
        assert_eq!(read(leaf[0].der()).unwrap(), leaf);
        for name in ["chain.p7b", "chain.p7c"] {
            let bundle = std::fs::read(format!("{FOLDER}/{name}")).unwrap();
            assert_eq!(read(&bundle).unwrap().len(), 2, "{name}");
        }
    }

    #[test]
    fn error_describes_an_issuer_response_without_certificate() {
        for (body, says) in [
            (&b"<html>"[..], "only a web page"),
            (b"", "the file is empty"),
            (b"\x30\x03\x02\x01\x01", "neither DER, PKCS #7 nor PKCS #12"),
        ] {
            let error = read(body).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        // The outline of a certificate, without any field.
        let malformed = Certificate::from_der(vec![0x30, 8, 0x30, 0, 0x30, 0, 0x03, 2, 0, 0]);
        let error = read(malformed.to_pem().as_bytes()).unwrap_err().to_string();
        assert!(
            error.starts_with("the certificate is malformed: "),
            "{error}"
        );
    }
}
