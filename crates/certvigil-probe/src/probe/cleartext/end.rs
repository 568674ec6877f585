//! Reasons for the early end of a handshake, and their descriptions.

use std::io;
use std::time::Duration;

use crate::observation::{Alert, ErrorKind, ProbeError};

use super::super::tls_error::{lacks, no_certificate, too_large};
use super::reader::Fault;
use super::suites;

/// Reason for the early end of reading.
pub(super) enum End {
    Fault(Fault),
    Io(io::Error),
    Closed,
    Timeout,
    TooLarge,
}

impl End {
    /// Returns true if the server may have refused a client without a certificate.
    pub(super) fn may_lack_client_certificate(&self) -> bool {
        match self {
            Self::Closed | Self::Io(_) => true,
            Self::Fault(Fault::Alert(_)) => !self.is_about_key_exchange(),
            Self::Fault(_) | Self::Timeout | Self::TooLarge => false,
        }
    }

    /// Returns true if the two sides derived different keys, or the server cannot decrypt the secret
    /// of an RSA key exchange: OpenSSL reports one that is larger than its modulus with decrypt_error.
    pub(super) fn is_about_key_exchange(&self) -> bool {
        match self {
            Self::Fault(Fault::Alert(alert)) => matches!(
                Alert(*alert),
                Alert::BAD_RECORD_MAC | Alert::DECRYPTION_FAILED | Alert::DECRYPT_ERROR
            ),
            Self::Fault(fault) => *fault == Fault::Unauthentic,
            Self::Closed | Self::Io(_) | Self::Timeout | Self::TooLarge => false,
        }
    }
}

/// Describes the end of a handshake that took this long.
pub(super) fn explain(end: End, after: Duration) -> ProbeError {
    match end {
        End::Fault(Fault::Alert(alert)) => {
            ProbeError::of_alert("the server broke off the handshake", Alert(alert))
        }
        End::Fault(Fault::Malformed(what)) => ProbeError::new(
            ErrorKind::TlsProtocol,
            format!("the server breaks the rules of TLS: {what}"),
        ),
        End::Fault(Fault::Unauthentic) => ProbeError::new(
            ErrorKind::TlsProtocol,
            "the handshake failed: a record of the server cannot be decrypted",
        ),
        End::Fault(Fault::NoCertificate) => no_certificate(),
        // Both end the reading at the ServerHello.
        End::Fault(Fault::Anonymous(suite)) => anonymous(suite),
        End::Fault(Fault::Tls13 { suite, .. }) => {
            lacks(&format!("the cipher suite {}", suites::name(suite)))
        }
        End::Fault(Fault::TooLarge) | End::TooLarge => too_large(),
        End::Io(error) => ProbeError::new(
            ErrorKind::TlsClosed,
            format!("the connection broke off during the handshake: {error}"),
        ),
        End::Closed => ProbeError::new(
            ErrorKind::TlsClosed,
            "the server closed the connection in the middle of the handshake",
        ),
        End::Timeout => ProbeError::new(
            ErrorKind::TlsTimeout,
            format!(
                "the handshake did not end within {:.1} s",
                after.as_secs_f64()
            ),
        ),
    }
}

/// Returns the error of a server without a certificate.
pub(super) fn anonymous(suite: u16) -> ProbeError {
    ProbeError::new(
        ErrorKind::MalformedCertificate,
        format!(
            "the server offers only anonymous cipher suites, such as {}, and sends no certificate",
            suites::name(suite)
        ),
    )
}
