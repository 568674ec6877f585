//! Servers that cannot read a ClientHello of more than one packet, as clients with ML-KEM send it
//! (<https://tldr.fail>).

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

use crate::fixture::check::{Check, Row};
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::wait_until;
use crate::fixture::tls::{self, Server, complete_handshake, send_bytes, stay_silent};

/// Maximum payload of a TCP segment on Ethernet.
const PACKET: usize = 1460;
/// Length of the header of a record.
const HEADER: usize = 5;

/// Reaction of a server to a ClientHello that it cannot read.
type Fault = fn(&mut TcpStream);

/// Closes the connection after it has read a packet.
const CLOSE: Fault = |stream| {
    let _ = stream.read(&mut [0; 4096]);
};
/// Closes with unread data, which resets the connection.
const RESET: Fault = |_| {};
/// Waits for a packet that does not come.
const SILENCE: Fault = stay_silent;
/// Sends the alert `decode_error`.
const ALERT: Fault = |stream| {
    let _ = stream.read(&mut [0; 4096]);
    send_bytes(stream, &[21, 3, 3, 0, 2, 2, 50]);
};

/// Serves a client whose ClientHello fits into a packet, and fails for others.
fn serve_small(stream: &mut TcpStream, config: &Arc<ServerConfig>, fault: Fault) {
    match is_small(stream) {
        true => complete_handshake(stream, config),
        false => fault(stream),
    }
}

fn is_small(stream: &TcpStream) -> bool {
    let mut header = [0; HEADER];
    wait_until("the header of a record", || {
        let peeked = stream.peek(&mut header).unwrap();
        (peeked == 0 || peeked == HEADER).then_some(())
    });
    HEADER + usize::from(u16::from_be_bytes([header[3], header[4]])) <= PACKET
}

/// Timeout that is long enough for a busy machine in a fifth of it.
const LONG_TIMEOUT: &str = "30s";

fn row(pki: &Pki, leaf: &Leaf, server: &Server, timeout: &str) -> Row {
    let check = Check::of(pki, leaf, &["127.0.0.1"], server.port());
    check.args(&["--timeout", timeout]).row()
}

#[test]
fn server_that_cannot_read_a_large_hello_is_judged_and_refused_by_clients() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for version in [&TLS12, &TLS13] {
        let config = tls::config_with_key(&pki, &leaf, &leaf, &[version]);
        for (what, fault) in [("close", CLOSE), ("reset", RESET), ("alert", ALERT)] {
            let config = config.clone();
            let server = Server::start("127.0.0.1", move |stream| {
                serve_small(stream, &config, fault);
            });
            assert_refused(&row(&pki, &leaf, &server, LONG_TIMEOUT), what);
            // A large one, a small one, and both again until a third large one.
            assert_eq!(server.connections(), 5, "{what}");
        }
    }
}

#[test]
fn server_that_is_silent_after_a_large_hello_is_judged_within_the_timeout() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let config = tls::config(&pki, &leaf);
    let server = Server::start("127.0.0.1", move |stream| {
        serve_small(stream, &config, SILENCE);
    });
    // The check uses the whole timeout: a short one, and a long one if the machine was too busy.
    let short = row(&pki, &leaf, &server, "10s");
    let row = match short.outcome() {
        "conclusive" => short,
        _ => row(&pki, &leaf, &server, LONG_TIMEOUT),
    };
    assert_refused(&row, "silence");
}

fn assert_refused(row: &Row, what: &str) {
    assert_eq!(row.outcome(), "conclusive", "{what}: {row:?}");
    assert_eq!(row.codes(), ["refused_by_clients"], "{what}: {row:?}");
    assert_eq!(row.text("/severity"), "warning", "{what}");
    for (client, accepts) in [("openssl", true), ("chromium", false), ("rustls", false)] {
        let client = format!("/clients/{client}/accepts");
        let found = row.0.pointer(&client).unwrap();
        assert_eq!(found, &serde_json::json!(accepts), "{what}: {row:?}");
    }
}

/// Another reason for the failure is not hidden by a second try: a server that is overloaded fails now
/// and then.
#[test]
fn server_that_fails_at_some_connections_is_reported_as_failing() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for failing in [&[0][..], &[0, 1], &[0, 2], &[0, 2, 3], &[0, 3, 4]] {
        let config = tls::config(&pki, &leaf);
        let connections = AtomicUsize::new(0);
        let server = Server::start("127.0.0.1", move |stream| {
            match failing.contains(&connections.fetch_add(1, Ordering::SeqCst)) {
                true => CLOSE(stream),
                false => complete_handshake(stream, &config),
            }
        });
        let row = row(&pki, &leaf, &server, LONG_TIMEOUT);
        assert_eq!(row.outcome(), "tls_closed", "{failing:?}: {row:?}");
    }
}

/// A server that accepts connections and never answers has one more connection, and its error has
/// the whole time.
#[test]
fn error_of_a_silent_server_has_the_whole_timeout() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = Server::start("127.0.0.1", stay_silent);
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
    let row = check.args(&["--timeout", "1s"]).row();
    assert_eq!(row.outcome(), "tls_timeout", "{row:?}");
    let error = row.text("/error");
    assert!(!error.contains("within 0."), "{error}");
    assert_eq!(server.connections(), 2);
}
