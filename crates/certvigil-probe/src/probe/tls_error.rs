//! Descriptions of rustls' errors in the terms of the RFCs, without the names of its enums.

use rustls::{
    CertificateError, ContentType, Error, HandshakeType, InvalidMessage, PeerIncompatible,
    PeerMisbehaved,
};

use crate::observation::{Alert, ErrorKind, ProbeError};

use super::key_proof;

/// Describes the error with which rustls ended a handshake.
pub(super) fn explain(error: &Error) -> ProbeError {
    match error {
        Error::AlertReceived(alert) => {
            ProbeError::of_alert("the server refused the handshake", Alert(u8::from(*alert)))
        }
        Error::InvalidCertificate(CertificateError::BadEncoding)
        | Error::NoCertificatesPresented => no_certificate(),
        error if key_proof::is_unknown_kind_of_key(error) => {
            lacks("a way to check signatures of the kind of key that the server's certificate has")
        }
        Error::InvalidCertificate(_) => wrong_signature(),
        Error::InvalidMessage(
            InvalidMessage::CertificatePayloadTooLarge | InvalidMessage::HandshakePayloadTooLarge,
        ) => too_large(),
        Error::FailedToGetRandomBytes => ProbeError::new(
            ErrorKind::Internal,
            "the system's source of random numbers failed",
        ),
        Error::FailedToGetCurrentTime
        | Error::UnsupportedNameType
        | Error::HandshakeNotComplete
        | Error::EncryptError
        | Error::BadMaxFragmentSize
        | Error::InconsistentKeys(_) => ProbeError::new(
            ErrorKind::Internal,
            format!("certvigil could not perform the handshake: {error}"),
        ),
        other => ProbeError::new(
            ErrorKind::TlsProtocol,
            format!("the handshake failed: {}", violation(other)),
        ),
    }
}

/// Returns the error for an endpoint that certvigil cannot judge, because it lacks an algorithm.
/// This is not the server's fault.
pub(super) fn lacks(what: &str) -> ProbeError {
    ProbeError::new(
        ErrorKind::Internal,
        format!(
            "certvigil cannot judge this server, which is no fault of it: certvigil lacks {what}"
        ),
    )
}

/// Returns a clause about the server's violation of TLS.
fn violation(error: &Error) -> String {
    let clause = match error {
        Error::InappropriateMessage { got_type, .. } => {
            return format!("the server sent {} out of order", content_type(*got_type));
        }
        Error::InappropriateHandshakeMessage { got_type, .. } => {
            return format!("the server sent {} out of order", handshake_type(*got_type));
        }
        Error::InvalidMessage(message) => invalid_message(message),
        Error::PeerIncompatible(why) => incompatible(why),
        Error::PeerMisbehaved(why) => misbehaved(why),
        Error::DecryptError => "a record of the server cannot be decrypted",
        Error::PeerSentOversizedRecord => "the server sent a record that is longer than allowed",
        Error::NoApplicationProtocol => {
            "the server chose none of the offered application protocols"
        }
        _ => "the server does not follow the protocol",
    };
    clause.to_owned()
}

/// Names a record by its content type (RFC 8446, section 5.1).
fn content_type(kind: ContentType) -> String {
    match kind {
        ContentType::ChangeCipherSpec => "a change_cipher_spec record".into(),
        ContentType::Alert => "an alert".into(),
        ContentType::Handshake => "a handshake record".into(),
        ContentType::ApplicationData => "application data".into(),
        ContentType::Heartbeat => "a heartbeat record".into(),
        other => format!("a record of the unassigned type {}", u8::from(other)),
    }
}

