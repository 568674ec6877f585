//! Findings about the handshake itself: its version, cipher suite and parameters, and why one failed.

use crate::finding::{Code, Finding};
use crate::model::{Protocol, Target};
use crate::observation::{Alert, ErrorKind, KeyProof, LookError, Served, Status};

/// Smallest Diffie-Hellman prime, in bits, that OpenSSL accepts at security level 2: Debian's default, and OpenSSL's
/// own since 3.2.
const OPENSSL_MIN_DH_BITS: u64 = 2048;
/// Smallest Diffie-Hellman prime, in bits, that Java accepts (`jdk.tls.disabledAlgorithms`). OpenSSL's security level 1
/// and GnuTLS have about the same limit.
const JAVA_MIN_DH_BITS: u64 = 1024;

/// Findings about a handshake that showed a certificate.
pub(super) fn findings(served: &Served) -> impl Iterator<Item = Finding> {
    [
        old_version(served),
        legacy_cipher(served),
        no_secure_renegotiation(served),
        small_dh_prime(served),
        refused_common_offer(served),
    ]
    .into_iter()
    .flatten()
}

/// The version that was negotiated is the newest that both have, and certvigil has all of them.
fn old_version(served: &Served) -> Option<Finding> {
    let name = match served.tls_version {
        "SSL 3.0" => "SSL 3.0",
        "1.0" => "TLS 1.0",
        "1.1" => "TLS 1.1",
        _ => return None,
    };
    let proof = unproved(served);
    Some(Finding::new(
        Code::LegacyProtocol,
        format!("the server speaks nothing newer than {name}, which current clients refuse{proof}"),
        "allow TLS 1.2 and 1.3 on the server",
    ))
}

/// The end of a message about a handshake that does not prove the key.
fn unproved(served: &Served) -> &'static str {
    match served.key_proof {
        KeyProof::Handshake | KeyProof::BareKey => "",
        KeyProof::None => {
            "; that it has the certificate's key is not proved, for this handshake has no signature that can be checked"
        }
    }
}

/// Returns the finding for a cipher that current clients do not offer. Such suites are offered to a server only after
/// it has refused all others, so the server has nothing better.
fn legacy_cipher(served: &Served) -> Option<Finding> {
    let suite = &served.cipher_suite;
    let weakness = legacy_weakness(suite)?;
    let proof = match served.tls_version {
        "1.2" => unproved(served),
        // The finding about the version says so.
        _ => "",
    };
    Some(Finding::new(
        Code::LegacyCipher,
        format!(
            "the server offers no better cipher suite than {suite} ({weakness}), which current clients refuse{proof}"
        ),
        "allow cipher suites with ECDHE and AES-GCM or ChaCha20-Poly1305 on the server, and disable the old ones",
    ))
}

/// The weakness of a suite, by its IANA name. `None` for a suite that is no worse than AES in CBC mode.
fn legacy_weakness(suite: &str) -> Option<&'static str> {
    let has = |part: &str| suite.contains(part);
    Some(if has("_NULL_") {
        "no encryption"
    } else if has("_EXPORT_") {
        "export grade, 40 or 56 bits"
    } else if has("_RC4_") {
        "RC4, forbidden by RFC 7465"
    } else if has("_3DES_") {
        "3DES, blocks of 64 bits: CVE-2016-2183"
    } else if has("_DES_") || has("_DES40_") {
        "DES, 56 bits"
    } else if has("_IDEA_") || has("_RC2_") {
        "blocks of 64 bits: CVE-2016-2183"
    } else {
        return None;
    })
}

/// RFC 5746, section 3.4: without it, an attacker can put data before that of the client (CVE-2009-3555).
fn no_secure_renegotiation(served: &Served) -> Option<Finding> {
    (served.parameters.secure_renegotiation == Some(false)).then(|| {
        Finding::new(
            Code::RefusedByClients,
            "OpenSSL 3 and the clients that use it, such as curl, Python and Node.js, refuse the server: it does not \
             support secure renegotiation (RFC 5746), and their error is `unsafe legacy renegotiation disabled`",
            "update the server's TLS library or firmware, or enable TLS 1.3, which has no renegotiation",
        )
    })
}

/// RFC 8270; the limits are those of the clients' defaults.
fn small_dh_prime(served: &Served) -> Option<Finding> {
    let bits = served.parameters.dh_bits?;
    let clients = if bits < JAVA_MIN_DH_BITS {
        "OpenSSL, GnuTLS and Java refuse"
    } else if bits < OPENSSL_MIN_DH_BITS {
        "OpenSSL at its current security level refuses"
    } else {
        return None;
    };
    Some(Finding::new(
        Code::RefusedByClients,
        format!(
            "{clients} the server: its Diffie-Hellman prime has {bits} bits, less than {OPENSSL_MIN_DH_BITS}"
        ),
        "enable ECDHE cipher suites on the server, or give it Diffie-Hellman parameters of 2048 bits or more, such \
         as ffdhe2048 of RFC 7919",
    ))
}

