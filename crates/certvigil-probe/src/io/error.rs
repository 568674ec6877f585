//! Why a source could not say what is expected.

use std::fmt;

use serde::Deserialize;

use crate::certificate::printable;

/// The error object of the SSLMate API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    /// The HTTP status code.
    #[serde(skip)]
    pub status: u16,
    /// A short code for machines.
    pub reason: String,
    /// For people; its wording may change.
    #[serde(default)]
    pub message: String,
    /// The request's parameter that was wrong.
    #[serde(default)]
    pub param: Option<String>,
    /// Seconds that have to pass before the request may be made again.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

/// Why a source could not say what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// The API refused, in its own words.
    Api(ApiError),
    /// An HTTP status without the API's error object.
    Http {
        /// The HTTP status code.
        status: u16,
        /// What was sent as a body, by its content type.
        content_type: String,
    },
    /// A good status, but something else than JSON.
    NotJson {
        /// The content type that was sent.
        content_type: String,
    },
    /// No answer in time.
    Timeout,
    /// No connection, or it broke off.
    Unreachable(String),
    /// A connection, but TLS fails over it.
    Tls {
        /// What is wrong.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// A file that somebody is writing.
    BeingWritten(String),
    /// More bytes than are read.
    TooLarge(usize),
    /// So many certificates of the account could not be had in a row, so this one was not asked for.
    NotAsked(usize),
    /// There is no certificate yet; there may be one later.
    NotIssued(String),
    /// What came cannot be used, and asking again will not help.
    Unusable(String),
}

impl SourceError {
    /// Whether asking again later may help.
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

    /// Whether it is the API that fails, or refuses whatever it is asked, and not what it was asked for.
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

    /// Seconds that have to pass before the request may be made again.
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
                write!(f, "the API says: {}", printable(text))?;
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
            // The API's names are in it, at times.
            Self::NotAsked(others) => write!(
                f,
                "it was not asked for: {others} certificates before it could not be had, so the API is taken to be away"
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
