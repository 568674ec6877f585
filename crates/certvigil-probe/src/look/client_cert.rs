//! Client certificates: the files, and the order of their certificates.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;

use crate::certificate::{Certificate, FileError, read_certificates};
use crate::io::{read_bounded, read_certificate_file, read_password, warn_if_readable_by_others};

/// Files of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientFiles {
    /// The certificate, with or without its chain, in any order.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// The password of a PKCS #12 file of `certificate`, in the first line.
    pub password: Option<PathBuf>,
}

/// Loads a client certificate and its key.
///
/// # Errors
/// If a file cannot be read, or no certificate belongs to the key.
pub(super) fn load(files: &ClientFiles) -> Result<Arc<dyn ResolvesClientCert>, String> {
    let wrong = |file: &Path, what: &dyn fmt::Display| format!("{}: {what}", file.display());
    let certificate = &files.certificate;
    let bytes = read_certificate_file(certificate).map_err(|e| wrong(certificate, &e))?;
    let password = files.password.as_deref().map(read_password).transpose()?;
    let password = password.as_ref().map(|p| p.expose_secret());
    let found = read_certificates(&bytes, password).map_err(|e| {
        let what = match e {
            FileError::NeedsPassword => {
                "the PKCS #12 file needs a password: give it in a file with --client-cert-password-file, or as `client_cert_password_file`".into()
            }
            e => format!("{e}; give the client's certificate, followed by its chain"),
        };
        wrong(certificate, &what)
    })?;
    let key = signing_key(&files.key).map_err(|what| wrong(&files.key, &what))?;
    let chain = ordered(found, &*key).ok_or_else(|| {
        let what = format!(
            "the key is not that of the certificate in {}",
            certificate.display()
        );
        wrong(&files.key, &what)
    })?;
    let chain = chain
        .iter()
        .map(|c| CertificateDer::from(c.der().to_vec()))
        .collect();
    // `keys_match` refuses certificates of version 1, which servers accept from clients.
    Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(
        chain, key,
    ))))
}

/// Reads a private key. The error contains no content of the file.
fn signing_key(file: &Path) -> Result<Arc<dyn SigningKey>, String> {
    let bytes = Zeroizing::new(read_bounded(file)?);
    warn_if_readable_by_others(file);
    let secret = match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(secret) => secret,
        Err(_) => PrivateKeyDer::try_from(bytes.as_slice())
            .map_err(|_| unreadable_key(&bytes).to_owned())?
            .clone_key(),
    };
    aws_lc_rs::sign::any_supported_type(&secret)
        .map_err(|_| "the key is of a kind that is not supported: use RSA, ECDSA or Ed25519".into())
}

fn unreadable_key(bytes: &[u8]) -> &'static str {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    if has(b"ENCRYPTED") {
        "the private key is encrypted: decrypt it with `openssl pkey -in FILE -out FILE.key`"
    } else if bytes.first() == Some(&0x30) {
        "it has no private key that can be read: a PKCS #12 file is converted with `openssl pkcs12 -in FILE -nocerts -noenc -out FILE.key`"
    } else {
        "it has no private key that can be read: give it as PEM, not encrypted"
    }
}

/// Puts the certificate of the key first, and its issuers after it. Returns `None` if no certificate
/// is that of the key. The first certificate is taken if the key's public part is unknown.
fn ordered(mut certificates: Vec<Certificate>, key: &dyn SigningKey) -> Option<Vec<Certificate>> {
    let at = match key.public_key() {
        Some(spki) => certificates
            .iter()
            .position(|c| c.facts().is_ok_and(|facts| facts.spki == spki.as_ref()))?,
        None => 0,
    };
    let mut chain = vec![certificates.remove(at)];
    loop {
        let issuer = chain.last().and_then(|c| c.facts().ok()).and_then(|below| {
            certificates.iter().position(|c| {
                c.facts()
                    .is_ok_and(|above| above.subject_normal == below.issuer_normal)
            })
        });
        let Some(at) = issuer else { break };
        chain.push(certificates.remove(at));
    }
    chain.append(&mut certificates);
    Some(chain)
}