/// Go and Chromium have neither finite-field Diffie-Hellman nor AES-CCM or Camellia, and no rare groups. Chromium has
/// neither P-521 nor signatures with SHA-1.
fn refused_common_offer(served: &Served) -> Option<Finding> {
    let parameters = served.parameters;
    if !parameters.refused_common_offer {
        return None;
    }
    let group = parameters.rare_group;
    let clients = match group {
        Some("secp521r1") => "Chromium refuses",
        _ => "Go and Chromium refuse",
    };
    let group = group.map(|group| format!(" over {group}"));
    let signature = match parameters.sha1_signature {
        true => ", signed with SHA-1",
        false => "",
    };
    Some(Finding::new(
        Code::RefusedByClients,
        format!(
            "{clients} the server: it has no cipher suite, group and signature algorithm that they offer, only \
             {}{}{signature}",
            served.cipher_suite,
            group.unwrap_or_default()
        ),
        "allow TLS 1.3, or for TLS 1.2 cipher suites with ECDHE and AES-GCM or ChaCha20-Poly1305, the groups X25519 \
         and P-256, and signatures with SHA-256, on the server",
    ))
}

/// Returns the finding for a handshake that showed no certificate.
pub(super) fn failure(error: &LookError, target: &Target) -> Option<Finding> {
    if error.kind.status() != Status::HandshakeError {
        return None;
    }
    let hint = starttls_hint(error, target).unwrap_or_else(|| match error.alert {
        Some(alert) => alert_hint(alert, target),
        None => hint(error.kind, target).to_owned(),
    });
    Some(Finding::new(
        Code::HandshakeFailed,
        error.message.clone(),
        hint,
    ))
}

fn hint(kind: ErrorKind, target: &Target) -> &'static str {
    match kind {
        ErrorKind::StarttlsRefused => {
            "give the server its certificate and key and switch STARTTLS on; its log says why it refuses"
        }
        ErrorKind::StarttlsProtocol => {
            "check that this port speaks this protocol, and begins in the clear"
        }
        ErrorKind::TlsAlert => {
            "check which TLS versions, names and client certificates the server demands"
        }
        ErrorKind::TlsTimeout => {
            "check whether the server is overloaded, or speaks another protocol at this port"
        }
        ErrorKind::TlsClosed => "check the server's log: it hung up before it showed a certificate",
        ErrorKind::TlsSignature => {
            "the server does not have the key of the certificate that it shows: install the key that belongs to it"
        }
        ErrorKind::MalformedCertificate => {
            "check the server's certificate file: it is damaged or empty"
        }
        ErrorKind::TooLarge => {
            "check the server's certificate file: it should have the leaf and its chain, not a bundle of roots"
        }
        _ if target.protocol.is_quic() => {
            "check that the server's HTTP/3 is switched on and listens at this UDP port, with version 1 of QUIC"
        }
        _ => "check that this port speaks TLS from the first byte",
    }
}

/// Returns the advice for an alert, by its meaning in RFC 8446, section 6, and by what servers use it for.
fn alert_hint(alert: Alert, target: &Target) -> String {
    let name = &target.hostname;
    match alert {
        Alert::UNRECOGNIZED_NAME => format!(
            "the server has no virtual host for {name}: add one with its certificate, or probe by a name that the \
             server has (--sni)"
        ),
        Alert::INTERNAL_ERROR => format!(
            "the server's log has the cause; often it has no certificate for {name} (Caddy and Go servers send \
             this alert then), or cannot read its key"
        ),
        Alert::HANDSHAKE_FAILURE | Alert::INSUFFICIENT_SECURITY => format!(
            "check that the server has a certificate and key for {name}, and allow TLS 1.2 or 1.3 with current \
             cipher suites; its log says which of them is missing"
        ),
        Alert::PROTOCOL_VERSION | Alert::INAPPROPRIATE_FALLBACK => {
            "allow TLS 1.2 or 1.3 on the server (nginx: `ssl_protocols TLSv1.2 TLSv1.3;`)".to_owned()
        }
        Alert::NO_APPLICATION_PROTOCOL => {
            "the server speaks none of the application protocols that were offered: offer one that it has (--alpn), \
             or enable it on the server"
                .to_owned()
        }
        Alert::CERTIFICATE_REQUIRED | Alert::NO_CERTIFICATE => {
            "the server demands a client certificate: give one with --client-cert and --client-key".to_owned()
        }
        Alert::BAD_CERTIFICATE
        | Alert::UNSUPPORTED_CERTIFICATE
        | Alert::CERTIFICATE_REVOKED
        | Alert::CERTIFICATE_EXPIRED
        | Alert::CERTIFICATE_UNKNOWN
        | Alert::UNKNOWN_CA
        | Alert::CERTIFICATE_UNOBTAINABLE
        | Alert::BAD_CERTIFICATE_HASH_VALUE => {
            "the server refuses the client certificate: check its dates and its issuer, and which authorities the \
             server accepts (--client-cert, --client-key)"
                .to_owned()
        }
        Alert::ACCESS_DENIED => {
            "the server refuses this client by policy: allow certvigil's address, name or client certificate in its \
             access rules"
                .to_owned()
        }
        Alert::UNKNOWN_PSK_IDENTITY => {
            "the server accepts pre-shared keys only, and shows no certificate: give it one, or do not monitor this \
             port"
                .to_owned()
        }
        Alert::ECH_REQUIRED => {
            "the server demands Encrypted Client Hello, which certvigil does not send: probe it by its public name \
             (--sni)"
                .to_owned()
        }
        Alert::UNEXPECTED_MESSAGE
        | Alert::BAD_RECORD_MAC
        | Alert::DECRYPTION_FAILED
        | Alert::RECORD_OVERFLOW
        | Alert::DECOMPRESSION_FAILURE
        | Alert::ILLEGAL_PARAMETER
        | Alert::DECODE_ERROR
        | Alert::DECRYPT_ERROR
        | Alert::MISSING_EXTENSION
        | Alert::UNSUPPORTED_EXTENSION => {
            "the server, or a proxy before it, cannot process a current ClientHello: update it; its log has the cause"
                .to_owned()
        }
        Alert::CLOSE_NOTIFY | Alert::USER_CANCELED | Alert::NO_RENEGOTIATION => {
            "the server ended the handshake on purpose: check its log, its limits and its access rules".to_owned()
        }
        _ => "the server's log says why it sends this alert".to_owned(),
    }
}

