//! The certificate of an issuer, from where the certificate below it says that it lies.

use certvigil_probe::io::{Http, SourceError};
use tokio::time::Instant;
use url::Url;

use crate::certificate::{Certificate, parse_certificates};

/// The largest answer, in bytes. A certificate has one or two thousand.
const MAX_BYTES: usize = 64 << 10;

/// id-signedData (RFC 5652, section 5.1), as DER.
const SIGNED_DATA: [u8; 11] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02,
];

/// Fetches what lies at the URL.
pub(super) async fn fetch(
    http: &Http,
    url: &str,
    deadline: Instant,
) -> Result<Vec<Certificate>, String> {
    let parsed = Url::parse(url)
        .ok()
        .filter(|u| matches!(u.scheme(), "https" | "http"))
        .ok_or("only http and https URLs are asked")?;
    let answer = http.get(&parsed, None, MAX_BYTES, deadline).await;
    let answer = answer.map_err(|error| match error {
        SourceError::TooLarge(limit) => {
            format!("the answer is larger than {limit} bytes, which no certificate is")
        }
        other => other.to_string(),
    })?;
    if answer.status != 200 {
        return Err(format!("HTTP status {}", answer.status));
    }
    read(&answer.body)
}

/// One certificate in DER is what RFC 5280 demands beside PKCS #7; PEM is what some authorities give.
fn read(body: &[u8]) -> Result<Vec<Certificate>, String> {
    let certificate = Certificate::from_der(body.to_vec());
    let malformed = match certificate.facts() {
        Ok(_) => return Ok(vec![certificate]),
        Err(malformed) => malformed.to_string(),
    };
    let is_pem = body.windows(PEM.len()).any(|part| part == PEM);
    if is_pem {
        return parse_certificates(body);
    }
    // It stands behind the tag and the length, which take six bytes at most here.
    let is_pkcs7 = body
        .windows(SIGNED_DATA.len())
        .take(6 + 1)
        .any(|part| part == SIGNED_DATA);
    Err(if is_pkcs7 {
        "it is a PKCS #7 bundle, which is not read; get its certificates with `openssl pkcs7 -inform DER -print_certs` \
         and append them to the file"
            .into()
    } else {
        format!("it is no certificate: {malformed}")
    })
}

const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: &[u8] = include_bytes!("../../crates/certvigil-core/src/judge/testdata/leaf.pem");

    #[test]
    fn a_certificate_is_taken_as_der_and_as_pem() {
        let leaf = parse_certificates(LEAF).unwrap();
        assert_eq!(read(LEAF).unwrap(), leaf);
        assert_eq!(read(leaf[0].der()).unwrap(), leaf);
    }

    #[test]
    fn what_is_no_certificate_is_told_with_what_it_is() {
        // ContentInfo with a length of two bytes, as `openssl crl2pkcs7 -nocrl` writes it.
        let pkcs7 = [&[0x30, 0x82, 0x02, 0x00][..], &SIGNED_DATA].concat();
        let error = read(&pkcs7).unwrap_err();
        assert!(
            error.contains("PKCS #7") && error.contains("openssl pkcs7"),
            "{error}"
        );
        for bad in [&b"<html>"[..], b"", b"\x30\x03\x02\x01\x01"] {
            let error = read(bad).unwrap_err();
            assert!(error.starts_with("it is no certificate: "), "{error}");
        }
    }
}
