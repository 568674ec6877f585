use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use tokio::time::Instant;

use super::super::setup::{Configs, Hello};
use super::super::{Reach, Request, open};
use super::{Connection, HELLO_BYTES};
use crate::model::{KeyType, Protocol, Target, Timings};
use crate::observation::{ErrorKind, Served};

/// Length of the headers of the record and of the message.
const HEADERS: usize = 9;

/// Performs a handshake with a server that `serve` runs. Returns the connection and the result.
async fn handshake_with(
    version: &'static SupportedProtocolVersion,
    serve: impl FnOnce(&mut TcpStream, ServerConnection) + Send + 'static,
) -> (Connection, Served) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["www.example.com".to_owned()]).unwrap();
    let leaf = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_protocol_versions(&[version])
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let tls = ServerConnection::new(Arc::new(config)).unwrap();
        serve(&mut stream, tls);
        stream
    });
    let target = Target {
        certificate: "www".into(),
        hostname: "www.example.com".parse().unwrap(),
        port: address.port(),
        protocol: Protocol::Https,
        names: Box::default(),
    };
    let request = Request {
        target: &target,
        address,
        key_type: KeyType::Any,
        reach: &Reach::default(),
    };
    let configs = Configs::new(Arc::default()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let stream = open(request, deadline, &mut Timings::default()).await;
    let stream = stream.map_err(|failure| failure.error).unwrap();
    let mut connection = Connection::new(&configs, request, Hello::FIRST, stream).unwrap();
    let served = connection.handshake(deadline, deadline).await;
    let served = served.map_err(|failure| failure.error).unwrap();
    drop(server.join().unwrap());
    (connection, served)
}

/// Completes a handshake, lets `edit` change the first bytes that the server sent, and returns the
/// error that the result then has.
async fn error_after(
    version: &'static SupportedProtocolVersion,
    edit: impl FnOnce(&mut Vec<u8>),
) -> Option<ErrorKind> {
    let (mut connection, served) = handshake_with(version, |stream, mut tls| {
        tls.complete_io(stream).unwrap();
    })
    .await;
    assert_eq!(served.failure, None);
    edit(&mut connection.first_bytes);
    let result = connection.result(None, Duration::ZERO);
    let served = result.map_err(|failure| failure.error).unwrap();
    served.failure.map(|error| error.kind)
}

#[tokio::test]
async fn hello_that_clients_refuse_is_a_failure_of_a_complete_handshake() {
    for version in [&TLS12, &TLS13] {
        assert_eq!(error_after(version, |_| {}).await, None);
    }
    let version_below = |bytes: &mut Vec<u8>| bytes[HEADERS + 1] = 2;
    let other_session = |bytes: &mut Vec<u8>| bytes[HEADERS + 35] ^= 1;
    let kind = Some(ErrorKind::TlsProtocol);
    assert_eq!(error_after(&TLS13, version_below).await, kind);
    assert_eq!(error_after(&TLS13, other_session).await, kind);
    // Both marks of a server that supports more than it selects (RFC 8446, section 4.1.3).
    for mark in [0, 1] {
        let marked = |bytes: &mut Vec<u8>| {
            let random = &mut bytes[HEADERS + 2..HEADERS + 34];
            random[24..].copy_from_slice(&[b"DOWNGRD".as_slice(), &[mark]].concat());
        };
        assert_eq!(error_after(&TLS12, marked).await, kind);
    }
}

/// Clients that read these bytes together with the Finished break off the connection.
#[tokio::test]
async fn bytes_that_are_no_tls_after_the_finished_fail_the_handshake() {
    for (bytes, expected) in [
        (&b""[..], None),
        (
            b"HTTP/1.1 400 Bad Request\r\n",
            Some(ErrorKind::TlsProtocol),
        ),
        // A record that cannot be decrypted.
        (
            &[
                23, 3, 3, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
            Some(ErrorKind::TlsProtocol),
        ),
    ] {
        let (_, served) = handshake_with(&TLS13, move |stream, mut tls| {
            tls.read_tls(stream).unwrap();
            tls.process_new_packets().unwrap();
            let mut flight = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut flight).unwrap();
            }
            flight.extend(bytes);
            stream.write_all(&flight).unwrap();
        })
        .await;
        assert_eq!(
            served.failure.map(|error| error.kind),
            expected,
            "{bytes:?}"
        );
    }
}

/// A server whose tickets fail is seen, as by the clients that offer them (RFC 5077, section 3.2).
#[tokio::test]
async fn session_tickets_are_offered() {
    const SESSION_TICKET: [u8; 4] = [0, 35, 0, 0];
    handshake_with(&TLS12, |stream, mut tls| {
        let mut hello = [0; 4096];
        let count = stream.peek(&mut hello).unwrap();
        let mut places = hello[..count].windows(SESSION_TICKET.len());
        assert!(places.any(|place| place == SESSION_TICKET));
        tls.complete_io(stream).unwrap();
    })
    .await;
}

/// A server may send a HelloRetryRequest with a long cookie before its ServerHello.
#[tokio::test]
async fn fault_at_the_end_of_a_long_hello_is_found() {
    let long = |bytes: &mut Vec<u8>| {
        let extension = [&[0xab, 0xcd][..], &[0x0b, 0x00], &[0; 0x0b00]].concat();
        let misplaced = [0, 13, 0, 0];
        let mut hello = bytes[HEADERS..HEADERS + 2 + 32].to_vec();
        hello.push(0);
        hello.extend([0xc0, 0x2b, 0]);
        let length = u16::try_from(extension.len() + misplaced.len()).unwrap();
        hello.extend(length.to_be_bytes());
        hello.extend(extension);
        hello.extend(misplaced);
        let length = u16::try_from(hello.len()).unwrap();
        *bytes = vec![22, 3, 3];
        bytes.extend((length + 4).to_be_bytes());
        bytes.extend([2, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(hello);
        bytes.truncate(HELLO_BYTES);
    };
    let kind = error_after(&TLS12, long).await;
    assert_eq!(kind, Some(ErrorKind::TlsProtocol));
}