/// Returns the advice for a server that seems to begin in the clear: by what it sent, or by its port.
fn starttls_hint(error: &LookError, target: &Target) -> Option<String> {
    let by_port = || {
        let may_be_clear = matches!(
            error.kind,
            ErrorKind::TlsProtocol | ErrorKind::TlsTimeout | ErrorKind::TlsClosed
        );
        let is_tls = !target.protocol.begins_in_the_clear();
        (may_be_clear && is_tls)
            .then(|| Protocol::in_the_clear_at(target.port))
            .flatten()
    };
    let protocol = error.seems.or_else(by_port)?;
    Some(format!(
        "this looks like {protocol}, which begins in the clear: look with --starttls {protocol}, or \
         `protocol: {protocol}` in the configuration"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn suites_that_current_clients_refuse_are_legacy() {
        for (suite, words) in [
            ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", Some("3DES")),
            ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", Some("RC4")),
            ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", Some("export")),
            ("TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", Some("export")),
            ("TLS_RSA_WITH_NULL_SHA256", Some("no encryption")),
            ("TLS_ECDHE_ECDSA_WITH_NULL_SHA", Some("no encryption")),
            ("TLS_RSA_WITH_DES_CBC_SHA", Some("DES")),
            ("TLS_RSA_WITH_IDEA_CBC_SHA", Some("64 bits")),
            ("TLS_RSA_WITH_AES_128_CBC_SHA", None),
            ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", None),
            ("TLS_AES_128_GCM_SHA256", None),
            ("", None),
        ] {
            let weakness = legacy_weakness(suite);
            assert_eq!(weakness.is_some(), words.is_some(), "{suite}");
            if let (Some(weakness), Some(words)) = (weakness, words) {
                assert!(weakness.contains(words), "{suite}: {weakness}");
            }
        }
    }

    fn target(hostname: &str) -> Target {
        Target {
            certificate: "www".into(),
            hostname: hostname.parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
        }
    }

    #[test]
    fn alerts_of_different_causes_have_different_hints() {
        let target = target("www.example.com");
        let of = |alert| failure(&LookError::of_alert("refused", alert), &target).unwrap();
        let causes = [
            Alert::UNRECOGNIZED_NAME,
            Alert::INTERNAL_ERROR,
            Alert::HANDSHAKE_FAILURE,
            Alert::PROTOCOL_VERSION,
            Alert::NO_APPLICATION_PROTOCOL,
            Alert::CERTIFICATE_REQUIRED,
            Alert::BAD_CERTIFICATE,
            Alert::ACCESS_DENIED,
            Alert::UNKNOWN_PSK_IDENTITY,
            Alert::DECODE_ERROR,
            Alert::ECH_REQUIRED,
            Alert::USER_CANCELED,
            Alert(200),
        ];
        let hints: BTreeSet<String> = causes.iter().map(|alert| of(*alert).hint).collect();
        assert_eq!(hints.len(), causes.len());
        assert!(
            of(Alert::UNRECOGNIZED_NAME)
                .hint
                .contains("www.example.com")
        );
        for alert in Alert::ALL {
            let finding = of(*alert);
            let name = format!("`{}`", alert.name().unwrap());
            assert!(finding.message.contains(&name), "{}", finding.message);
            assert!(!finding.hint.is_empty() && !finding.hint.ends_with('.'));
        }
    }

    #[test]
    fn only_a_failed_handshake_is_a_finding() {
        let target = target("www.example.com");
        let is_finding = |kind| failure(&LookError::new(kind, "x"), &target).is_some();
        assert!(is_finding(ErrorKind::TlsClosed));
        assert!(!is_finding(ErrorKind::Internal));
        assert!(!is_finding(ErrorKind::ConnectRefused));
    }
}
