//! Special cases of reaching a server: client certificates, ALPN and source addresses.

use crate::common::client_auth::{Guard, asking, asking_with};
use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::tls::{Server, complete_handshake, config};
use crate::support::certvigil;
use rustix::net::sockopt::set_socket_linger;
use rustls::version::{TLS12, TLS13};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn client_certificate_is_sent_if_requested() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let guard = Arc::new(Guard::default());
    let server = Server::tls("127.0.0.1", asking(&pki, &leaf, guard.clone()));
    guard.assert_accepts_clients(&pki, || {
        Check::of(&pki, &leaf, &["127.0.0.1"], server.port())
    });
}

#[test]
fn refused_client_certificate_is_critical() {
    let pki = Pki::new();
    let (leaf, client) = (pki.leaf(&[HOST]), pki.leaf(&["client.example.com"]));
    for version in [&TLS12, &TLS13] {
        let config = asking_with(&pki, &leaf, Arc::new(Guard::refusing()), &[version]);
        let server = Server::tls("127.0.0.1", config);
        let check = || Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
        // Without a certificate, the server refuses the client as any other.
        check().row().assert_right(&[]);
        let chain = pki.full_chain(&client);
        let check = check().arg("--client-cert").arg(&chain);
        let row = check.arg("--client-key").arg(&client.key).row();
        row.assert_right(&["handshake_failed"]);
        let finding = row.finding("handshake_failed");
        assert_eq!(finding["severity"], "critical");
        let message = finding["message"].as_str().unwrap();
        assert!(message.contains("`unknown_ca`"), "{version:?}: {message}");
        let hint = finding["hint"].as_str().unwrap();
        assert!(hint.contains("refuses the client certificate"), "{hint}");
    }
}

/// With TLS 1.3 the refusal follows the handshake, a round trip later.
#[test]
fn refusal_of_a_client_certificate_by_a_distant_server_is_critical() {
    const ROUND_TRIP: Duration = Duration::from_secs(1);
    let pki = Pki::new();
    let (leaf, client) = (pki.leaf(&[HOST]), pki.leaf(&["client.example.com"]));
    let config = asking_with(&pki, &leaf, Arc::new(Guard::refusing()), &[&TLS13]);
    let server = Server::start("127.0.0.1", move |stream| {
        let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut is_refused = false;
        while !is_refused && tls.read_tls(stream).is_ok_and(|count| count > 0) {
            is_refused = tls.process_new_packets().is_err();
            if tls.wants_write() {
                std::thread::sleep(ROUND_TRIP);
            }
            while tls.wants_write() && tls.write_tls(stream).is_ok() {}
        }
    });
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
    let check = check.arg("--client-cert").arg(pki.full_chain(&client));
    let row = check.arg("--client-key").arg(&client.key).row();
    row.assert_right(&["handshake_failed"]);
    let finding = row.finding("handshake_failed");
    assert_eq!(finding["severity"], "critical");
}

/// Way in which a server ends a connection after the client certificate, without an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    CloseNotify,
    Reset,
    /// After the client's close_notify.
    AfterClient,
    CloseAfterTickets,
    ResetAfterTickets,
}

