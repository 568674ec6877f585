//! Client certificates: the files, and the order of their certificates.

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
use crate::io::{
    ReadError, SecretError, read_bounded, read_certificate_file, read_password,
    warn_if_readable_by_others,
};

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

/// Reason for which a client certificate cannot be used. It names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCertError {
    /// The file of the certificate cannot be read.
    #[error("{}: {error}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: ReadError,
    },
    /// The password of the file cannot be read.
    #[error(transparent)]
    Password(#[from] SecretError),
    /// The file is encrypted.
    #[error(
        "{}: the PKCS #12 file needs a password: give it in a file with --client-cert-password-file, or as `client_cert_password_file`",
        .file.display()
    )]
    NeedsPassword {
        /// The file.
        file: PathBuf,
    },
    /// The file has no certificate that can be read.
    #[error("{}: {error}; give the client's certificate, followed by its chain", .file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: FileError,
    },
    /// The file has no key that can be used.
    #[error("{}: {error}", .file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: ClientKeyError,
    },
    /// No certificate belongs to the key.
    #[error("{}: the key is not that of the certificate in {}", .key.display(), .certificate.display())]
    OtherKey {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
    },
}

/// Reason for which a private key cannot be used. It contains no content of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientKeyError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(ReadError),
    /// The key is encrypted.
    #[error("the private key is encrypted: decrypt it with `openssl pkey -in FILE -out FILE.key`")]
    Encrypted,
    /// The file is DER without a readable key, such as PKCS #12.
    #[error(
        "it has no private key that can be read: a PKCS #12 file is converted with `openssl pkcs12 -in FILE -nocerts -noenc -out FILE.key`"
    )]
    Der,
    /// The file has no readable key.
    #[error("it has no private key that can be read: give it as PEM, not encrypted")]
    Unreadable,
    /// The key is of another kind or size than those that rustls signs with.
    #[error(
        "certvigil cannot sign with this kind or size of key: use RSA of 2048 to 8192 bits, EC P-256, P-384 or P-521, or Ed25519"
    )]
    Unsupported,
}

/// Loads a client certificate and its key.
///
/// # Errors
/// If a file cannot be read, or no certificate belongs to the key.
pub(super) fn load(files: &ClientFiles) -> Result<Arc<dyn ResolvesClientCert>, ClientCertError> {
    let of_certificate = || files.certificate.clone();
    let bytes =
        read_certificate_file(&files.certificate).map_err(|error| ClientCertError::Read {
            file: of_certificate(),
            error,
        })?;
    let password = files.password.as_deref().map(read_password).transpose()?;
    let password = password.as_ref().map(|p| p.expose_secret());
    let found = read_certificates(&bytes, password).map_err(|error| match error {
        FileError::NeedsPassword => ClientCertError::NeedsPassword {
            file: of_certificate(),
        },
        error => ClientCertError::Certificate {
            file: of_certificate(),
            error,
        },
    })?;
    let key = signing_key(&files.key).map_err(|error| ClientCertError::Key {
        file: files.key.clone(),
        error,
    })?;
    let chain = ordered(found, &*key).ok_or_else(|| ClientCertError::OtherKey {
        key: files.key.clone(),
        certificate: of_certificate(),
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

/// Reads a private key.
fn signing_key(file: &Path) -> Result<Arc<dyn SigningKey>, ClientKeyError> {
    let bytes = Zeroizing::new(read_bounded(file).map_err(ClientKeyError::Read)?);
    warn_if_readable_by_others(file);
    let secret = match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(secret) => secret,
        Err(_) => PrivateKeyDer::try_from(bytes.as_slice())
            .map_err(|_| unreadable_key(&bytes))?
            .clone_key(),
    };
    aws_lc_rs::sign::any_supported_type(&secret).map_err(|_| ClientKeyError::Unsupported)
}

fn unreadable_key(bytes: &[u8]) -> ClientKeyError {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    if has(b"ENCRYPTED") {
        ClientKeyError::Encrypted
    } else if bytes.first() == Some(&0x30) {
        ClientKeyError::Der
    } else {
        ClientKeyError::Unreadable
    }
}

/// Puts the certificate of the key first, and its issuers after it. Returns `None` if no certificate
/// is that of the key. The first certificate is taken if the key's public part is unknown.
fn ordered(mut certificates: Vec<Certificate>, key: &dyn SigningKey) -> Option<Vec<Certificate>> {
    let at = match key.public_key() {
        Some(spki) => certificates
            .iter()
            .position(|c| has_key(c, spki.as_ref()))?,
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

/// Returns true if a certificate has the key of a SubjectPublicKeyInfo. A certificate may describe the
/// curve of an EC key by its parameters, instead of its name.
fn has_key(certificate: &Certificate, spki: &[u8]) -> bool {
    /// The object identifier id-ecPublicKey, in DER.
    const EC: [u8; 9] = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    certificate.facts().is_ok_and(|facts| facts.spki == spki)
        || certificate
            .public_key()
            .is_some_and(|(algorithm, point)| algorithm.starts_with(&EC) && spki.ends_with(point))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::certificate::parse_certificates;

    use super::*;

    #[test]
    fn certificate_with_explicit_curve_parameters_has_the_key_with_the_named_curve() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../certvigil-core/src/certificate/testdata"
        );
        let read = |name: &str| {
            let pem = fs::read(format!("{folder}/{name}.pem")).unwrap();
            parse_certificates(&pem).unwrap().remove(0)
        };
        let (explicit, named) = (read("explicit"), read("P-256"));
        let point = explicit.public_key().unwrap().1;
        let of_named = &named.facts().unwrap().spki;
        let mut spki = of_named.to_vec();
        spki.truncate(of_named.len() - point.len());
        spki.extend(point);
        assert!(has_key(&explicit, &spki));
        assert!(has_key(&named, of_named));
        assert!(!has_key(&explicit, of_named));
        assert!(!has_key(&named, &spki));
    }

    #[test]
    fn refused_key_is_told_the_supported_kinds_and_sizes() {
        // An ECPrivateKey (RFC 5915) on secp224r1.
        let key = [
            &[0x30, 0x28, 2, 1, 1, 4, 28][..],
            &[7; 28],
            &[0xa0, 0x07, 6, 5, 0x2b, 0x81, 4, 0, 0x21],
        ];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.key");
        let mut der = key.concat();
        der[1] = u8::try_from(der.len() - 2).unwrap();
        fs::write(&file, der).unwrap();
        let error = signing_key(&file).unwrap_err();
        assert!(matches!(error, ClientKeyError::Unsupported), "{error}");
        assert!(error.to_string().contains("EC P-256"), "{error}");
        assert!(error.to_string().contains("2048"), "{error}");
    }
}
