//! Certificate signing requests: PKCS#10 (RFC 2986), in PEM (RFC 7468, section 7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::key::read_key;
use super::name::attribute_values;
use super::signature::Signed;
use super::{Key, Link, PublicKeyHash, der};

/// Maximum size of a request in PEM, in bytes. A request for a key of 4096 bits has 2 KiB.
pub const MAX_REQUEST_BYTES: usize = 64 << 10;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
/// Labels of a request. Old tools write the second one.
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST-----", "NEW CERTIFICATE REQUEST-----"];
/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// id-at-countryName, 2.5.4.6.
const COUNTRY_NAME: &[u8] = &[0x55, 4, 6];

/// A certificate signing request whose signature was verified with its own key.
#[derive(Clone, Debug)]
pub struct SigningRequest {
    der: Vec<u8>,
    /// DER of its SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Kind and size of its key.
    pub key: Key,
    /// Values of the commonName attributes of its subject.
    pub common_names: Vec<String>,
    /// Values of the countryName attributes of its subject.
    pub countries: Vec<String>,
}

/// Reason why a request cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// It is longer than [`MAX_REQUEST_BYTES`].
    #[error("the CSR is longer than {MAX_REQUEST_BYTES} bytes")]
    TooLong,
    /// It is not exactly one PEM block.
    #[error(
        "the CSR is not one PEM block of CERTIFICATE REQUEST; create one with `openssl req -new`"
    )]
    NotPem,
    /// It is not PKCS#10.
    #[error("the CSR is not a PKCS#10 structure; create one with `openssl req -new`")]
    Malformed,
    /// Its key did not make its signature.
    #[error("the signature of the CSR does not belong to its key; create the CSR again")]
    Signature,
    /// Its key or signature is of a kind that cannot be verified.
    #[error("the signature of the CSR is of an unsupported kind; create it with SHA-256")]
    Unverifiable,
}

impl SigningRequest {
    /// Reads a request from PEM and verifies its signature.
    ///
    /// # Errors
    /// Returns an error if the text is not one request, or if the signature is not made by its key.
    pub fn from_pem(text: &str) -> Result<Self, RequestError> {
        if text.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLong);
        }
        let der = decode(text).ok_or(RequestError::NotPem)?;
        let (info, spki, signed) = outline(&der).ok_or(RequestError::Malformed)?;
        match signed.by(spki) {
            Link::Verified => {}
            Link::No => return Err(RequestError::Signature),
            Link::Unverifiable => return Err(RequestError::Unverifiable),
        }
        let (spki, key) = (spki.to_vec(), read_key(spki, &mut Vec::new()));
        let (common_names, countries) = (
            attribute_values(info, COMMON_NAME),
            attribute_values(info, COUNTRY_NAME),
        );
        Ok(Self {
            spki,
            key,
            common_names,
            countries,
            der,
        })
    }

    /// Returns the hash of the public key.
    pub fn public_key_hash(&self) -> PublicKeyHash {
        PublicKeyHash::of(&self.spki)
    }

    /// Returns the key bits of the SubjectPublicKeyInfo.
    pub fn key_bits(&self) -> &[u8] {
        der::public_key(&self.spki).map_or(&[], |(_, key)| key)
    }

    /// Returns the request as PEM, with a trailing newline.
    pub fn to_pem(&self) -> String {
        const LINE: usize = 64;
        let label = LABELS.first().copied().unwrap_or_default();
        let text = STANDARD.encode(&self.der);
        let mut pem = format!("{BEGIN}{label}\n");
        for line in text.as_bytes().chunks(LINE) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem + &format!("{END}{label}\n")
    }
}

/// Returns the DER of the only PEM block of a text. Other text may surround it.
fn decode(text: &str) -> Option<Vec<u8>> {
    let (_, block) = text.split_once(BEGIN)?;
    let label = LABELS.iter().find(|label| block.starts_with(*label))?;
    let (_, block) = block.split_once(label)?;
    let (body, after) = block.split_once(&format!("{END}{label}"))?;
    if after.contains(BEGIN) {
        return None;
    }
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

/// Returns the subject, the SubjectPublicKeyInfo and the signature of a request.
fn outline(mut der: &[u8]) -> Option<(&[u8], &[u8], Signed<'_>)> {
    const ATTRIBUTES: u8 = 0xa0;
    let mut outer = der::expect(&mut der, der::SEQUENCE)?.content;
    let info = der::expect(&mut outer, der::SEQUENCE)?;
    let algorithm = der::expect(&mut outer, der::SEQUENCE)?.content;
    let signature = der::bits(der::expect(&mut outer, der::BIT_STRING)?.content)?;
    let mut fields = info.content;
    let version = der::expect(&mut fields, der::INTEGER)?.content;
    let subject = der::expect(&mut fields, der::SEQUENCE)?.whole;
    let spki = der::expect(&mut fields, der::SEQUENCE)?.whole;
    // Some tools omit the attributes, although RFC 2986 requires them.
    der::optional(&mut fields, ATTRIBUTES);
    let is_whole = der.is_empty() && outer.is_empty() && fields.is_empty();
    let signed = Signed {
        message: info.whole,
        algorithm,
        inner_algorithm: None,
        signature,
    };
    (is_whole && version == [0]).then_some((subject, spki, signed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Key as Pair;

    fn request() -> (Pair, String) {
        let key = Pair::generate().unwrap();
        let pem = key.request(&["www.example.com".into()]).unwrap();
        (key, pem)
    }

    #[test]
    fn a_request_is_read_with_its_name_and_key() {
        let (key, pem) = request();
        let read = SigningRequest::from_pem(&format!("Text before\n{pem}\nand after\n")).unwrap();
        assert_eq!(read.common_names, ["www.example.com"]);
        assert!(read.countries.is_empty());
        assert_eq!(read.key, Key::Ec("P-256".into(), 256));
        assert_eq!(read.public_key_hash(), key.public_key_hash());
        let again = SigningRequest::from_pem(&read.to_pem()).unwrap();
        assert_eq!(again.der, read.der);
    }

    #[test]
    fn a_request_with_another_signature_is_refused() {
        let (_, pem) = request();
        let mut der = SigningRequest::from_pem(&pem).unwrap().der;
        let at = der.windows(3).position(|w| w == b"www").unwrap();
        der[at] = b'x';
        let changed = SigningRequest {
            der,
            ..SigningRequest::from_pem(&pem).unwrap()
        };
        let error = SigningRequest::from_pem(&changed.to_pem()).unwrap_err();
        assert_eq!(error, RequestError::Signature);
    }

    #[test]
    fn a_text_that_is_not_one_request_is_refused() {
        let (_, pem) = request();
        for (text, error) in [
            (String::new(), RequestError::NotPem),
            (format!("{pem}{pem}"), RequestError::NotPem),
            (pem.replace("REQUEST", "REQUES"), RequestError::NotPem),
            ("x".repeat(MAX_REQUEST_BYTES + 1), RequestError::TooLong),
            (
                "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"
                    .into(),
                RequestError::Malformed,
            ),
        ] {
            assert_eq!(SigningRequest::from_pem(&text).unwrap_err(), error);
        }
    }
}
