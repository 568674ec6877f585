//! Responses that are not the requested JSON, and failed requests.

use crate::io::error::{ApiError, SourceError};

use super::Answer;

pub(super) fn json<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, SourceError> {
    let content_type = answer.content_type.clone();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = kind.eq_ignore_ascii_case("application/json");
    if !(200..300).contains(&answer.status) {
        return Err(match serde_json::from_slice::<ApiError>(&answer.body) {
            Ok(error) if is_json => SourceError::Api(ApiError {
                status: answer.status,
                ..error
            }),
            _ => SourceError::Http {
                status: answer.status,
                content_type,
            },
        });
    }
    if !is_json {
        return Err(SourceError::NotJson { content_type });
    }
    serde_json::from_slice(&answer.body).map_err(|e| {
        SourceError::Unusable(format!(
            "the API's response does not match its reference: {e}"
        ))
    })
}

/// Converts an error by its innermost cause. The outer ones only repeat the URL.
pub(super) fn explain(error: &reqwest::Error) -> SourceError {
    if error.is_timeout() {
        return SourceError::Timeout;
    }
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if let Some(error) = of_tls(cause) {
        return error;
    }
    let what = if error.is_connect() {
        "no connection"
    } else {
        "the request failed"
    };
    SourceError::Unreachable(format!("{what}: {cause}"))
}

/// Converts an error of TLS. A retry would fail too, and a person must fix the cause.
fn of_tls(cause: &(dyn std::error::Error + 'static)) -> Option<SourceError> {
    use rustls::{CertificateError, Error, InvalidMessage};
    let mut cause = cause;
    // An I/O error may wrap another I/O error.
    while let Some(inner) = cause.downcast_ref().and_then(std::io::Error::get_ref) {
        cause = inner;
    }
    let error: &Error = cause.downcast_ref()?;
    let (what, advice) = match error {
        Error::InvalidCertificate(error) => {
            let advice = match error {
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => {
                    "check the clock of this machine, and the certificate of the endpoint"
                }
                CertificateError::UnknownIssuer => {
                    "where its root is one of your own, or that of a proxy in between, name it in `trust.ca_files`"
                }
                _ => "check the endpoint",
            };
            (format!("its certificate is not accepted: {error}"), advice)
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => (
            "it does not speak TLS".to_owned(),
            "check the port, and whether the endpoint begins with http://",
        ),
        other => (other.to_string(), "check the endpoint"),
    };
    Some(SourceError::Tls { what, advice })
}
