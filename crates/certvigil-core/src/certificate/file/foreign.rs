//! Kinds of files that have no certificate to read, and what to do with each.

use std::fmt;

use super::ber::{self, expect, optional};
use super::blocks::Block;

const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[0]`: the attributes of a certificate signing request (RFC 2986, section 4.1).
const CONTEXT_0: u8 = 0xa0;

/// The content of a file or PEM block that is not a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// A private key.
    PrivateKey,
    /// A private key that a password protects.
    EncryptedPrivateKey,
    /// A public key.
    PublicKey,
    /// A certificate signing request.
    SigningRequest,
    /// A certificate revocation list.
    RevocationList,
    /// An OCSP response.
    OcspResponse,
    /// Diffie-Hellman or elliptic curve parameters.
    Parameters,
    /// A Java keystore of the types JKS or JCEKS.
    JavaKeystore,
    /// An SSH key.
    Ssh,
    /// An OpenPGP key or message.
    OpenPgp,
    /// A page of HTML.
    Html,
    /// JSON.
    Json,
    /// A gzip, zip or tar archive.
    Archive,
    /// Base64 without the lines around it.
    BareBase64,
    /// A PKCS #12 file inside a block that says something else.
    Pkcs12,
    /// A PEM block of another kind.
    Other,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrivateKey => "a private key",
            Self::EncryptedPrivateKey => "an encrypted private key",
            Self::PublicKey => "a public key",
            Self::SigningRequest => {
                "a certificate signing request: the certificate is what the authority returns for it"
            }
            Self::RevocationList => "a certificate revocation list",
            Self::OcspResponse => "an OCSP response",
            Self::Parameters => "key parameters",
            Self::JavaKeystore => {
                "a Java keystore: export the certificates with `keytool -list -rfc -keystore FILE > FILE.pem`"
            }
            Self::Ssh => "an SSH key, which TLS does not use",
            Self::OpenPgp => "an OpenPGP message, which TLS does not use",
            Self::Html => "a web page: the download needs another URL or a login",
            Self::Json => "JSON: take the certificate's PEM out of it",
            Self::Archive => "an archive: unpack it first",
            Self::BareBase64 => "base64 without boundaries: decode it with `base64 -d FILE > FILE.der`",
            Self::Pkcs12 => "PKCS #12: give the file itself, in binary form",
            Self::Other => "blocks of another kind",
        })
    }
}

impl Foreign {
    /// Returns the kind of a PEM block by its label.
    pub(super) fn of_block(block: &Block<'_>) -> Self {
        match block.label {
            label if label.ends_with("PRIVATE KEY") => match label {
                "OPENSSH PRIVATE KEY" => Self::Ssh,
                _ if block.is_encrypted() => Self::EncryptedPrivateKey,
                _ => Self::PrivateKey,
            },
            label if label.contains("SSH") || label.contains("SSH2") => Self::Ssh,
            label if label.contains("PGP") => Self::OpenPgp,
            label if label.ends_with("PUBLIC KEY") => Self::PublicKey,
            label if label.ends_with("CERTIFICATE REQUEST") => Self::SigningRequest,
            "X509 CRL" => Self::RevocationList,
            label if label.ends_with("PARAMETERS") => Self::Parameters,
            _ => Self::Other,
        }
    }

    /// Returns the kind of a file that is neither PEM nor DER.
    pub(super) fn of_file(bytes: &[u8]) -> Option<Self> {
        const KEYSTORES: [&[u8]; 2] = [&[0xfe, 0xed, 0xfe, 0xed], &[0xce, 0xce, 0xce, 0xce]];
        const ARCHIVES: [&[u8]; 3] = [&[0x1f, 0x8b], b"PK\x03\x04", b"7z\xbc\xaf"];
        if KEYSTORES.iter().any(|magic| bytes.starts_with(magic)) {
            return Some(Self::JavaKeystore);
        }
        if ARCHIVES.iter().any(|magic| bytes.starts_with(magic)) {
            return Some(Self::Archive);
        }
        let text = bytes.trim_ascii();
        let begins_with = |words: &[u8]| {
            let beginning = text.get(..words.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(words))
        };
        if begins_with(b"<!doctype html") || begins_with(b"<html") {
            return Some(Self::Html);
        }
        if begins_with(b"ssh-") || begins_with(b"ecdsa-sha2-") {
            return Some(Self::Ssh);
        }
        if text.starts_with(b"{") || text.starts_with(b"[") {
            return Some(Self::Json);
        }
        // The base64 of a SEQUENCE, or of a line of PEM.
        let is_base64 = |byte: &u8| {
            byte.is_ascii_alphanumeric() || b"+/=".contains(byte) || byte.is_ascii_whitespace()
        };
        let begins_so = [b"MII".as_slice(), b"LS0tLS1CRUdJTi"]
            .iter()
            .any(|b| text.starts_with(b));
        (begins_so && text.iter().all(is_base64)).then_some(Self::BareBase64)
    }

    /// Returns the kind of DER that is no certificate; `None` if it is one or unknown.
    pub(super) fn of_der(der: &[u8]) -> Option<Self> {
        if super::is_certificate(der) {
            // A request and a revocation list have the same three parts, but not the same fields in the first.
            return None;
        }
        if super::pkcs12::is_pfx(der) {
            return Some(Self::Pkcs12);
        }
        let mut outer = expect(&mut { der }, SEQUENCE)?.content;
        let first = ber::split(&mut outer)?;
        let second = ber::split(&mut outer)?;
        match (first.tag, second.tag) {
            (INTEGER, INTEGER | OCTET_STRING) => Some(Self::PrivateKey),
            (INTEGER, SEQUENCE) => Some(Self::PrivateKey),
            (SEQUENCE, OCTET_STRING) => Some(Self::EncryptedPrivateKey),
            (SEQUENCE, BIT_STRING) => Some(Self::PublicKey),
            (0x0a, CONTEXT_0) => Some(Self::OcspResponse),
            (SEQUENCE, SEQUENCE) => signed(first.content),
            _ => None,
        }
    }
}

/// Distinguishes a certificate signing request from a revocation list by the fields of the signed part.
fn signed(mut fields: &[u8]) -> Option<Foreign> {
    optional(&mut fields, INTEGER);
    let first = expect(&mut fields, SEQUENCE)?;
    let second = expect(&mut fields, SEQUENCE)?;
    let third = ber::split(&mut fields)?;
    let is_key = expect(&mut { second.content }, SEQUENCE)
        .is_some_and(|algorithm| algorithm.content.first() == Some(&OBJECT_IDENTIFIER));
    match third.tag {
        CONTEXT_0 if is_key => Some(Foreign::SigningRequest),
        0x17 | 0x18 if first.content.first() == Some(&OBJECT_IDENTIFIER) => {
            Some(Foreign::RevocationList)
        }
        _ => None,
    }
}
