//! Errors of the API: the error object of the reference, with its HTTP status.

use serde_json::{Value, json};
use thiserror::Error;

use certvigil_core::certificate::RequestError;

/// Reason for which a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApiError {
    /// Missing or wrong credentials.
    #[error("The API key, or the user name or password, is not correct")]
    BadCredentials,
    /// No request has this path.
    #[error("There is nothing at {0}")]
    NotFound(String),
    /// The path has requests, but none with this method.
    #[error("{path} takes {allowed} only")]
    MethodNotAllowed {
        /// Path of the request.
        path: String,
        /// Method that the path takes.
        allowed: &'static str,
    },
    /// The body is neither a form nor JSON.
    #[error("The body must be application/x-www-form-urlencoded")]
    BadContentType,
    /// The body is longer than the maximum in bytes.
    #[error("The body is longer than {0} bytes")]
    BodyTooLarge(usize),
    /// The body could not be read in time.
    #[error("The body did not arrive in time")]
    BodyTimeout,
    /// The body is not what its content type says.
    #[error("The body cannot be read: {0}")]
    BadBody(String),
    /// The common name is not a host name.
    #[error("{0}")]
    BadCommonName(String),
    /// The request does not have this parameter.
    #[error("There is no parameter `{0}` in this request")]
    UnknownParam(String),
    /// A parameter that takes one value has several.
    #[error("The parameter `{0}` is given more than once")]
    RepeatedParam(String),
    /// A new certificate needs this parameter.
    #[error("The parameter `{0}` is required")]
    MissingParam(&'static str),
    /// The value of a parameter is wrong.
    #[error("{message}")]
    BadParam {
        /// Name of the parameter.
        param: String,
        /// Description of the fault.
        message: String,
    },
    /// The CSR cannot be used.
    #[error(transparent)]
    BadCsr(#[from] CsrError),
    /// The account has no certificate object with this common name.
    #[error("There is no certificate for {0} in your account")]
    NoSuchCertificate(String),
    /// The certificate has no instance with this ID.
    #[error("There is no certificate instance with this ID")]
    NoSuchInstance,
    /// The certificate has no instance with this public key.
    #[error("There is no certificate instance with this public key")]
    NoSuchPubkeyHash,
    /// A test needs an active instance.
    #[error("You do not have an active certificate for {0}")]
    NoActiveCertificate(String),
    /// A reissue needs an active instance.
    #[error("There is no active certificate instance for {0} to reissue; buy one")]
    NothingToReissue(String),
    /// The account or a certificate has reached a maximum of the sandbox.
    #[error("The account may have at most {max} {things}")]
    Full {
        /// Plural of what there are too many of.
        things: &'static str,
        /// Their maximum.
        max: usize,
    },
    /// Approval needs a pending instance.
    #[error("There is no pending certificate instance for {0}")]
    NothingPending(String),
    /// The instance is pending at the end of the wait.
    #[error("The certificate instance is still pending")]
    NotReady {
        /// Seconds until the client may ask again.
        retry_after: u64,
    },
    /// The account cannot be stored or a certificate cannot be signed.
    #[error("The request failed: {0}")]
    Internal(String),
}

/// Reason for which a CSR is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CsrError {
    /// It is not a CSR with a valid signature.
    #[error("{0}")]
    Unreadable(#[from] RequestError),
    /// Its RSA key has another size.
    #[error("RSA keys must be 2048, 3072, or 4096 bits")]
    BadBitsize,
    /// Its key is on another curve.
    #[error("ECDSA keys must be on the NIST P-256 or P-384 curve")]
    BadCurve,
    /// Its key is neither RSA nor ECDSA.
    #[error("The key must be an RSA or an ECDSA key")]
    BadKeyType,
    /// The encoding of its key is not that of RFC 3279 or RFC 5480.
    #[error("The encoding of the public key is not that of RFC 3279 or RFC 5480")]
    BadKeyEncoding,
    /// Its CN is not the common name of the certificate.
    #[error("The CN attribute of the CSR must be {0}")]
    BadCommonName(String),
    /// Its C is missing or not the code of a country.
    #[error("The C attribute of the CSR must be a two-letter ISO country code, such as US")]
    BadCountry,
}

impl CsrError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(RequestError::Signature | RequestError::Unverifiable) => {
                "bad_signature"
            }
            Self::Unreadable(_) => "bad_csr",
            Self::BadBitsize => "bad_bitsize",
            Self::BadCurve => "bad_curve",
            Self::BadKeyType | Self::BadKeyEncoding => "bad_key",
            Self::BadCommonName(_) => "bad_common_name",
            Self::BadCountry => "bad_country",
        }
    }
}

impl ApiError {
    /// Creates an error about the value of a parameter.
    pub(super) fn of(param: &str, message: impl Into<String>) -> Self {
        Self::BadParam {
            param: param.to_owned(),
            message: message.into(),
        }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadCredentials => 401,
            Self::NotFound(_)
            | Self::NoSuchCertificate(_)
            | Self::NoSuchInstance
            | Self::NoSuchPubkeyHash
            | Self::NoActiveCertificate(_) => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::BodyTimeout => 408,
            Self::NothingToReissue(_) | Self::NothingPending(_) | Self::Full { .. } => 409,
            Self::NotReady { .. } => 412,
            Self::BodyTooLarge(_) => 413,
            Self::BadContentType => 415,
            Self::Internal(_) => 500,
            Self::BadBody(_)
            | Self::BadCommonName(_)
            | Self::UnknownParam(_)
            | Self::RepeatedParam(_)
            | Self::MissingParam(_)
            | Self::BadParam { .. }
            | Self::BadCsr(_) => 400,
        }
    }

    /// Returns the machine-readable code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadCredentials => "bad_credentials",
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::BadContentType => "bad_content_type",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BadBody(_) => "bad_body",
            Self::BadCommonName(_) => "bad_cn",
            Self::UnknownParam(_) => "unknown_param",
            Self::RepeatedParam(_) => "repeated_param",
            Self::MissingParam(_) => "missing_param",
            Self::BadParam { .. } => "bad_param",
            Self::BadCsr(error) => error.reason(),
            Self::NoSuchCertificate(_) => "no_such_certificate",
            Self::NoSuchInstance => "no_such_instance",
            Self::NoSuchPubkeyHash => "no_such_pubkey_hash",
            Self::NoActiveCertificate(_) => "no_active_certificate",
            Self::NothingToReissue(_) => "not_active",
            Self::NothingPending(_) => "not_pending",
            Self::Full { .. } => "account_full",
            Self::NotReady { .. } => "not_ready",
            Self::Internal(_) => "internal_error",
        }
    }

    /// Returns the name of the parameter at fault.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::UnknownParam(param)
            | Self::RepeatedParam(param)
            | Self::BadParam { param, .. } => Some(param),
            Self::MissingParam(param) => Some(param),
            Self::BadCsr(_) => Some("csr"),
            _ => None,
        }
    }

    /// Returns the error object.
    pub fn to_json(&self) -> Value {
        let mut object = json!({ "reason": self.reason(), "message": self.to_string() });
        if let Some(map) = object.as_object_mut() {
            if let Some(param) = self.param() {
                map.insert("param".into(), json!(param));
            }
            if let Self::NotReady { retry_after } = self {
                map.insert("retry_after".into(), json!(retry_after));
            }
        }
        object
    }
}
