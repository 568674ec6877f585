//! Text of findings about connections and handshakes.

use std::net::IpAddr;

use crate::certificate::Unusable;
use crate::model::{Hostname, Protocol, Sni};
use crate::observation::{Alert, ErrorKind, ProbeError, Sent, TlsVersion};

use super::super::CipherWeakness;
use super::Text;

/// Returns the text of [`Detail::Unreachable`](super::Detail::Unreachable).
pub(super) fn unreachable(
    address: IpAddr,
    responding: IpAddr,
    hostname: &Hostname,
    is_without_route: bool,
    error: &ProbeError,
) -> Text {
    let hint = if is_without_route {
        let (family, flag) = if address.is_ipv6() {
            ("IPv6", "-4")
        } else {
            ("IPv4", "-6")
        };
        format!(
            "check the route to this address and the DNS records of {hostname}; where this machine has no {family}, check with {flag}"
        )
    } else {
        format!(
            "start the server at this address, or take the address out of the DNS records of {hostname}"
        )
    };
    Text::new(
        format!(
            "this address does not answer, while {responding} does: {}",
            error.message
        ),
        hint,
    )
}

/// Returns the text of [`Detail::HandshakeFailed`](super::Detail::HandshakeFailed).
pub(super) fn failed(
    hostname: &Hostname,
    port: u16,
    protocol: Protocol,
    error: &ProbeError,
) -> Text {
    let hint = proxy_hint(error).map(str::to_owned);
    let hint = hint.or_else(|| starttls_hint(error, port, protocol));
    let hint = hint.unwrap_or_else(|| match error.alert {
        Some(alert) => alert_hint(
            alert,
            hostname,
            &error.sent.as_deref().cloned().unwrap_or_default(),
        ),
        None => hint_of_kind(error.kind, protocol).to_owned(),
    });
    Text::new(error.message.clone(), hint)
}

/// Returns the text of [`Detail::HandshakeFailed`](super::Detail::HandshakeFailed) for a handshake
/// that failed after the proof of the key.
pub(super) fn incomplete(hostname: &Hostname, protocol: Protocol, error: &ProbeError) -> Text {
    let sent = error.sent.as_deref().cloned().unwrap_or_default();
    let hint = match error.alert {
        Some(alert) if !is_about_hello(alert) => alert_hint(alert, hostname, &sent),
        _ if error.kind == ErrorKind::TlsTimeout => {
            hint_of_kind(error.kind, protocol).to_owned()
        }
        _ => "check the server's log, and connect with another client: the server proves its key and cannot complete \
              the handshake"
            .to_owned(),
    };
    Text::new(
        format!(
            "clients cannot connect, although the server proved its key: {}",
            error.message
        ),
        hint,
    )
}

/// Returns true if the advice for an alert is about the ClientHello.
fn is_about_hello(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::HANDSHAKE_FAILURE
            | Alert::INSUFFICIENT_SECURITY
            | Alert::PROTOCOL_VERSION
            | Alert::UNRECOGNIZED_NAME
            | Alert::INTERNAL_ERROR
            | Alert::UNEXPECTED_MESSAGE
            | Alert::BAD_RECORD_MAC
            | Alert::DECRYPTION_FAILED
            | Alert::RECORD_OVERFLOW
            | Alert::DECOMPRESSION_FAILURE
            | Alert::ILLEGAL_PARAMETER
            | Alert::DECODE_ERROR
            | Alert::DECRYPT_ERROR
            | Alert::MISSING_EXTENSION
            | Alert::UNSUPPORTED_EXTENSION
    )
}

/// Returns the advice for a PROXY protocol header to a server that may not expect one. Such a
/// server takes it for the start of TLS or of the dialogue: it closes the connection, reports an
/// error in cleartext, or sends an alert about the message.
fn proxy_hint(error: &ProbeError) -> Option<&'static str> {
    let is_rejected = match (error.kind, error.alert) {
        (ErrorKind::TlsAlert, alert) => matches!(
            alert,
            Some(
                Alert::UNEXPECTED_MESSAGE
                    | Alert::DECODE_ERROR
                    | Alert::PROTOCOL_VERSION
                    | Alert::RECORD_OVERFLOW
            )
        ),
        (kind, _) => matches!(
            kind,
            ErrorKind::StarttlsRefused
                | ErrorKind::StarttlsProtocol
                | ErrorKind::TlsTimeout
                | ErrorKind::TlsClosed
                | ErrorKind::TlsProtocol
        ),
    };
    (error.sent.as_deref().is_some_and(|sent| sent.proxy_header) && is_rejected).then_some(
        "the server may not expect the PROXY protocol header that was sent: remove --proxy-protocol (`proxy_protocol` \
         in the configuration), or enable it on the server (nginx: `listen … proxy_protocol`, HAProxy: `accept-proxy`)",
    )
}