/// Names a message by its structure (RFC 8446, section 4; RFC 5246, section 7.4).
fn handshake_type(kind: HandshakeType) -> String {
    let name = match kind {
        HandshakeType::HelloRequest => "a HelloRequest",
        HandshakeType::ClientHello => "a ClientHello",
        HandshakeType::ServerHello => "a ServerHello",
        HandshakeType::HelloVerifyRequest => "a HelloVerifyRequest, which belongs to DTLS",
        HandshakeType::NewSessionTicket => "a NewSessionTicket",
        HandshakeType::EndOfEarlyData => "an EndOfEarlyData",
        HandshakeType::HelloRetryRequest => "a HelloRetryRequest",
        HandshakeType::EncryptedExtensions => "an EncryptedExtensions",
        HandshakeType::Certificate => "a Certificate",
        HandshakeType::ServerKeyExchange => "a ServerKeyExchange",
        HandshakeType::CertificateRequest => "a CertificateRequest",
        HandshakeType::ServerHelloDone => "a ServerHelloDone",
        HandshakeType::CertificateVerify => "a CertificateVerify",
        HandshakeType::ClientKeyExchange => "a ClientKeyExchange",
        HandshakeType::Finished => "a Finished",
        HandshakeType::CertificateURL => "a CertificateURL",
        HandshakeType::CertificateStatus => "a CertificateStatus",
        HandshakeType::KeyUpdate => "a KeyUpdate",
        HandshakeType::CompressedCertificate => "a CompressedCertificate",
        other => return format!("a message of the unknown type {}", u8::from(other)),
    };
    name.into()
}

fn invalid_message(message: &InvalidMessage) -> &'static str {
    use InvalidMessage as M;
    match message {
        M::InvalidCcs => "its ChangeCipherSpec message is malformed",
        M::InvalidContentType => "the server sent a record of an unknown content type",
        M::InvalidCertificateStatusType => "its certificate status is not an OCSP response",
        M::InvalidCertRequest => "its Certificate or CertificateRequest is malformed",
        M::InvalidDhParams => "its Diffie-Hellman parameters are malformed",
        M::InvalidEmptyPayload => "the server sent an empty record",
        M::InvalidKeyUpdate => "its KeyUpdate is malformed",
        M::InvalidServerName => "the server sent a malformed server name",
        M::MessageTooLarge => "the server sent a record that is longer than allowed",
        M::MessageTooShort | M::MissingData(_) => {
            "the server sent a message that ends before its announced length"
        }
        M::TrailingData(_) => "the server sent a message with data after its end",
        M::MissingKeyExchange | M::UnsupportedKeyExchangeAlgorithm(_) => {
            "its ServerKeyExchange is of an unknown kind"
        }
        M::NoSignatureSchemes => "its CertificateRequest has no signature algorithms",
        M::UnexpectedMessage(_) => "the server sent a message out of order",
        M::UnknownProtocolVersion => "the server sent a record with an unknown protocol version",
        M::UnsupportedCompression => "the server chose a compression method that was not offered",
        M::UnsupportedCurveType => {
            "its ServerKeyExchange has explicit curve parameters, which RFC 8422 forbids"
        }
        M::EmptyTicketValue => "the server sent an empty session ticket",
        M::IllegalEmptyList(_) | M::IllegalEmptyValue => {
            "the server sent an empty value where TLS requires one"
        }
        M::DuplicateExtension(_) => "the server sent an extension twice",
        M::PreSharedKeyIsNotFinalExtension => "its extensions are in the wrong order",
        M::UnknownHelloRetryRequestExtension => {
            "its HelloRetryRequest has an extension that was not offered"
        }
        M::UnknownCertificateExtension => {
            "its Certificate message has an extension that was not offered"
        }
        _ => "the server sent a malformed message",
    }
}

