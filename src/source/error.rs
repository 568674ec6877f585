//! Errors of the settings of sources.

use std::path::{Path, PathBuf};

use certvigil_probe::io::SourceError;

use crate::error::Cause;
use crate::observation::ProbeError;

/// Reason why the expected certificate of an entry is unknown. Formats as one line that names the
/// certificate or the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The source did not provide the certificate.
    #[error("{name}: {error}")]
    Certificate {
        /// Name of the certificate in results.
        name: String,
        /// Error of the source.
        error: SourceError,
    },
    /// A file cannot be used.
    #[error("{0}")]
    File(SourceError),
    /// The hosts of a domain or service cannot be looked up.
    #[error("the hosts are not known: {0}")]
    Hosts(ProbeError),
}

/// Reason why a source or a remote vantage cannot be used with its settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// There are no credentials of an SSLMate account.
    #[error(
        "there is no SSLMate API key: set {variable}, give `sslmate.api_key_file`, or `sslmate.username` and `sslmate.password_file`, in the configuration, or log in with the SSLMate client (~/.sslmate)"
    )]
    NoApiKey {
        /// Environment variable of the API key.
        variable: &'static str,
    },
    /// The base URL of an API is invalid.
    #[error("`{shown}` is not the URL of an API: write it as https://sslmate.com/api/v2")]
    ApiUrl {
        /// The URL, or a text in its place if it may contain credentials.
        shown: String,
    },
    /// A file with a secret or with roots cannot be read.
    #[error("{0}")]
    File(Cause),
}

impl SetupError {
    /// Returns the error for a file that cannot be read.
    pub(super) fn file(cause: impl Into<Cause>) -> Self {
        Self::File(cause.into())
    }

    /// Returns the error for the base URL of an API. A URL from another program's file may contain
    /// credentials, which must not be shown.
    pub(super) fn api_url(url: &str) -> Self {
        let shown = if url.contains('@') {
            "what is given"
        } else {
            url
        };
        Self::ApiUrl {
            shown: shown.to_owned(),
        }
    }
}

/// Reason why the certificates at a caIssuers URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// The URL has another scheme.
    #[error("only http and https URLs are fetched")]
    Scheme,
    /// The response is too large.
    #[error("the answer is larger than {0} bytes, which no certificate is")]
    TooLarge(usize),
    /// The server returned another status than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// No certificate in the response can be parsed.
    #[error("the certificate is malformed: {0}")]
    Malformed(Cause),
    /// The request failed, or the response has no certificate.
    #[error("{0}")]
    Response(Cause),
}

/// Reason why the certificates of an API response cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PemError {
    /// The text has no certificate.
    #[error("it has no certificate")]
    Empty,
    /// A certificate cannot be parsed.
    #[error("it is malformed: {0}")]
    Malformed(Cause),
    /// The text is not PEM.
    #[error("{0}")]
    Text(Cause),
}

/// Reason why a file of targets cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {}: {reason}", file.display())]
pub(super) struct TargetFileError {
    file: PathBuf,
    reason: TargetFileReason,
}

impl TargetFileError {
    pub(super) fn new(file: &Path, reason: TargetFileReason) -> Self {
        Self {
            file: file.to_owned(),
            reason,
        }
    }
}

/// Property of a file of targets that prevents its use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetFileReason {
    /// A directory or a device.
    #[error("not a regular file")]
    Irregular,
    /// A file above the maximum size.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    /// An error of the operating system.
    #[error("{0}")]
    Io(Cause),
}
