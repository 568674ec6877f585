//! Errors of sources.

use std::fmt;

use serde::Deserialize;

use crate::certificate::printable;

/// Error object of the SSLMate API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    /// HTTP status code.
    #[serde(skip)]
    pub status: u16,
    /// Short machine-readable code.
    pub reason: String,
    /// Human-readable message. Its wording may change.
    #[serde(default)]
    pub message: String,
    /// Invalid parameter of the request.
    #[serde(default)]
    pub param: Option<String>,
    /// Seconds to wait before the request may be sent again.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

/// Reason why a source did not provide the expected certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// Error that the API returned.
    Api(ApiError),
    /// HTTP status without the API's error object.
    Http {
        /// HTTP status code.
        status: u16,
        /// Content type of the response body.
        content_type: String,
    },
    /// Successful HTTP status, but a body other than JSON.
    NotJson {
        /// Content type of the response body.
        content_type: String,
    },
    /// No response within the time limit.
    Timeout,
    /// Connection that could not be established, or was lost.
    Unreachable(String),
    /// TLS failure on an established connection.
    Tls {
        /// Cause of the failure.
        what: String,
        /// Advice to the user.
        advice: &'static str,
    },
    /// File that another process is writing.
    BeingWritten(String),
    /// Response larger than this limit in bytes.
    TooLarge(usize),
    /// Certificate that was not requested, because this number of requests for certificates of the
    /// account failed in succession.
    NotAsked(usize),
    /// Certificate that is not issued yet, and may be issued later.
    NotIssued(String),
    /// Unusable response. A retry does not help.
    Unusable(String),
}

impl SourceError {
    /// Returns true if a later retry may succeed.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Api(error) => error.retry_after.is_some() || error.status >= 500,
            Self::Http { status, .. } => *status >= 500,
            Self::Timeout
            | Self::Unreachable(_)
            | Self::NotAsked(_)
            | Self::NotIssued(_)
            | Self::BeingWritten(_) => true,
            Self::Tls { .. } | Self::NotJson { .. } | Self::TooLarge(_) | Self::Unusable(_) => {
                false
            }
        }
    }

    /// Returns true if the API itself fails or rejects all requests, independently of the requested
    /// object.
    pub fn is_of_the_api(&self) -> bool {
        let is_general = |status: u16| matches!(status, 401 | 403 | 412 | 429 | 500..);
        match self {
            Self::Api(error) => is_general(error.status),
            Self::Http { status, .. } => is_general(*status),
            Self::Timeout | Self::Unreachable(_) | Self::Tls { .. } | Self::NotAsked(_) => true,
            Self::NotJson { .. }
            | Self::BeingWritten(_)
            | Self::TooLarge(_)
            | Self::NotIssued(_)
            | Self::Unusable(_) => false,
        }
    }

    /// Returns the seconds to wait before the request may be sent again.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Api(error) => error.retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(error) => {
                let text = if error.message.is_empty() {
                    &error.reason
                } else {
                    &error.message
                };
                write!(f, "the API reports: {}", printable(text))?;
                write!(f, " (HTTP {}, {}", error.status, printable(&error.reason))?;
                if let Some(param) = &error.param {
                    write!(f, ", parameter {}", printable(param))?;
                }
                f.write_str(")")?;
                if let Some(seconds) = error.retry_after {
                    write!(f, "; try again in {seconds} s")?;
                }
                if matches!(error.status, 401 | 403) {
                    f.write_str("; check the API key")?;
                }
                Ok(())
            }
            Self::Http {
                status,
                content_type,
            } => write!(
                f,
                "HTTP status {status} with {}, not an answer of the API; check the endpoint",
                describe(content_type)
            ),
            Self::NotJson { content_type } => {
                write!(
                    f,
                    "the answer is {}, not JSON; check the endpoint",
                    describe(content_type)
                )
            }
            Self::Timeout => {
                f.write_str("no answer in time; try again, or give it longer with --timeout")
            }
            Self::Unreachable(why) => {
                write!(f, "{}; check the endpoint and the network", printable(why))
            }
            Self::TooLarge(limit) => write!(
                f,
                "the answer is larger than {limit} bytes; check the endpoint"
            ),
            Self::Tls { what, advice } => {
                write!(f, "HTTPS cannot be spoken: {}; {advice}", printable(what))
            }
            Self::BeingWritten(file) => write!(
                f,
                "{}: it changes while it is read; try again once it has been written",
                printable(file)
            ),
            // The text may contain names that the API returned.
            Self::NotAsked(others) => write!(
                f,
                "not requested: the API failed for {others} certificates in a row"
            ),
            Self::NotIssued(what) | Self::Unusable(what) => f.write_str(&printable(what)),
        }
    }
}

fn describe(content_type: &str) -> String {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match kind {
        "" => "no content type".into(),
        "text/html" => "an HTML page".into(),
        other => format!("`{}`", printable(other)),
    }
}
