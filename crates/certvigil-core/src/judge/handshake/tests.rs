//! Tests of the findings about the handshake.

use std::collections::BTreeSet;

use crate::model::{Protocol, Sni};
use crate::observation::{Alert, ErrorKind, Sent};

use super::*;

#[test]
fn cipher_suites_refused_by_current_clients_are_legacy() {
    for (suite, expected) in [
        (
            "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
            Some(CipherWeakness::TripleDes),
        ),
        ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", Some(CipherWeakness::Rc4)),
        (
            "TLS_RSA_EXPORT_WITH_RC4_40_MD5",
            Some(CipherWeakness::Export),
        ),
        (
            "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA",
            Some(CipherWeakness::Export),
        ),
        ("TLS_RSA_WITH_NULL_SHA256", Some(CipherWeakness::Null)),
        ("TLS_ECDHE_ECDSA_WITH_NULL_SHA", Some(CipherWeakness::Null)),
        ("TLS_RSA_WITH_DES_CBC_SHA", Some(CipherWeakness::Des)),
        (
            "TLS_RSA_WITH_IDEA_CBC_SHA",
            Some(CipherWeakness::SmallBlocks),
        ),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", None),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", None),
        ("TLS_AES_128_GCM_SHA256", None),
        ("", None),
    ] {
        assert_eq!(weakness(suite), expected, "{suite}");
    }
}

fn target(hostname: &str) -> Target {
    Target {
        certificate: "www".into(),
        hostname: hostname.parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
        names: Box::default(),
    }
}

#[test]
fn alerts_of_different_causes_have_different_hints() {
    let target = target("www.example.com");
    let of = |alert| failure(&ProbeError::of_alert("refused", alert), &target).unwrap();
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
    let hints: BTreeSet<String> = causes.iter().map(|alert| of(*alert).text().hint).collect();
    assert_eq!(hints.len(), causes.len());
    assert!(
        of(Alert::UNRECOGNIZED_NAME)
            .text()
            .hint
            .contains("www.example.com")
    );
    for alert in Alert::ALL {
        let finding = of(*alert).text();
        let name = format!("`{}`", alert.name().unwrap());
        assert!(finding.message.contains(&name), "{}", finding.message);
        assert!(!finding.hint.is_empty() && !finding.hint.ends_with('.'));
    }
}

fn hint_of(error: ProbeError, sent: Sent, hostname: &str) -> String {
    let error = ProbeError {
        sent: Some(Box::new(sent)),
        ..error
    };
    failure(&error, &target(hostname)).unwrap().text().hint
}

#[test]
fn hint_names_the_server_name_that_was_sent() {
    let hint = |alert, sni, hostname| {
        let sent = Sent {
            sni,
            ..Sent::default()
        };
        hint_of(ProbeError::of_alert("refused", alert), sent, hostname)
    };
    let (host, other) = ("www.example.com", "other.example");
    for alert in [Alert::UNRECOGNIZED_NAME, Alert::INTERNAL_ERROR] {
        let named = hint(alert, Sni::Name(other.into()), host);
        assert!(named.contains(other) && !named.contains(host), "{named}");
        for unnamed in [
            hint(alert, Sni::None, host),
            hint(alert, Sni::Hostname, "192.0.2.1"),
        ] {
            assert!(unnamed.contains("no server name"), "{unnamed}");
        }
    }
}

#[test]
fn hint_depends_on_the_client_certificate() {
    let hint = |alert, client_certificate| {
        let sent = Sent {
            client_certificate,
            ..Sent::default()
        };
        hint_of(ProbeError::of_alert("refused", alert), sent, "a.example")
    };
    for alert in [Alert::BAD_CERTIFICATE, Alert::UNKNOWN_CA] {
        assert!(hint(alert, false).contains("give one with --client-cert"));
        assert!(hint(alert, true).contains("refuses the client certificate"));
    }
}

#[test]
fn hint_names_a_proxy_header_that_is_refused_or_missing() {
    let hint = |kind, proxy_header| {
        let sent = Sent {
            proxy_header,
            ..Sent::default()
        };
        hint_of(ProbeError::new(kind, "x"), sent, "a.example")
    };
    for kind in [
        ErrorKind::TlsClosed,
        ErrorKind::TlsProtocol,
        ErrorKind::StarttlsProtocol,
    ] {
        assert!(hint(kind, true).contains("remove --proxy-protocol"));
        assert!(!hint(kind, false).contains("remove --proxy-protocol"));
    }
    assert!(hint(ErrorKind::TlsClosed, false).contains("--proxy-protocol"));
    assert!(!hint(ErrorKind::TooLarge, true).contains("--proxy-protocol"));
}

#[test]
fn only_a_failed_handshake_is_a_finding() {
    let target = target("www.example.com");
    let is_finding = |kind| failure(&ProbeError::new(kind, "x"), &target).is_some();
    assert!(is_finding(ErrorKind::TlsClosed));
    assert!(!is_finding(ErrorKind::Internal));
    assert!(!is_finding(ErrorKind::ConnectRefused));
}