/// Returns the text of [`Detail::LegacyProtocol`](super::Detail::LegacyProtocol).
pub(super) fn legacy_protocol(tls_version: TlsVersion, is_key_proved: bool) -> Text {
    Text::new(
        format!(
            "the server speaks nothing newer than {tls_version}, which current clients refuse{}",
            unproved(is_key_proved)
        ),
        "allow TLS 1.2 and 1.3 on the server",
    )
}

/// Returns the text of [`Detail::LegacyCipher`](super::Detail::LegacyCipher).
pub(super) fn legacy_cipher(
    cipher_suite: &str,
    weakness: CipherWeakness,
    tls_version: TlsVersion,
    is_key_proved: bool,
) -> Text {
    let weakness = match weakness {
        CipherWeakness::Null => "no encryption",
        CipherWeakness::Export => "export grade, 40 or 56 bits",
        CipherWeakness::Rc4 => "RC4, forbidden by RFC 7465",
        CipherWeakness::TripleDes => "3DES, blocks of 64 bits: CVE-2016-2183",
        CipherWeakness::Des => "DES, 56 bits",
        CipherWeakness::SmallBlocks => "blocks of 64 bits: CVE-2016-2183",
    };
    // The finding about a deprecated version already reports it.
    let is_reported = tls_version.is_deprecated();
    let proof = unproved(is_key_proved || is_reported);
    Text::new(
        format!(
            "the server offers no better cipher suite than {cipher_suite} ({weakness}), which current clients refuse{proof}"
        ),
        "allow cipher suites with ECDHE and AES-GCM or ChaCha20-Poly1305 on the server, and disable the old ones",
    )
}

/// Returns the end of a message about a handshake that does not prove the key.
fn unproved(is_key_proved: bool) -> &'static str {
    if is_key_proved {
        ""
    } else {
        "; that it has the certificate's key is not proved, for this handshake has no signature that can be checked"
    }
}

/// Returns the text of [`Detail::MustStapleMissing`](super::Detail::MustStapleMissing).
pub(super) fn must_staple_missing(fault: Option<&Unusable>) -> Text {
    let (what, hint) = match fault {
        None => (
            "none was sent".to_owned(),
            "turn stapling on (nginx ssl_stapling, Apache SSLUseStapling, HAProxy ocsp-update), or have the \
             certificate reissued without that obligation",
        ),
        Some(fault) => (
            format!("the one that was sent does not count: {fault}"),
            "have the server staple a valid response for this certificate, or have the certificate reissued without \
             that obligation",
        ),
    };
    Text::new(
        format!(
            "the certificate obliges the server to staple an OCSP response (TLS feature, RFC 7633), and {what}"
        ),
        hint,
    )
}

/// Returns the text of [`Detail::BadOcspStaple`](super::Detail::BadOcspStaple).
pub(super) fn bad_staple(fault: &Unusable, responder: Option<&str>) -> Text {
    let responder = match responder {
        Some(url) => format!("the responder {url}"),
        None => "its issuer's responder".into(),
    };
    let hint = match fault {
        Unusable::Outdated(_) | Unusable::NotYetValid(_) => format!(
            "have the server fetch a new response: check its clock, and that it reaches {responder}; then reload it"
        ),
        Unusable::Refused(_) | Unusable::Unknown => format!(
            "ask the certificate's issuer why {responder} does not know it, or turn stapling off"
        ),
        Unusable::Unreadable(_)
        | Unusable::TooLarge
        | Unusable::OtherCertificate
        | Unusable::WrongSignature
        | Unusable::Unverifiable
        | Unusable::NotAuthorised(_)
        | Unusable::OutOfScope(_) => format!(
            "have the server fetch its response from {responder}, or renew the file that it is taken from; then reload it"
        ),
    };
    Text::new(
        format!("the stapled OCSP response is of no use: {fault}"),
        hint,
    )
}