/// With TLS 1.3, slapd with GnuTLS refuses a client certificate like this.
#[test]
fn connection_closed_instead_of_accepting_the_client_certificate_is_critical() {
    let pki = Pki::new();
    let (leaf, client) = (pki.leaf(&[HOST]), pki.leaf(&["client.example.com"]));
    for (end, expected) in [
        (End::Close, &["handshake_failed"][..]),
        (End::CloseNotify, &["handshake_failed"]),
        (End::Reset, &["handshake_failed"]),
        (End::AfterClient, &[]),
        (End::CloseAfterTickets, &[]),
        (End::ResetAfterTickets, &["handshake_failed"]),
    ] {
        let config = asking_with(&pki, &leaf, Arc::new(Guard::default()), &[&TLS13]);
        let mut config = rustls::ServerConfig::clone(&config);
        if !matches!(end, End::CloseAfterTickets | End::ResetAfterTickets) {
            config.send_tls13_tickets = 0;
        }
        let config = Arc::new(config);
        let server = Server::start("127.0.0.1", move |stream| {
            let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
            while tls.is_handshaking() && tls.read_tls(stream).is_ok_and(|count| count > 0) {
                tls.process_new_packets().unwrap();
                while tls.wants_write() && tls.write_tls(stream).is_ok() {}
                if end == End::Reset && stream.peek(&mut [0]).is_ok() {
                    // Unread data turns the end into a reset.
                    return;
                }
            }
            if end == End::AfterClient {
                while tls.read_tls(stream).is_ok_and(|count| count > 0) {
                    let state = tls.process_new_packets().unwrap();
                    if state.peer_has_closed() {
                        break;
                    }
                }
            }
            if end == End::ResetAfterTickets {
                // Until the tickets have arrived.
                std::thread::sleep(Duration::from_millis(20));
                set_socket_linger(&*stream, Some(Duration::ZERO)).unwrap();
            }
            if matches!(end, End::CloseNotify | End::AfterClient) {
                tls.send_close_notify();
                let _ = tls.write_tls(stream);
            }
        });
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
        let check = check.arg("--client-cert").arg(pki.full_chain(&client));
        let row = check.arg("--client-key").arg(&client.key).row();
        row.assert_right(expected);
        if let [code] = expected {
            assert_eq!(row.finding(code)["severity"], "critical", "{end:?}");
            let message = row.finding(code)["message"].to_string();
            assert!(message.contains("without an alert"), "{end:?}: {message}");
        }
    }
}

#[test]
fn unusable_client_certificate_error_states_the_reason() {
    let pki = Pki::new();
    let (one, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let chain = pki.full_chain(&one);
    for file in [&one.key, &other.key, &chain] {
        // A key that every user can read would be a warning too.
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let told = |certificate: &std::path::Path, key: &std::path::Path| {
        let certificate = certificate.to_str().unwrap();
        let key = key.to_str().unwrap();
        let run = certvigil([
            "check",
            "--client-cert",
            certificate,
            "--client-key",
            key,
            HOST,
        ]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""));
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        run.stderr
    };
    assert!(told(&chain, &other.key).contains("the key is not that of the certificate in"));
    assert!(told(&one.key, &one.key).contains("the file has no certificate, only a private key"));
    assert!(told(&chain, &chain).contains("it has no private key that can be read"));
    assert!(told(&pki.path("absent"), &one.key).contains("it cannot be read"));
    let alone = certvigil(["check", "--client-cert", chain.to_str().unwrap(), HOST]);
    assert!(alone.stderr.contains("--client-key"), "{}", alone.stderr);
}

#[test]
fn probe_uses_the_given_source_address() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let config = config(&pki, &leaf);
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = peers.clone();
    let server = Server::start("127.0.0.1", move |stream| {
        seen.lock()
            .unwrap()
            .push(stream.peer_addr().unwrap().ip().to_string());
        complete_handshake(stream, &config);
    });
    let check = || Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
    let row = check().args(&["--source-address", "127.0.0.9", "--source-address", "::1"]);
    row.row().assert_right(&[]);
    assert_eq!(*peers.lock().unwrap(), ["127.0.0.9"]);
    // This machine does not have the address.
    let row = check().args(&["--source-address", "192.0.2.1"]).row();
    assert_eq!(row.outcome(), "connect_unreachable");
    let message = row.text("/error");
    assert!(
        message.starts_with("this machine does not have the source address 192.0.2.1"),
        "{message}"
    );
    assert!(message.contains("`--source-address`"), "{message}");
    assert!(message.contains("`source_address`"), "{message}");
    let two = check().args(&[
        "--source-address",
        "127.0.0.9",
        "--source-address",
        "127.0.0.8",
    ]);
    assert!(
        two.run()
            .stderr
            .contains("at most one IPv4 and one IPv6 address")
    );
}