fn incompatible(why: &PeerIncompatible) -> &'static str {
    use PeerIncompatible as P;
    match why {
        P::EcPointsExtensionRequired
        | P::NoEcPointFormatsInCommon
        | P::UncompressedEcPointsRequired => {
            "the server does not accept uncompressed points, which RFC 8422 requires"
        }
        P::ExtendedMasterSecretExtensionRequired => {
            "the server does not support the extended master secret (RFC 7627)"
        }
        P::IncorrectCertificateTypeExtension | P::UnsolicitedCertificateTypeExtension => {
            "the server chose a certificate type that was not offered"
        }
        P::KeyShareExtensionRequired => "the ServerHello has no key share",
        P::NamedGroupsExtensionRequired | P::NoKxGroupsInCommon => {
            "the server chose a group that was not offered"
        }
        P::NoCertificateRequestSignatureSchemesInCommon => {
            "the server demands a client certificate with signature algorithms that are not supported"
        }
        P::NoCipherSuitesInCommon => "the server and certvigil have no cipher suite in common",
        P::NoSignatureSchemesInCommon | P::SignatureAlgorithmsExtensionRequired => {
            "the server and certvigil have no signature algorithm in common"
        }
        P::NullCompressionRequired => "the server chose a compression method that was not offered",
        P::ServerDoesNotSupportTls12Or13
        | P::ServerTlsVersionIsDisabledByOurConfig
        | P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled
        | P::SupportedVersionsExtensionRequired => {
            "the server chose a TLS version that was not offered"
        }
        P::Tls13RequiredForQuic => "the server does not support TLS 1.3, which QUIC requires",
        P::ServerSentHelloRetryRequestWithUnknownExtension => {
            "its HelloRetryRequest has an extension that was not offered"
        }
        P::ServerRejectedEncryptedClientHello(_) => "the server rejected Encrypted Client Hello",
        _ => "the server requires a feature of TLS that certvigil does not have",
    }
}

fn misbehaved(why: &PeerMisbehaved) -> &'static str {
    use PeerMisbehaved as P;
    match why {
        P::AttemptedDowngradeToTls12WhenTls13IsSupported => {
            "the server negotiated TLS 1.2 but signals that it supports TLS 1.3: a proxy between changes the handshake"
        }
        P::CipherSuiteDifferedOnRetry | P::SelectedDifferentCipherSuiteAfterRetry => {
            "the server chose another cipher suite after its HelloRetryRequest"
        }
        P::DuplicateEncryptedExtensions
        | P::DuplicateHelloRetryRequestExtensions
        | P::DuplicateNewSessionTicketExtensions
        | P::DuplicateServerHelloExtensions => "the server sent an extension twice",
        P::IllegalHelloRetryRequestWithEmptyCookie
        | P::IllegalHelloRetryRequestWithNoChanges
        | P::IllegalHelloRetryRequestWithOfferedGroup
        | P::IllegalHelloRetryRequestWithUnofferedCipherSuite
        | P::IllegalHelloRetryRequestWithUnofferedNamedGroup
        | P::IllegalHelloRetryRequestWithUnsupportedVersion
        | P::IllegalHelloRetryRequestWithWrongSessionId
        | P::IllegalHelloRetryRequestWithInvalidEch => {
            "its HelloRetryRequest asks for what it must not (RFC 8446, section 4.1.4)"
        }
        P::IllegalMiddleboxChangeCipherSpec => "a change_cipher_spec record came out of order",
        P::IllegalTlsInnerPlaintext => "an encrypted record has no content type",
        P::InvalidCertCompression | P::SelectedUnofferedCertCompression => {
            "the server compressed its certificates in a way that was not offered"
        }
        P::InvalidKeyShare => "its key share is not valid for the group",
        P::KeyEpochWithPendingFragment | P::MessageInterleavedWithHandshakeMessage => {
            "a handshake message is interrupted by another record"
        }
        P::KeyUpdateReceivedInQuicConnection => "the server sent a KeyUpdate, which QUIC forbids",
        P::MissingKeyShare => "the ServerHello has no key share",
        P::MissingQuicTransportParameters => "the server sent no QUIC transport parameters",
        P::SelectedInvalidPsk | P::SelectedUnofferedPsk => {
            "the server chose a pre-shared key that was not offered"
        }
        P::SelectedTls12UsingTls13VersionExtension => {
            "the server chose TLS 1.2 by an extension that is for TLS 1.3"
        }
        P::SelectedUnofferedApplicationProtocol => {
            "the server chose an application protocol that was not offered"
        }
        P::SelectedUnofferedCipherSuite => "the server chose a cipher suite that was not offered",
        P::SelectedUnofferedCompression => {
            "the server chose a compression method that was not offered"
        }
        P::SelectedUnofferedKxGroup | P::WrongGroupForKeyShare => {
            "the server chose a group that was not offered"
        }
        P::SelectedUnusableCipherSuiteForVersion => {
            "the server chose a cipher suite that does not belong to the TLS version"
        }
        P::ServerEchoedCompatibilitySessionId => "the server resumed a session that does not exist",
        P::ServerHelloMustOfferUncompressedEcPoints => {
            "the server does not accept uncompressed points, which RFC 8422 requires"
        }
        P::SignedKxWithWrongAlgorithm => {
            "the server signed its key exchange with an algorithm that does not go with its cipher suite"
        }
        P::SignedHandshakeWithUnadvertisedSigScheme => {
            "the server signed the handshake with an algorithm that was not offered"
        }
        P::TooManyEmptyFragments => "the server sent too many empty records",
        P::TooManyKeyUpdateRequests => "the server sent too many KeyUpdate messages",
        P::TooManyRenegotiationRequests => "the server requested renegotiation too often",
        P::TooManyWarningAlertsReceived => "the server sent too many warning alerts",
        P::BadCertChainExtensions
        | P::DisallowedEncryptedExtension
        | P::UnexpectedCleartextExtension
        | P::UnsolicitedCertExtension
        | P::UnsolicitedEncryptedExtension
        | P::UnsolicitedSctList
        | P::UnsolicitedServerHelloExtension
        | P::UnsolicitedEchExtension => "the server sent an extension that was not offered",
        _ => "the server breaks a rule of TLS",
    }
}

