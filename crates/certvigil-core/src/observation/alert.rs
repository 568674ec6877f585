//! TLS alerts by their registered names.

use std::fmt;

/// Description of a TLS alert: its number in IANA's registry "TLS Alerts" (RFC 8446, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alert(pub u8);

macro_rules! alerts {
    ($($constant:ident $number:literal $name:literal;)+) => {
        impl Alert {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: Self = Self($number);)+

            /// Every registered alert.
            pub const ALL: &'static [Self] = &[$(Self::$constant,)+];

            /// Returns the registered name, or `None` for an unassigned number.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)+
                    _ => None,
                }
            }
        }
    };
}

impl Alert {
    /// Returns true if Java ends a handshake in which the server sends this alert as a warning: by
    /// `handshakeOnly` in its `sun.security.ssl.Alert`, and for an alert that it does not know.
    pub fn ends_java(self) -> bool {
        !matches!(
            self,
            Self::UNEXPECTED_MESSAGE
                | Self::BAD_RECORD_MAC
                | Self::DECRYPTION_FAILED
                | Self::RECORD_OVERFLOW
                | Self::DECOMPRESSION_FAILURE
                | Self::INTERNAL_ERROR
                | Self::INAPPROPRIATE_FALLBACK
                | Self::USER_CANCELED
        )
    }
}

// RFC 8446, section 6 and appendix B.2. The reserved alerts have their names from RFC 5246 and RFC
// 6066.
alerts! {
    CLOSE_NOTIFY 0 "close_notify";
    UNEXPECTED_MESSAGE 10 "unexpected_message";
    BAD_RECORD_MAC 20 "bad_record_mac";
    DECRYPTION_FAILED 21 "decryption_failed";
    RECORD_OVERFLOW 22 "record_overflow";
    DECOMPRESSION_FAILURE 30 "decompression_failure";
    HANDSHAKE_FAILURE 40 "handshake_failure";
    NO_CERTIFICATE 41 "no_certificate";
    BAD_CERTIFICATE 42 "bad_certificate";
    UNSUPPORTED_CERTIFICATE 43 "unsupported_certificate";
    CERTIFICATE_REVOKED 44 "certificate_revoked";
    CERTIFICATE_EXPIRED 45 "certificate_expired";
    CERTIFICATE_UNKNOWN 46 "certificate_unknown";
    ILLEGAL_PARAMETER 47 "illegal_parameter";
    UNKNOWN_CA 48 "unknown_ca";
    ACCESS_DENIED 49 "access_denied";
    DECODE_ERROR 50 "decode_error";
    DECRYPT_ERROR 51 "decrypt_error";
    TOO_MANY_CIDS_REQUESTED 52 "too_many_cids_requested";
    EXPORT_RESTRICTION 60 "export_restriction";
    PROTOCOL_VERSION 70 "protocol_version";
    INSUFFICIENT_SECURITY 71 "insufficient_security";
    INTERNAL_ERROR 80 "internal_error";
    INAPPROPRIATE_FALLBACK 86 "inappropriate_fallback";
    USER_CANCELED 90 "user_canceled";
    NO_RENEGOTIATION 100 "no_renegotiation";
    MISSING_EXTENSION 109 "missing_extension";
    UNSUPPORTED_EXTENSION 110 "unsupported_extension";
    CERTIFICATE_UNOBTAINABLE 111 "certificate_unobtainable";
    UNRECOGNIZED_NAME 112 "unrecognized_name";
    BAD_CERTIFICATE_STATUS_RESPONSE 113 "bad_certificate_status_response";
    BAD_CERTIFICATE_HASH_VALUE 114 "bad_certificate_hash_value";
    UNKNOWN_PSK_IDENTITY 115 "unknown_psk_identity";
    CERTIFICATE_REQUIRED 116 "certificate_required";
    GENERAL_ERROR 117 "general_error";
    NO_APPLICATION_PROTOCOL 120 "no_application_protocol";
    ECH_REQUIRED 121 "ech_required";
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "the alert `{name}`"),
            None => write!(f, "the unassigned alert {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_their_registered_names() {
        for (number, name) in [
            (0, "close_notify"),
            (40, "handshake_failure"),
            (48, "unknown_ca"),
            (112, "unrecognized_name"),
            (115, "unknown_psk_identity"),
            (121, "ech_required"),
        ] {
            assert_eq!(Alert(number).name(), Some(name));
        }
        assert_eq!(Alert(40).to_string(), "the alert `handshake_failure`");
        assert_eq!(Alert(200).to_string(), "the unassigned alert 200");
        assert!(Alert::ALL.is_sorted());
        assert!(Alert::ALL.iter().all(|alert| alert.name().is_some()));
    }
}