fn hint_of_kind(kind: ErrorKind, protocol: Protocol) -> &'static str {
    match kind {
        ErrorKind::StarttlsRefused if protocol == Protocol::Rdp => {
            "allow TLS in the server's security layer, and give it a certificate and key (xrdp: \
             `security_layer=negotiate`; Windows: Security Layer `Negotiate` or `SSL`)"
        }
        ErrorKind::StarttlsRefused if protocol == Protocol::Mssql => {
            "install a certificate for the SQL Server instance and allow encryption; its log has the reason"
        }
        ErrorKind::StarttlsRefused if protocol == Protocol::Nats => {
            "add a `tls` block with the certificate and key to the server's configuration"
        }
        ErrorKind::StarttlsRefused => {
            "give the server its certificate and key and switch STARTTLS on; its log has the reason"
        }
        ErrorKind::StarttlsProtocol => "check that this port uses this protocol with STARTTLS",
        ErrorKind::TlsAlert => {
            "check which TLS versions, names and client certificates the server demands"
        }
        ErrorKind::TlsTimeout => {
            "check whether the server is overloaded, or speaks another protocol at this port"
        }
        ErrorKind::TlsClosed => {
            "check the server's log: it hung up before it showed a certificate; a server that expects a PROXY protocol \
             header does so without one (--proxy-protocol)"
        }
        ErrorKind::TlsSignature => {
            "the server does not have the key of the certificate that it shows: install the key that belongs to it"
        }
        ErrorKind::MalformedCertificate => {
            "check the server's certificate file: it is damaged or empty"
        }
        ErrorKind::TooLarge => {
            "check the server's certificate file: it should have the leaf and its chain, not a bundle of roots"
        }
        _ if protocol.is_quic() => {
            "check that the server's HTTP/3 is switched on and listens at this UDP port, with version 1 of QUIC"
        }
        _ => "check that this port speaks TLS from the first byte",
    }
}

/// Returns the advice for an alert, based on its meaning in RFC 8446, section 6, and its use by
/// servers.
fn alert_hint(alert: Alert, hostname: &Hostname, sent: &Sent) -> String {
    let name = match &sent.sni {
        Sni::Name(name) => name.clone(),
        Sni::Hostname | Sni::None => hostname.to_string(),
    };
    let has_no_sni = sent.sni == Sni::None || hostname.sni().is_none();
    match alert {
        // Servers with several names choose the certificate by SNI.
        Alert::UNRECOGNIZED_NAME | Alert::INTERNAL_ERROR
            if has_no_sni && !matches!(sent.sni, Sni::Name(_)) =>
        {
            "the server may have no certificate for clients that send no server name: give it a default certificate, or \
             probe by a name that it has (a host name as the target, or --sni NAME)"
                .to_owned()
        }
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
             cipher suites; its log says what is missing"
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
        Alert::BAD_CERTIFICATE | Alert::UNKNOWN_CA | Alert::CERTIFICATE_UNKNOWN
            if !sent.client_certificate =>
        {
            "the server demands a client certificate, and got none (Go, Java and others send this alert then): give \
             one with --client-cert and --client-key"
                .to_owned()
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
            "the server demands Encrypted Client Hello, and the first handshake does not offer it: probe the server by \
             its public name (--sni)"
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
        _ => "the server's log has the reason for the alert".to_owned(),
    }
}

/// Returns the advice for a server that seems to begin in cleartext, judged by its first bytes or
/// its port.
fn starttls_hint(error: &ProbeError, port: u16, protocol: Protocol) -> Option<String> {
    let by_port = || {
        let may_be_clear = matches!(
            error.kind,
            ErrorKind::TlsProtocol | ErrorKind::TlsTimeout | ErrorKind::TlsClosed
        );
        let is_tls = !protocol.uses_starttls();
        (may_be_clear && is_tls)
            .then(|| Protocol::in_the_clear_at(port))
            .flatten()
    };
    let protocol = error.seems.or_else(by_port)?;
    if !protocol.uses_starttls() {
        return Some(format!(
            "this port expects TLS from the first byte: probe it as {protocol}://{}, or with `protocol: {protocol}` in \
             the configuration",
            match port {
                port if port == protocol.default_port() => "HOST".to_owned(),
                port => format!("HOST:{port}"),
            }
        ));
    }
    Some(format!(
        "this is probably {protocol}, which starts without TLS: probe with --starttls {protocol}, or \
         `protocol: {protocol}` in the configuration"
    ))
}
