//! Errors of the web configuration.

use std::path::PathBuf;
use std::time::Duration;

use rustls::CertificateError;
use rustls::server::VerifierBuilderError;
use yaml_config::ConfigErrors;

use super::limits::{MAX_CERTIFICATES, MAX_COST, MAX_FILE_BYTES, MIN_COST};

/// Error of reading the web configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// The file cannot be read.
    #[error("{}: it cannot be read: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        why: String,
    },
    /// The file is too large.
    #[error("{}: it is larger than {MAX_FILE_BYTES} bytes", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// The file is a pipe or device that did not end.
    #[error("{}: the pipe or device did not end within {} s; give a file", file.display(), wait.as_secs_f32())]
    Endless {
        /// The file.
        file: PathBuf,
        /// Time after which reading was given up.
        wait: Duration,
    },
    /// The file is not UTF-8.
    #[error("{}: the file is not UTF-8; save it as UTF-8", file.display())]
    NotUtf8 {
        /// The file.
        file: PathBuf,
    },
    /// The content is invalid. Contains all errors, each with its line and key.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

impl WebError {
    /// Creates the error for a file that could not be read.
    pub(super) fn of_file(file: PathBuf, error: FileError) -> Self {
        match error {
            FileError::Unreadable(why) => Self::Unreadable { file, why },
            FileError::TooLarge => Self::TooLarge { file },
            FileError::Endless(wait) => Self::Endless { file, wait },
        }
    }
}

/// Error of reading a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileError {
    /// Contains the operating system's error.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// Contains the time after which reading was given up.
    #[error("the pipe or device did not end within {} s; give a file", .0.as_secs_f32())]
    Endless(Duration),
}

/// Error of parsing a PEM text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PemError {
    #[error("it is empty")]
    Empty,
    /// Contains the description of the fault.
    #[error("its PEM cannot be read: {0}")]
    Malformed(String),
    #[error("it has more than {MAX_CERTIFICATES} certificates")]
    TooMany,
    /// Contains the kind of the first section.
    #[error("it has no certificate, only {0}")]
    NoCertificate(&'static str),
    #[error("it is a certificate in DER form: convert it with `openssl x509 -inform DER`")]
    Der,
    #[error("it is not PEM: there is no `-----BEGIN CERTIFICATE-----` in it")]
    NotPem,
    #[error(
        "the key is encrypted: decrypt it with `openssl pkey`, and protect the file from other users"
    )]
    EncryptedKey,
    #[error("it has no private key, only a certificate")]
    OnlyCertificate,
    #[error("there is no private key in PEM form in it")]
    NoKey,
}

/// Error of a part of the TLS settings.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("TLS cannot be spoken so: {0}")]
    Settings(rustls::Error),
    #[error("the key does not belong to the certificate: give the two that were made together")]
    KeyMismatch,
    #[error("the first certificate cannot be used: {0:?}")]
    Certificate(CertificateError),
    #[error("the key cannot be used: {0}")]
    Key(rustls::Error),
    #[error("certificate {position} is no root that can be used: {error}")]
    Root {
        /// The position in the file, from 1.
        position: usize,
        error: rustls::Error,
    },
    #[error("clients cannot be verified: {0}")]
    Clients(VerifierBuilderError),
}

/// Error of a value of the web configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ValueError {
    #[error("`{0}` is insecure and not supported (RFC 8996); write TLS12 or TLS13")]
    InsecureVersion(String),
    #[error("`{0}` is not a TLS version; write TLS12 or TLS13")]
    Version(String),
    #[error("`CurveP521` is not supported for key exchange; write CurveP384")]
    CurveP521,
    #[error("`{value}` is not one of: {known}")]
    NotOneOf {
        value: String,
        /// The allowed values.
        known: String,
    },
    #[error("a header must be one line of plain text")]
    Header,
    #[error(
        "`{0}` is not a duration of at most one day; write it as 100ms or 1s, or 0 for no limit"
    )]
    Interval(String),
    #[error("`{0}` is not a positive whole number")]
    Burst(String),
    #[error("the value is empty; set a value or remove the key")]
    Empty,
    #[error("this is not a bcrypt hash; create one with `htpasswd -nB USER`")]
    Hash,
    #[error(
        "the hash has cost {0}; use a cost from {MIN_COST} to {MAX_COST}, such as `htpasswd -nB -C 10 USER`"
    )]
    HashCost(u32),
}