pub(super) fn wrong_signature() -> ProbeError {
    ProbeError::new(
        ErrorKind::TlsSignature,
        "the server did not prove that it has the certificate's key: its signature is wrong",
    )
}

/// Returns the error of a key exchange that the server's key did not decrypt.
pub(super) fn wrong_key() -> ProbeError {
    ProbeError::new(
        ErrorKind::TlsSignature,
        "the server did not prove that it has the certificate's key: it does not decrypt what is encrypted for the key",
    )
}

pub(super) fn too_large() -> ProbeError {
    ProbeError::new(
        ErrorKind::TooLarge,
        "the server sent more certificates than are read",
    )
}

pub(super) fn no_certificate() -> ProbeError {
    ProbeError::new(
        ErrorKind::MalformedCertificate,
        "the server sent no certificate that can be read",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::AlertDescription;

    #[test]
    fn alert_error_contains_the_registered_name() {
        let error = explain(&Error::AlertReceived(AlertDescription::UnrecognisedName));
        assert_eq!(error.kind, ErrorKind::TlsAlert);
        assert_eq!(error.alert, Some(Alert::UNRECOGNIZED_NAME));
        assert!(error.message.contains("`unrecognized_name`"), "{error}");
        let error = explain(&Error::AlertReceived(AlertDescription::Unknown(200)));
        assert!(error.message.contains("unassigned alert 200"), "{error}");
    }

    #[test]
    fn error_messages_do_not_contain_rustls_enum_names() {
        let cases = [
            Error::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm),
            Error::PeerMisbehaved(PeerMisbehaved::IncorrectBinder),
            Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
            Error::PeerIncompatible(PeerIncompatible::ServerRejectedEncryptedClientHello(None)),
            Error::InvalidMessage(InvalidMessage::MissingData("ServerHelloPayload")),
            Error::InvalidMessage(InvalidMessage::TrailingData("SignedData")),
            Error::InvalidMessage(InvalidMessage::DuplicateExtension(5)),
            Error::InappropriateMessage {
                expect_types: vec![ContentType::Handshake],
                got_type: ContentType::Unknown(99),
            },
            Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::ServerHello],
                got_type: HandshakeType::Unknown(99),
            },
            Error::DecryptError,
            Error::General("x".into()),
        ];
        for error in cases {
            let message = explain(&error).message;
            let debug = format!("{error:?}");
            let names = debug.split(|c: char| !c.is_ascii_alphanumeric());
            for name in names.filter(|n| n.chars().filter(char::is_ascii_uppercase).count() > 1) {
                assert!(!message.contains(name), "{name}: {message}");
            }
            assert!(message.starts_with("the handshake failed: "), "{message}");
        }
    }

    #[test]
    fn missing_algorithm_is_an_internal_error() {
        let error = lacks("the group X");
        assert_eq!(error.kind, ErrorKind::Internal);
        assert!(error.message.contains("lacks the group X"), "{error}");
    }
}
